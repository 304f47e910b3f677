"""The best known time goes back between two events of one sort, which takes no key: an ECU updates and reports all the same.

Legitimate: updates under a right clock. Attack: something is refused twice, the second time at an earlier hour. Every event arrives,
nothing is forgotten, and the next honest update installs. So it is with whatever else is wrong in what an ECU stores about itself.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.attacks.test_evidence_kept import acknowledge, bundle, said
from tests.unit.client.vehicle import Car, only_the_gateway, roots, running_car
from twinlock.client.ecu.provision import EcuPlan, provision_secondary
from twinlock.client.model.errors import SecondaryRefusedError
from twinlock.client.model.results import Outcome, Step
from twinlock.client.secondary.secondary import Secondary
from twinlock.testing.simulator.world import BRAKE, GATEWAY, VIN, World
from twinlock.trust.errors.metadata import MalformedError, RollbackError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.evidence import MAX_EVENTS, Evidence
from twinlock.trust.names import EcuId
from twinlock.trust.wire.tuf.reports import MAX_COUNTER


def drive(directory: Path, scenario: Callable[[Car], Awaitable[None]]) -> None:
    async def run() -> None:
        async with running_car(directory, with_secondaries=False) as car:
            await asyncio.wait_for(scenario(car), 120)

    asyncio.run(run())


def evidence(car: Car) -> dict[str, Evidence]:
    """What the newest manifest carries, by code."""
    (item,) = car.servers.manifests[-1].reports
    return {event.code: event for event in item.report.evidence}


async def next_update(car: Car) -> None:
    """An honest release is installed."""
    car.world.release()
    only_the_gateway(car.world)
    result = await car.primary.update_cycle()
    assert (result.outcome, result.reported) == (Outcome.UPDATED, True), result.problems


def store(state: Path, name: str, value: str) -> None:
    """Put a fact into the state of an ECU as another version of this software or a worn-out flash left it."""
    with closing(sqlite3.connect(state)) as connection, connection:
        connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))


def test_a_primary_whose_clock_goes_back_updates_and_reports(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        assert (await car.primary.update_cycle()).outcome is Outcome.UPDATED
        right = car.world.now
        for ahead in (timedelta(days=900), timedelta(days=800)):  # everything has expired at both
            car.world.now = right + ahead
            result = await car.primary.update_cycle()
            assert [problem.error.code for problem in result.problems] == ["expired"]
        car.world.now = right
        assert (await car.primary.update_cycle()).reported
        event = evidence(car)["expired"]
        assert (event.occurrences, event.first, event.last) == (2, right + timedelta(days=900), event.first)
        await next_update(car)
        assert evidence(car)["expired"].id == event.id

    drive(tmp_path, scenario)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def config(tmp_path: Path, world: World) -> Path:
    plan = EcuPlan(vehicle=VIN, ecu=BRAKE.ecu, hardware_id=BRAKE.hardware_id)
    provision_secondary(tmp_path / "s", plan, roots(world), verification="full", listen="http://127.0.0.1:0")
    return tmp_path / "s" / "secondary.json"


@pytest.fixture
def secondary(config: Path, world: World) -> Iterator[Secondary]:
    with Secondary.open(config, wall=world.time) as opened:
        yield opened


def test_a_bundle_of_a_node_without_a_key_silences_no_secondary(world: World, secondary: Secondary) -> None:
    """The same nonsense under two clocks, often enough that some of it waits in memory."""
    secondary.accept_metadata(bundle(world))
    right = world.now
    for hours in (9, 7, 8, *range(20, 0, -1)):
        world.now = right + timedelta(hours=hours)
        with pytest.raises(MalformedError):
            secondary.accept_metadata(b"{")
    secondary._refusals._paces.clear()  # a minute later, what waits is due
    report = said(secondary)
    (event,) = report.evidence
    assert (event.occurrences, event.first) == (23, right + timedelta(hours=9))
    assert event.last >= event.first
    assert report.counter is not None
    acknowledge(world, BRAKE.ecu, report.counter)
    world.release()
    assert secondary.accept_metadata(bundle(world)) is not None
    assert said(secondary).evidence == ()


def test_an_event_that_makes_room_for_an_earlier_one_is_reported(world: World, secondary: Secondary) -> None:
    for number, role in enumerate(("root", "timestamp", "snapshot", "targets", "a", "b", "c")):
        error = RollbackError(repository="director", role=role, offered=1, trusted=2)
        step = list(Step)[number]
        secondary._note(error, step, world.now - timedelta(hours=number))
    assert all(event.first <= event.last for event in said(secondary).evidence)


STUCK = {
    "id": "0" * 16,
    "kind": "attack",
    "code": "expired",
    "attack": "freeze",
    "clause": "Uptane 2.1.0 5.4.4.2",
    "detail": "it expired",
    "latest": "",
    "step": "metadata",
    "first": "2026-03-04T00:00:00Z",
    "last": "2026-03-03T00:00:00Z",
    "count": 2,
    "told": False,
    "carried": None,
    "accepted": None,
    "unproven": False,
}


def test_an_upgrade_frees_an_ecu_that_stored_such_an_event(world: World, config: Path) -> None:
    store(config.parent / "state.db", "evidence", json.dumps([STUCK]))
    with Secondary.open(config, wall=world.time) as secondary:
        (event,) = said(secondary).evidence
        assert event.last == event.first == datetime(2026, 3, 4, tzinfo=UTC)
        assert (event.id, event.occurrences, said(secondary).attack) == (STUCK["id"], 2, "expired")


DAMAGED = [
    None,
    7,
    {},
    {**STUCK, "count": "2"},
    {**STUCK, "first": "yesterday"},
    {**STUCK, "kind": "rumour"},
    {**STUCK, "detail": None},
    {**STUCK, "carried": "1"},
    STUCK,  # twice under one id
]


@pytest.mark.parametrize("damaged", DAMAGED, ids=range(len(DAMAGED)))
def test_an_event_that_cannot_be_read_is_left_out_and_that_is_noted_once(
    world: World, config: Path, damaged: object
) -> None:
    store(config.parent / "state.db", "evidence", json.dumps([STUCK, damaged]))
    with Secondary.open(config, wall=world.time) as secondary:
        first = said(secondary)
        assert [event.code for event in first.evidence] == ["expired", "storage"]
        assert "left out" in first.evidence[1].detail
        assert said(secondary).evidence == first.evidence
        assert first.counter is not None
        acknowledge(world, BRAKE.ecu, first.counter)
        assert secondary.accept_metadata(bundle(world)) is not None
        assert said(secondary).evidence == ()


@pytest.mark.parametrize("fact", ["evidence", "stated-time", "reported", "verified-time", "counter-reset"])
@pytest.mark.parametrize("value", ["{", '"e\\u0301"', "7", '{"nonce": "E"}', "[[1]]"])
def test_a_damaged_fact_that_is_not_needed_holds_no_report_back(
    world: World, config: Path, fact: str, value: str
) -> None:
    store(config.parent / "state.db", fact, value)
    with Secondary.open(config, wall=world.time) as secondary:
        assert said(secondary).counter == 1
        assert secondary.accept_metadata(bundle(world)) is not None
        assert said(secondary).nonce is None


def test_events_beyond_what_a_report_carries_wait(world: World, config: Path) -> None:
    many = [{**STUCK, "id": f"{number:016x}", "step": f"step-{number}"} for number in range(MAX_EVENTS + 3)]
    store(config.parent / "state.db", "evidence", json.dumps(many))
    with Secondary.open(config, wall=world.time) as secondary:
        report = said(secondary)
        assert len(report.evidence) == MAX_EVENTS
        assert report.counter is not None
        acknowledge(world, BRAKE.ecu, report.counter)
        secondary.accept_metadata(bundle(world))
        assert {event.id for event in said(secondary).evidence} == {item["id"] for item in many[MAX_EVENTS:]}


def test_a_report_that_is_provisioned_small_carries_what_has_room(world: World, config: Path) -> None:
    many = [{**STUCK, "id": f"{number:016x}", "step": f"step-{number}"} for number in range(MAX_EVENTS)]
    store(config.parent / "state.db", "evidence", json.dumps(many))
    with Secondary.open(config, wall=world.time) as secondary:
        secondary.config = replace(secondary.config, limits=DEFAULT_LIMITS._replace(report_bytes=3000))
        assert 0 < len(said(secondary).evidence) < MAX_EVENTS


def test_what_a_secondary_writes_cannot_silence_its_primary(tmp_path: Path) -> None:
    """Its words are quoted in the Primary's own report: characters that compose, and half of one."""

    async def scenario(car: Car) -> None:
        await car.primary.update_cycle()
        for number, word in enumerate(("e\u0301", "=\u0338" * 200, "\ud800", "\u1100\u1161" * 300)):
            error = SecondaryRefusedError(ecu="ecu-x", problem=word, attack=word, clause=word, detail=word)
            car.primary._services.evidence.note(error, step=f"step-{number}", now=car.world.now)
        await next_update(car)
        assert "secondary-refused" in evidence(car)

    drive(tmp_path, scenario)


def test_a_report_that_cannot_be_made_keeps_no_metadata_from_its_vehicle(tmp_path: Path) -> None:
    """Here the counter is used up: the nonce that resets it is in the metadata."""

    async def scenario(car: Car) -> None:
        await car.primary.update_cycle()
        car.primary._services.state.reserve_counter(at_least=MAX_COUNTER)
        car.world.director.bodies["targets"]["custom"]["resets"] = {GATEWAY.ecu: "ab" * 16}
        car.world.release()
        only_the_gateway(car.world)
        result = await car.primary.update_cycle()
        assert result.verified
        assert [image.ecu for image in result.installed] == [EcuId(GATEWAY.ecu)]
        assert "malformed" in [problem.error.code for problem in result.problems]
        assert result.reported  # at the end of the same cycle, with the nonce
        await next_update(car)

    drive(tmp_path, scenario)
