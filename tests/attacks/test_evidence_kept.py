"""Evidence that an attacker would like to see gone: overwritten, displaced, masked, or lost with the message that carried it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.unit.client.vehicle import Car, roots, running_car
from twinlock.client.ecu.evidence import ATTACKS
from twinlock.client.ecu.provision import EcuPlan, provision_secondary
from twinlock.client.model.errors import PreconditionError, SecondaryRefusedError
from twinlock.client.model.results import Outcome, Step
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.storage.bundle import Bundle
from twinlock.testing.simulator.world import BRAKE, GATEWAY, VIN, World
from twinlock.trust.errors.base import Kind, TwinlockError
from twinlock.trust.errors.images import DigestError, LengthError
from twinlock.trust.errors.local import StorageError
from twinlock.trust.errors.metadata import EquivocationError, MalformedError, RollbackError
from twinlock.trust.model.evidence import MAX_EVENTS, Evidence
from twinlock.trust.names import DIRECTOR, IMAGE, EcuId
from twinlock.trust.wire.tuf.reports import EcuReport, decode_report, report_digest


def bundle(world: World) -> bytes:
    return Bundle({DIRECTOR: world.director.files, IMAGE: world.image.files}).encode()


def said(secondary: Secondary) -> EcuReport:
    return decode_report(secondary.report()).report


def acknowledge(world: World, ecu: str, counter: int, report: bytes | None = None) -> None:
    """The Director names a report in signed Targets, and what was signed in it if it is given."""
    custom = world.director.bodies["targets"]["custom"]
    custom["acknowledged"] = {ecu: counter}
    if report is not None:
        custom["acknowledgedReports"] = {ecu: report_digest(decode_report(report).message)}
    world.director.publish("targets")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def secondary(tmp_path: Path, world: World) -> Iterator[Secondary]:
    plan = EcuPlan(vehicle=VIN, ecu=BRAKE.ecu, hardware_id=BRAKE.hardware_id)
    provision_secondary(tmp_path / "s", plan, roots(world), verification="full", listen="http://127.0.0.1:0")
    with Secondary.open(tmp_path / "s" / "secondary.json", wall=world.time) as opened:
        yield opened


def attacked(world: World, secondary: Secondary) -> None:
    """The Secondary meets a rollback."""
    secondary.accept_metadata(bundle(world))
    old = bundle(world)
    world.release()
    secondary.accept_metadata(bundle(world))
    with pytest.raises(RollbackError):
        secondary.accept_metadata(old)


def test_an_honest_bundle_does_not_wipe_what_was_met_before(world: World, secondary: Secondary) -> None:
    """O1. Only signed Targets that name a report that carried it do."""
    attacked(world, secondary)
    secondary.accept_metadata(bundle(world))
    first = said(secondary)
    (event,) = first.evidence
    assert (first.attack, event.kind, event.code, event.attack) == ("rollback", Kind.ATTACK, "rollback", "rollback")
    assert first.detail == event.detail
    assert event.clause == "Uptane 2.1.0 5.4.4.4"

    assert first.counter is not None
    acknowledge(world, BRAKE.ecu, first.counter - 1)  # a report before it
    secondary.accept_metadata(bundle(world))
    acknowledge(world, "ecu-gw", first.counter)  # another ECU's
    secondary.accept_metadata(bundle(world))
    assert said(secondary).evidence == (event,)  # the same event, under the same id

    acknowledge(world, BRAKE.ecu, first.counter)
    secondary.accept_metadata(bundle(world))
    assert (said(secondary).evidence, said(secondary).attack) == ((), "")


def test_an_acknowledgement_covers_what_the_report_carried_and_nothing_later(
    world: World, secondary: Secondary
) -> None:
    attacked(world, secondary)
    counter = said(secondary).counter
    assert counter is not None
    with pytest.raises(Exception, match="malformed"):
        secondary.accept_metadata(b"{")
    acknowledge(world, BRAKE.ecu, counter)
    secondary.accept_metadata(bundle(world))
    assert [event.code for event in said(secondary).evidence] == ["malformed"]


def test_an_acknowledgement_of_a_report_that_this_ecu_did_not_sign_forgets_nothing(
    world: World, secondary: Secondary
) -> None:
    """As after a backup: the Director took report 900 of the time before, and the ECU, which counts anew, has sent 2."""
    attacked(world, secondary)
    before = secondary.report()
    attacked_again = said(secondary)
    acknowledge(world, BRAKE.ecu, 900, before)
    secondary.accept_metadata(bundle(world))
    assert said(secondary).evidence == attacked_again.evidence
    newest = secondary.report()
    counter = decode_report(newest).report.counter
    assert counter is not None
    acknowledge(world, BRAKE.ecu, counter, before)  # the number fits, the report does not
    secondary.accept_metadata(bundle(world))
    assert said(secondary).evidence == attacked_again.evidence
    acknowledge(world, BRAKE.ecu, counter, newest)
    secondary.accept_metadata(bundle(world))
    assert said(secondary).evidence == ()


def test_an_acknowledgement_that_comes_late_covers_the_report_that_it_names(world: World, secondary: Secondary) -> None:
    attacked(world, secondary)
    early = secondary.report()
    counter = decode_report(early).report.counter
    assert counter is not None
    for _ in range(3):
        secondary.report()
    with pytest.raises(MalformedError):
        secondary.accept_metadata(b"{")
    acknowledge(world, BRAKE.ecu, counter, early)
    secondary.accept_metadata(bundle(world))
    assert [event.code for event in said(secondary).evidence] == ["malformed"]


def test_the_first_sentence_of_an_event_is_kept_with_the_latest(world: World, secondary: Secondary) -> None:
    """An attacker who repeats an attack in another way overwrites nothing of how it began."""
    for offered in (1, 7, 7, 9):
        error = RollbackError(repository="director", role="root", offered=offered, trusted=10)
        secondary._note(error, Step.METADATA, world.now)
    (event,) = said(secondary).evidence
    assert "version 1 " in event.detail
    assert "version 9 " in event.latest
    assert event.occurrences == 4


def test_what_takes_no_key_to_bring_about_hides_no_attack(world: World, secondary: Secondary) -> None:
    """Noise before and after: files without signatures, other files than the listed ones, missing ones, nonsense."""

    def noise() -> None:
        world.pass_time(minutes=1)
        world.refresh_all()
        for role in ("timestamp", "snapshot", "targets"):
            for deform in (lambda envelope: envelope["signatures"].clear(), lambda envelope: envelope.clear()):
                with world.attack():
                    world.director.deform(role, deform)
                    with pytest.raises(TwinlockError):
                        secondary.accept_metadata(bundle(world))
            with world.attack():
                world.director.drop(role)
                with pytest.raises(TwinlockError):
                    secondary.accept_metadata(bundle(world))
        with pytest.raises(TwinlockError):
            secondary.accept_time(b"{}")
        for error in (
            LengthError(target="t", listed=2, received=1),
            DigestError(target="t", algorithm="sha256", listed="b", computed="a"),
        ):
            secondary._note(error, Step.INSTALL, world.now)

    noise()
    attacked(world, secondary)
    noise()
    found = {event.code: event for event in said(secondary).evidence}
    assert found["rollback"].occurrences == 1
    assert sum(event.occurrences for event in found.values()) > 10
    assert len(said(secondary).evidence) <= MAX_EVENTS


def test_of_a_full_shelf_one_of_each_code_stays(world: World, secondary: Secondary) -> None:
    def met(error: TwinlockError, step: Step) -> None:
        secondary._note(error, step, world.now)

    def rollback(role: str) -> RollbackError:
        return RollbackError(repository="director", role=role, offered=1, trusted=2)

    met(rollback("root"), Step.TIME)
    met(EquivocationError(repository="director", role="timestamp", version=1), Step.METADATA)
    for step in (Step.METADATA, Step.INSTALL, Step.IMAGES, Step.LAST_LOOK, Step.REPORT, Step.SECONDARY_TIME):
        met(rollback("timestamp"), step)
    codes = [event.code for event in said(secondary).evidence]
    assert codes.count("equivocation") == 1
    assert len(codes) == ATTACKS


def test_noise_of_one_kind_displaces_nothing_of_another_and_is_counted(world: World, secondary: Secondary) -> None:
    attacked(world, secondary)
    for number in range(20):
        secondary._note(StorageError(path=f"p{number}", operation="read", reason="r"), _step(number), world.now)
        secondary._note(PreconditionError(ecu="e", reason=f"r{number}"), _step(number), world.now)
    report = said(secondary)
    assert len(report.evidence) <= MAX_EVENTS
    assert report.attack == "rollback"
    assert [event.code for event in report.evidence if event.kind is Kind.ATTACK] == ["rollback"]
    for kind in (Kind.REFUSAL, Kind.FAILURE):
        events = [event for event in report.evidence if event.kind is kind]
        assert sum(event.occurrences for event in events) == 20
        assert (events[0].detail[-2:], events[-1].step) == (events[0].detail[-2:], _step(19).value)


def _step(number: int) -> Any:
    class Named:
        value = f"step-{number}"

    return Named


def drive(directory: Path, scenario: Callable[[Car], Awaitable[None]], **settings: Any) -> None:
    async def run() -> None:
        async with running_car(directory, **settings) as car:
            await asyncio.wait_for(scenario(car), 120)

    asyncio.run(run())


def evidence(car: Car, manifest: int = -1) -> tuple[Evidence, ...]:
    """What the Primary's own report in a manifest carries."""
    reports = car.servers.manifests[manifest].reports
    return next(item.report.evidence for item in reports if item.report.ecu == GATEWAY.ecu)


