"""What the clients of a wire profile can and cannot do, as far as judging their manifests and planning for them depend on it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol

from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.target_format import FILE
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import HardwareId, RoleName, TargetPath

if TYPE_CHECKING:
    from twinlock.director.model.plan import PlanInputs, PlannedTargets

_NO_IMAGE = "unknown"  # what our own client reports before an ECU's first image


class ImageListing(Protocol):
    """What the Image repository lists, verified. Each method raises TransportError and StorageError."""

    def find(self, path: TargetPath, hardware_id: HardwareId) -> ImageEntry | None:
        """The entry of an image for some hardware; None if none is listed. Raises: RefusalError."""

    def chain(self, path: TargetPath, hardware_id: HardwareId) -> tuple[RoleName, ...]:
        """The roles that lead to the entry, from top-level Targets on. Raises: RefusalError."""

    def count(self, hardware_id: HardwareId) -> int:
        """How many names of images are listed for ``hardware_id``."""

    def offers(
        self, hardware_id: HardwareId, components: Container[str | None] | None = None
    ) -> tuple[ImageEntry, ...]:
        """Every image that is properly listed for ``hardware_id``; only those of ``components`` if given."""

    def mentions(self, hardware_ids: Iterable[HardwareId]) -> Mapping[str, frozenset[str]]:
        """For each component on this hardware, the components that some image of it needs or conflicts with."""


class Client:
    """A client that does all that the Standard asks for, as ours does. Another profile's class states where its clients differ.

    ``formats`` are those of the images that may be ordered. ``reads_addresses``: it fetches an image from the host that the
    image's entry names. ``echoes_nonces``: its reports carry the nonce with which a counter may start again.
    ``may_lack_time``: its reports may state that the ECU knows no time. ``forgets_withdrawn``: an empty list withdraws
    every order.
    """

    formats: ClassVar[tuple[str, ...]] = (FILE,)
    reads_addresses: ClassVar[bool] = False
    echoes_nonces: ClassVar[bool] = True
    may_lack_time: ClassVar[bool] = False
    forgets_withdrawn: ClassVar[bool] = True

    def reports_no_image(self, installed: InstalledImage) -> bool:
        """Whether a report states that the ECU has no image that it knows of."""
        return installed.path == _NO_IMAGE and installed.length == 0

    def format_without_length(self) -> str:
        """The format of an installed image of no length."""
        return FILE

    def obstacles(self, inputs: PlanInputs, planned: PlannedTargets, listing: ImageListing) -> tuple[str, ...]:
        """Sentences, one for each reason why this client could not carry out a plan; none where it can.

        Raises: RefusalError, TransportError, StorageError of the Image repository.
        """
        return ()

    def with_notes(self, inputs: PlanInputs, planned: PlannedTargets, listing: ImageListing) -> PlannedTargets:
        """``planned`` with what the operator has to know of its orders, among the reasons."""
        return planned

    def list_installed(
        self,
        inputs: PlanInputs,
        planned: PlannedTargets,
        listing: ImageListing | None,
    ) -> PlannedTargets:
        """``planned``, or what this client needs in place of an empty list to withdraw its orders."""
        return planned


OUR_CLIENT = Client()
