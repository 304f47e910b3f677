"""The one search through delegations: which role has authority over an image, and its entry.

Pre-order, depth first, in the order the delegations are listed. A terminating delegation that covers the image ends
the search after its own subtree (TUF 1.0.34 5.6.7). Cycles are skipped. A bound that is reached raises, and so does a
role that is missing, unlisted or refused: no role is skipped silently.
Source: Uptane 2.1.0 5.4.4.7 (search) and 5.4.4.8 (several roles that have to agree); TAP 3; TAP 15.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from twinlock.trust.checks.context import Context
from twinlock.trust.checks.index import check_expiry, is_listed
from twinlock.trust.checks.naming import check_file_names
from twinlock.trust.checks.targets import Authority, check_targets, read_targets
from twinlock.trust.engine.commands import Steps
from twinlock.trust.engine.fetching import accept, bound, fetch_checked, keep_proof
from twinlock.trust.engine.time_floor import not_before
from twinlock.trust.engine.unusable_keys import note_delegated_keys
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.metadata import LimitError, UnlistedRoleError
from twinlock.trust.errors.usage import NotRefreshedError
from twinlock.trust.keys.signatures import Verified
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.delegations import DelegatedRole, Delegation, Delegations
from twinlock.trust.model.target_format import target_format
from twinlock.trust.model.targets import ImageEntry, Targets
from twinlock.trust.names import TARGETS, HardwareId, RoleName, TargetPath
from twinlock.trust.policy import STRICT, Policy
from twinlock.trust.state.floors import Floor, establish, is_established, lower_floors
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.json.olpc import encode_canonical

_SEARCH = "Uptane 2.1.0 5.4.4.7"


class Found(NamedTuple):
    """The outcome of a search: the entry or None, the state with what was fetched, and the roles from the top down.

    ``valid_until`` (UTC) is the earliest expiry of the repository's top-level files and of every role that was opened.
    """

    entry: ImageEntry | None
    trusted: TrustedRepository
    chain: tuple[RoleName, ...]
    valid_until: datetime


def find_image(
    trusted: TrustedRepository,
    path: TargetPath,
    hardware_id: HardwareId | None,
    now: datetime,
    *,
    limits: Limits = DEFAULT_LIMITS,
    policy: Policy = STRICT,
    ceiling: datetime | None = None,
) -> Steps[Found]:
    """Search a refreshed repository for the entry of ``path`` that holds for ``hardware_id`` (None: any).

    ``policy`` and ``ceiling`` are those of the refresh.
    Raises: NotRefreshedError before a refresh; LimitError, UnlistedRoleError, MissingMetadataError and any refusal of
    ``check_targets`` for a delegated role. Not finding the image is a result.
    """
    if trusted.targets is None or trusted.snapshot is None:
        raise NotRefreshedError(repository=trusted.name, reason="refresh it first")
    now = not_before(now, [trusted])
    context = Context(
        repository=trusted.name, now=now, limits=limits, wire=trusted.wire, policy=policy, ceiling=ceiling
    )
    context = check_file_names(trusted.root.signed, context)
    search = _Search(trusted, path, hardware_id, context)
    outcome = yield from search.visit(trusted.targets, (TARGETS,), set())
    return Found(outcome.entry, search.trusted._replace(opened=search.opened), outcome.chain, search.valid_until)


class _Outcome(NamedTuple):
    """The result of a subtree: an entry with the chain to it, or nothing, and whether the search has to end here."""

    entry: ImageEntry | None = None
    chain: tuple[RoleName, ...] = ()
    stop: bool = False


_Edge = tuple[RoleName, RoleName]


class _Search:
    """One search. Holds what it has fetched so far, and how many roles it has opened."""

    def __init__(
        self, trusted: TrustedRepository, path: TargetPath, hardware_id: HardwareId | None, context: Context
    ) -> None:
        self.trusted = trusted
        self.path = path
        self.hardware_id = hardware_id
        self.context = context
        self.visits = 0
        self.valid_until = trusted.valid_until
        self.opened: dict[tuple[RoleName, bytes], Verified[Targets]] = dict(trusted.opened)

    def visit(self, targets: Verified[Targets], chain: tuple[RoleName, ...], visited: set[_Edge]) -> Steps[_Outcome]:
        """Steps 2 to 5 for one file that is already verified. ``visited`` are the (delegator, role) pairs opened."""
        if self.path in targets.signed.images:
            return _Outcome(targets.signed.images[self.path], chain)
        delegations = targets.signed.delegations
        if delegations is None:
            return _Outcome()
        for delegation in _covering(delegations, self.path, self.hardware_id):
            if len(delegation.roles) > 1:
                outcome = yield from self._agree(delegation, delegations, chain)
            else:
                outcome = yield from self._descend(delegation.roles[0], delegations, chain, visited)
            if outcome.entry is not None or outcome.stop:
                return outcome
            if delegation.terminating:
                return _Outcome(stop=True)
        return _Outcome()

    def _descend(
        self, role: DelegatedRole, delegations: Delegations, chain: tuple[RoleName, ...], visited: set[_Edge]
    ) -> Steps[_Outcome]:
        edge = (chain[-1], role.name)
        if edge in visited or role.name in chain:
            return _Outcome()  # a cycle: this role was searched already
        visited.add(edge)
        self._count(chain)
        targets = yield from self._load(Authority(role.name, delegations.keys, role.signers))
        self.valid_until = min(self.valid_until, targets.signed.expires)
        return (yield from self.visit(targets, (*chain, role.name), visited))

    def _agree(self, delegation: Delegation, delegations: Delegations, chain: tuple[RoleName, ...]) -> Steps[_Outcome]:
        """Several roles have to agree: Uptane 2.1.0 5.4.4.8."""
        answers: dict[bytes, list[_Outcome]] = {}
        for role in delegation.roles:
            # Step 1. Each member is searched on its own, so what one has visited hides nothing from the next.
            outcome = yield from self._descend(role, delegations, chain, set())
            if outcome.entry is not None:
                # Step 2.1. Members are added in listed order, so the first group is that of the earliest role.
                answers.setdefault(_agreed_part(outcome.entry), []).append(outcome)
        for group in answers.values():
            if len(group) >= delegation.min_roles_in_agreement:
                return group[0]  # steps 2.2 and 2.3
        return _Outcome()  # step 2.4

    def _count(self, chain: tuple[RoleName, ...]) -> None:
        limits = self.context.limits
        self.visits += 1
        if self.visits > limits.delegation_visits:
            what = f"{self.context.repository}: roles opened in search of {self.path}"
            raise LimitError(what=what, value=self.visits, limit=limits.delegation_visits, clause=_SEARCH)
        if len(chain) > limits.delegation_depth:
            what = f"{self.context.repository}: depth of delegations in search of {self.path}"
            raise LimitError(what=what, value=len(chain), limit=limits.delegation_depth, clause=_SEARCH)

    def _load(self, authority: Authority) -> Steps[Verified[Targets]]:
        """Step 1: the file of a delegated role, from the store if it is still the listed one."""
        assert self.trusted.snapshot is not None
        role, context = authority.role, self.context
        listed = self.trusted.snapshot.signed.targets.get(role)
        if listed is None:
            raise UnlistedRoleError(repository=context.repository, role=role)
        stored = yield from self._stored(authority)
        floor = self._floor(authority, stored)
        if stored is not None and is_established(stored, floor) and is_listed(stored, listed, role, context):
            check_expiry(stored.signed, role, context)
            return stored
        limit = bound(context, role, listed)

        def check(data: bytes) -> Verified[Targets]:
            return check_targets(data, authority=authority, listed=listed, floor=floor, context=context)

        targets = yield from fetch_checked(context, role, listed.version, limit, check)
        floors = yield from accept(self.trusted, targets, authority, context)
        yield from note_delegated_keys(targets.signed, role, context)
        self.opened[role, authority.digest] = targets
        delegated = {**self.trusted.delegated, role: targets.data}
        self.trusted = self.trusted._replace(delegated=delegated, floors=floors)
        return targets

    def _floor(self, authority: Authority, stored: Verified[Targets] | None) -> Floor | None:
        """The floor of a role, if keys that *this* delegator names established it. A file stored without one has its own."""
        role, trusted = authority.role, self.trusted
        if role in trusted.floors:
            return lower_floors({role: trusted.floors[role]}, {role: authority.current}).get(role)
        if stored is None:
            return None
        return establish(trusted.floors, role, stored, keys=authority.keys, root=trusted.root.signed.version)

    def _stored(self, authority: Authority) -> Steps[Verified[Targets] | None]:
        """The stored file, if *this* delegator's keys signed it. Another delegator's trust in it counts for nothing."""
        role = authority.role
        data = self.trusted.delegated.get(role)
        if data is None:
            return None
        opened = self.opened.get((role, authority.digest))
        if opened is not None and opened.data == data:
            return opened
        proof = self.trusted.proofs.get(role)
        try:
            found = read_targets(data, authority=authority, context=self.context, proof=proof)
        except RefusalError:
            return None
        kept = keep_proof(found, authority, self.context)
        if kept.proofs.get(role) not in (None, proof):
            yield kept
        self.opened[role, authority.digest] = found
        return found


def _covering(delegations: Delegations, path: TargetPath, hardware_id: HardwareId | None) -> Iterator[Delegation]:
    """The delegations that cover the image, in order of priority. Source: 5.4.4.7 step 4.1."""
    if delegations.bins is not None:
        bins = delegations.bins
        yield Delegation(roles=(DelegatedRole(bins.bin_of(path), bins.signers),), terminating=False, paths=("*",))
    for delegation in delegations.entries:
        if delegation.covers(path, hardware_id):
            yield delegation


def _agreed_part(entry: ImageEntry) -> bytes:
    """What has to be equal between roles: the must-agree section, and all that a check uses wherever it is written.

    Otherwise one role of several could lift a release counter, or widen the hardware, that is stated outside the section.
    """
    section = None if entry.must_agree is None else dict(entry.must_agree)
    hardware = None if entry.hardware_ids is None else sorted(entry.hardware_ids)
    return encode_canonical(
        [entry.path, entry.length, dict(entry.hashes), section, entry.release_counter, hardware, target_format(entry)]
    )
