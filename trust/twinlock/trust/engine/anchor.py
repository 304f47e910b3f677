"""A read-only trust anchor: the chain from the factory's Root over stored Roots, walked again by every process.

Storage that an attacker can write proves nothing about Roots: a planted one is signed by itself. From a Root that the
storage's writer cannot change, each stored one has to follow as if it had been fetched. This stops planting. It does not
stop an attacker from putting back an older copy of the whole storage.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar

from twinlock.trust.checks.context import Context
from twinlock.trust.checks.root import check_next_root
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.keys.signatures import Verified, prove
from twinlock.trust.limits import Limits
from twinlock.trust.model.base import Signed
from twinlock.trust.model.root import Root
from twinlock.trust.names import SNAPSHOT, TARGETS, TIMESTAMP, RepositoryName, RoleName
from twinlock.trust.policy import LAX
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.tuf.metadata import TUF

S = TypeVar("S", bound=Signed)
_NEVER = datetime.min.replace(tzinfo=UTC)  # expiry is judged when the chain is walked online


def follow_stored_roots(
    name: RepositoryName,
    anchor: bytes,
    stored: Mapping[int, bytes],
    *,
    limits: Limits,
    wire: WireProfile = TUF,
) -> tuple[Verified[Root], RefusalError | None]:
    """The newest of the ``stored`` Roots, by version, that a chain from ``anchor`` leads to, and why it ends there.

    The second value is the refusal of the first stored Root that does not follow; None if all that are reached do.
    Stored versions up to that of ``anchor`` are not looked at.
    Raises: MalformedError, LimitError, WeakKeyError, ThresholdError for an ``anchor`` that is not sound.
    Source: Uptane 2.1.0 5.4.4.3 step 2; TUF 1.0.34 5.2.
    """
    root = bootstrap_repository(name, anchor, limits=limits, wire=wire).root
    context = Context(repository=name, now=_NEVER, limits=limits, wire=wire, policy=LAX)
    while (data := stored.get(root.signed.version + 1)) is not None:
        try:
            root = check_next_root(data, trusted=root, context=context)
        except RefusalError as error:
            return root, error
    return root, None


def prove_top_level(trusted: TrustedRepository) -> dict[RoleName, bytes]:
    """Proofs of the verified top-level files of ``trusted``, for the memory of the process that counted their signatures."""
    files = (
        _proof(trusted, TIMESTAMP, trusted.timestamp),
        _proof(trusted, SNAPSHOT, trusted.snapshot),
        _proof(trusted, TARGETS, trusted.targets),
    )
    return {role: proof for role, proof in files if proof is not None}


def _proof(trusted: TrustedRepository, role: RoleName, verified: Verified[S] | None) -> tuple[RoleName, bytes | None]:
    root = trusted.root.signed
    if verified is None:
        return role, None
    return role, prove(verified, root.keys, root.roles[role], subject=f"{trusted.wire.name}/{role}")
