"""A Director whose clock ran ahead for one cycle: what it signed must not lock out vehicles whose own time is proven."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.world import BRAKE, VIN, World
from tests.unit.client.vehicle import roots
from twinlock.client.bundle import Bundle
from twinlock.client.provision import EcuPlan, provision_secondary
from twinlock.client.secondary import Secondary
from twinlock.trust.attestation import sign_attestation
from twinlock.trust.clock import time_floor
from twinlock.trust.errors.base import Kind
from twinlock.trust.errors.metadata import ExpiredError
from twinlock.trust.names import DIRECTOR, IMAGE
from twinlock.trust.reports import decode_report


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


@pytest.mark.usefixtures("ahead")
def test_a_clock_that_is_merely_there_caps_nothing(tmp_path: Path, world: World) -> None:
    """It may be the one that is behind, and then the file is what shows it."""
    with opened(tmp_path, world, {}) as secondary:
        with pytest.raises(ExpiredError) as caught:
            secondary.accept_metadata(bundle(world))
        assert caught.value.now == world.now + timedelta(days=2)
        assert time_floor([secondary._state.repository(DIRECTOR)]) == world.now + timedelta(days=2)
