"""Any interleaving of honest work and attacks: no version and no release counter goes back, nothing unlisted gets in.

The machine plays the honest publishers, an attacker who owns the wire and can hold any *one* repository's online keys
at a time, a failing store, and a vehicle that polls now and then. After each poll the promises are checked.
"""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.world import PARTS, World
from twinlock.trust.engine.commands import Answer, Command, Fetch, Persist
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.local import TransportError

NAMES = st.sampled_from(["director", "image"])
ONLINE = st.sampled_from(["timestamp", "snapshot", "targets"])
Versions = dict[str, int]


class Interleavings(RuleBasedStateMachine):
    """See the module."""

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.genuine: dict[str, set[str]] = {part.ecu: {part.path(1)} for part in PARTS}
        self.floors: Versions = {}
        self.roots: Versions = {}
        self.counters: Versions = {}
        self.world.update()
        self.note()

    # honest people

    @rule(minutes=st.integers(1, 600))
    def time_passes(self, minutes: int) -> None:
        self.world.pass_time(minutes=minutes)

    @rule()
    def release(self) -> None:
        number = self.world.release()
        for part in PARTS:
            self.genuine[part.ecu].add(part.path(number))

    @rule(name=NAMES)
    def refresh(self, name: str) -> None:
        self.world.repositories[name].publish(*(["targets"] if name == "director" else ["targets", "acme"]))

    @rule(name=NAMES, role=st.sampled_from(["root", "timestamp", "snapshot", "targets"]), number=st.integers(1, 3))
    def rotate(self, name: str, role: str, number: int) -> None:
        self.world.repositories[name].rotate(role, number)

    # the vehicle

    @rule()
    def honest_poll(self) -> None:
        self.world.refresh_all()
        decision = self.world.vehicle.update()
        self.world.vehicle.install(decision)
        self.check()
        # Whatever happened before, an honest publication is reached.
        latest = {part.ecu: part.path(self.world.releases) for part in PARTS}
        assert {ecu: image.path for ecu, image in self.world.vehicle.installed.items()} == latest

    @rule(number=st.integers(0, 12))
    def interrupted_poll(self, number: int) -> None:
        left = [number]

        def answer(command: Command) -> Answer:
            if isinstance(command, (Fetch, Persist)):
                left[0] -= 1
                if left[0] < 0:
                    raise TransportError(url="x", reason="interrupted")
            return type(self.world.vehicle).answer(self.world.vehicle, command)

        self.world.vehicle.answer = answer  # type: ignore[method-assign]
        try:
            self.poll()
        finally:
            del self.world.vehicle.answer

    # the attacker

    @rule(name=NAMES, role=ONLINE, back=st.integers(1, 4))
    def old_file(self, name: str, role: str, back: int) -> None:
        with self.world.attack():
            repository = self.world.repositories[name]
            repository.rewind(role, min(back, len(repository.history[role]) - 1))
            self.poll()

    @rule(name=NAMES, role=ONLINE, lower=st.integers(1, 3))
    def older_versions_signed_with_stolen_online_keys(self, name: str, role: str, lower: int) -> None:
        with self.world.attack():
            repository = self.world.repositories[name]
            body = repository.bodies[role]
            body["version"] = max(1, body["version"] - lower)
            self.cover(repository, role)
            self.poll()

    @rule(name=NAMES, role=ONLINE)
    def other_bytes_under_the_same_version(self, name: str, role: str) -> None:
        with self.world.attack():
            repository = self.world.repositories[name]
            repository.bodies[role]["x-other"] = True
            self.cover(repository, role)
            self.poll()

    @rule(name=NAMES, role=ONLINE)
    def forged(self, name: str, role: str) -> None:
        with self.world.attack():
            self.world.repositories[name].put(role, signers=[self.world.keys("mallory")])
            self.poll()

    @rule(part=st.sampled_from(PARTS), release=st.integers(1, 9))
    def compromised_director_orders_any_release(self, part: Any, release: int) -> None:
        listed = self.world.image.bodies[part.role]["targets"].get(part.path(release))
        if listed is None:
            return
        with self.world.attack():
            self.world.director.order(part.ecu, part.hardware_id, part.path(release), listed)
            self.world.director.publish("targets")
            self.poll()

    @rule(part=st.sampled_from(PARTS), raised=st.booleans())
    def compromised_director_orders_malware(self, part: Any, raised: bool) -> None:
        with self.world.attack():
            images = self.world.director.bodies["targets"]["targets"]
            genuine = copy.deepcopy(next(iter(images.values())))
            genuine["custom"]["ecuIdentifiers"] = {part.ecu: {"hardwareId": part.hardware_id}}
            genuine["hashes"] = {"sha256": "e" * 64}
            genuine["custom"]["mustAgree"]["releaseCounter"] += 5 if raised else 0
            self.world.director.withdraw(part.ecu)
            images[f"{part.folder}/evil.bin"] = genuine
            self.world.director.publish("targets")
            self.poll()

    @rule(part=st.sampled_from(PARTS))
    def compromised_image_repository_lists_malware(self, part: Any) -> None:
        with self.world.attack():
            entry = self.world.image.bodies[part.role]["targets"][part.path(self.world.releases)]
            entry["hashes"] = {"sha256": "e" * 64}
            self.world.image.publish("targets", "acme")
            self.poll()

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def nothing_that_is_installed_is_foreign(self) -> None:
        for ecu, image in self.world.vehicle.installed.items():
            assert image.path in self.genuine[ecu]
            assert image.hashes["sha256"] != "e" * 64

    def cover(self, repository: RepositorySimulator, role: str) -> None:
        """Sign what the attacker changed, and index it upwards with ever newer versions."""
        repository.put(role)
        if role == "targets":
            repository.index("targets")
            repository.bump("snapshot")
            repository.put("snapshot")
        if role != "timestamp":
            repository.index("snapshot")
            repository.refresh_timestamp()

    def poll(self) -> None:
        """One cycle; if it is refused or breaks off, nothing on any ECU has changed."""
        installed = dict(self.world.vehicle.installed)
        try:
            decision = self.world.vehicle.update()
        except (RefusalError, TransportError):
            assert self.world.vehicle.installed == installed
        else:
            self.world.vehicle.install(decision)
        self.check()

    def check(self) -> None:
        """No stored version and no installed counter is below what was seen, unless a rotation dropped the floor."""
        for name, store in self.world.vehicle.stores.items():
            root = max(store.roots)
            assert root >= self.roots.get(name, 0)
            if self._floor_dropped(name, root):
                self.floors = {key: value for key, value in self.floors.items() if not key.startswith(f"{name}/")}
        self._no_version_went_back()
        for ecu, image in self.world.vehicle.installed.items():
            assert image.release_counter is not None
            assert image.release_counter >= self.counters.get(ecu, 0)
        self.note()

    def _floor_dropped(self, name: str, root: int) -> bool:
        known = self.roots.get(name, root)
        bodies = [
            json.loads(self.world.vehicle.stores[name].roots[version])["signed"] for version in range(known, root + 1)
        ]
        online = [[body["roles"][role]["keyids"] for role in ("timestamp", "snapshot")] for body in bodies]
        return any(one != two for one, two in itertools.pairwise(online))

    def _no_version_went_back(self) -> None:
        for key, version in self._versions().items():
            assert version >= self.floors.get(key, 0), key

    def _versions(self) -> Versions:
        return {
            f"{name}/{role}": json.loads(data)["signed"]["version"]
            for name, store in self.world.vehicle.stores.items()
            for role, data in store.files.items()
        }

    def note(self) -> None:
        """Remember what is trusted now as the next floor."""
        self.floors |= self._versions()
        self.roots = {name: max(store.roots) for name, store in self.world.vehicle.stores.items()}
        self.counters = {str(ecu): image.release_counter or 0 for ecu, image in self.world.vehicle.installed.items()}


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
