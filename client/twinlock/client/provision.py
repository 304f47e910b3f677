"""Making an ECU: its directory, key, trusted Roots, first image and configuration file.

Source: Uptane 2.1.0 5.4.1 (what has to be on an ECU when it is made or fitted).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def provision_primary(
    directory: Path,
    *,
    vehicle: str,
    ecu: str,
    hardware_id: str,
    director_url: str,
    image_url: str,
    director_root: bytes,
    image_root: bytes,
    secondaries: Sequence[Mapping[str, Any]] = (),
    key_type: str = "ed25519",
    time: Mapping[str, Any] | None = None,
    fetch: Mapping[str, Any] | None = None,
    factory_image: tuple[str, Path] | None = None,
) -> Path:
    """Make a Primary in ``directory`` and return its configuration file, ``directory/primary.json``.

    ``director_url`` is this vehicle's own (``<D>/vehicles/<vehicle>``); ``secondaries`` are the descriptions that
    ``provision_secondary`` returns. ``factory_image`` is (path, file) of what the ECU runs at first; by default an
    empty image named ``factory``.
    """
    raise NotImplementedError


def provision_secondary(
    directory: Path,
    *,
    vehicle: str,
    ecu: str,
    hardware_id: str,
    verification: str,
    listen: str,
    director_root: bytes,
    image_root: bytes | None = None,
    director_url: str = "",
    image_url: str = "",
    key_type: str = "ed25519",
    time: Mapping[str, Any] | None = None,
    factory_image: tuple[str, Path] | None = None,
) -> dict[str, Any]:
    """Make a Secondary in ``directory`` (configuration: ``directory/secondary.json``); returns its description.

    ``image_root`` is needed for full verification. ``listen`` is ``http://127.0.0.1:PORT`` or ``unix:PATH``.
    """
    raise NotImplementedError
