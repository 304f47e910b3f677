"""A provisioned vehicle of one ECU, and the gateway software under test that drives it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from twinlock.client.ecu.provision import EcuPlan, KnownRepositories, provision_primary
from twinlock.client.primary.primary import Primary

if TYPE_CHECKING:
    from pathlib import Path

    from twinlock.client.install.installer import Installer, Precondition
    from twinlock.client.model.results import CycleResult
    from twinlock.testing.repositories import Repositories
    from twinlock.trust.model.ecu import InstalledImage

# Short waits: a server of a test bench that is silent for a second is an attack.
FETCH = {"windowSeconds": 1.5, "deadlineSeconds": 20, "connectSeconds": 5, "attempts": 2, "backoffSeconds": 0.01}


class TestVehicle:
    """A vehicle in ``directory``, provisioned with both Roots of ``repositories``; its Primary is the only ECU.

    ``installer`` and ``precondition`` are your gateway's, as ``Primary.open`` takes them; set them at any time.
    ``config`` is the path of ``primary.json``, for a gateway that runs in a process of its own.
    """

    __test__ = False  # not a class of tests, though pytest would take it for one by its name

    def __init__(
        self,
        repositories: Repositories,
        directory: str | Path,
        *,
        installer: Installer | None = None,
        precondition: Precondition | None = None,
    ) -> None:
        self.repositories = repositories
        self.installer = installer
        self.precondition = precondition
        known = KnownRepositories(
            director_root=repositories.director_root,
            image_root=repositories.image_root,
            director_url=repositories.director_url,
            image_url=repositories.image_url,
        )
        plan = EcuPlan(vehicle=repositories.vehicle, ecu=repositories.ecu, hardware_id=repositories.hardware_id)
        self.config: Path = provision_primary(directory, plan, known, fetch=FETCH)

    def open(self) -> Primary:
        """The Primary on the test bench's clock; the caller closes it."""
        return Primary.open(
            self.config,
            wall=self.repositories.clock,
            installer=self.installer,
            precondition=self.precondition,
        )

    def update(self) -> CycleResult:
        """Start the Primary, run one update cycle and close it: every cycle includes a restart."""
        return asyncio.run(self._update())

    def installed(self) -> InstalledImage:
        """The image that the ECU runs, as the installer reads it."""

        async def look() -> InstalledImage:
            async with self.open() as primary:
                (image,) = (await asyncio.to_thread(primary.installed)).values()
                return image

        return asyncio.run(look())

    async def _update(self) -> CycleResult:
        async with self.open() as primary:
            return await primary.update_cycle()
