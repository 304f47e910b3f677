"""Whether a repository serves files under names that hold their versions: Uptane 2.1.0 5.2.7."""

from __future__ import annotations

from twinlock.trust.checks.context import Context
from twinlock.trust.errors.metadata import ConsistentSnapshotError
from twinlock.trust.model.root import Root


def check_file_names(root: Root, context: Context) -> Context:
    """``context`` for the other files of a repository with this Root.

    A Root that states ``consistent_snapshot`` false is read under the lax policy alone; its files have bare names then.
    Raises: ConsistentSnapshotError. Source: Uptane 2.1.0 5.2.7 (versioned names are mandatory); TUF 1.0.34 6.2.
    """
    if root.consistent_snapshot:
        return context
    if context.policy.require_consistent_snapshot:
        raise ConsistentSnapshotError(repository=context.repository, version=root.version)
    return context._replace(wire=context.wire.bare)
