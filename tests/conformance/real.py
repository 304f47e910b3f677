"""A real Image repository with two tiers of suppliers and a real Director that orders from it, on disk.

Belongs here: making them. Does not belong here: any expectation of a rule.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.unit.director.world import FACTORY, NOW, TestVehicle, content
from twinlock.director.director import Director
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.suppliers.workspace import SupplierWorkspace
from twinlock.testing.simulator.keys import canonical

IMAGES = [
    (FACTORY, ["gw-1", "hw-7"], 0),
    ("gw/1.3.bin", ["gw-1"], 13),
    ("gw/1.4.bin", ["gw-1"], 14),
    ("brake/1.0.bin", ["hw-7"], 1),
    ("brake/2.0.bin", ["hw-7"], 2),
]
VIN = "VIN1"


class HandClock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        return self.time

    def turn(self, **by: float) -> None:
        self.time += timedelta(**by)


@dataclass
class Site:
    """Both repositories and a registered vehicle that has reported."""

    image: ImageRepository
    director: Director
    car: TestVehicle
    clock: HandClock
    path: Path

    @property
    def public(self) -> Path:
        """What the Image repository shows the world."""
        return self.image.path / "public"

    def metadata(self, name: str) -> dict[str, Any]:
        """One published file of the Image repository, as JSON."""
        found: dict[str, Any] = json.loads((self.public / "metadata" / name).read_text())
        return found

    def ordered(self, name: str, vehicle: str = VIN) -> dict[str, Any]:
        """One file of the Director for the vehicle, as JSON."""
        data = self.director.metadata(vehicle, name)
        assert data is not None, name
        found: dict[str, Any] = json.loads(data)
        return found


def keyid_of(key: dict[str, Any]) -> str:
    """The key id of a key object, computed here from its three parts."""
    import hashlib

    parts = {name: key[name] for name in ("keytype", "scheme", "keyval")}
    return hashlib.sha256(canonical(parts)).hexdigest()


@contextmanager
def make_site(path: Path) -> Iterator[Site]:
    """Make everything; images by us, and by the supplier ``acme``, who hands ``acme/sub/*`` on to ``sub``."""
    clock = HandClock()
    image = ImageRepository.create(path / "image", clock=clock)
    for name, hardware, counter in IMAGES:
        image.add_image(write(path, name), name, hardware_ids=hardware, release_counter=counter)
    image.publish()
    sub = supplier(path, clock, "sub", "acme/sub/sensor.bin")
    acme = supplier(path, clock, "acme", "acme/lidar.bin")
    keys = [sub.public_key_file]
    acme.delegate("sub", keys=keys, paths=["acme/sub/*"], hardware_ids=["hw-9"], outbox=sub.path / "outbox")
    acme.sign()
    image.delegate("acme", keys=[acme.public_key_file], paths=["acme/*", "acme/*/*"])
    image.accept(acme.path / "outbox")
    image.publish()
    car = TestVehicle(VIN, {"ecu-gw": "gw-1", "ecu-brake": "hw-7"})
    car.install("ecu-gw", "gw/1.3.bin")
    car.install("ecu-brake", "brake/1.0.bin")
    with Director.create(
        path / "director", image_root=image.root_bytes(1), image_url=str(path / "image" / "public"), clock=clock
    ) as director:
        director.register(car.description())
        director.receive_manifest(car.manifest())
        yield Site(image, director, car, clock, path)


def write(path: Path, name: str) -> Path:
    """A file with the TEST bytes of an image."""
    file = path / "files" / name.replace("/", "_")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content(name))
    return file


def supplier(path: Path, clock: HandClock, role: str, image: str) -> SupplierWorkspace:
    """A supplier with one signed image for hw-9."""
    place = SupplierWorkspace.create(path / role, role=role, clock=clock)
    place.add_image(write(path, image), image, hardware_ids=["hw-9"], release_counter=1)
    place.sign()
    return place


def tree(path: Path) -> dict[str, bytes]:
    """Every file below ``path``, by its name there."""
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def copied(site: Site, path: Path) -> Path:
    """A copy of the Image repository's public directory, as a mirror has it."""
    shutil.copytree(site.public, path)
    return path