def rolling_back(car: Car, folder: str = "metadata/") -> str:
    """The Director's Timestamp is rolled back on the line."""
    path = f"/vehicles/{VIN}/{folder}timestamp.json"

    async def lie(_request: web.Request) -> web.Response:
        return web.Response(body=car.world.director.history["timestamp"][0])

    car.servers.lies[path] = lie
    return path


async def answering(_request: web.Request, status: int = 503) -> web.Response:
    return web.Response(status=status)


@pytest.mark.parametrize("status", [503, 204], ids=["dropped", "swallowed"])
def test_manifests_that_never_arrive_take_no_evidence_with_them(tmp_path: Path, status: int) -> None:
    """O2: the attacker drops the manifests, or answers them as the Director would."""

    async def scenario(car: Car) -> None:
        await car.primary.update_cycle()
        car.world.director.publish("targets")
        await car.primary.update_cycle()
        timestamp, manifest = rolling_back(car), f"/vehicles/{VIN}/manifest"

        async def swallow(request: web.Request) -> web.Response:
            return await answering(request, status if car.servers.asked.count(("PUT", manifest)) else 204)

        async def accept(request: web.Request) -> web.Response:
            car.servers.lies[manifest] = swallow
            return await answering(request, 204)

        car.servers.lies[manifest] = accept  # the one before the attack passes
        assert (await car.primary.update_cycle()).outcome is Outcome.FAILED
        del car.servers.lies[timestamp]
        await car.primary.update_cycle()
        del car.servers.lies[manifest]
        await car.primary.update_cycle()
        events = evidence(car)
        assert events[0].code == "rollback"
        counter = next(r.report.counter for r in car.servers.manifests[-1].reports if r.report.ecu == GATEWAY.ecu)
        assert counter is not None
        acknowledge(car.world, GATEWAY.ecu, counter)
        await car.primary.update_cycle()
        await car.primary.update_cycle()
        assert evidence(car) == ()

    drive(tmp_path, scenario, with_secondaries=False)


