"""The configuration files of a Primary and of a Secondary: JSON, with paths relative to the file.

Every fault in a file is one error that names the file and the field.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from twinlock.client.model.config_section import ConfigSection
from twinlock.client.model.errors import ListenError
from twinlock.client.storage.bundle import derived_bundle_limits
from twinlock.io.files.operator_files import read_json_object, read_operator_file
from twinlock.trust.errors.base import TwinlockError, UsageError
from twinlock.trust.keys.public_keys import PublicKey, load_key
from twinlock.trust.limits import DEFAULT_LIMITS, Limits, provision
from twinlock.trust.model.ecu import Ecu
from twinlock.trust.names import EcuId, HardwareId, RepositoryName, VehicleId, Verification, identifier
from twinlock.trust.policy import LAX, STRICT, Policy
from twinlock.trust.state.repository_map import RepositoryMap, decode_map
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.profiles import PROFILES

FORMAT = 1
_MAX_PORT = 65535
_MAX_NUMBER = 1_000_000_000  # seconds, or bytes per second
_MAX_ATTEMPTS = 20
DEFAULT_STATE = "state.db"
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchSettings:
    """How long and how often to try. Rates are in bytes per second, times in seconds."""

    floor_bytes_per_s: int = 1_000  # a slower line could not fetch 4 MB in an hour
    window_s: float = 30.0  # how long it may stay below the floor; also the wait for the first byte
    deadline_s: float = 300.0  # for one metadata file, all of it
    image_deadline_s: float = 14_400.0  # for one image, over all places; for one upload to a Secondary
    connect_s: float = 10.0
    attempts: int = 3  # in all, for faults of transport only
    backoff_s: float = 0.5  # before the second attempt; doubles


@dataclass(frozen=True, kw_only=True, slots=True)
class TlsSettings:
    """TLS files: the trusted CAs, and this ECU's own certificate if servers require one."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeSettings:
    """Where time comes from. ``attested``: only signed attestations count; ``system``: the clock of this machine.

    ``url`` is a Primary's time service. ``tolerance_s`` is how far the system clock may lag behind verified metadata.
    ``answer_within_s`` is how long a question to the time source stays open: a round trip over this ECU's own link and, for a
    Secondary, over its Primary's.
    """

    source: str = "system"
    url: str | None = None
    tolerance_s: float = 300.0
    answer_within_s: float = 60.0

    @property
    def attested(self) -> bool:
        """Whether only signed attestations count."""
        return self.source == "attested"


@dataclass(frozen=True, kw_only=True, slots=True)
class SecondarySettings:
    """A Secondary as its Primary is configured to reach it. ``address`` is ``http://host:port`` or ``unix:PATH``."""

    ecu: Ecu
    verification: Verification
    address: str
    key: PublicKey


@dataclass(frozen=True, kw_only=True, slots=True)
class EcuSettings:
    """What every ECU is configured with. Paths are absolute here. ``wires`` names what is not in the ``tuf`` profile.

    ``anchor`` is a directory of read-only Root files, None if the Roots in ``state`` are trusted.
    """

    directory: Path
    vehicle: VehicleId
    ecu: Ecu
    key: Path
    state: Path
    staging: Path
    slots: Path
    anchor: Path | None
    map: Path | None
    time: TimeSettings
    policy: Policy
    limits: Limits = DEFAULT_LIMITS
    wires: Mapping[RepositoryName, WireProfile]


@dataclass(frozen=True, kw_only=True, slots=True)
class PrimaryConfig(EcuSettings):
    """A Primary's file. With ``hold_incomplete_bundles`` no ECU installs unless all ECUs of the update can."""

    fetch: FetchSettings
    tls: TlsSettings
    secondaries: tuple[SecondarySettings, ...]
    hold_incomplete_bundles: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class SecondaryConfig(EcuSettings):
    """A Secondary's file. ``listen`` is ``http://host:port`` (port 0: any) or ``unix:PATH``."""

    verification: Verification
    listen: str


