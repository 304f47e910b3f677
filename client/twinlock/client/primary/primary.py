"""The public face of a Primary: open it from its configuration, run cycles, inspect it, close it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from twinlock.client.ecu.approvals import Approvals
from twinlock.client.ecu.clock import Clock, Wall, system_clock
from twinlock.client.ecu.config import PrimaryConfig, load_primary, read_map
from twinlock.client.ecu.disk_space import open_state
from twinlock.client.ecu.evidence import EvidenceBook
from twinlock.client.ecu.identity import load_identity
from twinlock.client.ecu.reports import check_reporting_key, report_profile
from twinlock.client.install.ab_slots import SlotInstaller
from twinlock.client.install.guarded import GuardedInstaller, guarded_precondition
from twinlock.client.install.installer import Installer, Precondition
from twinlock.client.link.http import HttpLink
from twinlock.client.link.protocol import SecondaryLink
from twinlock.client.model.errors import ConfigurationError, RegistrationMethodError
from twinlock.client.model.results import CycleResult
from twinlock.client.net.director import DirectorLink
from twinlock.client.net.images import Progress
from twinlock.client.net.metadata import MetadataFetcher
from twinlock.client.net.transport import Transport
from twinlock.client.primary.cycle import UpdateCycle
from twinlock.client.primary.secondaries import LinkedSecondary, Secondaries
from twinlock.client.primary.services import PrimaryServices
from twinlock.client.storage.staging import Staging
from twinlock.trust.errors.base import UsageError
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import DIRECTOR, EcuId, Verification
from twinlock.trust.state.repository_map import RepositoryMap
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.aktualizr.form import encode_canonical
from twinlock.trust.wire.aktualizr.reports import encode_public_key
from twinlock.trust.wire.tuf.metadata import TUF


class Primary:
    """A vehicle's Primary. One event loop, one cycle at a time; it holds the state of this ECU until it is closed."""

    def __init__(self, services: PrimaryServices) -> None:
        self._services = services
        self._cycle = asyncio.Lock()

    @classmethod
    def open(
        cls,
        config: str | Path,
        *,
        links: Mapping[EcuId, SecondaryLink] | None = None,
        wall: Wall = system_clock,
        precondition: Precondition | None = None,
        installer: Installer | None = None,
    ) -> Primary:
        """Open the Primary configured in ``config``, a ``primary.json``.

        ``links`` replaces the links to some Secondaries, ``wall`` the system clock, ``installer`` the built-in one;
        ``precondition`` returns the reason why nothing can be installed now.
        Raises: UsageError, ConfigurationError, StorageError, NewerStateError; ConflictError if it is already running.
        """
        settings = load_primary(config)
        identity = load_identity(settings.key)
        repository_map = _read_map(Path(config), settings)
        for key in (identity.public_key, *(item.key for item in settings.secondaries)):
            check_reporting_key(settings.wires, key)
        state = open_state(config, settings)
        try:
            state.store_own_installer(own=installer is not None)
            transport = Transport(settings.fetch, settings.tls, own=_own_servers(settings, repository_map))
            clock = Clock(settings.time, state, limits=settings.limits, wall=wall)
            return cls(
                PrimaryServices(
                    config=settings,
                    map=repository_map,
                    state=state,
                    signer=identity,
                    installer=_installer(settings, installer, precondition),
                    staging=Staging(settings.staging),
                    clock=clock,
                    approvals=Approvals(state, clock),
                    evidence=EvidenceBook(state),
                    transport=transport,
                    fetcher=MetadataFetcher(transport, repository_map.repositories, settings.wires),
                    director=_director(settings, repository_map, transport),
                    secondaries=Secondaries(
                        _members(settings, links or {}),
                        state,
                        settings.wires,
                        limits=settings.limits,
                        policy=settings.policy,
                        fetch=settings.fetch,
                    ),
                    reports=report_profile(settings.wires.get(DIRECTOR, TUF)),
                )
            )
        except BaseException:
            state.close()
            raise

    @property
    def config(self) -> PrimaryConfig:
        """The configuration that it was opened with."""
        return self._services.config

    async def update_cycle(self, *, progress: Progress | None = None) -> CycleResult:
        """Run the seven steps of Uptane 2.1.0 5.4.2 once. Refusals and faults are in the result, not raised.

        A cycle that is cancelled ends at its next step, but first completes an installation that has begun.
        """
        if self._cycle.locked():
            raise UsageError(reason="an update cycle is already running")
        async with self._cycle:
            return await UpdateCycle(self._services, progress).run()

    def describe(self) -> dict[str, Any]:
        """The vehicle description that a Director registers: vehicle, Primary, and every ECU with its public key."""
        return describe_vehicle(self._services.config)

    async def enrol(self, token: str) -> bool:
        """Register this vehicle with its Director by a one-time ``token``; returns whether it was new there.

        Raises: EnrolmentRefusedError, TransportError; RegistrationMethodError for a Director of the aktualizr profile.
        """
        if _is_foreign(self.config):
            raise RegistrationMethodError(profile="aktualizr", command="twinlock primary register")
        return await self._services.director.enrol(json.dumps(self.describe()).encode(), token)

    async def register(self) -> None:
        """Register the ECUs of this vehicle with a Director of the aktualizr profile, again whenever they change.

        Raises: EnrolmentRefusedError, TransportError; RegistrationMethodError for a Director of another profile.
        """
        if not _is_foreign(self.config):
            raise RegistrationMethodError(profile="tuf", command="twinlock primary enrol")
        await self._services.director.register(describe_ecus(self.config))

    def installed(self) -> dict[EcuId, InstalledImage]:
        """What every ECU runs: this one as measured, the others as last reported.

        It blocks while the installer reads the ECU, so call it from an event loop with ``asyncio.to_thread``.
        """
        services = self._services
        return {services.config.ecu.ecu: services.installer.installed(), **services.secondaries.installed()}

    async def close(self) -> None:
        """Release the state and all connections."""
        await self._services.secondaries.close()
        await self._services.transport.close()
        self._services.state.close()

    async def __aenter__(self) -> Primary:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()