def test_in_the_aktualizr_profile_an_answer_in_the_directors_place_makes_evidence_forgotten(tmp_path: Path) -> None:
    """What does not stand: that profile signs no acknowledgement, so the vehicle believes a status and a newer Timestamp."""

    async def scenario(car: Car) -> None:
        await car.primary.update_cycle()
        car.world.director.publish("targets")
        await car.primary.update_cycle()
        timestamp = rolling_back(car, folder="")
        book = car.primary._services.evidence

        async def swallow(request: web.Request) -> web.Response:
            return await answering(request, 204)

        car.servers.lies[f"/vehicles/{VIN}/manifest"] = swallow
        assert (await car.primary.update_cycle()).outcome is Outcome.FAILED
        del car.servers.lies[timestamp]
        await car.primary.update_cycle()
        assert [event.code for event in book.events()] == ["rollback"]  # a status alone deletes nothing
        car.world.director.publish("targets")
        await car.primary.update_cycle()
        assert book.events() == ()

    drive(tmp_path, scenario, with_secondaries=False, world=World(director="aktualizr", image="aktualizr"))


def test_a_hostile_secondary_masks_nothing_that_its_primary_saw(tmp_path: Path) -> None:
    """O3: not even when it claims an attack."""

    async def scenario(car: Car) -> None:
        await car.primary.update_cycle()
        car.world.director.publish("targets")
        await car.primary.update_cycle()
        rolling_back(car)

        class Link:
            number = 0

            async def report(self) -> bytes:
                Link.number += 1
                raise SecondaryRefusedError(
                    ecu="ecu-adas",
                    problem=f"x{self.number}",
                    attack="arbitrary-software",
                    clause="",
                    detail="no",
                    stated_kind="attack",
                )

            async def close(self) -> None:
                await honest.close()

        member = car.primary._services.secondaries.members[EcuId("ecu-adas")]
        honest = member.link
        object.__setattr__(member, "link", Link())
        for _ in range(4):
            await car.primary.update_cycle()
        result = await car.primary.update_cycle()
        assert result.error is not None
        assert result.error.code == "rollback"
        own = next(r.report for r in car.servers.manifests[-1].reports if r.report.ecu == GATEWAY.ecu)
        assert (own.attack, own.evidence[0].code) == ("rollback", "rollback")

    drive(tmp_path, scenario)


