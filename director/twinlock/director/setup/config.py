"""The configuration of a Director: ``config.json`` in its directory."""

from __future__ import annotations

from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any, get_type_hints

from msgspec import UNSET, UnsetType, defstruct

from twinlock.director.errors.operator import NoDirectorError, SettingError
from twinlock.director.model.settings import Settings
from twinlock.io.files.durable import create_file, replace_file
from twinlock.io.files.operator_files import find_operator_file
from twinlock.io.files.records import (
    MemberError,
    Record,
    check_format,
    parse_record,
    record_bytes,
    records_of_operators,
    to_record,
)
from twinlock.repository.errors import ConfigMemberError
from twinlock.repository.workspace.validity import Validity
from twinlock.trust.errors.base import UsageError

FORMAT = 3  # 3: keys for stranded vehicles; 2: the wire profiles
_PLAIN_FORMAT = 2  # without keys for stranded vehicles, so that an earlier version can read it
CONFIG = "config.json"
_MAX_BYTES = 65_536

# The file has a member for each setting, under its own name; one that is left out has its default.
_KINDS = get_type_hints(Settings) | {"periods": Validity, "stranded_until": date}
_MEMBERS = [(item.name, _KINDS[item.name] | UnsetType, UNSET) for item in fields(Settings)]
_Config = defstruct("_Config", [("format", int), *_MEMBERS], bases=(Record,), frozen=True, kw_only=True, rename="lower")


def write_config(directory: Path, settings: Settings) -> None:
    """Write the configuration of a new Director; an existing one is kept. Raises: StorageError."""
    create_file(directory / CONFIG, _encode(settings), max_bytes=_MAX_BYTES)


def replace_config(directory: Path, settings: Settings) -> None:
    """Put other settings in place of those of a Director. Raises: StorageError; the old ones then remain in force."""
    replace_file(directory / CONFIG, _encode(settings), max_bytes=_MAX_BYTES)


def _encode(settings: Settings) -> bytes:
    values = {item.name: getattr(settings, item.name) for item in fields(Settings)}
    values |= {"format": _PLAIN_FORMAT, "periods": Validity.of(settings.periods)}
    if settings.stranded:
        values |= {"format": FORMAT, "stranded_until": date.fromisoformat(settings.stranded_until)}
    else:
        values |= {"stranded": UNSET, "stranded_until": UNSET}
    return record_bytes(_Config(**values))


def read_config(directory: Path) -> Settings:
    """Read the configuration. Raises: UsageError if there is none, or for a member at fault; NewerStateError, OperatorFileError."""
    path = directory / CONFIG
    data = find_operator_file(path, "the configuration", _MAX_BYTES)
    if data is None:
        raise NoDirectorError(path=str(directory))
    with records_of_operators():
        return _decode(data, path)


def _decode(data: bytes, path: Path) -> Settings:
    body = parse_record(data, str(path))
    check_format(body, str(path), newest=FORMAT)
    try:
        return _settings(to_record(body, str(path), _Config))
    except MemberError as error:
        if "image_url" not in body:
            reason = f"{path} is not the configuration of a Director, perhaps that of an Image repository; name another directory"
            raise UsageError(reason=reason) from None
        if error.member.startswith("periods"):  # the part that an Image repository has too
            raise ConfigMemberError(path=error.path, member=error.member, reason=error.reason) from None
        raise SettingError(setting=error.member, reason=f"{error.reason} (in {path})") from None
    except SettingError as error:
        raise SettingError(setting=error.setting, reason=f"{error.reason} (in {path})") from None


def _settings(record: Any) -> Settings:
    default = Settings()
    values = {item.name: getattr(record, item.name) for item in fields(Settings)}
    given = {name: value for name, value in values.items() if value is not UNSET}
    if "periods" in given:
        given["periods"] = given["periods"].periods(default.periods)
    if "stranded_until" in given:
        given["stranded_until"] = given["stranded_until"].isoformat()
    return Settings(**given)
