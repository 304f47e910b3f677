"""Disk space of an ECU: reserved for its state, and freed by deleting what the next attempt can make again."""

from __future__ import annotations

import shutil
from pathlib import Path

from twinlock.client.ecu.config import EcuSettings
from twinlock.client.install.ab_slots import drop_half_written
from twinlock.client.storage.staging import RESERVE_BYTES, drop_staged
from twinlock.client.storage.state import TrustedState
from twinlock.io.files.durable import storage_errors


def make_room(settings: EcuSettings) -> bool:
    """Delete staged images and a half-written slot if the disk is too full for the state; returns whether it was.

    An ECU that cannot store a counter cannot report, and so its Director could not even withdraw the order that filled the disk.
    Raises: StorageError.
    """
    if free_bytes(settings.state.parent) >= RESERVE_BYTES:
        return False
    drop_staged(settings.staging)
    drop_half_written(settings.slots, settings.ecu.ecu)
    return True


def open_state(settings: EcuSettings) -> TrustedState:
    """The state of an ECU that is to run, with room for it. Raises: see ``TrustedState.open``."""
    make_room(settings)
    return TrustedState.open(settings.state, wires=settings.wires, anchor=settings.anchor, limits=settings.limits)


def free_bytes(directory: Path) -> int:
    """The free bytes of the file system of ``directory``. Raises: StorageError."""
    with storage_errors("measure", directory):
        return shutil.disk_usage(directory).free
