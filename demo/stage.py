"""The cast and the stage: both repositories, a supplier, the vehicle, and the attacker on the line between them.

Belongs here: building all of it, starting, stopping, and what honest people do: release an image, order it, look.
Does not belong here: attacks (``acts``) and judging them (``play.py``).
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from securesystemslib.signer import Signer

from demo.attacker import HostileProxy
from demo.clock import StageClock
from demo.firmware import Firmware
from demo.process import Part
from demo.vehicle import ECUS, LIDAR, VEHICLE, Vehicle, build, build_other
from twinlock.client.ecu.provision import KnownRepositories
from twinlock.director.director import Director
from twinlock.repository.authoring.entries import Component
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.suppliers.workspace import SupplierWorkspace

OTHER_VEHICLE = "DEMO-0002"
SUPPLIER = "acme"


@dataclass(frozen=True, slots=True)
class Release:
    """An image that was published and ordered: for which ECU, under which path, and its file."""

    component: str
    number: int
    path: str
    file: Path


@dataclass(slots=True)
class Stage:
    """Everything that is running. ``directory`` holds it all and is removed at the end."""

    directory: Path
    clock: StageClock
    firmware: Firmware
    images: ImageRepository
    director: Director
    supplier: SupplierWorkspace
    proxy: HostileProxy
    vehicle: Vehicle
    releases: dict[str, int] = field(default_factory=lambda: {spec.name: 0 for spec in ECUS})

    @property
    def image_keys(self) -> Path:
        """Where the Image repository keeps its keys."""
        return self.directory / "image" / "keys"

    @property
    def director_keys(self) -> Path:
        """Where the Director keeps its keys."""
        return self.directory / "director" / "keys"

    # What honest people do

    async def publish(self, component: str, *, needs: Mapping[str, str] | None = None) -> Release:
        """Add the next release of ``component`` to the Image repository; the supplier signs what is theirs."""
        number = self.releases[component] = self.releases[component] + 1
        file = self.firmware.make(component, number)
        folder = SUPPLIER if component == LIDAR.name else component
        path = f"{folder}/{component}-{number}.bin"
        hardware = next(spec.hardware_id for spec in ECUS if spec.name == component)
        software = Component(name=component, version=f"{number}.0", dependencies=dict(needs or {}))
        if component == LIDAR.name:
            self.supplier.add_image(file, path, hardware_ids=[hardware], release_counter=number, component=software)
            self.supplier.sign()
            self.images.accept(self.supplier.path / "outbox")
        else:
            self.images.add_image(file, path, hardware_ids=[hardware], release_counter=number, component=software)
        await asyncio.to_thread(self.images.publish)
        return Release(component, number, path, file)

    async def order(self, *releases: Release) -> tuple[str, ...]:
        """Have the Director order ``releases`` for the vehicle; the ECUs that it gives orders to."""
        await asyncio.to_thread(self.director.refresh_catalogue)
        wanted = {release.component: release.path for release in releases}
        plan = await asyncio.to_thread(self.director.assign, VEHICLE, wanted)
        return tuple(order.ecu for order in plan.orders)

    async def release(self, component: str) -> Release:
        """Publish and order the next release of ``component``."""
        release = await self.publish(component)
        await self.order(release)
        return release

    async def cycle(self) -> dict[str, Any]:
        """Let the vehicle run one update cycle."""
        return await self.vehicle.cycle()

    async def renew(self) -> None:
        """Sign again what is about to expire; the Director does so by itself when it is asked."""
        await asyncio.to_thread(self.images.refresh)

    def supplier_signers(self) -> tuple[Signer, ...]:
        """The supplier's keys, for whoever has stolen them."""
        keyring = self.supplier.keyring
        return keyring.signers(record.keyid for record in keyring.records(SUPPLIER))

    async def replace_director_keys(self) -> None:
        """Give the Director new online keys, signed for with its offline Root key."""
        await asyncio.to_thread(self.director.rotate, "targets", "snapshot", "timestamp")

    async def replace_image_keys(self, *roles: str) -> None:
        """Give the Image repository new keys for ``roles`` (default: the online ones)."""
        await asyncio.to_thread(self.images.rotate, *(roles or ("snapshot", "timestamp")))


@asynccontextmanager
async def stage(samples: tuple[Path, ...] = ()) -> AsyncIterator[Stage]:
    """Set the stage and strike it again, whatever happens. ``samples`` are real firmware files to use."""
    directory = Path(tempfile.mkdtemp(prefix="twinlock-"))
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        yield await _build(directory, samples, stack)


async def _build(directory: Path, samples: tuple[Path, ...], stack: AsyncExitStack) -> Stage:
    clock = StageClock(directory / "clock")
    workshop = directory / "workshop"
    workshop.mkdir()
    firmware = Firmware(workshop, samples)
    images, supplier = _image_repository(directory, clock)
    image_url = await _serve("image", directory / "image", clock, stack)
    director = Director.create(
        directory / "director",
        image_root=images.root_bytes(),
        image_url=image_url,
        clock=clock,
    )
    stack.callback(director.close)
    director_url = await _serve("director", directory / "director", clock, stack)
    proxy = HostileProxy({"image": image_url, "director": f"{director_url}/vehicles/{VEHICLE}"})
    await stack.enter_async_context(proxy.running())
    _register_vehicles(directory, firmware, director, images, proxy)
    vehicle = await Vehicle.start(directory / VEHICLE, clock)
    stack.push_async_callback(vehicle.stop)
    return Stage(directory, clock, firmware, images, director, supplier, proxy, vehicle)


def _image_repository(directory: Path, clock: StageClock) -> tuple[ImageRepository, SupplierWorkspace]:
    images = ImageRepository.create(directory / "image", clock=clock)
    supplier = SupplierWorkspace.create(directory / "supplier", role=SUPPLIER, clock=clock)
    images.delegate(
        SUPPLIER, keys=[supplier.public_key_file], paths=[f"{SUPPLIER}/*"], hardware_ids=[LIDAR.hardware_id]
    )
    return images, supplier


async def _serve(kind: str, place: Path, clock: StageClock, stack: AsyncExitStack) -> str:
    server = Part(kind, place, clock.file)
    stack.push_async_callback(server.stop)
    await server.start()
    return str((await server.ready())["url"])


def _register_vehicles(
    directory: Path, firmware: Firmware, director: Director, images: ImageRepository, proxy: HostileProxy
) -> None:
    """Build two vehicles and register both; the second is only there to be confused with the first."""
    roots = KnownRepositories(
        director_root=director.root_bytes(),
        image_root=images.root_bytes(),
        director_url=proxy.base("director"),
        image_url=proxy.base("image"),
    )
    factory = {spec.name: firmware.make(spec.name, 0) for spec in ECUS}
    director.register(build(directory / VEHICLE, roots, factory))
    director.register(build_other(directory / OTHER_VEHICLE, roots, OTHER_VEHICLE))
