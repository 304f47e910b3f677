"""An answer of the time source, taken off the line and played later with the files of its day.

The freeze that this used to give had no bound: a month for a Primary, a year for a Secondary behind a hostile Primary.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.unit.client.vehicle import Car, only_the_gateway, roots, running_car
from twinlock.client.ecu.provision import EcuPlan, provision_secondary
from twinlock.client.model.results import Outcome, Step
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.storage.bundle import Bundle
from twinlock.testing.simulator.world import BRAKE, VIN, World
from twinlock.trust.errors.base import Attack
from twinlock.trust.errors.metadata import TimeError
from twinlock.trust.errors.reports import AttestationError, UnsolicitedTimeError
from twinlock.trust.names import DIRECTOR, IMAGE
from twinlock.trust.wire.tuf.attestation import sign_attestation

ATTESTED: dict[str, Any] = {"source": "attested"}


def test_a_primary_believes_no_answer_to_an_earlier_question(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        world = car.world
        assert (await car.primary.update_cycle()).outcome is Outcome.UPDATED
        kept: list[bytes] = []

        async def hold(request: web.Request) -> web.Response:
            nonce = (await request.json())["nonce"]
            kept.append(sign_attestation(world.time(), (nonce,), world.director.time_key()))
            return web.Response(status=503)

        car.servers.lies["/time"] = hold
        assert (await car.primary.update_cycle()).outcome is Outcome.FAILED
        assert len(kept) == 2  # each attempt asks with a nonce of its own
        frozen = {name: dict(found.files) for name, found in world.repositories.items()}
        honest = world.repositories
        world.pass_time(days=30)
        world.release()
        only_the_gateway(world)
        fresh = {name: dict(found.files) for name, found in honest.items()}
        before = car.slot_bytes()

        async def replay(_request: web.Request) -> web.Response:
            return web.Response(body=kept[-1])

        car.servers.lies["/time"] = replay
        for name, files in frozen.items():
            honest[name].files = files
        result = await car.primary.update_cycle()
        (problem,) = result.problems
        assert (problem.step, type(problem.error), result.verified) == (Step.TIME, AttestationError, False)
        assert problem.error.as_json()["attack"] == Attack.FREEZE.value
        assert car.slot_bytes() == before

        car.servers.lies.clear()
        for name, files in fresh.items():
            honest[name].files = files
        result = await car.primary.update_cycle()
        assert (result.outcome, result.now) == (Outcome.UPDATED, world.now)

    async def run() -> None:
        async with running_car(tmp_path, with_secondaries=False, time=ATTESTED) as car:
            await asyncio.wait_for(scenario(car), 60)

    asyncio.run(run())


@pytest.mark.parametrize("days", [1, 360])
def test_a_primary_cannot_replay_a_time_to_its_secondary(tmp_path: Path, days: int) -> None:
    world = World()
    plan = EcuPlan(vehicle=VIN, ecu=BRAKE.ecu, hardware_id=BRAKE.hardware_id, time=ATTESTED)
    provision_secondary(tmp_path / "s", plan, roots(world), verification="full", listen="http://127.0.0.1:0")
    ticks = [0.0]
    with Secondary.open(tmp_path / "s" / "secondary.json", wall=world.time) as secondary:
        secondary._clock._monotonic = lambda: ticks[0]
        nonce = secondary.identity()["timeNonce"]
        kept = sign_attestation(world.time(), (nonce,), world.director.time_key())
        old = Bundle({DIRECTOR: world.director.files, IMAGE: world.image.files}).encode()
        world.pass_time(days=days)
        ticks[0] += days * 86_400
        world.release()

        for _ in range(2):  # at once, and after a question that the Primary keeps to itself
            with pytest.raises(UnsolicitedTimeError):
                secondary.accept_time(kept)
            with pytest.raises(TimeError):
                secondary.accept_metadata(old)
            secondary.identity()
        assert secondary._state.attested is None
        assert secondary.installed().path == "factory"

        nonce = secondary.identity()["timeNonce"]
        secondary.accept_time(sign_attestation(world.time(), (nonce,), world.director.time_key()))
        entry = secondary.accept_metadata(Bundle({DIRECTOR: world.director.files, IMAGE: world.image.files}).encode())
        assert entry is not None
        assert entry.path == BRAKE.path(2)
