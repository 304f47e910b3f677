"""The whole world: two repositories, one vehicle, one clock, and a line of releases that honest people publish.

The Image repository lists the gateway's and the driver assistance's images itself and leaves ``brake/*`` to the
supplier ``acme``, so that every update passes through a delegated role.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from twinlock.testing.simulator.director import DirectorSimulator
from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.vehicle import VehicleSimulator
from twinlock.testing.simulator.wires import WIRES
from twinlock.trust.state.trusted import Decision

VIN = "TESTVIN0000000001"
OTHER_VIN = "TESTVIN0000000002"
START = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Part:
    """One ECU of the TEST vehicle and the line of images it gets; ``role`` lists them."""

    ecu: str
    hardware_id: str
    folder: str
    role: str = "targets"

    def path(self, release: int) -> str:
        """The image name of a release."""
        return f"{self.folder}/{self.folder}-{release}.bin"

    def image(self, release: int) -> bytes:
        """The image of a release: a few hundred bytes that name themselves."""
        return f"TEST image {self.path(release)} for {self.hardware_id}\n".encode() * 8


GATEWAY = Part("ecu-gw", "gw-1", "gateway")
BRAKE = Part("ecu-brake", "brake-7", "brake", role="acme")
ADAS = Part("ecu-adas", "adas-3", "adas")
PARTS = (GATEWAY, BRAKE, ADAS)


class World:
    """Starts with release 1 published and ordered, and a vehicle that has seen nothing but the factory Roots.

    ``director`` and ``image`` name the form in which each repository publishes (``WIRES``). ``parts`` are the ECUs of
    the vehicle, ``start`` is the first time of the clock (UTC, whole seconds).
    """

    def __init__(
        self,
        *,
        director: str = "tuf",
        image: str = "tuf",
        parts: tuple[Part, ...] = PARTS,
        start: datetime | None = None,
    ) -> None:
        self.now: datetime = START if start is None else start
        self.parts = parts
        self.keys: KeyPool = KeyPool()
        self.image: RepositorySimulator = RepositorySimulator("image", self.keys, self.time, wire=WIRES[image])
        self.director: DirectorSimulator = DirectorSimulator(self.keys, self.time, VIN, wire=WIRES[director])
        self.repositories: dict[str, RepositorySimulator] = {"director": self.director, "image": self.image}
        ecus = {part.ecu: part.hardware_id for part in parts}
        self.vehicle: VehicleSimulator = VehicleSimulator(VIN, ecus, self.repositories, self.time)
        self.image.delegate("targets", "acme", ["brake/*"], hardwareIds=[BRAKE.hardware_id])
        self.releases: int = 0
        self.release()

    def time(self) -> datetime:
        """The one clock of this world."""
        return self.now

    def pass_time(self, **by: float) -> None:
        """Turn the clock, by the arguments of ``timedelta``."""
        self.now += timedelta(**by)

    def list_release(self, release: int, parts: tuple[Part, ...] | None = None, *, counter: int | None = None) -> None:
        """List a release's images in the Image repository's roles, unpublished."""
        for part in self.parts if parts is None else parts:
            self.image.add_image(
                part.path(release),
                part.image(release),
                role=part.role,
                mustAgree={"hardwareIds": [part.hardware_id], "releaseCounter": counter or release},
                name=part.folder,
                version=f"{release}.0",
            )

    def order_release(self, release: int, parts: tuple[Part, ...] | None = None) -> None:
        """Order a listed release at the Director, unpublished."""
        for part in self.parts if parts is None else parts:
            listed = self.image.bodies[part.role]["targets"][part.path(release)]
            self.director.order(part.ecu, part.hardware_id, part.path(release), listed)
        self.director.bodies["targets"]["custom"]["correlationId"] = f"urn:test:{release}"

    def release(self) -> int:
        """Honest people publish the next release of every image at both repositories; returns its number."""
        self.releases += 1
        self.list_release(self.releases)
        self.image.publish("targets", "acme")
        self.order_release(self.releases)
        self.director.publish("targets")
        return self.releases

    def refresh_all(self) -> None:
        """Honest people sign everything again, without new images."""
        self.image.publish("targets", "acme")
        self.director.publish("targets")

    def update(self) -> Decision:
        """One honest cycle: verify and install."""
        decision = self.vehicle.update()
        self.vehicle.install(decision)
        return decision

    @contextmanager
    def attack(self) -> Iterator[None]:
        """Whatever is done to the repositories inside is undone on leaving. Time that has passed has passed."""
        with ExitStack() as stack:
            for repository in self.repositories.values():
                stack.enter_context(repository.forgery())
            try:
                yield
            finally:
                self.vehicle.servers = dict(self.repositories)
