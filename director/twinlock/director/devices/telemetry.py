"""What a vehicle with aktualizr reports of itself in addition to manifests: the newest of each kind, as it was sent.

None of it is signed, and no decision depends on it. A configuration may hold secrets: it is shown only to an operator who asks for
it, and is in no log. The caller owns the transaction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from twinlock.director.devices.unsigned import parse_unsigned
from twinlock.director.inventory import schema
from twinlock.director.inventory.vehicles import lock_vehicle
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.names import VehicleId
from twinlock.trust.wire.json.cursor import Node

SYSTEM_INFO, NETWORK = "system-info", "network"
CONFIGURATION, PACKAGES = "configuration", "installed-packages"

_MAX_PACKAGES = 50_000  # a full desktop distribution has a tenth of it
_MAX_FIELD = 1_024
_SYSTEM_VALUES = 131_072  # a large server has twenty thousand
_NETWORK_VALUES = 256
_PACKAGES_VALUES = 4 * _MAX_PACKAGES  # a package, its name, its version, and one to spare
_T = schema.telemetry.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """The newest of one kind. ``value`` is JSON, or text for the configuration."""

    kind: str
    received_at: datetime
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryKind:
    """How much a vehicle may send of one kind, in bytes, and the check of its content."""

    max_bytes: int
    check: Callable[[bytes, str], None]


def check_telemetry(kind: str, data: bytes) -> None:
    """Check that ``data`` is of that kind. Raises: EndlessDataError, MalformedError, LimitError."""
    bound = KINDS[kind].max_bytes
    if len(data) > bound:
        raise EndlessDataError(what=kind, limit_bytes=bound)
    KINDS[kind].check(data, kind)


def store_telemetry(connection: Connection, vehicle: VehicleId, kind: str, data: bytes, now: datetime) -> None:
    """Replace the last of its kind by what was checked. Raises: UnknownVehicleError."""
    lock_vehicle(connection, vehicle)
    connection.execute(delete(schema.telemetry).where(_T.vehicle == vehicle, _T.kind == kind))
    row = {"vehicle": vehicle, "kind": kind, "received_at": now, "data": data}
    connection.execute(insert(schema.telemetry).values(**row))


def list_telemetry(connection: Connection, vehicle: str) -> tuple[Telemetry, ...]:
    """What the vehicle last reported, by kind."""
    query = select(schema.telemetry).where(_T.vehicle == vehicle).order_by(_T.kind)
    return tuple(
        Telemetry(kind=row.kind, received_at=row.received_at, value=_value(row.kind, row.data))
        for row in connection.execute(query)
    )


def _value(kind: str, data: bytes) -> Any:
    return data.decode() if kind == CONFIGURATION else json.loads(data)


def _check_system(data: bytes, what: str) -> None:
    """The output of ``lshw -json``: an object, or since B.02.19 a list of them."""
    node = Node(parse_unsigned(data, what, max_values=_SYSTEM_VALUES), what, "$")
    if not isinstance(node.value, (dict, list)):
        node.fail("an object or an array is required")


def _check_network(data: bytes, what: str) -> None:
    node = Node(parse_unsigned(data, what, max_values=_NETWORK_VALUES), what, "$")
    for _, member in node.members(32):
        _check_field(member)


def _check_packages(data: bytes, what: str) -> None:
    packages = Node(parse_unsigned(data, what, max_values=_PACKAGES_VALUES), what, "$")
    for item in packages.items(_MAX_PACKAGES):
        _check_field(item.get("name"))
        _check_field(item.get("version"))


def _check_field(node: Node) -> None:
    if len(node.text()) > _MAX_FIELD:
        node.fail(f"a text of at most {_MAX_FIELD} characters is required")


def _check_configuration(data: bytes, what: str) -> None:
    """Text. Its name is TOML, but the client writes and reads an INI file, so it is not parsed."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise MalformedError(what=what, json_path="$", reason=f"not UTF-8 at byte {error.start}") from None
    if any(not char.isprintable() and char not in "\n\r\t" for char in text):
        raise MalformedError(what=what, json_path="$", reason="the text holds a control character")


KINDS: Mapping[str, TelemetryKind] = {
    SYSTEM_INFO: TelemetryKind(max_bytes=2_097_152, check=_check_system),  # a large server has half a megabyte
    NETWORK: TelemetryKind(max_bytes=16_384, check=_check_network),
    CONFIGURATION: TelemetryKind(max_bytes=262_144, check=_check_configuration),
    PACKAGES: TelemetryKind(max_bytes=4_194_304, check=_check_packages),
}
