"""An ECU that lost the record of its slots: it reports what it measures, takes an order, and takes no older one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.client.vehicle import roots
from twinlock.client.ecu.provision import EcuPlan, provision_secondary
from twinlock.client.install.ab_slots import UNKNOWN
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.storage.bundle import Bundle
from twinlock.testing.simulator.world import BRAKE, VIN, World
from twinlock.trust.errors.base import Attack
from twinlock.trust.errors.images import ReleaseCounterError
from twinlock.trust.names import DIRECTOR, IMAGE
from twinlock.trust.wire.tuf.reports import decode_report


def bundle(world: World) -> bytes:
    return Bundle({DIRECTOR: world.director.files, IMAGE: world.image.files}).encode()


def take(secondary: Secondary, release: int) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield BRAKE.image(release)

    asyncio.run(secondary.accept_image(BRAKE.path(release), chunks()))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def config(tmp_path: Path, world: World) -> Path:
    plan = EcuPlan(vehicle=VIN, ecu=BRAKE.ecu, hardware_id=BRAKE.hardware_id)
    provision_secondary(tmp_path / "s", plan, roots(world), verification="full", listen="http://127.0.0.1:0")
    return tmp_path / "s" / "secondary.json"


@pytest.mark.parametrize("known", ["state", "targets"])
def test_the_release_counter_outlives_the_record(world: World, config: Path, known: str) -> None:
    world.release()
    with Secondary.open(config, wall=world.time) as secondary:
        secondary.accept_metadata(bundle(world))
        take(secondary, 2)
        secondary.accept_metadata(bundle(world))
        if known == "targets":  # the state has lost it too, and the stored Director Targets still tell
            secondary._state._store_fact("release-counter", None)
    (config.parent / "slots" / "active.json").unlink()
    with Secondary.open(config, wall=world.time) as secondary:
        said = decode_report(secondary.report()).report.installed
        assert (said.path, said.length, said.release_counter) == (UNKNOWN, len(BRAKE.image(2)), None)
        with world.attack():  # both repositories' keys are stolen, and the old image is ordered again
            world.list_release(1)
            world.image.publish("targets", "acme")
            world.order_release(1)
            world.director.publish("targets")
            with pytest.raises(ReleaseCounterError) as caught:
                secondary.accept_metadata(bundle(world))
        assert (caught.value.attack, caught.value.offered, caught.value.installed) == (Attack.ROLLBACK, 1, 2)
        assert secondary.installed().path == UNKNOWN
        world.refresh_all()
        world.refresh_all()
        entry = secondary.accept_metadata(bundle(world))
        assert entry is not None
        assert entry.path == BRAKE.path(2)  # what it ran, under its name
        take(secondary, 2)
        assert secondary.installed().path == BRAKE.path(2)
        assert secondary.accept_metadata(bundle(world)) is None
