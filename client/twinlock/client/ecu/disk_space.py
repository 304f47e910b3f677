"""The state of an ECU that is to run, and the disk space for it, freed by deleting what the next attempt can make again."""

from __future__ import annotations

import shutil
from pathlib import Path

from twinlock.client.ecu.config import DEFAULT_STATE, EcuSettings
from twinlock.client.install.ab_slots import drop_half_written
from twinlock.client.model.errors import ConfigurationError
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


def open_state(config: str | Path, settings: EcuSettings) -> TrustedState:
    """The state of the ECU of ``settings``, read from ``config``, that is to run; with room for it.

    Raises: ConfigurationError if it is the state of another ECU; see ``TrustedState.open``.
    """
    _check_state_exists(settings)
    make_room(settings)
    state = TrustedState.open(settings.state, wires=settings.wires, anchor=settings.anchor, limits=settings.limits)
    try:
        _check_names(config, settings, state)
    except BaseException:
        state.close()
        raise
    return state


def open_to_read(settings: EcuSettings) -> TrustedState:
    """The state of an ECU that may be running, to look at it: nothing is written, and a full disk does not matter.

    Raises: ConfigurationError, StorageError.
    """
    _check_state_exists(settings)
    return TrustedState.open(
        settings.state, wires=settings.wires, anchor=settings.anchor, limits=settings.limits, read_only=True
    )


def _check_state_exists(settings: EcuSettings) -> None:
    """Refuse a state file that the configuration names and that is missing. At its usual place, it was lost."""
    if settings.state == settings.directory / DEFAULT_STATE or settings.state.exists():
        return
    reason = (
        f"names {settings.state}, which does not exist; correct it, or restore that file with the command `recover`"
    )
    raise ConfigurationError(path=str(settings.directory), field="state", reason=reason)


def _check_names(config: str | Path, settings: EcuSettings, state: TrustedState) -> None:
    """Refuse names that were changed since this ECU was made: to its Director, its reports would be another's.

    Raises: ConfigurationError, StorageError.
    """
    names = _own_names(settings)
    made = state.provisioned_as
    if made is None:  # an earlier version of this software made it
        state.store_provisioned_as(names)
        return
    for name, value in names.items():
        if made.get(name, value) != value:
            reason = f"is {value}, but this ECU was made as {made[name]}; restore that, or make another ECU in a new directory"
            raise ConfigurationError(path=str(config), field=name, reason=reason)


def _own_names(settings: EcuSettings) -> dict[str, str]:
    """Who the ECU of ``settings`` is, by member of its configuration."""
    return {"vehicle": settings.vehicle, "ecu": settings.ecu.ecu, "hardwareId": settings.ecu.hardware_id}


def free_bytes(directory: Path) -> int:
    """The free bytes of the file system of ``directory``. Raises: StorageError."""
    with storage_errors("measure", directory):
        return shutil.disk_usage(directory).free
