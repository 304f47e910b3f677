"""What an ECU runs, as verification sees it: with a release counter never lower than the proven one."""

from __future__ import annotations

from twinlock.client.install.installer import Installer
from twinlock.client.storage.state import TrustedState
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.targets import ImageEntry, Targets
from twinlock.trust.names import DIRECTOR, EcuId


def running_image(ecu: EcuId, installer: Installer, state: TrustedState) -> InstalledImage:
    """What ``ecu`` runs. Where its installer has no release counter, the floor of this ECU holds; see ``counter_floor``.

    Raises: StorageError. Source: Uptane 2.1.0 5.4.3.4 step 5.
    """
    image = installer.installed()
    if image.release_counter is None:
        begun = None if state.begun is None else state.begun.images.get(ecu)
        if begun is not None and _holds_bytes_of(image, begun):  # a crash came between installation and its record
            raise_counter(begun, state)
        return image._replace(release_counter=counter_floor(ecu, state))
    floor = state.release_counter
    if floor is None or floor < image.release_counter:
        state.store_release_counter(image.release_counter)
        return image
    # Slots that went back, or an old record of them, open no way to the images between.
    return image._replace(release_counter=floor)


def raise_counter(entry: ImageEntry, state: TrustedState) -> None:
    """``entry`` is installed: nothing older may follow it, whatever its installer can read back. Raises: StorageError."""
    counter, floor = entry.release_counter, state.release_counter
    if counter is not None and (floor is None or floor < counter):
        state.store_release_counter(counter)


def counter_floor(ecu: EcuId, state: TrustedState) -> int | None:
    """The release counter of the image that ``ecu`` installed last, or had when it was made; None if none was ever stated.

    Where the state has lost it, the counter that the stored Director Targets order for ``ecu`` holds.
    """
    if state.release_counter is not None:
        return state.release_counter
    targets = state.repository(DIRECTOR).targets
    return None if targets is None else _ordered_counter(ecu, targets.signed)


def _holds_bytes_of(image: InstalledImage, entry: ImageEntry) -> bool:
    common = image.hashes.keys() & entry.hashes.keys()
    return bool(common) and all(image.hashes[name] == entry.hashes[name] for name in common)


def _ordered_counter(ecu: EcuId, targets: Targets) -> int | None:
    counters = [entry.release_counter for entry in targets.images.values() if ecu in entry.ecus]
    return max((counter for counter in counters if counter is not None), default=None)
