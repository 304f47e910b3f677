"""A record "begun" that somebody planted in the state: an image that no stored metadata order is never installed by it.

Whoever could write one row of ``state.db`` had any image installed, with a read-only anchor too.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from tests.attacks.test_late_approvals import Interrupted, bundle, interrupted, provisioned, slots, take
from tests.unit.client.vehicle import running_car
from twinlock.client.ecu.approvals import COMPLETION
from twinlock.client.model.errors import BegunUnlistedError
from twinlock.client.primary.primary import Primary
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.storage.records import BegunBundle
from twinlock.client.storage.state import TrustedState
from twinlock.testing.simulator.world import ADAS, BRAKE, GATEWAY, VIN, Part, World
from twinlock.trust.errors.base import Kind, UsageError
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import EcuId, TargetPath

EVIL = b"EVIL FIRMWARE"
ENTRY = ImageEntry(TargetPath("x/evil.bin"), len(EVIL), {"sha256": hashlib.sha256(EVIL).hexdigest()}, 99)


def plant(state: TrustedState, ecu: str, world: World, entry: ImageEntry = ENTRY) -> None:
    state.store_begun(BegunBundle({EcuId(ecu): entry}, world.now + COMPLETION / 2))


async def evil() -> AsyncIterator[bytes]:
    yield EVIL


@pytest.mark.parametrize("updated", [False, True], ids=["new", "updated"])
@pytest.mark.parametrize("part", [BRAKE, ADAS], ids=["full", "partial"])
def test_a_secondary_installs_nothing_by_a_planted_record(tmp_path: Path, part: Part, updated: bool) -> None:
    world = World()
    config = provisioned(tmp_path, world, part)
    with Secondary.open(config, wall=world.time) as secondary:
        if updated:
            secondary.accept_metadata(bundle(world))
            take(secondary, part)
        plant(secondary._state, part.ecu, world)
    before = slots(config)
    with Secondary.open(config, wall=world.time) as secondary:
        with pytest.raises(UsageError):
            asyncio.run(secondary.accept_image(ENTRY.path, evil()))
        assert slots(config) == before
        assert secondary._state.begun is None
        (event,) = secondary._evidence.events()
        assert (event.code, event.kind) == (BegunUnlistedError.code, Kind.REFUSAL)
        world.release()
        secondary.accept_metadata(bundle(world))
        take(secondary, part, release=2)
        assert secondary.installed().path == part.path(2)


def test_a_record_whose_deadline_is_too_far_off_was_not_made_here(tmp_path: Path) -> None:
    world = World()
    config = provisioned(tmp_path, world, BRAKE)
    with Secondary.open(config, wall=world.time) as secondary:
        secondary.accept_metadata(bundle(world))
        interrupted(secondary)
        with pytest.raises(Interrupted):
            take(secondary, BRAKE)
        begun = secondary._state.begun
        assert begun is not None
        secondary._state.store_begun(begun._replace(deadline=world.now + COMPLETION + timedelta(seconds=1)))
    with Secondary.open(config, wall=world.time) as secondary, pytest.raises(UsageError):
        take(secondary, BRAKE)


def test_a_primary_installs_nothing_by_a_planted_record(tmp_path: Path) -> None:
    async def run() -> None:
        async with running_car(tmp_path, with_secondaries=False) as car:
            assert (await car.primary.update_cycle()).installed
            services, before = car.primary._services, car.slot_bytes()
            services.staging._path(ENTRY, "image").write_bytes(EVIL)
            plant(services.state, GATEWAY.ecu, car.world)
            await car.primary.close()

            async def away(_request: web.Request) -> web.Response:
                return web.Response(status=503)

            timestamp = f"/vehicles/{VIN}/metadata/timestamp.json"
            car.servers.lies[timestamp] = away
            async with Primary.open(car.config, wall=car.world.time) as again:
                result = await again.update_cycle()
                assert (result.installed, car.slot_bytes()) == ((), before)
                (error,) = [notice for notice in result.notices if isinstance(notice, BegunUnlistedError)]
                assert (error.ecu, error.target) == (GATEWAY.ecu, ENTRY.path)
                assert again._services.state.begun is None
                del car.servers.lies[timestamp]
                assert (await again.update_cycle()).problems == ()

    asyncio.run(run())
