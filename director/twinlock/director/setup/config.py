"""The configuration of a Director: ``config.json`` in its directory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from twinlock.director.errors.operator import NoDirectorError, SettingError
from twinlock.director.model.records import TUF_PROFILE
from twinlock.director.model.settings import Settings
from twinlock.io.files.durable import create_file, read_file, replace_file
from twinlock.repository.workspace.validity import Periods
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import NewerStateError, StorageError

FORMAT = 3  # 3: keys for stranded vehicles; 2: the wire profiles
_PLAIN_FORMAT = 2  # without keys for stranded vehicles, so that an earlier version can read it
CONFIG = "config.json"
_MAX_BYTES = 65_536
_TYPES = {int: "a whole number", bool: "true or false", str: "a text"}


def write_config(directory: Path, settings: Settings) -> None:
    """Write the configuration of a new Director; an existing one is kept. Raises: StorageError."""
    create_file(directory / CONFIG, _encode(settings), max_bytes=_MAX_BYTES)


def replace_config(directory: Path, settings: Settings) -> None:
    """Put other settings in place of those of a Director. Raises: StorageError; the old ones then remain in force."""
    replace_file(directory / CONFIG, _encode(settings), max_bytes=_MAX_BYTES)


def _check_types(path: Path, body: Mapping[str, Any]) -> None:
    """Each setting that was written has the type of its default; "false" in quotes is not false. Raises: UsageError."""
    for item in fields(Settings):
        default = item.default
        if item.name in body and default is not MISSING and type(body[item.name]) is not type(default):
            wanted = _TYPES.get(type(default), type(default).__name__)
            raise SettingError(
                setting=item.name, reason=f"has to be {wanted}, not {json.dumps(body[item.name])} (in {path})"
            )


def _encode(settings: Settings) -> bytes:
    return (
        json.dumps({"format": FORMAT if settings.stranded else _PLAIN_FORMAT, **settings.as_json()}, indent=2).encode()
        + b"\n"
    )


def read_config(directory: Path) -> Settings:
    """Read the configuration. Raises: UsageError if there is none, NewerStateError, StorageError."""
    path = directory / CONFIG
    data = read_file(path, max_bytes=_MAX_BYTES)
    if data is None:
        raise NoDirectorError(path=str(directory))
    try:
        body = json.loads(data)
        version = int(body.pop("format"))
        if version > FORMAT:
            reason = "a newer version wrote it"
            raise NewerStateError(path=str(path), operation="read", reason=reason, found=version, supported=FORMAT)
        wires = tuple(body.pop("wires", (TUF_PROFILE,)))
        stranded = tuple(body.pop("stranded", ()))
        periods = Periods.from_json(body.pop("periods", {}))
        _check_types(path, body)
        unknown = body.keys() - {item.name for item in fields(Settings)}
        if unknown and "image_url" in body:
            raise SettingError(setting=min(unknown), reason=f"is unknown; correct its name in {path}, or remove it")
        return Settings(**{**body, "periods": periods, "wires": wires, "stranded": stranded})
    except TypeError:
        reason = f"{path} is not the configuration of a Director, perhaps that of an Image repository; name another directory"
        raise UsageError(reason=reason) from None
    except (ValueError, KeyError, AttributeError) as error:
        raise StorageError(
            path=str(path), operation="read", reason=f"the file is not a configuration ({error})"
        ) from None
