"""From stored bytes back to trusted values: the factory's anchor, and what earlier cycles accepted.

Belongs here: deciding what stored bytes are still worth under the newest Root. Does not belong here: reading storage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from twinlock.trust.checks.context import Context
from twinlock.trust.checks.targets import Authority
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.base import NOTHING
from twinlock.trust.model.root import Root
from twinlock.trust.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, TOP_LEVEL, RepositoryName, RoleName
from twinlock.trust.policy import LAX
from twinlock.trust.signatures import Envelope, Verified, recall, verify_signatures
from twinlock.trust.state import TrustedRepository
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.tuf import TUF

T = TypeVar("T")
_NEVER = datetime.min.replace(tzinfo=UTC)  # restoring judges no expiry, so no check may read the time


def bootstrap_repository(
    name: RepositoryName,
    root: bytes,
    *,
    limits: Limits = DEFAULT_LIMITS,
    wire: WireProfile = TUF,
) -> TrustedRepository:
    """Trust ``root`` by decree, as the factory does. Its own threshold of signatures is still required.

    Raises: MalformedError, LimitError, ThresholdError, PostQuantumError.
    Source: TUF 1.0.34 5.2; Uptane 2.1.0 5.4.4.3 step 1.
    """
    envelope = wire.decode_root(root, f"{name}/{ROOT}", limits)
    signed = envelope.signed
    verified = verify_signatures(envelope, signed.keys, signed.roles[ROOT], repository=name, role_name=ROOT)
    return TrustedRepository(name=name, root=verified, wire=wire)


def restore_repository(
    name: RepositoryName,
    files: Mapping[RoleName, bytes],
    *,
    proofs: Mapping[RoleName, bytes] = NOTHING,
    limits: Limits = DEFAULT_LIMITS,
    wire: WireProfile = TUF,
) -> TrustedRepository:
    """Rebuild the trusted state from stored ``files``: the newest Root under ``root``, others under their role.

    A file that no longer verifies under that Root is left out, as if it had never been stored: its keys were rotated.
    Where one of ``proofs`` (what ``Persist`` gave with the file) holds under that Root, its signatures need not be
    counted again; those of the Root itself always are.
    Delegated files come along unverified (see ``TrustedRepository.delegated``). No expiry is judged.
    Raises: KeyError without a Root; MalformedError, LimitError, ThresholdError, PostQuantumError for a bad one.
    """
    trusted = bootstrap_repository(name, files[ROOT], limits=limits, wire=wire)
    delegated = {role: data for role, data in files.items() if role not in TOP_LEVEL}
    context = Context(repository=name, now=_NEVER, limits=limits, wire=wire, policy=LAX)

    def again(role: RoleName, decode: Callable[[bytes, str, Limits], Envelope[T]]) -> Verified[T] | None:
        return _reverify(files.get(role), role, decode, trusted.root.signed, context, proof=proofs.get(role))

    return trusted._replace(
        timestamp=again(TIMESTAMP, wire.decode_timestamp),
        snapshot=again(SNAPSHOT, wire.decode_snapshot),
        targets=again(TARGETS, wire.decode_targets),
        delegated=delegated,
        proofs=proofs,
    )


def under_root(trusted: TrustedRepository, root: Verified[Root], context: Context) -> TrustedRepository:
    """The same state under a newer Root: files of roles whose keys or threshold changed are verified again."""

    def kept(role: RoleName) -> bool:
        old, new = trusted.root.signed, root.signed
        if role not in old.roles or role not in new.roles:
            return False
        before, after = old.roles[role], new.roles[role]
        same_rule = (before.threshold, before.post_quantum) == (after.threshold, after.post_quantum)
        return same_rule and old.signers(role) == new.signers(role)

    wire, signed = context.wire, root.signed
    timestamp, snapshot, targets = trusted.timestamp, trusted.snapshot, trusted.targets
    if timestamp is not None and not kept(TIMESTAMP):
        timestamp = _reverify(timestamp.data, TIMESTAMP, wire.decode_timestamp, signed, context)
    if snapshot is not None and not kept(SNAPSHOT):
        snapshot = _reverify(snapshot.data, SNAPSHOT, wire.decode_snapshot, signed, context)
    if targets is not None and not kept(TARGETS):
        targets = _reverify(targets.data, TARGETS, wire.decode_targets, signed, context)
    return trusted._replace(root=root, timestamp=timestamp, snapshot=snapshot, targets=targets)


def top_level_authority(root: Root) -> Authority:
    """Who signs for top-level Targets. Source: Uptane 2.1.0 5.4.4.6 step 3.1."""
    return Authority(TARGETS, root.keys, root.roles[TARGETS])


def _reverify(
    data: bytes | None,
    role: RoleName,
    decode: Callable[[bytes, str, Limits], Envelope[T]],
    root: Root,
    context: Context,
    *,
    proof: bytes | None = None,
) -> Verified[T] | None:
    if data is None or role not in root.roles:
        return None
    try:
        envelope = decode(data, context.what(role), context.limits)
        known = recall(envelope, root.keys, root.roles[role], subject=context.subject(role), proof=proof)
        return known or verify_signatures(
            envelope, root.keys, root.roles[role], repository=context.repository, role_name=role
        )
    except RefusalError:
        return None
