"""A vehicle in memory: what it has stored, what its ECUs run, and one synchronous driver for every verification.

Like a real client it keeps bytes, not objects: each cycle starts by restoring the stored files, so every test also
exercises a restart. ``snapshot_state`` is what "nothing changed" means.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.trust.engine.commands import Absent, Answer, Command, Fetch, Notice, Persist, Steps, drive
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import bootstrap_repository, restore_repository
from twinlock.trust.engine.verification import full_verification, partial_verification
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.ecu import Ecu, InstalledImage
from twinlock.trust.names import EcuId, HardwareId, RepositoryName, RoleName, VehicleId
from twinlock.trust.policy import LAX, STRICT, Policy
from twinlock.trust.state.repository_map import RepositoryMap, plain_map
from twinlock.trust.state.stored_floor import decode_floor, encode_floor
from twinlock.trust.state.trusted import Decision, TrustedRepository, TrustedVehicle, Vehicle
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.tuf.metadata import TUF

T = TypeVar("T")


@dataclass
class Store:
    """What is stored of one repository: every Root by version, the last file of each other role, proofs and floors."""

    roots: dict[int, bytes] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    proofs: dict[RoleName, bytes] = field(default_factory=dict)
    floors: dict[RoleName, bytes] = field(default_factory=dict)
    wire: WireProfile = TUF

    def apply(self, command: Persist) -> None:
        """Carry out one Persist, as a real store would in one transaction."""
        for role, version, data in command.files:
            self.proofs.pop(role, None)
            if role == "root":
                assert data is not None, "a Root is never deleted"
                self.roots[version] = data
            elif data is None:
                self.files.pop(role, None)
            else:
                self.files[role] = data
        self.proofs |= command.proofs
        for role, floor in command.floors.items():
            if floor is None:
                self.floors.pop(role, None)
            else:
                self.floors[role] = encode_floor(floor)

    def restore(self, name: str) -> TrustedRepository:
        """The repository as it can be trusted after a restart."""
        files = {RoleName(role): data for role, data in self.files.items()}
        files[RoleName("root")] = self.roots[max(self.roots)]
        floors = {role: decode_floor(data, role) for role, data in self.floors.items()}
        return restore_repository(RepositoryName(name), files, wire=self.wire, proofs=self.proofs, floors=floors)


class VehicleSimulator:
    """One vehicle with its ECUs (``ecus`` maps ECU id to hardware id) and the servers it can reach."""

    def __init__(
        self,
        vehicle: str,
        ecus: Mapping[str, str],
        servers: Mapping[str, RepositorySimulator],
        clock: Callable[[], datetime],
    ) -> None:
        self.vehicle_id = vehicle
        self.ecus: dict[EcuId, Ecu] = {
            EcuId(ecu): Ecu(ecu=EcuId(ecu), hardware_id=HardwareId(kind)) for ecu, kind in ecus.items()
        }
        self.servers: dict[str, RepositorySimulator] = dict(servers)
        self.clock = clock
        self.map: RepositoryMap = plain_map("https://director.test", "https://image.test")
        self.limits: Limits = DEFAULT_LIMITS
        self.policy: Policy = STRICT
        self.installed: dict[EcuId, InstalledImage] = {}
        self.complete = True
        self.requests: list[Fetch] = []
        self.persisted: list[Persist] = []
        self.notices: list[RefusalError] = []
        self.stores: dict[str, Store] = {name: Store(wire=server.wire.profile) for name, server in self.servers.items()}
        for name, server in self.servers.items():
            root = server.files["1.root.json"]
            bootstrap_repository(RepositoryName(name), root, wire=server.wire.profile)
            self.stores[name].roots[1] = root

    # verification

    def update(self) -> Decision:
        """One cycle of full verification. Raises whatever it raises; what passed before that stays stored."""
        repositories = {RepositoryName(name): store.restore(name) for name, store in self.stores.items()}
        state = TrustedVehicle(map=self.map, repositories=repositories)
        return self._drive(
            full_verification(state, self.vehicle(), self.clock(), limits=self.limits, policy=self.policy),
        )

    def partial_update(self, ecu: str) -> Decision:
        """One cycle of partial verification by ``ecu`` alone."""
        trusted = self.stores["director"].restore("director")
        vehicle = self.vehicle(only=ecu)
        return self._drive(
            partial_verification(trusted, vehicle, self.clock(), limits=self.limits, policy=self.policy),
        )

    def refresh(self, name: str) -> TrustedRepository:
        """Refresh one repository and nothing more."""
        return self._drive(
            refresh_repository(self.stores[name].restore(name), self.clock(), limits=self.limits, policy=LAX)
        )

    def vehicle(self, only: str | None = None) -> Vehicle:
        """This vehicle as verification sees it; with ``only``, as that Secondary sees it."""
        ecus = {ecu: known for ecu, known in self.ecus.items() if only in (None, ecu)}
        installed = {ecu: image for ecu, image in self.installed.items() if ecu in ecus}
        complete = self.complete and only is None
        return Vehicle(vehicle=VehicleId(self.vehicle_id), ecus=ecus, installed=installed, complete=complete)

    def _drive(self, steps: Steps[T]) -> T:
        self.requests, self.persisted, self.notices = [], [], []
        return drive(steps, self.answer)

    def answer(self, command: Command) -> Answer:
        """Carry out one command of the engine."""
        if isinstance(command, Fetch):
            self.requests.append(command)
            answer: bytes | Absent = self.servers[command.repository].serve(command)
            return answer
        if isinstance(command, Persist):
            self.persisted.append(command)
            self.stores[command.repository].apply(command)
        elif isinstance(command, Notice):
            self.notices.append(command.error)
        return None

    # installing

    def install(self, decision: Decision) -> None:
        """The tiny installer: each approved image becomes the installed one of its ECU."""
        for image in decision.approved:
            entry = image.entry
            self.installed[image.ecu] = InstalledImage(
                path=entry.path,
                length=entry.length,
                hashes=entry.hashes,
                release_counter=entry.release_counter,
            )

    # looking

    def snapshot_state(self) -> dict[str, object]:
        """Everything that an update may change, as a value to compare: stored files by ``repository/role``."""
        state: dict[str, object] = {f"installed/{ecu}": image for ecu, image in self.installed.items()}
        for name, store in self.stores.items():
            state |= {f"{name}/{version}.root": data for version, data in store.roots.items()}
            state |= {f"{name}/{role}": data for role, data in store.files.items()}
        return copy.copy(state)

    def fetched(self, name: str) -> list[str]:
        """The file names asked of repository ``name`` in the last cycle, in order."""
        return [fetch.name for fetch in self.requests if fetch.repository == name]

    def forget(self, name: str, roles: Iterable[str]) -> None:
        """Lose stored files and all that was known of them, as a broken store might."""
        for role in roles:
            self.stores[name].files.pop(role, None)
            self.stores[name].floors.pop(RoleName(role), None)


def changed(before: Mapping[str, object], after: Mapping[str, object]) -> set[str]:
    """The keys of ``snapshot_state`` that differ between two moments."""
    return {key for key in {*before, *after} if before.get(key) != after.get(key)}
