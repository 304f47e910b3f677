"""Fixtures of the Director's tests: an Image site, a Director that trusts it, a registered vehicle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.director.aktualizr_vehicle import AktualizrVehicle
from tests.unit.director.world import FACTORY, NOW, ImageSite, TestVehicle
from twinlock.director.director import Director
from twinlock.director.model.settings import Settings


@pytest.fixture
def site(tmp_path: Path) -> ImageSite:
    """Two components: a gateway on gw-1 in 1.3 and 1.4, and brakes on hw-7, of which 2.0 needs the newer gateway."""
    site = ImageSite(tmp_path / "image")
    site.add(FACTORY, hardware=["gw-1", "hw-7"], counter=0)
    site.add("gw/1.3.bin", hardware=["gw-1"], counter=13, name="gateway", version="1.3")
    site.add("gw/1.4.bin", hardware=["gw-1"], counter=14, name="gateway", version="1.4")
    site.add("brake/1.0.bin", hardware=["hw-7"], counter=1, name="brake", version="1.0")
    site.add(
        "brake/2.0.bin", hardware=["hw-7"], counter=2, name="brake", version="2.0", dependencies={"gateway": ">=1.4"}
    )
    site.publish()
    return site


@pytest.fixture
def director(tmp_path: Path, site: ImageSite) -> Iterator[Director]:
    with Director.create(
        tmp_path / "director", image_root=site.root, image_url=str(site.path), clock=lambda: NOW
    ) as director:
        yield director


@pytest.fixture
def car() -> TestVehicle:
    car = TestVehicle("VIN1", {"ecu-gw": "gw-1", "ecu-brake": "hw-7"})
    car.install("ecu-gw", "gw/1.3.bin")
    car.install("ecu-brake", "brake/1.0.bin")
    return car


@pytest.fixture
def fleet(director: Director, car: TestVehicle) -> Director:
    """The Director with ``car`` registered and reported."""
    director.register(car.description())
    director.receive_manifest(car.manifest())
    return director


@pytest.fixture
def wired(tmp_path: Path, site: ImageSite) -> Iterator[Director]:
    """A Director for vehicles of both profiles."""
    with Director.create(
        tmp_path / "wired",
        image_root=site.root,
        image_url=str(site.path),
        settings=Settings(wires=("tuf", "aktualizr")),
        clock=lambda: NOW,
    ) as director:
        yield director


@pytest.fixture
def van(wired: Director) -> AktualizrVehicle:
    """A vehicle that runs aktualizr, registered at ``wired``, with its first manifest: nothing is installed."""
    van = AktualizrVehicle()
    van.register(wired)
    wired.receive_manifest(van.manifest(), vehicle=van.vin)
    return van
