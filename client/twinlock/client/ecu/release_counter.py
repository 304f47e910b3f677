"""The release counter of what an ECU runs. Its floor rises with each image that ran, and never falls.

=====================  ==========================================================================
an image proves        when
=====================  ==========================================================================
its stated counter     the installer, or the record of its slots, states one for what runs
the begun counter      a crash came after the installation, and the installer states none
the installed counter  the installer has just returned: nothing older may follow
=====================  ==========================================================================

Where nothing is proven, the counter that the stored Director Targets order holds for as long as they do.
Source: Uptane 2.1.0 5.4.3.4 step 5.
"""

from __future__ import annotations

from twinlock.client.install.installer import Installer
from twinlock.client.storage.state import TrustedState
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import DIRECTOR, EcuId


def running_image(ecu: EcuId, installer: Installer, state: TrustedState) -> InstalledImage:
    """What ``ecu`` runs, as verification sees it: with the floor as its release counter. Raises: StorageError.

    Slots that went back, or an old record of them, open no way to the images between.
    """
    image = installer.installed()
    proven = image.release_counter if image.release_counter is not None else _begun_counter(ecu, image, state)
    floor = raise_floor(state, proven)
    return image._replace(release_counter=ordered_counter(ecu, state) if floor is None else floor)


def raise_floor(state: TrustedState, *proven: int | None) -> int | None:
    """Raise the floor to the highest counter that is ``proven``; returns the floor, None if no image ever stated a counter.

    Raises: StorageError.
    """
    floor = state.release_counter
    for counter in proven:
        if counter is not None and (floor is None or floor < counter):
            floor = counter
    if floor is not None and floor != state.release_counter:
        state.store_release_counter(floor)
    return floor


def ordered_counter(ecu: EcuId, state: TrustedState) -> int | None:
    """The highest release counter that the stored Director Targets order for ``ecu``; None if they order none. Raises: StorageError."""
    targets = state.repository(DIRECTOR).targets
    entries = () if targets is None else targets.signed.images.values()
    counters = [entry.release_counter for entry in entries if ecu in entry.ecus]
    return max((counter for counter in counters if counter is not None), default=None)


def _begun_counter(ecu: EcuId, image: InstalledImage, state: TrustedState) -> int | None:
    """The counter of the image that was begun on ``ecu``, if it is what runs."""
    begun = None if state.begun is None else state.begun.images.get(ecu)
    return begun.release_counter if begun is not None and _holds_bytes_of(image, begun) else None


def _holds_bytes_of(image: InstalledImage, entry: ImageEntry) -> bool:
    common = image.hashes.keys() & entry.hashes.keys()
    return bool(common) and all(image.hashes[name] == entry.hashes[name] for name in common)