def test_after_an_attack_no_cycle_reports_it_a_second_time(tmp_path: Path) -> None:
    """One manifest a cycle, and the event keeps its id, so that a Director writes it once."""

    async def scenario(car: Car) -> None:
        await car.primary.update_cycle()
        car.world.director.publish("targets")
        await car.primary.update_cycle()
        timestamp = rolling_back(car)
        await car.primary.update_cycle()
        del car.servers.lies[timestamp]
        before, ids = len(car.servers.manifests), {event.id for event in evidence(car)}
        for _ in range(3):
            assert (await car.primary.update_cycle()).outcome is Outcome.UP_TO_DATE
        assert len(car.servers.manifests) - before == 3
        assert {event.id for event in evidence(car)} == ids

    drive(tmp_path, scenario, with_secondaries=False)


def test_refusals_and_failures_are_no_attacks(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        refuse = [True]
        car.primary._services.installer._precondition = lambda _entry: "not parked" if refuse[0] else None  # type: ignore[attr-defined]
        result = await car.primary.update_cycle()
        assert [problem.as_json()["error"]["kind"] for problem in result.problems] == ["refusal"]
        own = car.servers.manifests[-1].reports[0].report
        assert (own.attack, [event.kind for event in own.evidence]) == ("", [Kind.REFUSAL])
        assert "not parked" in own.detail
        refuse[0] = False
        assert (await car.primary.update_cycle()).outcome is Outcome.UPDATED

    drive(tmp_path, scenario, with_secondaries=False)