def load_primary(path: str | Path) -> PrimaryConfig:
    """Read a Primary's configuration. Raises: ConfigurationError; UsageError if the file is not
    a JSON object; StorageError if it cannot be read."""
    path = Path(path)
    section = _read(path, "primary")
    config = section.finish(
        PrimaryConfig(
            **_ecu_settings(path, section, with_map=True),
            fetch=_fetch(section.section("fetch")),
            tls=_tls(path, section.section("tls")),
            secondaries=tuple(_secondary(path, item) for item in section.sections("secondaries")),
            hold_incomplete_bundles=section.take("holdIncompleteBundles", bool, default=True),
        )
    )
    known = {config.ecu.ecu}
    for number, item in enumerate(config.secondaries):
        if item.ecu.ecu in known:
            raise section.fail(f"secondaries[{number}].ecu", f"repeats {item.ecu.ecu}; every ECU needs its own id")
        known.add(item.ecu.ecu)
    return config


def check_listen(address: str) -> str:
    """Admit ``address`` as one to listen on: ``http://HOST:PORT`` or ``unix:PATH``. Raises: ListenError."""
    if address.startswith("unix:") and address != "unix:":
        return address
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 0) >= 0
    except ValueError:  # a port out of range, or brackets that do not match
        usable = False
    if not usable:
        reason = f"use http://HOST:PORT, with a port from 0 to {_MAX_PORT}, or unix:PATH"
        raise ListenError(address=address, reason=reason)
    return address


def load_secondary(path: str | Path) -> SecondaryConfig:
    """Read a Secondary's configuration. Raises: ConfigurationError; UsageError if the file is not
    a JSON object; StorageError if it cannot be read."""
    path = Path(path)
    section = _read(path, "secondary")
    verification = section.convert("verification", Verification)
    return section.finish(
        SecondaryConfig(
            **_ecu_settings(path, section, with_map=verification is Verification.FULL),
            verification=verification,
            listen=_address(path, section, "listen"),
        )
    )


def read_map(settings: EcuSettings) -> RepositoryMap | None:
    """The map that an ECU is configured with; None for one that has none. Raises: OperatorFileError, MalformedError, LimitError."""
    if settings.map is None:
        return None
    return decode_map(read_operator_file(settings.map, "the map"), settings.limits)


def _read(path: Path, role: str) -> ConfigSection:
    values = read_json_object(path, "the configuration")
    section = ConfigSection(path, "", values)
    if section.take("format", int) != FORMAT:
        raise section.fail("format", f"must be {FORMAT}; the file is from another version of this software")
    if section.take("role", str) != role:
        raise section.fail("role", f"must be {role!r}")
    return section


def _ecu_settings(path: Path, section: ConfigSection, *, with_map: bool) -> dict[str, Any]:
    time = section.section("time")
    policy = section.take("policy", str, "strict")
    if policy not in ("strict", "lax"):
        raise section.fail("policy", "must be 'strict' or 'lax'")
    base = path.absolute().parent
    return {
        "directory": base,
        "vehicle": VehicleId(section.convert("vehicle", identifier)),
        "ecu": _ecu(section),
        "anchor": base / section.file("anchor") if "anchor" in section.values else None,
        "map": base / section.file("map") if with_map else None,
        "time": _time(time),
        "policy": STRICT if policy == "strict" else LAX,
        "limits": _limits(section),
        "wires": _wires(section.section("wires")),
        **{name: _own_path(section, base, name) for name in _PATHS},
    }


_PATHS = {"key": "identity.pem", "state": DEFAULT_STATE, "staging": "staging", "slots": "slots"}
_DIRECTORIES = ("staging", "slots")


def _own_path(section: ConfigSection, base: Path, name: str) -> Path:
    """The place of the member ``name``. One that the file names must be usable; what is at the usual place is not its fault."""
    value: str = section.file(name, _PATHS[name])
    path = base / value
    if value == _PATHS[name]:
        return path
    if not value.isprintable() or os.path.normpath(path) == os.path.normpath(base):
        raise section.fail(name, f"must name a place of its own, such as {_PATHS[name]}")
    try:
        if path.exists() and path.is_dir() != (name in _DIRECTORIES):
            raise section.fail(name, f"must name a {'directory' if name in _DIRECTORIES else 'file'}")
    except PermissionError:
        pass  # it may not be needed
    except OSError as error:
        raise section.fail(name, f"is not usable: {error.strerror}") from None
    return path


