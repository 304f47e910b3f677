"""Metadata as the client parses it: what is demanded of each role, and what is tolerated (wire 4, and 0 facts 1, 8, 9).

Belongs here: bytes to values, role by role. Does not belong here: signatures and everything that compares two files
(``verification``). Unknown members are ignored everywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.aktualizr.refusals import IllegalThreshold, InvalidMetadata, UptaneError
from tests.aktualizr.wire import PublicKey

Signed = dict[str, Any]
Log = Callable[[str], None]

TOP_LEVEL = ("root", "targets", "snapshot", "timestamp")
THRESHOLDS = range(1, 1001)
HASHES = ("sha256", "sha512")  # the order in which one is chosen to check an image (wire 2.4)

_EXPIRES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True)
class Role:
    """Who may sign a role: key ids, how many of them, and (for a delegation) for which file names."""

    keyids: tuple[str, ...]
    threshold: int
    name: str = ""
    paths: tuple[str, ...] = ()
    terminating: bool = False


@dataclass(frozen=True)
class Authority:
    """A set of keys and the roles they may sign: that of a Root, or of a Targets file that delegates."""

    keys: dict[str, PublicKey]
    roles: dict[str, Role]


@dataclass(frozen=True)
class Root(Authority):
    """A Root; only the four top-level roles count."""

    version: int
    expires: datetime


@dataclass(frozen=True)
class Target:
    """One entry of either repository. ``hashes`` by algorithm, in lower case."""

    name: str
    length: int
    hashes: dict[str, str]
    ecus: dict[str, str] = field(default_factory=dict)
    hardware_ids: tuple[str, ...] = ()
    uri: str = ""
    ostree: bool = False

    def same_content(self, other: Target) -> bool:
        """Same length, at least one hash algorithm in common, and all of those equal (wire 5, item 5)."""
        common = self.hashes.keys() & other.hashes.keys()
        equal = all(self.hashes[name] == other.hashes[name] for name in common)
        return self.length == other.length and bool(common) and equal

    def __str__(self) -> str:
        ecus = "".join(f"{serial} (hw_id: {hardware}), " for serial, hardware in sorted(self.ecus.items()))
        hardware = "".join(f"{each}, " for each in self.hardware_ids)
        hashes = "".join(f"Hash: {value.upper()}, " for _, value in sorted(self.hashes.items()))
        return (
            f"Target({self.name} ecu_identifiers: ({ecus}) hw_ids: ({hardware})"
            f" length:{self.length} hashes: ({hashes}))"
        )


@dataclass(frozen=True)
class Targets:
    """Targets of either repository, top-level or delegated. ``delegated`` in the order listed."""

    version: int
    expires: datetime
    targets: tuple[Target, ...]
    correlation: str
    authority: Authority
    delegated: tuple[Role, ...]


@dataclass(frozen=True)
class Listing:
    """What Snapshot or Timestamp says about a file. ``version`` is -1 when the file is not listed."""

    version: int = -1
    length: int = 0
    hashes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """The versions, and perhaps hashes, of Targets and all delegations."""

    version: int
    expires: datetime
    meta: dict[str, Listing]

    def listing(self, role: str) -> Listing:
        """The entry of ``role``."""
        return self.meta.get(f"{role}.json", Listing())


@dataclass(frozen=True)
class Timestamp:
    """Which Snapshot is in force."""

    version: int
    expires: datetime
    snapshot: Listing


def read_envelope(document: bytes) -> Signed:
    """The JSON object with ``signed`` and ``signatures``. Key order and white space do not matter (wire 4)."""
    try:
        value = json.loads(document)
    except ValueError as error:
        raise InvalidMetadata("invalid metadata json") from error
    if not isinstance(value, dict) or not isinstance(value.get("signed"), dict):
        raise InvalidMetadata("invalid metadata json")
    return value


def untrusted_version(document: bytes) -> int:
    """The version a file claims, read before anything is verified; -1 when there is none."""
    try:
        return int(json.loads(document)["signed"]["version"])
    except (ValueError, KeyError, TypeError):
        return -1


def parse_root(signed: Signed, log: Log) -> Root:
    """Root. ``root`` in lower case is tolerated here, and only here (wire 0 fact 1)."""
    version, expires = _base(signed)
    if str(signed.get("_type")).lower() != "root" or not isinstance(signed.get("roles"), dict):
        raise InvalidMetadata("invalid root.json")
    keys = _keys(signed.get("keys", {}))
    roles = {}
    for name, entry in sorted(signed["roles"].items()):
        if name in TOP_LEVEL:
            if entry["threshold"] > max(THRESHOLDS):
                log(f"Failing with threshold for role {name} too large: {max(THRESHOLDS)} < {entry['threshold']}")
                raise UptaneError("root.json contains a role that requires too many signatures")
            roles[name] = _role(name, entry, log)
    return Root(keys, roles, version, expires)


def parse_targets(signed: Signed, log: Log) -> Targets:
    """Targets, whoever signed them: the roles of ``ecuIdentifiers`` and ``hardwareIds`` show when two entries meet."""
    version, expires = _base(signed)
    if signed.get("_type") != "Targets" or not isinstance(signed.get("targets"), dict):
        raise InvalidMetadata("invalid targets.json")
    targets = tuple(_target(name, entry) for name, entry in sorted(signed["targets"].items()))
    correlation = (signed.get("custom") or {}).get("correlationId", "")
    block = signed.get("delegations") or {}
    roles = tuple(_delegation(entry, log) for entry in block.get("roles", ()))
    authority = Authority(_keys(block.get("keys", {})), {role.name: role for role in roles})
    return Targets(version, expires, targets, correlation, authority, roles)


def parse_snapshot(signed: Signed, log: Log) -> Snapshot:
    """Snapshot: a version for each file; hashes and lengths may be missing."""
    version, expires = _base(signed)
    if signed.get("_type") != "Snapshot" or not isinstance(signed.get("meta"), dict):
        raise InvalidMetadata("invalid snapshot.json")
    for name in signed["meta"]:
        _refuse_reserved(name.removesuffix(".json"), allowed=TOP_LEVEL)
    return Snapshot(version, expires, {name: _listing(entry) for name, entry in signed["meta"].items()})


def parse_timestamp(signed: Signed, log: Log) -> Timestamp:
    """Timestamp: version, length and hashes of Snapshot are all required. That no hash is known shows later."""
    version, expires = _base(signed)
    entry = (signed.get("meta") or {}).get("snapshot.json")
    if signed.get("_type") != "Timestamp" or not isinstance(entry, dict):
        raise InvalidMetadata("invalid timestamp.json")
    if not {"version", "length", "hashes"} <= entry.keys():
        raise InvalidMetadata("invalid timestamp.json")
    return Timestamp(version, expires, _listing(entry))


def _base(signed: Signed) -> tuple[int, datetime]:
    """Version, and ``expires`` in exactly one form (wire 0 fact 9)."""
    version, expires = signed.get("version"), signed.get("expires")
    if not isinstance(version, int) or not isinstance(expires, str):
        raise InvalidMetadata("invalid metadata json")
    try:
        if not _EXPIRES.fullmatch(expires):
            raise InvalidMetadata("invalid timestamp")
        return version, datetime.strptime(expires, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidMetadata("invalid timestamp") from error


def _keys(entries: dict[str, Any]) -> dict[str, PublicKey]:
    """Keys by the id they are listed under. One of an unknown type spoils the whole file (wire 0 fact 10)."""
    for entry in entries.values():
        if str(entry.get("keytype")).lower() not in {"rsa", "ed25519"}:
            raise UptaneError(f"Unsupported key type: {entry.get('keytype')}")
    return {keyid: _key(entry) for keyid, entry in entries.items()}


def _key(entry: dict[str, Any]) -> PublicKey:
    return PublicKey(entry["keytype"], str((entry.get("keyval") or {}).get("public", "")))


def _role(name: str, entry: dict[str, Any], log: Log, **more: Any) -> Role:
    threshold = entry["threshold"]
    if threshold not in THRESHOLDS:
        small = threshold < min(THRESHOLDS)
        bound = f"small: {threshold} < {min(THRESHOLDS)}" if small else f"large: {max(THRESHOLDS)} < {threshold}"
        log(f"Failing with threshold for role {name} too {bound}")
        raise IllegalThreshold(name)
    return Role(tuple(entry["keyids"]), threshold, name, **more)


def _delegation(entry: dict[str, Any], log: Log) -> Role:
    """A delegation. ``path_hash_prefixes`` is not known, so such a role has no patterns and never matches."""
    _refuse_reserved(entry["name"])
    more = {"paths": tuple(entry.get("paths", ())), "terminating": bool(entry.get("terminating", False))}
    return _role(entry["name"], entry, log, **more)


def _refuse_reserved(name: str, allowed: tuple[str, ...] = ()) -> None:
    """Names of top-level roles in any case are no names for delegations; Snapshot may list the roles themselves."""
    if name.lower() in TOP_LEVEL and name not in allowed:
        raise UptaneError(f"Delegated role name {name} is reserved.")


def _hashes(entry: dict[str, Any]) -> dict[str, str]:
    """Known hashes in lower case; others are ignored."""
    return {name: value.lower() for name, value in (entry.get("hashes") or {}).items() if name in HASHES}


def _listing(entry: dict[str, Any]) -> Listing:
    return Listing(entry.get("version", -1), entry.get("length", 0), _hashes(entry))


def _target(name: str, entry: dict[str, Any]) -> Target:
    """An entry. Without ``targetFormat``, length 0 means OSTree. One placeholder URI is ignored (wire 2.4)."""
    custom = entry.get("custom") or {}
    length = entry["length"]
    uri = custom.get("uri", "")
    return Target(
        name=name,
        length=length,
        hashes=_hashes(entry),
        ecus={serial: ecu["hardwareId"] for serial, ecu in (custom.get("ecuIdentifiers") or {}).items()},
        hardware_ids=tuple(custom.get("hardwareIds") or ()),
        uri="" if uri == "https://example.com/" else uri,
        ostree=custom["targetFormat"] == "OSTREE" if "targetFormat" in custom else length == 0,
    )
