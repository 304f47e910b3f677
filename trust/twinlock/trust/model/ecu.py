"""An ECU and the image that it runs, as verification sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from twinlock.trust.names import EcuId, HardwareId, TargetPath


class InstalledImage(NamedTuple):
    """What an ECU runs now. ``release_counter`` is None where its entry gave none."""

    path: TargetPath
    length: int
    hashes: Mapping[str, str]
    release_counter: int | None = None


class Ecu(NamedTuple):
    """One ECU of this vehicle. ``accepts`` are the patterns of image names it takes; empty means any.

    ``formats`` are the kinds of images that it installs (``model/target_format.py``): files, unless something else is known.
    """

    ecu: EcuId
    hardware_id: HardwareId
    accepts: tuple[str, ...] = ()
    formats: tuple[str, ...] = ("file",)
