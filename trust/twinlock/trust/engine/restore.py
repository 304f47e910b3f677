"""Trusted values from stored bytes: the factory's anchor, what earlier cycles accepted, and both under a newer Root."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from twinlock.trust.checks.context import Context
from twinlock.trust.checks.targets import Authority
from twinlock.trust.engine.commands import Persist
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.keys.signatures import Envelope, Verified, recall, verify_signatures
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.base import NOTHING, Signed
from twinlock.trust.model.root import Root
from twinlock.trust.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, TOP_LEVEL, RepositoryName, RoleName
from twinlock.trust.policy import LAX
from twinlock.trust.state.floors import Floor, Floors, establish, is_established, lower_floors, root_signers
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.tuf.metadata import TUF

S = TypeVar("S", bound=Signed)
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
    envelope = _context(name, limits, wire).decode(ROOT, wire.decode_root, root)
    signed = envelope.signed
    verified = verify_signatures(envelope, signed.keys, signed.roles[ROOT], repository=name, role_name=ROOT)
    floor = establish(NOTHING, ROOT, verified, keys=signed.keys, root=signed.version)
    return TrustedRepository(name=name, root=verified, wire=wire, floors={ROOT: floor})


def restore_repository(
    name: RepositoryName,
    files: Mapping[RoleName, bytes],
    *,
    proofs: Mapping[RoleName, bytes] = NOTHING,
    floors: Floors = NOTHING,
    limits: Limits = DEFAULT_LIMITS,
    wire: WireProfile = TUF,
) -> TrustedRepository:
    """Rebuild the trusted state from stored ``files``: the newest Root under ``root``, others under their role.

    ``floors`` are those that ``Persist`` gave; they hold whether their files are there or not. A file that no longer
    verifies under the newest Root, is damaged, or is not the one that its floor is of, is left out and fetched again. A
    file without a stored floor establishes its own. Where one of ``proofs`` holds under that Root, the signatures of the
    file need not be counted again; those of the Root itself always are.
    Delegated files come along unverified (see ``TrustedRepository.delegated``). No expiry is judged.
    Raises: KeyError without a Root; MalformedError, LimitError, ThresholdError, PostQuantumError for a bad one.
    """
    trusted = bootstrap_repository(name, files[ROOT], limits=limits, wire=wire)
    delegated = {role: data for role, data in files.items() if role not in TOP_LEVEL}
    context = _context(name, limits, wire)
    root = trusted.root.signed
    # The stored floor wins a tie: its time may have been capped, and a floor made again from the file knows nothing of that.
    held = {**floors, ROOT: max(floors.get(ROOT, trusted.floors[ROOT]), trusted.floors[ROOT], key=_version)}

    def again(role: RoleName, decode: Callable[[bytes, str, Limits], Envelope[S]]) -> Verified[S] | None:
        found = _reverify(files.get(role), role, decode, root, context, proof=proofs.get(role))
        if found is None or (role in held and not is_established(found, held[role])):
            return None
        held[role] = establish(held, role, found, keys=root.keys, root=root.version)
        return found

    return trusted._replace(
        timestamp=again(TIMESTAMP, wire.decode_timestamp),
        snapshot=again(SNAPSHOT, wire.decode_snapshot),
        targets=again(TARGETS, wire.decode_targets),
        delegated=delegated,
        proofs=proofs,
        floors=held,
    )


def _context(name: RepositoryName, limits: Limits, wire: WireProfile) -> Context:
    return Context(repository=name, now=_NEVER, limits=limits, wire=wire, policy=LAX)


def _version(floor: Floor) -> int:
    return floor.version


def follow_root(
    trusted: TrustedRepository, root: Verified[Root], context: Context
) -> tuple[TrustedRepository, Persist]:
    """The state one link further along the Root chain, and what to store: the Root, and what fell with its rotation.

    A floor that falls takes its file along, so that a false version or time goes with the key that signed it. Floors
    that were established under a later Root have passed this link before: the chain is walked again because stored Roots
    were lost. Source: Uptane 2.1.0 5.4.4.3 step 4.
    """
    version = root.signed.version
    judged = {role: floor for role, floor in trusted.floors.items() if floor.root < version}
    left = lower_floors(judged, root_signers(root.signed))
    fallen = [role for role in judged if role not in left]
    dropped = [*fallen, *(role for role in trusted.delegated if SNAPSHOT in fallen and role not in fallen)]
    floors = {role: floor for role, floor in trusted.floors.items() if role not in fallen}
    newest = establish(floors, ROOT, root, keys=root.signed.keys, root=version, ceiling=context.ceiling)
    changed: dict[RoleName, Floor | None] = dict.fromkeys(fallen)
    if newest.version > floors[ROOT].version:
        floors[ROOT] = changed[ROOT] = newest
    files = ((ROOT, version, root.data), *((role, 0, None) for role in dropped))
    after = under_root(_without(trusted, dropped), root, context)._replace(floors=floors)
    return after, Persist(trusted.name, files, floors=changed)


def _without(trusted: TrustedRepository, roles: Container[RoleName]) -> TrustedRepository:
    return trusted._replace(
        timestamp=None if TIMESTAMP in roles else trusted.timestamp,
        snapshot=None if SNAPSHOT in roles else trusted.snapshot,
        targets=None if TARGETS in roles else trusted.targets,
        delegated={role: data for role, data in trusted.delegated.items() if role not in roles},
        opened={key: targets for key, targets in trusted.opened.items() if key[0] not in roles},
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
    decode: Callable[[bytes, str, Limits], Envelope[S]],
    root: Root,
    context: Context,
    *,
    proof: bytes | None = None,
) -> Verified[S] | None:
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
