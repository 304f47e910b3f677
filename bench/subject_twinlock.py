"""The engine as a measured subject, with files in folders and with files in memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from bench.layout import ECU, FRESH_TIMESTAMP, VEHICLE, WANTED, WANTED_HARDWARE, Repository
from bench.task import Task
from twinlock.trust.engine.commands import ABSENT, Absent, Answer, Command, Fetch, Persist, drive
from twinlock.trust.engine.delegation import find_image
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import bootstrap_repository, restore_repository
from twinlock.trust.engine.verification import full_verification
from twinlock.trust.model.ecu import Ecu
from twinlock.trust.names import DIRECTOR, IMAGE, EcuId, HardwareId, RepositoryName, RoleName, TargetPath, VehicleId
from twinlock.trust.state.repository_map import plain_map
from twinlock.trust.state.trusted import TrustedRepository, TrustedVehicle, Vehicle

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MAP = plain_map("http://director.test", "http://image.test")
ECUS = {EcuId(ECU): Ecu(ecu=EcuId(ECU), hardware_id=HardwareId(WANTED_HARDWARE))}
ME = Vehicle(vehicle=VehicleId(VEHICLE), ecus=ECUS)

NO_PROOF = bytes(32)  # as long as the engine's proofs

State = dict[RepositoryName, TrustedRepository]


def tasks(mode: str, repositories: list[Repository], folder: Path) -> dict[str, Task]:
    """A refresh and a search of one repository; full verification with two (Director, Image).

    ``twinlock`` reads and stores files, as python-tuf does; ``engine`` has all files in memory and stores nothing, for
    comparison with floors, which read no files either.
    """
    names = [IMAGE] if len(repositories) == 1 else [DIRECTOR, IMAGE]
    served = dict(zip(names, repositories, strict=True))
    return {
        "twinlock": _task(mode, FolderDriver(served, folder, fresh=mode == "fresh")),
        "engine": _task(mode, MemoryDriver(served, fresh=mode == "fresh")),
    }


def _task(mode: str, driver: Driver) -> Task:
    if mode == "first":
        return Task(lambda: driver.cycle(driver.bootstrap()), driver.empty)
    if mode == "stored":
        return Task(lambda: driver.cycle(driver.restore()), driver.fill)
    kept: list[State] = []

    def prepare() -> None:
        if not kept:
            driver.fill()
            # What a process keeps is the outcome of a cycle; before a fresh Timestamp the store's will do.
            kept.append(driver.cycle(driver.restore()) if mode == "kept" else driver.restore())

    return Task(lambda: driver.cycle(kept[0]), prepare)


class Driver(Protocol):
    """Where files come from and go to."""

    def empty(self) -> None:
        """Begin with nothing stored."""

    def fill(self) -> None:
        """Begin with everything stored."""

    def bootstrap(self) -> State:
        """The state a vehicle leaves the factory with."""

    def restore(self) -> State:
        """The state of an earlier cycle."""

    def cycle(self, state: State) -> State:
        """What is measured."""


class FolderDriver:
    """Reads from one folder and stores in another, by rename and without fsync, as python-tuf does.

    The proof that the engine gives with a file is kept in front of it, so that both are written as one.
    """

    def __init__(self, served: dict[RepositoryName, Repository], folder: Path, *, fresh: bool) -> None:
        self.served = served
        self.folder = folder
        self.fresh = fresh

    def empty(self) -> None:
        for name in self.served:
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir(parents=True)

    def fill(self) -> None:
        # In a process of its own: its memory is not that of the start that is measured.
        child = os.fork()
        if child == 0:
            self._first_cycle()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0

    def _first_cycle(self) -> None:
        self.empty()
        anchors = self.bootstrap()
        for name, trusted in anchors.items():
            self._store(self.folder / name, RoleName("root"), 1, NO_PROOF + trusted.root.data)
        FolderDriver(self.served, self.folder, fresh=False).cycle(anchors)

    def bootstrap(self) -> State:
        roots = {name: repository.first_root.read_bytes() for name, repository in self.served.items()}
        return {name: bootstrap_repository(name, root) for name, root in roots.items()}

    def restore(self) -> State:
        return {name: self._restored(name) for name in self.served}

    def cycle(self, state: State) -> State:
        return verify(state, self.answer)

    def answer(self, command: Command) -> bytes | Absent | None:
        """Read what is asked for; store what is to be persisted."""
        if isinstance(command, Fetch):
            name = FRESH_TIMESTAMP if self.fresh and command.role == "timestamp" else command.name
            try:
                return (self.served[command.repository].folder / name).read_bytes()
            except FileNotFoundError:
                return ABSENT
        if isinstance(command, Persist):
            for role, version, data in command.files:
                proven = None if data is None else command.proofs.get(role, NO_PROOF) + data
                self._store(self.folder / command.repository, role, version, proven)
        return None

    def _store(self, folder: Path, role: RoleName, version: int, data: bytes | None) -> None:
        place = folder / f"{role}.json"
        if data is None:
            place.unlink(missing_ok=True)
            return
        unfinished = folder / f"{version}.unfinished"
        unfinished.write_bytes(data)
        unfinished.replace(place)

    def _restored(self, name: RepositoryName) -> TrustedRepository:
        files: dict[RoleName, bytes] = {}
        proofs: dict[RoleName, bytes] = {}
        for path in (self.folder / name).glob("*.json"):
            with path.open("rb") as file:
                proofs[RoleName(path.stem)], files[RoleName(path.stem)] = file.read(len(NO_PROOF)), file.read()
        return restore_repository(name, files, proofs=proofs)


class MemoryDriver:
    """Answers from memory, and stores there what an untimed cycle accepts; a timed one finds nothing to store or forgets it."""

    def __init__(self, served: dict[RepositoryName, Repository], *, fresh: bool) -> None:
        self.served = served
        self.fresh = fresh
        self.files: dict[tuple[RepositoryName, str], bytes] = {}
        self.stored: dict[RepositoryName, dict[RoleName, bytes]] = {}
        self.proofs: dict[RepositoryName, dict[RoleName, bytes]] = {}

    def empty(self) -> None:
        self.fill()

    def fill(self) -> None:
        if self.files:
            return
        for name, repository in self.served.items():
            self.files |= {(name, path.name): path.read_bytes() for path in repository.folder.glob("*.json")}
            self.stored[name] = {RoleName("root"): self.files[name, "1.root.json"]}
            self.proofs[name] = {}
        verify(self.bootstrap(), self.keep)
        for name in self.served if self.fresh else ():
            self.files[name, "timestamp.json"] = self.files[name, FRESH_TIMESTAMP]

    def bootstrap(self) -> State:
        return {name: bootstrap_repository(name, self.files[name, "1.root.json"]) for name in self.served}

    def restore(self) -> State:
        return {name: restore_repository(name, files, proofs=self.proofs[name]) for name, files in self.stored.items()}

    def cycle(self, state: State) -> State:
        return verify(state, self.answer)

    def answer(self, command: Command) -> bytes | Absent | None:
        """Look up what is asked for."""
        return self.files.get((command.repository, command.name), ABSENT) if isinstance(command, Fetch) else None

    def keep(self, command: Command) -> bytes | Absent | None:
        """The same, and store what is to be persisted."""
        if isinstance(command, Persist):
            self.stored[command.repository] |= {role: data for role, _, data in command.files if data is not None}
            self.proofs[command.repository] |= command.proofs
        return self.answer(command)


def verify(state: State, answer: Callable[[Command], Answer]) -> State:
    """One cycle of the engine, which has to succeed."""
    if DIRECTOR in state:
        vehicle = TrustedVehicle(map=MAP, repositories=state)
        decision = drive(full_verification(vehicle, ME, NOW), answer)
        assert len(decision.approved) == 1
        return dict(decision.repositories)
    trusted = drive(refresh_repository(state[IMAGE], NOW), answer)
    found = drive(find_image(trusted, TargetPath(WANTED), HardwareId(WANTED_HARDWARE), NOW), answer)
    assert found.entry is not None
    return {IMAGE: found.trusted}
