"""Both repositories of a test bench and the Director's time service, served on a real socket."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from twinlock.testing.background import Background
from twinlock.testing.clock import BenchClock
from twinlock.testing.servers import Servers
from twinlock.testing.simulator.world import GATEWAY, VIN, World

if TYPE_CHECKING:
    from twinlock.trust.wire.tuf.reports import UnverifiedManifest


class Repositories:
    """An Image repository and a Director that publish for one vehicle with one ECU. Release 1 is out from the start.

    They run in this process until ``close``; every signature is real, every key is a TEST key. ``start`` is the first time
    of ``clock`` (UTC); by default it is now, so that a vehicle in a process of its own agrees.
    """

    vehicle: str = VIN
    ecu: str = GATEWAY.ecu
    hardware_id: str = GATEWAY.hardware_id

    def __init__(self, start: datetime | None = None) -> None:
        begin = (start or datetime.now(UTC)).replace(microsecond=0)
        self.world: World = World(parts=(GATEWAY,), start=begin)
        self.clock: BenchClock = BenchClock(self.world)
        self.servers: Servers = Servers(self.world)
        self._background = Background(self.servers.application())
        self.servers.base = self._background.url

    @property
    def director_url(self) -> str:
        """The Director's address for this vehicle."""
        return self.servers.director_url

    @property
    def image_url(self) -> str:
        """The Image repository's address."""
        return self.servers.image_url

    @property
    def time_url(self) -> str:
        """The time service's address."""
        return self.servers.time_url

    @property
    def director_root(self) -> bytes:
        """The Director's first Root, for provisioning."""
        return self.world.director.files["1.root.json"]

    @property
    def image_root(self) -> bytes:
        """The Image repository's first Root, for provisioning."""
        return self.world.image.files["1.root.json"]

    @property
    def manifests(self) -> tuple[UnverifiedManifest, ...]:
        """What the vehicle reported to the Director, oldest first."""
        return tuple(self.servers.manifests)

    def release(self) -> str:
        """Publish the next release of the ECU's image and assign it to the vehicle; returns the image's name."""
        return GATEWAY.path(self.world.release())

    def image(self, release: int) -> bytes:
        """The bytes of a release's image."""
        return GATEWAY.image(release)

    def sign_again(self) -> None:
        """Sign every role again with a full lifetime from ``clock``, as a server does before metadata expire."""
        self.world.refresh_all()

    def close(self) -> None:
        """Stop serving."""
        self._background.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