def _limits(section: ConfigSection) -> Limits:
    """Bounds provisioned for this ECU, by the names of ``Limits`` in camelCase."""
    limits = section.section("limits")
    values = {
        re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name): limits.take(name, int)
        for name in list(limits.values)
    }
    try:
        provisioned = provision(values)
    except UsageError as error:  # with the names that the file has
        raise section.fail("limits", re.sub("_([a-z])", lambda found: found[1].upper(), str(error))) from None
    derived = derived_bundle_limits(provisioned)
    return provisioned._replace(**{name: size for name, size in derived.items() if name not in values})


def _wires(section: ConfigSection) -> dict[RepositoryName, WireProfile]:
    profiles = {}
    for name in list(section.values):
        wire = section.take(name, str)
        if wire not in PROFILES:
            raise section.fail(name, f"must be one of {', '.join(PROFILES)}")
        profiles[RepositoryName(name)] = PROFILES[wire]
    return profiles


def _ecu(section: ConfigSection) -> Ecu:
    accepts = section.take("accepts", list, [])
    if not all(isinstance(pattern, str) for pattern in accepts):
        raise section.fail("accepts", "must be a list of patterns")
    return Ecu(
        ecu=EcuId(section.convert("ecu", identifier)),
        hardware_id=HardwareId(section.convert("hardwareId", identifier)),
        accepts=tuple(accepts),
    )


def _time(section: ConfigSection) -> TimeSettings:
    defaults = TimeSettings()
    source = section.take("source", str, defaults.source)
    if source not in ("system", "attested"):
        raise section.fail("source", "must be 'system' or 'attested'")
    return TimeSettings(
        source=source,
        url=section.take("url", str, None),
        tolerance_s=_positive(section, "toleranceSeconds", defaults.tolerance_s),
        answer_within_s=_positive(section, "answerWithinSeconds", defaults.answer_within_s),
    )


def _fetch(section: ConfigSection) -> FetchSettings:
    defaults = FetchSettings()
    attempts = section.take("attempts", int, defaults.attempts)
    floor = section.take("floorBytesPerSecond", int, defaults.floor_bytes_per_s)
    if not 1 <= attempts <= _MAX_ATTEMPTS:
        raise section.fail("attempts", f"must be from 1 to {_MAX_ATTEMPTS}")
    if not 0 <= floor <= _MAX_NUMBER:
        raise section.fail("floorBytesPerSecond", f"must be from 0 to {_MAX_NUMBER}")
    return FetchSettings(
        floor_bytes_per_s=floor,
        window_s=_positive(section, "windowSeconds", defaults.window_s),
        deadline_s=_positive(section, "deadlineSeconds", defaults.deadline_s),
        image_deadline_s=_positive(section, "imageDeadlineSeconds", defaults.image_deadline_s),
        connect_s=_positive(section, "connectSeconds", defaults.connect_s),
        attempts=attempts,
        backoff_s=_positive(section, "backoffSeconds", defaults.backoff_s),
    )


def _positive(section: ConfigSection, name: str, default: float) -> float:
    value = section.take(name, (int, float), default)
    if not 0 < value <= _MAX_NUMBER:
        raise section.fail(name, f"must be above 0 and at most {_MAX_NUMBER}")
    return float(value)


def _tls(path: Path, section: ConfigSection) -> TlsSettings:
    base = path.absolute().parent
    files = {name: section.file(name, None) for name in ("ca", "certificate", "key")}
    if (files["certificate"] is None) != (files["key"] is None):
        raise section.fail("certificate", "and key must be given together")
    return TlsSettings(**{name: None if file is None else base / file for name, file in files.items()})


def _secondary(path: Path, section: ConfigSection) -> SecondarySettings:
    key = section.section("key")
    keyid = section.take("keyid", str)
    keyval = key.section("keyval")
    try:
        public = load_key(
            keyid,
            keytype=key.take("keytype", str),
            scheme=key.take("scheme", str),
            public=keyval.take("public", str),
        )
    except TwinlockError as error:
        raise section.fail("key", f"is not usable: {error}") from None
    return SecondarySettings(
        ecu=_ecu(section),
        verification=section.convert("verification", Verification),
        address=_address(path, section, "address"),
        key=public,
    )


def _address(path: Path, section: ConfigSection, name: str) -> str:
    address: str = section.file(name)
    if address.startswith("unix:"):
        return f"unix:{path.absolute().parent / address.removeprefix('unix:')}"
    if address.startswith(("http://", "https://")):
        return address.rstrip("/")
    raise section.fail(name, "must be http://HOST:PORT or unix:PATH")