def describe_vehicle(config: PrimaryConfig) -> dict[str, Any]:
    """See ``Primary.describe``; needs no state, so it works while the Primary runs. Raises: StorageError."""
    key = load_identity(config.key).public_key
    own = {
        "ecu": config.ecu.ecu,
        "hardwareId": config.ecu.hardware_id,
        "keyid": key.keyid,
        "key": key.as_json(),
        "verification": Verification.FULL.value,
    }
    others = [
        {
            "ecu": item.ecu.ecu,
            "hardwareId": item.ecu.hardware_id,
            "keyid": item.key.keyid,
            "key": item.key.as_json(),
            "verification": item.verification.value,
        }
        for item in config.secondaries
    ]
    return {"vehicle": config.vehicle, "primary": config.ecu.ecu, "ecus": [own, *others]}


def describe_ecus(config: PrimaryConfig) -> bytes:
    """The ECUs in the form of the aktualizr profile, this Primary first. Raises: StorageError, ProfileError."""
    own = (config.ecu, load_identity(config.key).public_key)
    listed = [
        {"clientKey": encode_public_key(key), "ecu_serial": ecu.ecu, "hardware_identifier": ecu.hardware_id}
        for ecu, key in (own, *((item.ecu, item.key) for item in config.secondaries))
    ]
    return encode_canonical({"ecus": listed, "primary_ecu_serial": config.ecu.ecu})


def _is_foreign(config: PrimaryConfig) -> bool:
    return config.wires.get(DIRECTOR, TUF) is AKTUALIZR


def _installer(config: PrimaryConfig, own: Installer | None, precondition: Precondition | None) -> Installer:
    ecu = config.ecu.ecu
    if own is not None:
        return GuardedInstaller(own, ecu)
    return SlotInstaller(config.slots, ecu, guarded_precondition(precondition, ecu))


def _read_map(path: Path, config: PrimaryConfig) -> RepositoryMap:
    """The map of the configuration at ``path``, which has every repository with a wire profile there.

    Raises: ConfigurationError; OperatorFileError, MalformedError, LimitError.
    """
    mapped = read_map(config)
    assert mapped is not None, "a Primary has a map"
    unknown = config.wires.keys() - mapped.repositories.keys()
    if unknown:
        reason = f"is not a repository of {config.map}"
        raise ConfigurationError(path=str(path), field=f"wires.{min(unknown)}", reason=reason)
    return mapped


def _own_servers(config: PrimaryConfig, repository_map: RepositoryMap) -> Iterator[str]:
    """The addresses that this vehicle is configured with; those in metadata are not among them."""
    for urls in repository_map.repositories.values():
        yield from urls
    if config.time.url is not None:
        yield config.time.url


def _director(config: PrimaryConfig, repository_map: RepositoryMap, transport: Transport) -> DirectorLink:
    urls = repository_map.repositories[DIRECTOR]
    return DirectorLink(transport, urls, config.time.url, limits=config.limits, foreign=_is_foreign(config))


def _members(config: PrimaryConfig, links: Mapping[EcuId, SecondaryLink]) -> list[LinkedSecondary]:
    return [
        LinkedSecondary(
            item, links.get(item.ecu.ecu) or HttpLink(item.ecu.ecu, item.address, config.fetch, config.limits)
        )
        for item in config.secondaries
    ]
