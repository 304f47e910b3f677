"""What an ECU trusts and why, read from its state: for people who ask, never for decisions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from twinlock.client.ecu.config import EcuSettings, PrimaryConfig, read_map
from twinlock.client.ecu.evidence import EvidenceBook
from twinlock.client.inspect.own_image import own_image
from twinlock.client.model.errors import NothingVerifiedError, NotOrderedError
from twinlock.client.model.events import event_as_json
from twinlock.client.storage.state import TrustedState
from twinlock.trust.checks.context import Context
from twinlock.trust.checks.image import check_entry
from twinlock.trust.checks.index import check_expiry
from twinlock.trust.checks.match import check_match, complete_entry
from twinlock.trust.checks.targets import Authority, read_targets
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, drive
from twinlock.trust.engine.delegation import find_image
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import ImageNotFoundError
from twinlock.trust.keys.signatures import Verified
from twinlock.trust.model.base import Signed
from twinlock.trust.model.delegations import Delegations
from twinlock.trust.model.ecu import Ecu
from twinlock.trust.model.targets import ImageEntry, Targets
from twinlock.trust.names import (
    DIRECTOR,
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    EcuId,
    HardwareId,
    RepositoryName,
    RoleName,
    TargetPath,
)
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.text.times import format_time


def what_is_trusted(settings: EcuSettings, state: TrustedState, now: datetime) -> dict[str, Any]:
    """Every trusted role of every repository, and how the last cycle went. Raises: StorageError, RefusalError.

    ``repositories`` lists, for each, ``roles`` (``role``, ``version``, ``issued``, ``expires``, ``expired``,
    ``signedBy``, ``required``) and ``delegated`` (``role``, ``version``), which is verified again at each use.
    """
    repository_map = read_map(settings)
    names = [DIRECTOR] if repository_map is None else list(repository_map.repositories)
    refusal, attested, verified = state.refusal, state.attested, state.verified_time
    return {
        "ecu": settings.ecu.ecu,
        "vehicle": settings.vehicle,
        "repositories": [_repository(state, name, now) for name in names],
        "lastRefusal": None if refusal is None else refusal.as_json(),
        "lastDecision": state.decision,
        "evidence": [event_as_json(event) for event in EvidenceBook(state).events()],
        "attestedTime": format_time(attested.time) if attested else None,
        "verifiedTime": format_time(verified) if verified else None,
    }


def why_trusted(settings: EcuSettings, state: TrustedState, path: TargetPath, now: datetime) -> dict[str, Any]:
    """The chain that makes an image trusted, or the check that refuses it, by what is stored and ``now``.

    Keys: ``target``; ``chain`` (as the roles of ``what_is_trusted``, with ``repository`` and ``lists``); ``entry``
    (``length``, ``hashes``, ``releaseCounter``, ``hardwareIds``) or None; ``ecus``; ``trusted``; ``refusal`` (an
    error's JSON) or None. Raises: StorageError.
    """
    account = _Account(settings, state, path, now)
    refusal: RefusalError | None = None
    try:
        account.follow()
    except RefusalError as error:
        refusal = error
    entry = account.entry
    return {
        "target": path,
        "trusted": refusal is None,
        "ecus": sorted(account.ecus),
        "entry": None if entry is None else _entry(entry),
        "chain": account.chain,
        "refusal": None if refusal is None else refusal.as_json(),
    }


@dataclass(slots=True)
class _Account:
    """One walk along every role that bears on one image, in the order of the Standard."""

    settings: EcuSettings
    state: TrustedState
    path: TargetPath
    now: datetime
    chain: list[dict[str, Any]] = field(default_factory=list)
    entry: ImageEntry | None = None
    ecus: dict[EcuId, Ecu] = field(default_factory=dict)

    def follow(self) -> None:
        director = self.state.repository(DIRECTOR)
        repository_map = read_map(self.settings)
        self._top_level(director, partial=repository_map is None)
        assert director.targets is not None
        if self.path not in director.targets.signed.images:
            raise NotOrderedError(target=self.path, vehicle=self.settings.vehicle)
        ordered = director.targets.signed.images[self.path]
        self.entry = ordered
        known = _known_ecus(self.settings)
        self.ecus = {ecu: known[ecu] for ecu in ordered.ecus if ecu in known}
        if repository_map is not None:
            for name in repository_map.agreeing(self.path):
                self.entry = ordered = self._agreement(self.state.repository(name), ordered)
        installed = own_image(self.settings, self.state)
        for ecu in self.ecus.values():
            own = installed if ecu.ecu == self.settings.ecu.ecu else None
            check_entry(ordered, ecu, own, policy=self.settings.policy)

    def _agreement(self, repository: TrustedRepository, ordered: ImageEntry) -> ImageEntry:
        self._top_level(repository, partial=False)
        hardware: list[HardwareId | None] = [ecu.hardware_id for ecu in self.ecus.values()]
        for hardware_id in dict.fromkeys(hardware or [None]):
            steps = find_image(
                repository,
                self.path,
                hardware_id,
                self.now,
                limits=self.settings.limits,
                policy=self.settings.policy,
            )
            outcome = drive(steps, _offline)
            self.chain.extend(self._delegated_links(outcome.trusted, outcome.chain))
            if outcome.entry is None:
                raise ImageNotFoundError(target=self.path, repository=repository.name, hardware_id=hardware_id or "any")
            check_match(ordered, outcome.entry, repository=repository.name, policy=self.settings.policy)
            ordered = complete_entry(ordered, outcome.entry, with_address=repository.wire.addresses_images)
        return ordered

    def _top_level(self, repository: TrustedRepository, *, partial: bool) -> None:
        context = self._context(repository)
        needed = (ROOT, TARGETS) if partial or self._lacks_index(repository) else (ROOT, TIMESTAMP, SNAPSHOT, TARGETS)
        roles = dict(_roles(repository))
        for role in needed:
            verified = roles.get(role)
            if verified is None:
                raise NothingVerifiedError(repository=repository.name, role=role)
            link = {"repository": repository.name, **_link(role, verified, self.now)}
            if isinstance(verified.signed, Targets):
                link["lists"] = self.path in verified.signed.images
            self.chain.append(link)
            check_expiry(verified.signed, role, context)

    def _delegated_links(self, repository: TrustedRepository, chain: tuple[RoleName, ...]) -> Iterator[dict[str, Any]]:
        """The links below the top level, each verified under the keys of the one above it."""
        assert repository.targets is not None
        above: Verified[Targets] = repository.targets
        context = self._context(repository)
        for role in chain[1:]:
            assert above.signed.delegations is not None
            authority = _authority(role, above.signed.delegations)
            above = read_targets(repository.delegated[role], authority=authority, context=context)
            lists = self.path in above.signed.images
            yield {"repository": repository.name, **_link(role, above, self.now), "lists": lists}

    def _context(self, repository: TrustedRepository) -> Context:
        settings = self.settings
        return Context(
            repository=repository.name,
            now=self.now,
            limits=settings.limits,
            wire=repository.wire,
            policy=settings.policy,
        )

    def _lacks_index(self, repository: TrustedRepository) -> bool:
        may = repository.name == DIRECTOR and not self.settings.policy.require_director_index
        return may and not repository.root.signed.has_index


def _repository(state: TrustedState, name: RepositoryName, now: datetime) -> dict[str, Any]:
    trusted = state.repository(name)
    top = {role for role, _ in _roles(trusted)}
    return {
        "name": name,
        "roles": [_link(role, verified, now) for role, verified in _roles(trusted)],
        "delegated": [
            {"role": file.role, "version": file.version}
            for file in state.files(name)
            if file.role in trusted.delegated and file.role not in top
        ],
    }


def _roles(repository: TrustedRepository) -> Iterator[tuple[RoleName, Verified[Any]]]:
    for role, verified in (
        (ROOT, repository.root),
        (TIMESTAMP, repository.timestamp),
        (SNAPSHOT, repository.snapshot),
        (TARGETS, repository.targets),
    ):
        if verified is not None:
            yield role, verified


def _link(role: RoleName, verified: Verified[Any], now: datetime) -> dict[str, Any]:
    signed: Signed = verified.signed
    return {
        "role": role,
        "version": signed.version,
        "issued": format_time(signed.issued) if signed.issued else None,
        "expires": format_time(signed.expires),
        "expired": signed.expires <= now,
        "signedBy": list(verified.tally.signed),
        "required": verified.tally.required,
    }


def _authority(role: RoleName, delegations: Delegations) -> Authority:
    if delegations.bins is not None:
        return Authority(role, delegations.keys, delegations.bins.signers)
    for entry in delegations.entries:
        for delegated in entry.roles:
            if delegated.name == role:
                return Authority(role, delegations.keys, delegated.signers)
    raise KeyError(role)  # the search came through this delegation, so the role exists


def _offline(command: Command) -> Answer:
    return ABSENT if isinstance(command, Fetch) else None


def _entry(entry: ImageEntry) -> dict[str, Any]:
    return {
        "length": entry.length,
        "hashes": dict(entry.hashes),
        "releaseCounter": entry.release_counter,
        "hardwareIds": sorted(entry.hardware_ids or ()),
    }


def _known_ecus(settings: EcuSettings) -> dict[EcuId, Ecu]:
    others = settings.secondaries if isinstance(settings, PrimaryConfig) else ()
    return {settings.ecu.ecu: settings.ecu, **{item.ecu.ecu: item.ecu for item in others}}
