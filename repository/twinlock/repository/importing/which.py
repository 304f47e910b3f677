"""Which of the two repositories a directory of old files belongs to, by what its Targets state.

Only a Director names ECUs in Targets; only an Image repository states hardware ids for an image, and delegates.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twinlock.io.files.operator_files import find_operator_file
from twinlock.repository.errors import WrongRepositoryError
from twinlock.trust.limits import DEFAULT_LIMITS

OLD_DIRECTOR = "a Director"
OLD_IMAGE = "an Image repository"
_TARGETS = "targets.json"


def check_old_director(path: Path) -> None:
    """Check that ``targets.json`` in ``path``, if it is there and can be read, is not an Image repository's.

    Raises: WrongRepositoryError, StorageError.
    """
    signed = _read(path)
    customs = _customs(signed)
    if any(custom.get("ecuIdentifiers") for custom in customs.values()):
        return
    image = next((name for name, custom in customs.items() if custom.get("hardwareIds")), None)
    if signed.get("delegations"):
        raise _wrong(path, OLD_IMAGE, "delegates")
    if image is not None:
        raise _wrong(path, OLD_IMAGE, f"states hardwareIds for {image} and no ecuIdentifiers")


def check_old_image_repository(path: Path) -> None:
    """Check that ``targets.json`` in ``path`` is not a Director's. Raises: as ``check_old_director``."""
    for name, custom in _customs(_read(path)).items():
        if custom.get("ecuIdentifiers"):
            raise _wrong(path, OLD_DIRECTOR, f"states ecuIdentifiers for {name}")


def _wrong(path: Path, found: str, states: str) -> WrongRepositoryError:
    wanted = OLD_IMAGE if found == OLD_DIRECTOR else OLD_DIRECTOR
    return WrongRepositoryError(path=str(path), found=found, wanted=wanted, reason=f"its {_TARGETS} {states}")


def _read(path: Path) -> Mapping[str, Any]:
    """What the file signs; empty where it is absent or is not Targets, which is refused where it is needed."""
    data = find_operator_file(path / _TARGETS, "metadata", DEFAULT_LIMITS.targets_bytes)
    try:
        signed = json.loads(data or b"{}")["signed"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return {}
    return signed if isinstance(signed, dict) else {}


def _customs(signed: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    entries = signed.get("targets")
    found = (
        {name: entry.get("custom") for name, entry in entries.items() if isinstance(entry, dict)}
        if isinstance(entries, dict)
        else {}
    )
    return {name: custom for name, custom in found.items() if isinstance(custom, dict)}
