"""A provisioned vehicle on disk and its processes' objects in this one: what the client's tests drive.

The gateway is the Primary, the brake a full and the driver assistance a partial Secondary, as ``tests.simulator`` has
them. Belongs here: setting up and taking down. Does not belong here: any expectation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twinlock.client.ecu.provision import EcuPlan, KnownRepositories, provision_primary, provision_secondary
from twinlock.client.primary.primary import Primary
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.secondary.server import secondary_application
from twinlock.testing.servers import Servers, serving, serving_world
from twinlock.testing.simulator.wires import TUF_WIRE
from twinlock.testing.simulator.world import ADAS, BRAKE, GATEWAY, PARTS, VIN, World
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import EcuId

# Small enough that a test of slowness takes a second or two, large enough for a busy machine.
FAST_FETCH: dict[str, Any] = {
    "floorBytesPerSecond": 1000,
    "windowSeconds": 1.5,
    "deadlineSeconds": 20,
    "connectSeconds": 5,
    "attempts": 2,
    "backoffSeconds": 0.01,
}


def roots(world: World, servers: Servers | None = None) -> KnownRepositories:
    """What the factory knows of both repositories: where they are, and their first Root."""
    return KnownRepositories(
        director_root=world.director.files["1.root.json"],
        image_root=world.image.files["1.root.json"],
        director_url=servers.director_url if servers else f"http://127.0.0.1:1/vehicles/{VIN}",
        image_url=servers.image_url if servers else "http://127.0.0.1:1/image",
        wires={
            name: found.wire.profile.name for name, found in world.repositories.items() if found.wire is not TUF_WIRE
        },
    )


@dataclass
class Car:
    """A running vehicle. ``names`` are the ECU ids of the Secondaries that exist."""

    world: World
    servers: Servers
    directory: Path
    primary: Primary
    secondaries: dict[str, Secondary] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """The Primary's configuration file."""
        return self.directory / "gw" / "primary.json"

    def installed(self) -> dict[str, InstalledImage]:
        """What every ECU really runs."""
        own = self.primary.installed()[EcuId(GATEWAY.ecu)]
        return {GATEWAY.ecu: own, **{ecu: item.installed() for ecu, item in self.secondaries.items()}}

    def paths(self) -> dict[str, str]:
        """The name of the image that every ECU really runs."""
        return {ecu: image.path for ecu, image in self.installed().items()}

    async def acknowledge(self) -> None:
        """The Director names the newest report of every ECU in signed Targets, and two cycles show that they heard it."""
        counters = {item.report.ecu: item.report.counter for item in self.servers.manifests[-1].reports}
        self.world.director.bodies["targets"]["custom"]["acknowledged"] = counters
        self.world.director.publish("targets")
        for _ in range(2):
            await self.primary.update_cycle()

    def slot_bytes(self) -> dict[str, bytes]:
        """Every slot file of every ECU, to show that nothing was touched."""
        return {
            str(path.relative_to(self.directory)): path.read_bytes()
            for path in sorted(self.directory.glob("*/slots/*"))
        }


@asynccontextmanager
async def running_car(
    directory: Path,
    *,
    with_secondaries: bool = True,
    time: dict[str, Any] | None = None,
    world: World | None = None,
    changes: dict[str, Any] | None = None,
) -> AsyncIterator[Car]:
    """A world, its servers, and a vehicle. ``changes`` are members of the Primary's configuration to replace."""
    world = world or World()
    async with serving_world(world) as servers:
        secondaries, descriptions = {}, []
        own = [BRAKE, ADAS] if with_secondaries else []
        for part in own:
            plan = EcuPlan(vehicle=VIN, ecu=part.ecu, hardware_id=part.hardware_id, time=time or {})
            kind = "partial" if part is ADAS else "full"
            description = provision_secondary(
                directory / part.folder, plan, roots(world), verification=kind, listen="http://127.0.0.1:0"
            )
            secondaries[part.ecu] = Secondary.open(directory / part.folder / "secondary.json", wall=world.time)
            descriptions.append(description)
        try:
            async with _links(secondaries) as addresses:
                for description in descriptions:
                    description["address"] = addresses[description["ecu"]]
                config = _primary(directory / "gw", world, servers, descriptions, time)
                async with Primary.open(_changed(config, changes), wall=world.time) as primary:
                    if not with_secondaries:
                        only_the_gateway(world)
                    yield Car(world, servers, directory, primary, secondaries)
        finally:
            for secondary in secondaries.values():
                secondary.close()


def only_the_gateway(world: World) -> None:
    """Order images for the gateway alone: the vehicle has no other ECU."""
    for part in PARTS:
        if part is not GATEWAY:
            world.director.withdraw(part.ecu)
    world.director.publish("targets")


@asynccontextmanager
async def _links(secondaries: dict[str, Secondary]) -> AsyncIterator[dict[str, str]]:
    from contextlib import AsyncExitStack

    async with AsyncExitStack() as stack:
        yield {
            ecu: await stack.enter_async_context(serving(secondary_application(secondary)))
            for ecu, secondary in secondaries.items()
        }


def _primary(
    directory: Path, world: World, servers: Servers, descriptions: list[Any], time: dict[str, Any] | None
) -> Path:
    settings = {**time, "url": servers.time_url} if time else {}
    plan = EcuPlan(vehicle=VIN, ecu=GATEWAY.ecu, hardware_id=GATEWAY.hardware_id, time=settings)
    return provision_primary(directory, plan, roots(world, servers), secondaries=descriptions, fetch=FAST_FETCH)


def _changed(config: Path, changes: dict[str, Any] | None) -> Path:
    import json

    if changes:
        config.write_text(json.dumps(json.loads(config.read_text()) | changes))
    return config
