"""The Secondaries of a Primary, changed in the workshop: a part added, replaced, re-keyed, moved or removed.

The Director's operator registers the change there; see *A vehicle that is stuck at the Director* in ``docs/operations.md``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from twinlock.client.ecu.config import load_primary
from twinlock.client.ecu.reports import check_reporting_key
from twinlock.client.model.errors import ConfigurationError, KnownSecondaryError, UnknownSecondaryError
from twinlock.client.storage.database import take_lock
from twinlock.io.files.durable import clean_stale, replace_file, storage_errors
from twinlock.io.files.operator_files import read_json_object
from twinlock.trust.errors.base import UsageError

T = TypeVar("T")


def configure_secondary(
    config: Path,
    description: Mapping[str, Any],
    *,
    replaces: str | None = None,
    new: bool = False,
    source: str = "the description",
) -> str | None:
    """Add the Secondary of ``description`` to ``config``, a ``primary.json``; returns the ECU that it replaces, if any.

    It replaces the one with its id. With another id it replaces ``replaces``, or is added if ``new``. ``source`` is what an
    error calls the description, such as its file.
    Raises: KnownSecondaryError, UnknownSecondaryError; ConfigurationError for a description that is not sound; ProfileError for a key whose
    reports the Director cannot read; ConflictError while the Primary runs; StorageError. The file is then as it was.
    """
    ecu = description.get("ecu")
    if not isinstance(ecu, str):
        reason = "is missing; give what `twinlock secondary describe` printed"
        raise ConfigurationError(path=source, field="ecu", reason=reason)
    if new and replaces is not None:
        raise UsageError(reason="a part either replaces another or is new, not both")

    def change(listed: list[dict[str, Any]]) -> str | None:
        place = ecu if replaces is None else replaces
        number = _number(listed, place)
        if new == (number is not None):
            raise (KnownSecondaryError if new else UnknownSecondaryError)(ecu=str(place))
        if number is None:
            listed.append(dict(description))
            return None
        listed[number] = {**_kept(listed[number]), **description}
        return str(place)

    try:
        return _changed(config, change)
    except ConfigurationError as error:
        number, _, member = error.field.removeprefix("secondaries[").partition("].")
        listed = read_json_object(config, "the configuration").get("secondaries", [])
        place = _number(listed, ecu if replaces is None else replaces)
        if not member or number != str(len(listed) if place is None else place):
            raise
        raise ConfigurationError(path=source, field=member, reason=error.reason) from error


def remove_secondary(config: Path, ecu: str) -> None:
    """Remove ``ecu`` from ``config``, a ``primary.json``. Raises: UnknownSecondaryError, ConflictError, StorageError."""

    def change(listed: list[dict[str, Any]]) -> None:
        number = _number(listed, ecu)
        if number is None:
            raise UnknownSecondaryError(ecu=ecu)
        del listed[number]

    _changed(config, change)


def _kept(old: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of an operator that no description states."""
    return {"accepts": old["accepts"]} if "accepts" in old else {}


def _number(listed: list[dict[str, Any]], ecu: object) -> int | None:
    return next((number for number, item in enumerate(listed) if item.get("ecu") == ecu), None)


def _changed(config: Path, change: Callable[[list[dict[str, Any]]], T]) -> T:
    lock = take_lock(load_primary(config).state)
    try:
        values = read_json_object(config, "the configuration")
        result = change(values.setdefault("secondaries", []))
        data = json.dumps(values, indent=2, ensure_ascii=False).encode() + b"\n"
        _check(config, data)
        clean_stale(config.parent)
        replace_file(config, data)
        return result
    finally:
        os.close(lock)


def _check(config: Path, data: bytes) -> None:
    """Check the new file, before it is in place, as the Primary will read it. Raises: ConfigurationError, ProfileError, StorageError."""
    draft = config.with_name(f".{config.name}.draft")
    with storage_errors("write", draft):
        draft.write_bytes(data)
    try:
        loaded = load_primary(draft)
        for item in loaded.secondaries:
            check_reporting_key(loaded.wires, item.key)
    except ConfigurationError as error:
        raise ConfigurationError(path=str(config), field=error.field, reason=error.reason) from error
    finally:
        draft.unlink(missing_ok=True)
