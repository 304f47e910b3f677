"""The first contact: an ECU that is not registered yet, or asks a wrong URL, was not attacked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from tests.unit.client.test_explain import why
from tests.unit.client.vehicle import Car, only_the_gateway, running_car
from twinlock.client.model.errors import NeverServedError
from twinlock.testing.simulator.world import GATEWAY, VIN
from twinlock.trust.errors.base import Attack, Kind
from twinlock.trust.errors.metadata import MissingMetadataError

TIMESTAMPS = {"director": f"/vehicles/{VIN}/metadata/timestamp.json", "image": "/image/metadata/timestamp.json"}


def drive(directory: Path, scenario: Callable[[Car], Awaitable[None]]) -> None:
    async def run() -> None:
        async with running_car(directory, with_secondaries=False) as car:
            await scenario(car)

    asyncio.run(run())


@pytest.mark.parametrize("name", ["director", "image"])
def test_what_was_never_served_is_a_failure_and_later_an_attack(tmp_path: Path, name: str) -> None:
    async def absent(_request: web.Request) -> web.Response:
        return web.Response(status=404)

    async def scenario(car: Car) -> None:
        path = TIMESTAMPS[name]
        car.servers.lies[path] = absent
        result = await car.primary.update_cycle()
        (problem,) = result.problems
        assert isinstance(problem.error, NeverServedError)
        assert (problem.error.repository, problem.error.kind) == (name, Kind.FAILURE)
        assert "attack" not in problem.error.as_json()
        events = car.primary._services.evidence.events()
        assert [(event.code, event.kind) for event in events] == [("never-served", Kind.FAILURE)]
        assert why(car, GATEWAY.path(1))["refusal"]["attack"] == Attack.NONE.value
        del car.servers.lies[path]
        assert (await car.primary.update_cycle()).problems == ()
        car.servers.lies[path] = absent
        car.world.release()
        only_the_gateway(car.world)
        (problem,) = (await car.primary.update_cycle()).problems
        assert isinstance(problem.error, MissingMetadataError)
        assert problem.error.attack is Attack.DROP_REQUEST

    drive(tmp_path, scenario)
