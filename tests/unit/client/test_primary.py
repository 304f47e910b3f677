"""Whole cycles of a vehicle over real sockets: updates, refusals, and what is reported of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.unit.client.vehicle import Car, running_car
from twinlock.cli.shared.exit_status import EXIT_TRANSPORT, exit_status
from twinlock.client.model.errors import BundleHeldError, ManifestRefusedError, SecondaryRefusedError
from twinlock.client.model.results import CycleResult, Outcome, Step
from twinlock.testing.servers import Servers
from twinlock.testing.simulator.world import ADAS, BRAKE, GATEWAY, PARTS
from twinlock.trust.errors.base import Kind, TwinlockError, UsageError
from twinlock.trust.errors.images import DigestError, EndlessDataError, ImageNotFoundError, LengthError
from twinlock.trust.errors.local import FetchError, SlowRetrievalError, TransportError
from twinlock.trust.errors.metadata import (
    ExpiredError,
    MalformedError,
    MissingMetadataError,
    RollbackError,
    ThresholdError,
    TimeError,
)
from twinlock.trust.errors.reports import AttestationError
from twinlock.trust.names import EcuId
from twinlock.trust.wire.tuf.reports import verify_manifest, verify_report

Scenario = Callable[[Car], Awaitable[None]]
RELEASE = {number: {part.ecu: part.path(number) for part in PARTS} for number in (1, 2, 3)}
FACTORY = {part.ecu: "factory" for part in PARTS}


def drive(directory: Path, scenario: Scenario, **settings: Any) -> None:
    """Run ``scenario`` with a running vehicle."""

    async def run() -> None:
        async with running_car(directory, **settings) as car:
            await scenario(car)

    asyncio.run(run())


async def updated(car: Car) -> CycleResult:
    """One cycle that must end well with something installed."""
    result = await car.primary.update_cycle()
    assert result.problems == ()
    assert result.outcome is Outcome.UPDATED
    assert result.reported
    return result


async def refused(car: Car, error: type[TwinlockError], step: Step) -> TwinlockError:
    """One cycle that must be refused for one reason, touch no ECU, and report it."""
    before = car.slot_bytes()
    result = await car.primary.update_cycle()
    assert [(problem.step, type(problem.error)) for problem in result.problems] == [(step, error)]
    assert result.outcome is Outcome.FAILED
    assert result.installed == ()
    assert car.slot_bytes() == before
    found = result.error
    assert found is not None
    assert found.code in car.servers.evidence()[GATEWAY.ecu]
    assert result.reported
    return found


# What should happen


def test_one_primary_takes_one_image(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        await updated(car)
        assert car.paths() == {GATEWAY.ecu: GATEWAY.path(1)}

    drive(tmp_path, scenario, with_secondaries=False)


@pytest.mark.slow
def test_a_whole_vehicle_is_updated_again_and_again(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        for release in (1, 2, 3):
            result = await updated(car)
            assert car.paths() == RELEASE[release]
            assert {done.ecu: done.image.path for done in result.installed} == RELEASE[release]
            assert result.correlation_id == f"urn:test:{release}"
            idle = await car.primary.update_cycle()
            assert idle.outcome is Outcome.UP_TO_DATE
            assert idle.verified
            car.world.release()

    drive(tmp_path, scenario)


def test_the_primary_is_installed_last(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        result = await updated(car)
        assert result.installed[-1].ecu == GATEWAY.ecu

    drive(tmp_path, scenario)


def test_manifests_are_signed_complete_and_never_repeat_a_counter(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        await updated(car)
        await car.primary.update_cycle()
        counters: dict[str, list[int | None]] = {part.ecu: [] for part in PARTS}
        keys = {item.ecu.ecu: item.key for item in car.primary.config.secondaries}
        keys[EcuId(GATEWAY.ecu)] = car.primary._services.signer.public_key
        for manifest in car.servers.manifests:
            verify_manifest(manifest, keys[manifest.primary])
            assert {report.report.ecu for report in manifest.reports} == {part.ecu for part in PARTS}
            for report in manifest.reports:
                counters[verify_report(report, keys[report.report.ecu]).ecu].append(report.report.counter)
        # At the start and the end of the first cycle, and at the start of one in which nothing happened.
        assert counters == {part.ecu: [1, 2, 3] for part in PARTS}
        installed = [{r.report.ecu: r.report.installed.path for r in m.reports} for m in car.servers.manifests]
        assert installed == [FACTORY, RELEASE[1], RELEASE[1]]

    drive(tmp_path, scenario)


def test_nothing_new_costs_two_files_and_no_image(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        await updated(car)
        car.servers.asked.clear()
        await car.primary.update_cycle()
        fetched = [path.rpartition("/")[2] for method, path in car.servers.asked if method == "GET"]
        assert fetched == ["2.root.json", "timestamp.json"]

    drive(tmp_path, scenario)


def test_progress_is_shown_image_by_image(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        seen: list[tuple[str, int, int]] = []
        await car.primary.update_cycle(progress=lambda *step: seen.append(step))
        assert {path for path, received, length in seen if received == length} == set(RELEASE[1].values())

    drive(tmp_path, scenario)


def test_two_cycles_at_once_are_refused(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        first = asyncio.create_task(car.primary.update_cycle())
        await asyncio.sleep(0)
        with pytest.raises(UsageError):
            await car.primary.update_cycle()
        assert (await first).outcome is Outcome.UPDATED

    drive(tmp_path, scenario)


# What must not happen: each is refused, reported, touches no ECU, and is forgotten after the next honest cycle


def html(_car: Car) -> bytes:
    return b"<html><body>Welcome to our network. Please log in.</body></html>"


def order_unlisted(car: Car) -> None:
    entry = {"length": 4, "hashes": {"sha256": "0" * 64}}
    agreed = {"mustAgree": {"hardwareIds": [GATEWAY.hardware_id], "releaseCounter": 9}}
    car.world.director.order(GATEWAY.ecu, GATEWAY.hardware_id, "gateway/evil.bin", entry | {"custom": agreed})
    car.world.director.publish("targets")


ATTACKS: dict[str, tuple[Callable[[Car], object], type[TwinlockError]]] = {
    "a Director's Timestamp of yesterday": (lambda car: car.world.director.rewind("timestamp", 2), RollbackError),
    "an Image Timestamp of yesterday": (lambda car: car.world.image.rewind("timestamp", 3), RollbackError),
    "a Director's Timestamp without a signature": (
        lambda car: car.world.director.deform("timestamp", lambda envelope: envelope["signatures"].clear()),
        ThresholdError,
    ),
    "time stands still": (lambda car: car.world.pass_time(days=2), ExpiredError),
    "a Timestamp that is gone": (lambda car: car.world.director.drop("timestamp"), MissingMetadataError),
    "an endless Timestamp": (lambda car: car.world.director.put("timestamp", data=b" " * 400_000), EndlessDataError),
    "a page in place of a Timestamp": (
        lambda car: car.world.director.put("timestamp", data=html(car)),
        MalformedError,
    ),
    "an order for what nobody lists": (order_unlisted, ImageNotFoundError),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_refused_metadata_touches_no_ecu_and_is_reported(tmp_path: Path, name: str) -> None:
    attack, error = ATTACKS[name]

    async def scenario(car: Car) -> None:
        await updated(car)
        car.world.image.refresh_timestamp()  # so that there is a yesterday
        car.world.director.refresh_timestamp()
        await car.primary.update_cycle()
        car.world.release()
        with car.world.attack():
            attack(car)
            await refused(car, error, Step.METADATA)
        for _ in range(2):  # where keys were stolen, honest versions have to overtake those of the thief
            car.world.refresh_all()
        honest = await car.primary.update_cycle()
        assert honest.problems == ()
        assert car.paths() == RELEASE[2]
        assert car.primary._services.state.refusal is None
        assert error.code in car.servers.evidence()[GATEWAY.ecu]  # nobody has acknowledged it yet
        await car.acknowledge()
        assert car.servers.evidence() == {part.ecu: [] for part in PARTS}
        assert car.servers.attacks()[-1] == {part.ecu: "" for part in PARTS}

    drive(tmp_path, scenario)


def answering(status: int, body: bytes = b"") -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    return answer


async def crawling(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.05)


async def flooding(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" " * 50_000)


GATEWAY_IMAGE = GATEWAY.image(1)
LIES: dict[str, tuple[Any, type[TwinlockError]]] = {
    "other bytes": (answering(200, GATEWAY_IMAGE[:-1] + b"?"), DigestError),
    "too few": (answering(200, GATEWAY_IMAGE[:-1]), LengthError),
    "too many": (answering(200, GATEWAY_IMAGE + b"?"), EndlessDataError),
    "no end": (flooding, EndlessDataError),
    "a crawl": (crawling, SlowRetrievalError),
    "a fault": (answering(500), FetchError),
    "a page": (answering(200, b"<html>"), LengthError),
}


@pytest.mark.parametrize("name", LIES)
def test_a_bad_image_for_one_ecu_stops_the_whole_bundle(tmp_path: Path, name: str) -> None:
    """Nothing on any ECU is written before everything that was approved is here and verified."""
    lie, error = LIES[name]

    async def scenario(car: Car) -> None:
        for digest_name in _image_paths(car.servers, GATEWAY_IMAGE):
            car.servers.lies[digest_name] = lie
        await refused(car, error, Step.IMAGES)
        assert car.paths() == FACTORY
        car.servers.lies.clear()
        await updated(car)
        assert car.paths() == RELEASE[1]

    drive(tmp_path, scenario)


def _image_paths(servers: Servers, data: bytes) -> list[str]:
    servers._fill()
    return [f"/image/targets/{path}" for path, blob in servers.blobs.items() if blob == data]


# Time


def test_attested_time_drives_the_whole_vehicle(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        result = await updated(car)
        assert result.now == car.world.now
        assert car.paths() == RELEASE[1]
        # One for the Primary, one for each Secondary's own nonce.
        assert car.servers.asked.count(("POST", "/time")) == 3

    drive(tmp_path, scenario, time={"source": "attested"})


def test_without_attested_time_there_is_no_update(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        car.servers.lies["/time"] = answering(500)
        silent = await refused(car, FetchError, Step.TIME)
        assert (silent.kind, exit_status(silent)) == (Kind.FAILURE, EXIT_TRANSPORT)
        car.servers.lies["/time"] = answering(200, b'{"signatures": [], "signed": {}}')
        await refused(car, MalformedError, Step.TIME)
        car.servers.lies.clear()
        await updated(car)

    drive(tmp_path, scenario, time={"source": "attested"})


def test_a_forged_time_is_refused(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        from twinlock.trust.wire.tuf.attestation import sign_attestation

        async def forge(request: web.Request) -> web.Response:
            nonce = (await request.json())["nonce"]
            stranger = car.world.keys("stranger")
            return web.Response(body=sign_attestation(car.world.time(), (nonce,), stranger))

        car.servers.lies["/time"] = forge
        await refused(car, AttestationError, Step.TIME)

    drive(tmp_path, scenario, time={"source": "attested"})


def test_a_new_key_of_the_time_source_reaches_every_ecu_through_root(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        await updated(car)
        director = car.world.director
        new = director.key("time", 2)
        director.bodies["root"]["custom"]["timeSource"]["keyids"] = [new.keyid]
        director.bodies["root"]["keys"][new.keyid] = new.public
        director.publish_root()
        director.time_key = lambda: new  # type: ignore[method-assign]
        car.world.release()
        # The Secondaries refuse the time at first, and accept it with the Root that comes right after it.
        await updated(car)
        assert car.paths() == RELEASE[2]
        assert car.servers.attacks()[-1] == {part.ecu: "" for part in PARTS}

    drive(tmp_path, scenario, time={"source": "attested"})


def test_a_system_clock_without_battery_means_no_update(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        from datetime import UTC, datetime

        car.primary._services.clock._wall = lambda: datetime(1970, 1, 1, tzinfo=UTC)
        await refused(car, TimeError, Step.TIME)

    drive(tmp_path, scenario)


def test_a_clock_set_back_behind_what_was_proved_means_no_update(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        await updated(car)
        now = car.world.now
        car.world.pass_time(days=2)
        car.world.release()
        car.primary._services.clock._wall = lambda: now
        await refused(car, TimeError, Step.METADATA)
        car.primary._services.clock._wall = car.world.time
        await updated(car)

    drive(tmp_path, scenario, with_secondaries=True)


# Secondaries that fail, Directors that refuse


def test_an_unreachable_secondary_holds_the_bundle_and_the_others_are_reported(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        before = car.slot_bytes()
        cut_off(car, BRAKE.ecu)
        result = await car.primary.update_cycle()
        assert car.slot_bytes() == before
        assert {type(problem.error) for problem in result.problems} == {TransportError, BundleHeldError}
        held = next(problem.error for problem in result.problems if isinstance(problem.error, BundleHeldError))
        assert held.waiting == (BRAKE.ecu,)
        assert set(held.ready) == {GATEWAY.ecu, ADAS.ecu}
        assert set(car.servers.attacks()[-1]) == {GATEWAY.ecu, ADAS.ecu}
        restore(car)
        await updated(car)
        assert car.paths() == RELEASE[1]

    drive(tmp_path, scenario)


def test_without_the_hold_the_others_are_updated(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        cut_off(car, BRAKE.ecu)
        result = await car.primary.update_cycle()
        assert result.outcome is Outcome.INCOMPLETE
        assert car.paths() == RELEASE[1] | {BRAKE.ecu: "factory"}
        restore(car)
        await updated(car)
        assert car.paths() == RELEASE[1]

    drive(tmp_path, scenario, changes={"holdIncompleteBundles": False})


def cut_off(car: Car, ecu: str) -> None:
    """Nobody answers at the address of ``ecu`` any more."""
    link = car.primary._services.secondaries.members[EcuId(ecu)].link
    link._real_base = link._base  # type: ignore[attr-defined]
    link._base = "http://127.0.0.1:1"  # type: ignore[attr-defined]


def restore(car: Car) -> None:
    """Undo ``cut_off``."""
    for member in car.primary._services.secondaries.members.values():
        member.link._base = getattr(member.link, "_real_base", member.link._base)  # type: ignore[attr-defined]


def test_a_secondary_that_refuses_is_named_with_its_reason(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        car.secondaries[BRAKE.ecu]._clock._wall = lambda: car.world.now.replace(year=2040)
        result = await car.primary.update_cycle()
        refusal = next(p.error for p in result.problems if isinstance(p.error, SecondaryRefusedError))
        assert (refusal.ecu, refusal.problem, refusal.attack) == (BRAKE.ecu, "expired", "freeze")
        assert refusal.clause.startswith("Uptane 2.1.0")
        assert result.installed == ()
        assert car.servers.attacks()[-1] == {
            GATEWAY.ecu: "secondary-refused",
            BRAKE.ecu: "expired",
            ADAS.ecu: "",
        }

    drive(tmp_path, scenario)


def test_a_secondary_that_another_key_speaks_for_is_not_believed(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        from twinlock.client.ecu.identity import create_identity

        car.secondaries[ADAS.ecu]._identity = create_identity(tmp_path / "impostor.pem")
        result = await car.primary.update_cycle()
        codes = {(problem.ecu, problem.error.code) for problem in result.problems}
        assert (ADAS.ecu, "report-signature") in codes
        assert all(ADAS.ecu not in reported for reported in car.servers.attacks())

    drive(tmp_path, scenario)


def test_a_replayed_report_is_noticed_in_the_vehicle(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        await updated(car)
        old = car.secondaries[ADAS.ecu].report()
        await car.primary.update_cycle()
        car.secondaries[ADAS.ecu].report = lambda: old  # type: ignore[method-assign]
        result = await car.primary.update_cycle()
        first = result.problems[0]
        assert (first.ecu, first.error.code) == (ADAS.ecu, "report-replay")

    drive(tmp_path, scenario)


def test_a_director_that_refuses_the_manifest_stops_nothing_but_is_noted(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        car.servers.refuse_manifest = "missing-ecu"
        result = await car.primary.update_cycle()
        assert {type(problem.error) for problem in result.problems} == {ManifestRefusedError}
        assert {problem.step for problem in result.problems} == {Step.MANIFEST, Step.REPORT}
        assert not result.reported
        assert result.outcome is Outcome.INCOMPLETE
        assert car.paths() == RELEASE[1]
        error = result.error
        assert isinstance(error, ManifestRefusedError)
        assert (error.status, error.problem) == (422, "missing-ecu")

    drive(tmp_path, scenario)


@pytest.mark.parametrize(
    ("problem", "remedy", "other"),
    [
        ("report-replay", "twinlock director reset-counter", "map.json"),
        ("vehicle-retired", "twinlock director reactivate", "map.json"),
        ("missing-ecu", "twinlock director vehicles", "reset-counter"),
    ],
)
def test_the_hint_of_a_refused_manifest_fits_the_refusal(tmp_path: Path, problem: str, remedy: str, other: str) -> None:
    async def scenario(car: Car) -> None:
        car.servers.refuse_manifest = problem
        error = (await car.primary.update_cycle()).error
        assert isinstance(error, ManifestRefusedError)
        assert (error.code, error.problem) == ("manifest-refused", problem)
        assert remedy in error.hint
        assert other not in error.hint

    drive(tmp_path, scenario, with_secondaries=False)


def test_a_manifest_that_arrived_before_the_way_broke_is_not_an_attack(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        answers = iter([503, 422])

        async def broken(_request: web.Request) -> web.Response:
            status = next(answers)
            return web.json_response({"code": "report-replay", "detail": "counter 1 again"}, status=status)

        path = car.servers.director_url.removeprefix(car.servers.base) + "/manifest"
        car.servers.lies[path] = broken
        await car.primary._services.director.put_manifest(b"{}")
        answers = iter([422])
        with pytest.raises(ManifestRefusedError):
            await car.primary._services.director.put_manifest(b"{}")

    drive(tmp_path, scenario)


def test_an_unreachable_director_ends_the_cycle_at_once(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        car.primary._services.director._urls = ("http://127.0.0.1:1",)
        result = await car.primary.update_cycle()
        assert [(problem.step, type(problem.error)) for problem in result.problems] == [(Step.MANIFEST, TransportError)]
        assert not result.reported
        assert result.outcome is Outcome.FAILED
        assert car.servers.asked == []

    drive(tmp_path, scenario)


def test_a_cycle_that_died_half_way_is_simply_run_again(tmp_path: Path) -> None:
    """The brake has its image, the others do not: the next cycle finishes what is left."""

    async def scenario(car: Car) -> None:
        link = car.primary._services.secondaries.members[EcuId(ADAS.ecu)].link

        async def fail(*_arguments: object) -> None:
            raise TransportError(url="bus", reason="the cable was pulled")

        genuine = link.send_image
        link.send_image = fail  # type: ignore[method-assign, assignment]
        result = await car.primary.update_cycle()
        assert result.outcome is Outcome.INCOMPLETE
        assert car.paths() == RELEASE[1] | {ADAS.ecu: "factory"}
        link.send_image = genuine  # type: ignore[method-assign]
        result = await updated(car)
        assert [done.ecu for done in result.installed] == [ADAS.ecu]

    drive(tmp_path, scenario)


def test_a_precondition_of_the_primary_is_reported(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        car.primary._services.installer._precondition = lambda _entry: "not parked"  # type: ignore[attr-defined]
        result = await car.primary.update_cycle()
        assert [(problem.step, problem.error.code) for problem in result.problems] == [(Step.INSTALL, "precondition")]
        assert car.paths()[GATEWAY.ecu] == "factory"
        assert car.servers.attacks()[-1][GATEWAY.ecu] == ""  # a rule said no, and nobody attacked
        assert car.servers.evidence()[GATEWAY.ecu] == ["precondition"]

    drive(tmp_path, scenario)
