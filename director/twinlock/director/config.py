"""The configuration of a Director: ``config.json`` in its directory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from twinlock.director.errors.operator import NoDirectorError, SettingError
from twinlock.director.model.judgement import ManifestPolicy
from twinlock.director.model.records import PROFILES, TUF_PROFILE
from twinlock.io.files.durable import create_file, read_file, replace_file
from twinlock.repository.workspace.validity import Periods
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import NewerStateError, StorageError
from twinlock.trust.limits import DEFAULT_LIMITS

FORMAT = 3  # 3: keys for stranded vehicles; 2: the wire profiles
_PLAIN_FORMAT = 2  # of a Director that an earlier version can go on with
_HAND_OVER = ("stranded", "stranded_until")
CONFIG = "config.json"
_MAX_BYTES = 65_536
_DAY = timedelta(days=1)
_TYPES = {int: "a whole number", bool: "true or false", str: "a text"}


def _vehicle_periods() -> Periods:
    return Periods(root=timedelta(days=365), targets=_DAY, snapshot=_DAY, timestamp=_DAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a Director works. Durations ending in ``_s`` are seconds.

    Metadata of a vehicle is signed again when less than ``renew_before_s`` of its validity is left. A view of the Image
    repository counts as current for ``catalogue_max_age_s``. ``wires`` are the profiles that Roots are published in.
    With ``second_person`` a change of an ECU's key needs the word of a second person. Accepted manifests are kept for
    ``history_days`` days at least (0: forever); ``twinlock director prune`` deletes older ones.
    ``manifest_bytes_per_day`` is the share of each vehicle's manifests (``manifests/daily_share.py``).
    ``stranded`` are the ids of the Root keys that the aktualizr chain was handed over from; until the day
    ``stranded_until`` they sign its Roots too, for vehicles that follow nothing else.
    """

    image_url: str = ""
    database: str = "sqlite:///inventory.sqlite"
    offline_keys: str = "keys/offline"
    online_keys: str = "keys/online"
    periods: Periods = field(default_factory=_vehicle_periods)
    renew_before_s: int = 21_600
    catalogue_max_age_s: int = 60
    report_future_s: int = 300
    report_past_s: int = 2_592_000
    wires: tuple[str, ...] = (TUF_PROFILE,)
    second_person: bool = False
    history_days: int = 0
    manifest_bytes_per_day: int = 64 << 20
    stranded: tuple[str, ...] = ()
    stranded_until: str = ""

    def __post_init__(self) -> None:
        shortest = self.shortest.total_seconds()
        if not 0 < self.renew_before_s < shortest:
            raise SettingError(
                setting="renew_before_s",
                reason=f"has to lie between 0 and the shortest validity, {shortest:.0f} seconds",
            )
        for name in ("catalogue_max_age_s", "report_future_s", "report_past_s"):
            if getattr(self, name) < 0:
                raise SettingError(setting=name, reason="cannot be negative")
        if self.manifest_bytes_per_day < DEFAULT_LIMITS.report_bytes:
            reason = f"has to be at least {DEFAULT_LIMITS.report_bytes}: one manifest may be as large"
            raise SettingError(setting="manifest_bytes_per_day", reason=reason)
        if TUF_PROFILE not in self.wires or not set(self.wires) <= set(PROFILES):
            reason = f"has to list {TUF_PROFILE} and may list {', '.join(PROFILES[1:])}"
            raise SettingError(setting="wires", reason=reason)

    @property
    def shortest(self) -> timedelta:
        """The shortest validity of a vehicle's files."""
        return min(self.periods.of(role) for role in ("targets", "snapshot", "timestamp"))

    @property
    def manifest_policy(self) -> ManifestPolicy:
        """What times in reports are plausible."""
        return ManifestPolicy(
            future=timedelta(seconds=self.report_future_s),
            past=timedelta(seconds=self.report_past_s),
            daily_bytes=self.manifest_bytes_per_day,
        )

    def stranded_keys(self, now: datetime) -> frozenset[str]:
        """The ids of the Root keys that still sign for stranded vehicles."""
        if not self.stranded or now.date() > date.fromisoformat(self.stranded_until):
            return frozenset()
        return frozenset(self.stranded)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        found |= {"periods": self.periods.as_json(), "wires": list(self.wires), "stranded": list(self.stranded)}
        return found if self.stranded else {name: found[name] for name in found if name not in _HAND_OVER}


def write_config(directory: Path, settings: Settings) -> None:
    """Write the configuration of a new Director; an existing one stands. Raises: StorageError."""
    create_file(directory / CONFIG, _encode(settings), max_bytes=_MAX_BYTES)


def replace_config(directory: Path, settings: Settings) -> None:
    """Put other settings in place of those of a Director. Raises: StorageError; the old ones then stand."""
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
        found = int(body.pop("format"))
        if found > FORMAT:
            reason = "a newer version wrote it"
            raise NewerStateError(path=str(path), operation="read", reason=reason, found=found, supported=FORMAT)
        wires = tuple(body.pop("wires", (TUF_PROFILE,)))
        stranded = tuple(body.pop("stranded", ()))
        periods = Periods.from_json(body.pop("periods", {}))
        _check_types(path, body)
        return Settings(**{**body, "periods": periods, "wires": wires, "stranded": stranded})
    except TypeError:
        reason = f"{path} is not the configuration of a Director, perhaps that of an Image repository; name another directory"
        raise UsageError(reason=reason) from None
    except (ValueError, KeyError, AttributeError) as error:
        raise StorageError(path=str(path), operation="read", reason=f"it is not a configuration ({error})") from None
