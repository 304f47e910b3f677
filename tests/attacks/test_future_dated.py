"""A Director whose clock ran ahead for one cycle: what it signed must not lock out vehicles whose own time is proven."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.client.vehicle import roots, running_car
from twinlock.client.ecu.provision import EcuPlan, provision_secondary
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.storage.bundle import Bundle
from twinlock.testing.simulator.world import BRAKE, VIN, World
from twinlock.trust.engine.time_floor import time_floor
from twinlock.trust.errors.base import Kind
from twinlock.trust.errors.metadata import ExpiredError, MissingMetadataError, TimeError
from twinlock.trust.names import DIRECTOR, IMAGE
from twinlock.trust.wire.tuf.attestation import sign_attestation
from twinlock.trust.wire.tuf.reports import decode_report


def bundle(world: World) -> bytes:
    return Bundle({DIRECTOR: world.director.files, IMAGE: world.image.files}).encode()


@pytest.fixture
def world() -> World:
    return World()


def opened(directory: Path, world: World, time: dict[str, Any]) -> Secondary:
    plan = EcuPlan(vehicle=VIN, ecu=BRAKE.ecu, hardware_id=BRAKE.hardware_id, time=time)
    provision_secondary(directory / "s", plan, roots(world), verification="full", listen="http://127.0.0.1:0")
    return Secondary.open(directory / "s" / "secondary.json", wall=world.time)


def attest(world: World, secondary: Secondary) -> None:
    nonce = secondary.identity()["timeNonce"]
    secondary.accept_time(sign_attestation(world.now, (nonce,), world.director.time_key()))


@pytest.fixture
def ahead(world: World) -> Iterator[None]:
    """The Director has signed one set under a clock two days ahead."""
    now = world.now
    world.now = now + timedelta(days=2)
    world.director.publish("targets")
    world.now = now
    yield


@pytest.mark.usefixtures("ahead")
def test_a_proven_clock_caps_what_a_file_says_of_the_time(tmp_path: Path, world: World) -> None:
    with opened(tmp_path, world, {"source": "attested"}) as secondary:
        attest(world, secondary)
        assert secondary.accept_metadata(bundle(world)) is not None
        latest = world.now + timedelta(seconds=secondary.config.time.tolerance_s)
        assert time_floor([secondary._state.repository(DIRECTOR)]) == latest
        events = decode_report(secondary.report()).report.evidence
        assert {(event.code, event.kind) for event in events} == {("issued-in-future", Kind.REFUSAL)}
    world.pass_time(hours=1)
    world.director.publish("targets")  # the clock was set right
    with Secondary.open(tmp_path / "s" / "secondary.json", wall=world.time) as secondary:
        attest(world, secondary)
        assert secondary.accept_metadata(bundle(world)) is not None


def sign_ahead(world: World, role: str) -> None:
    """The Director signs ``role`` once under a clock 40 days ahead, and what lists it by the true time."""
    director, now = world.director, world.now
    chain = ["root", "targets", "snapshot", "timestamp"]
    for number, each in enumerate(chain[chain.index(role) :]):
        world.now = now + timedelta(days=0 if number else 40)
        director.bump(each)
        director.put(each)
        director.index(each)
    world.now = now


def floor_time(secondary: Secondary) -> datetime | None:
    return time_floor([secondary._state.repository(DIRECTOR)])


def noted(secondary: Secondary) -> dict[str, str]:
    return {event.code: event.detail for event in decode_report(secondary.report()).report.evidence}


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_no_role_signed_ahead_locks_out_a_proven_clock(tmp_path: Path, world: World, role: str) -> None:
    """Every start reads the state again: no floor is made again from the file that states the false time."""
    with opened(tmp_path, world, {"source": "attested"}) as secondary:
        attest(world, secondary)
        secondary.accept_metadata(bundle(world))
        sign_ahead(world, role)
        attest(world, secondary)
        assert secondary.accept_metadata(bundle(world)) is not None
        assert floor_time(secondary) == world.now + timedelta(seconds=secondary.config.time.tolerance_s)
        assert f"director/{role}" in noted(secondary)["issued-in-future"]
    capped = world.now + timedelta(seconds=secondary.config.time.tolerance_s)
    for _ in range(3):
        world.pass_time(hours=1)
        world.director.publish("targets")
        with Secondary.open(tmp_path / "s" / "secondary.json", wall=world.time) as secondary:
            attest(world, secondary)
            assert secondary.accept_metadata(bundle(world)) is not None
            assert floor_time(secondary) == max(world.now, capped)


def test_a_root_followed_before_there_was_a_time_is_capped_by_the_first_proven_one(
    tmp_path: Path, world: World
) -> None:
    with opened(tmp_path, world, {"source": "attested"}) as secondary:
        sign_ahead(world, "root")
        with pytest.raises(TimeError):
            secondary.accept_metadata(bundle(world))
        assert floor_time(secondary) == world.now + timedelta(days=40)
        assert "issued-in-future" not in noted(secondary)
        attest(world, secondary)
        assert secondary.accept_metadata(bundle(world)) is not None
        assert "director/root" in noted(secondary)["issued-in-future"]
    world.pass_time(hours=1)
    world.director.publish("targets")
    with Secondary.open(tmp_path / "s" / "secondary.json", wall=world.time) as secondary:
        attest(world, secondary)
        assert secondary.accept_metadata(bundle(world)) is not None
        assert floor_time(secondary) == world.now
        assert secondary._state.events()[0].evidence.occurrences == 1


def test_a_refusal_that_follows_loses_no_report_of_the_future_root(tmp_path: Path, world: World) -> None:
    with opened(tmp_path, world, {"source": "attested"}) as secondary:
        attest(world, secondary)
        secondary.accept_metadata(bundle(world))
        sign_ahead(world, "root")
        world.director.drop("snapshot")
        with pytest.raises(MissingMetadataError):
            secondary.accept_metadata(bundle(world))
        assert noted(secondary).keys() == {"issued-in-future", "missing-metadata"}
        world.director.publish("targets")
        assert secondary.accept_metadata(bundle(world)) is not None


def test_a_delegated_file_signed_ahead_is_reported(tmp_path: Path, world: World) -> None:
    now = world.now
    world.now = now + timedelta(days=40)
    world.image.bump("acme")
    world.image.put("acme")
    world.now = now
    world.image.index("acme")
    world.image.publish("targets")
    with opened(tmp_path, world, {"source": "attested"}) as secondary:
        attest(world, secondary)
        assert secondary.accept_metadata(bundle(world)) is not None
        assert "image/acme" in noted(secondary)["issued-in-future"]
        assert time_floor([secondary._state.repository(IMAGE)]) == world.now


@pytest.mark.parametrize("role", ["root", "targets"])
def test_a_primary_with_a_proven_clock_is_not_locked_out(tmp_path: Path, role: str) -> None:
    async def run() -> None:
        async with running_car(tmp_path, with_secondaries=False, time={"source": "attested"}) as car:
            assert (await car.primary.update_cycle()).verified
            sign_ahead(car.world, role)
            result = await car.primary.update_cycle()
            assert result.verified
            assert "issued-in-future" in {notice.code for notice in result.notices}
            car.world.pass_time(hours=1)
            car.world.director.publish("targets")
            result = await car.primary.update_cycle()
            assert result.verified, result.problems

    asyncio.run(run())


@pytest.mark.usefixtures("ahead")
def test_a_clock_that_is_merely_there_caps_nothing(tmp_path: Path, world: World) -> None:
    """It may be the one that is behind, and then the file is what shows it."""
    with opened(tmp_path, world, {}) as secondary:
        with pytest.raises(ExpiredError) as caught:
            secondary.accept_metadata(bundle(world))
        assert caught.value.now == world.now + timedelta(days=2)
        assert time_floor([secondary._state.repository(DIRECTOR)]) == world.now + timedelta(days=2)
