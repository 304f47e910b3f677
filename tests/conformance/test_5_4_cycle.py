"""Uptane 2.1.0 5.4.2 and 5.4.3: the order of steps in a vehicle, over real sockets, and what crosses to Secondaries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.simulator.moves import nest
from tests.unit.client.vehicle import Car, roots, running_car
from twinlock.client.ecu.provision import EcuPlan, provision_primary, provision_secondary
from twinlock.client.model.results import Outcome
from twinlock.client.primary.primary import Primary
from twinlock.client.secondary.secondary import Secondary
from twinlock.testing.simulator.world import ADAS, BRAKE, GATEWAY, PARTS, VIN, World
from twinlock.trust.errors.base import TwinlockError, UsageError
from twinlock.trust.errors.local import StorageError
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.wire.tuf.reports import decode_report, verify_report

Scenario = Callable[[Car], Awaitable[None]]


def drive(directory: Path, scenario: Scenario, **settings: Any) -> None:
    async def run() -> None:
        async with running_car(directory, **settings) as car:
            await scenario(car)

    asyncio.run(run())


class Trace:
    """What happens in a vehicle, in order: requests at the servers, and calls at Secondaries and installers."""

    def __init__(self, car: Car, monkeypatch: pytest.MonkeyPatch) -> None:
        self.car = car
        self.seen: list[str] = []
        self._note_requests(monkeypatch)
        for ecu, secondary in car.secondaries.items():
            for name in ("accept_time", "accept_metadata", "accept_image", "report"):
                self._note(monkeypatch, secondary, name, f"{ecu} {name}")
            self._note(monkeypatch, secondary._installer, "install", f"{ecu} install")
        self._note(monkeypatch, car.primary._services.installer, "install", f"{GATEWAY.ecu} install")

    def of(self, *kinds: str) -> list[str]:
        """The entries that hold one of the words."""
        return [entry for entry in self.seen if any(kind in entry for kind in kinds)]

    def first(self, kind: str) -> int:
        return next(place for place, entry in enumerate(self.seen) if kind in entry)

    def last(self, kind: str) -> int:
        return max(place for place, entry in enumerate(self.seen) if kind in entry)

    def _note(self, monkeypatch: pytest.MonkeyPatch, thing: Any, name: str, entry: str) -> None:
        whole = getattr(thing, name)

        def noted(*arguments: Any, **named: Any) -> Any:
            self.seen.append(entry)
            return whole(*arguments, **named)

        monkeypatch.setattr(thing, name, noted)

    def _note_requests(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Asked(list[tuple[str, str]]):
            def append(inner, item: tuple[str, str]) -> None:  # noqa: N805
                self.seen.append(f"{item[0]} {item[1]}")
                super().append(item)

        monkeypatch.setattr(self.car.servers, "asked", Asked())


def test_the_primary_goes_through_its_seven_steps_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(car: Car) -> None:
        trace = Trace(car, monkeypatch)
        result = await car.primary.update_cycle()
        assert result.outcome is Outcome.UPDATED
        manifest, time = trace.first("/manifest"), trace.first("/time")
        *metadata, root, look = [place for place, entry in enumerate(trace.seen) if "/metadata/" in entry]
        images = [place for place, entry in enumerate(trace.seen) if "/image/targets/" in entry]
        steps = [
            (manifest, manifest),
            (time, time),
            (min(metadata), max(metadata)),
            (min(images), max(images)),
            (trace.first("accept_time"), trace.last("accept_time")),
            (trace.first("accept_metadata"), trace.last("accept_metadata")),
            (trace.first("accept_image"), trace.last("accept_image")),
            (trace.first("install"), trace.last("install")),
            (trace.last("/manifest"), trace.last("/manifest")),
        ]
        assert len(images) == len(PARTS)
        assert trace.seen[look].endswith("/timestamp.json")  # the last look, before the first write
        assert trace.seen[root].endswith(".root.json")
        assert max(images) < root < look < trace.first("accept_image")
        for (_, end), (begin, _) in pairwise(steps[:7]):
            assert end < begin, trace.seen
        assert trace.last("install") < trace.last("/manifest")
        assert trace.seen[-1].endswith("/manifest")
        assert trace.of(" install")[-1] == f"{GATEWAY.ecu} install"

    drive(tmp_path, scenario, time={"source": "attested"})


@pytest.mark.parametrize("step", ["metadata", "image"])
def test_a_failure_jumps_to_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    async def scenario(car: Car) -> None:
        await car.primary.update_cycle()
        car.world.release()
        trace = Trace(car, monkeypatch)
        if step == "metadata":
            car.world.image.put("targets", signers=[car.world.keys("mallory")])
        else:
            car.servers.blobs[ADAS.path(2)] = b""

            async def lie(_request: web.Request) -> web.StreamResponse:
                return web.Response(body=b"X" * len(ADAS.image(2)))

            car.servers._fill()
            named = [path for path, blob in car.servers.blobs.items() if blob == ADAS.image(2)]
            assert len(named) == 2  # by each digest; where one is refused the next place is asked
            car.servers.lies |= {f"/image/targets/{path}": lie for path in named}
        result = await car.primary.update_cycle()
        assert result.outcome is Outcome.FAILED
        assert trace.of("accept_", " install") == []
        assert trace.seen[-1].endswith("/manifest")
        error = result.error
        assert error is not None
        assert error.code in car.servers.evidence()[GATEWAY.ecu]

    drive(tmp_path, scenario)


def test_a_secondary_asks_for_its_image_only_after_its_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(car: Car) -> None:
        trace = Trace(car, monkeypatch)
        await car.primary.update_cycle()
        for ecu in car.secondaries:
            mine = [entry.partition(" ")[2] for entry in trace.of(f"{ecu} ")]
            assert mine.index("accept_metadata") < mine.index("accept_image") < mine.index("install")
            assert mine[-1] == "report"

    drive(tmp_path, scenario)


def test_no_image_goes_to_a_secondary_that_refused_the_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(car: Car) -> None:
        trace = Trace(car, monkeypatch)

        def refuse(_bundle: bytes) -> None:
            raise UsageError(reason="a test wants it so")

        monkeypatch.setattr(car.secondaries[BRAKE.ecu], "accept_metadata", refuse)
        await car.primary.update_cycle()
        assert trace.of("accept_image") == []

    drive(tmp_path, scenario)


def test_an_image_that_is_there_is_not_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(car: Car) -> None:
        await car.primary.update_cycle()
        trace = Trace(car, monkeypatch)
        result = await car.primary.update_cycle()
        assert result.outcome is Outcome.UP_TO_DATE
        assert trace.of("accept_image", "/image/targets/") == []

    drive(tmp_path, scenario)


def test_secondaries_follow_roots_and_two_tiers_through_the_primary_alone(tmp_path: Path) -> None:
    """5.4.2.6: Secondaries know no server (their map leads nowhere); all they need comes through the Primary."""

    async def scenario(car: Car) -> None:
        await car.primary.update_cycle()
        world = car.world
        for repository in world.repositories.values():
            repository.rotate("targets")
            repository.rotate("root")
        world.pass_time(hours=1)
        world.list_release(2)
        entry = world.image.bodies["acme"]["targets"].pop(BRAKE.path(2))
        world.image.bodies["acme"]["targets"][BRAKE.path(3)] = entry
        nest(world, "tier-1", "tier-2")
        world.image.bodies["tier-2"]["targets"] = {BRAKE.path(2): entry}
        world.image.publish("tier-1", "tier-2", "targets")
        for part in PARTS:
            listed = entry if part is BRAKE else world.image.bodies["targets"]["targets"][part.path(2)]
            world.director.order(part.ecu, part.hardware_id, part.path(2), listed)
        world.director.publish("targets")
        world.releases = 2
        result = await car.primary.update_cycle()
        assert result.problems == ()
        assert car.paths() == {part.ecu: part.path(2) for part in PARTS}
        state = car.secondaries[BRAKE.ecu]._state
        held = {file.role for file in state.files(next(iter(state_names(car, "image"))))}
        assert {"root", "timestamp", "snapshot", "targets", "tier-1", "tier-2"} <= held

    drive(tmp_path, scenario)


def test_what_nobody_here_needs_is_not_passed_on(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        car.world.image.delegate("targets", "stranger", ["gearbox/*"])
        car.world.image.publish("stranger", "targets")
        await car.primary.update_cycle()
        state = car.secondaries[BRAKE.ecu]._state
        held = {file.role for file in state.files(next(iter(state_names(car, "image"))))}
        assert "acme" in held
        assert "stranger" not in held

    drive(tmp_path, scenario)


def test_after_its_first_cycle_an_ecu_holds_all_that_it_has_to(tmp_path: Path) -> None:
    """5.4.1: what the last step of making an ECU leaves on it, and that nothing older gets in afterwards."""

    async def scenario(car: Car) -> None:
        before = car.world.director.files["targets.json"]
        await car.primary.update_cycle()
        for name in ("director", "image"):
            held = {file.role for file in car.primary._services.state.files(next(iter(state_names(car, name))))}
            assert {"root", "timestamp", "snapshot", "targets"} <= held
        partial = car.secondaries[ADAS.ecu]._state
        assert {"root", "targets"} <= {file.role for file in partial.files(next(iter(state_names(car, "director"))))}
        assert (car.directory / "gw" / "map.json").exists()
        car.world.release()
        await car.primary.update_cycle()
        car.world.director.files["targets.json"] = before
        car.world.director.rewind("timestamp", 2)
        result = await car.primary.update_cycle()
        assert result.outcome is Outcome.FAILED
        assert result.error is not None
        assert result.error.code == "rollback"

    drive(tmp_path, scenario)


def test_an_ecu_without_its_state_key_or_map_does_not_start(tmp_path: Path) -> None:
    """5.4.1: nothing is trusted on first use."""
    world = World()
    plan = EcuPlan(vehicle=VIN, ecu=GATEWAY.ecu, hardware_id=GATEWAY.hardware_id)
    for missing in ("state.db", "identity.pem", "map.json"):
        directory = tmp_path / missing
        config = provision_primary(directory, plan, roots(world))
        (directory / missing).unlink()
        with pytest.raises((UsageError, StorageError)):
            Primary.open(config)
        assert not (directory / missing).exists() or missing == "state.db"
    config = provision_primary(tmp_path / "whole", plan, roots(world))
    asyncio.run(Primary.open(config).close())


def test_every_ecu_has_a_key_of_its_own(tmp_path: Path) -> None:
    world = World()
    keys = set()
    for number in range(4):
        plan = EcuPlan(vehicle=VIN, ecu=f"ecu-{number}", hardware_id="hw-1")
        made = provision_secondary(
            tmp_path / str(number), plan, roots(world), verification="full", listen="http://127.0.0.1:0"
        )
        keys.add(made["key"]["keyval"]["public"])
    assert len(keys) == 4


def test_reports_stay_with_their_senders_over_a_restart(tmp_path: Path) -> None:
    """5.4.3.6: the Primary keeps each report with who sent it, and its own."""

    async def scenario(car: Car) -> None:
        await car.primary.update_cycle()
        config, links = car.config, dict(car.secondaries)
        keys = {ecu: secondary._identity.public_key for ecu, secondary in links.items()}
        keys[GATEWAY.ecu] = car.primary._services.signer.public_key
        await car.primary.close()
        again = Primary.open(config, wall=car.world.time)
        stored = again._services.state.reports()
        assert set(stored) == {part.ecu for part in PARTS}
        for ecu, data in stored.items():
            assert verify_report(decode_report(data), keys[ecu]).ecu == ecu
        car.primary = again
        await again.close()

    drive(tmp_path, scenario)


def test_the_installer_runs_only_with_what_was_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """5.4 and 5.4.3.4: metadata and image were verified before, and the stored copy is what is checked."""

    async def scenario(car: Car) -> None:
        installer = car.primary._services.installer
        whole = installer.install
        seen: list[str] = []

        def install(entry: Any, source: Path) -> InstalledImage:
            decision = car.primary._services.state.decision
            assert decision is not None
            assert entry.path in str(decision)
            assert source.suffix == ".image"
            assert source.read_bytes() == GATEWAY.image(1)
            seen.append(entry.path)
            source.write_bytes(b"X" * entry.length)
            return whole(entry, source)

        monkeypatch.setattr(installer, "install", install)
        before = car.paths()[GATEWAY.ecu]
        result = await car.primary.update_cycle()
        assert seen == [GATEWAY.path(1)]
        assert [problem.ecu for problem in result.problems] == [GATEWAY.ecu]
        assert car.paths()[GATEWAY.ecu] == before

    drive(tmp_path, scenario, with_secondaries=False)


def test_after_every_failure_the_next_honest_update_succeeds(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        for role in ("timestamp", "snapshot", "targets"):
            with car.world.attack():
                car.world.image.put(role, signers=[car.world.keys("mallory")])
                assert (await car.primary.update_cycle()).outcome is Outcome.FAILED
        result = await car.primary.update_cycle()
        assert result.outcome is Outcome.UPDATED

    drive(tmp_path, scenario)


def test_an_image_that_is_not_ordered_is_not_taken(tmp_path: Path) -> None:
    """5.4.3.3: with no entry for this ECU there is nothing that it would fetch, whoever offers it."""

    async def scenario(car: Car) -> None:
        car.world.director.withdraw(BRAKE.ecu)
        car.world.director.publish("targets")
        secondary: Secondary = car.secondaries[BRAKE.ecu]
        await car.primary.update_cycle()

        async def chunks() -> Any:
            yield BRAKE.image(1)

        with pytest.raises(TwinlockError, match="wants no image"):
            await secondary.accept_image(BRAKE.path(1), chunks())
        assert car.paths()[BRAKE.ecu] == "factory"

    drive(tmp_path, scenario)


def state_names(car: Car, name: str) -> list[Any]:
    """The repository of that name, as the state calls it."""
    return [known for known in car.primary._services.map.repositories if known == name]
