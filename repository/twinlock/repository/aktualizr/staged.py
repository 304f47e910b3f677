"""What is refused already when it is staged, because publishing for aktualizr would refuse it."""

from __future__ import annotations

from tuf.api.metadata import TargetFile, Targets

from twinlock.repository.aktualizr.names import NamedBytes, check_name
from twinlock.repository.authoring.delegations import Delegation, write_delegations
from twinlock.repository.workspace.state import RepositoryState
from twinlock.trust.names import TARGETS
from twinlock.trust.wire.aktualizr.encode import translate_targets
from twinlock.trust.wire.aktualizr.patterns import check_alike


def check_entry(state: RepositoryState, path: str, entry: TargetFile, listed: TargetFile | None) -> None:
    """Refuse an entry that this client could not use, or whose name stood for other bytes. Raises: ProfileError."""
    if not state.wires.aktualizr:
        return
    translate_targets(TARGETS, Targets(targets={path: entry}).to_dict())
    offered = NamedBytes(entry.length, entry.hashes["sha256"])
    if listed is None or listed.hashes.get("sha256") != offered.sha256:
        check_name(state.workspace.store, path, offered)


def check_delegation(state: RepositoryState, delegator: str, delegation: Delegation) -> None:
    """Refuse a delegation that this client does not know or reads otherwise, or a role that it could not ask for.

    Raises: ProfileError.
    """
    if state.wires.aktualizr:
        check_alike(delegation.name, delegation.paths or ())
        targets = Targets()
        write_delegations(targets, [delegation])
        translate_targets(delegator, targets.to_dict())
