"""The description of a vehicle, as it is registered: read strictly, so that the inventory holds only sound rows.

    {"vehicle": "VIN", "primary": "ecu-gw", "ecus": [{"ecu": "ecu-gw", "hardwareId": "gw-1", "keyid": "...",
 "key": {"keytype": ..., "scheme": ..., "keyval": {"public": ...}}, "verification": "full"}, ...]}

The names are those of docs/POUF.md.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from twinlock.director.errors.vehicles import DescriptionError, VehicleIdError
from twinlock.director.model.records import EcuRecord
from twinlock.trust.errors.metadata import LimitError
from twinlock.trust.keys.public_keys import PublicKey, load_key
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import EcuId, HardwareId, VehicleId, Verification, identifier
from twinlock.trust.wire.json.cursor import Node
from twinlock.trust.wire.json.olpc import encode_canonical
from twinlock.trust.wire.json.parser import parse_json

_WHAT = "vehicle description"
_URL_SEGMENT = re.compile(r"[A-Za-z0-9\-._~!$&'()+,;=@]+")  # pchar of RFC 3986 3.3 that file names have too


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleDescription:
    """A vehicle and its ECUs by id; ``primary`` is one of them."""

    vehicle: VehicleId
    primary: EcuId
    ecus: Mapping[EcuId, EcuRecord]

    @property
    def digest(self) -> str:
        """SHA-256 that is equal for equal vehicles, in whatever order their ECUs are listed."""
        ecus = [self.ecus[ecu].as_json() for ecu in sorted(self.ecus)]
        return hashlib.sha256(encode_canonical([self.vehicle, self.primary, ecus])).hexdigest()


def read_description(source: bytes | Mapping[str, Any]) -> VehicleDescription:
    """Read a description. Raises: MalformedError, LimitError, WeakKeyError, UnsafePathError, RegistrationError."""
    data = source if isinstance(source, bytes) else json.dumps(source).encode()
    if len(data) > DEFAULT_LIMITS.report_bytes:
        raise LimitError(what=f"{_WHAT} in bytes", value=len(data), limit=DEFAULT_LIMITS.report_bytes)
    node = Node(parse_json(data, _WHAT, max_values=DEFAULT_LIMITS.report_values), _WHAT, "$")
    vehicle = read_vehicle_id(node.get("vehicle").text())
    primary = EcuId(identifier(node.get("primary").text()))
    records = (_ecu(item, primary) for item in node.get("ecus").items(DEFAULT_LIMITS.ecus))
    ecus = index_ecus(records, vehicle, primary, primary_field="primary")
    return VehicleDescription(vehicle=vehicle, primary=primary, ecus=ecus)


def index_ecus(
    records: Iterable[EcuRecord], vehicle: VehicleId, primary: EcuId, *, primary_field: str
) -> dict[EcuId, EcuRecord]:
    """The ECUs that ``vehicle`` describes, by id: each of them once, each with a key of its own, and ``primary`` among them.

    Raises: DescriptionError, for a missing Primary with the field ``primary_field``.
    """
    ecus: dict[EcuId, EcuRecord] = {}
    owners: dict[bytes, EcuId] = {}
    for record in records:
        if record.ecu in ecus:
            raise DescriptionError(vehicle=vehicle, field="ecus", reason=f"the ECU {record.ecu} is listed twice")
        ecus[record.ecu] = record
        other = owners.setdefault(record.key.identity, record.ecu)
        if other != record.ecu:
            reason = f"{other} and {record.ecu} have the same key, so each could sign the other's reports"
            raise DescriptionError(vehicle=vehicle, field="ecus", reason=reason)
    if primary not in ecus:
        reason = f"the Primary {primary} is not among its ECUs"
        raise DescriptionError(vehicle=vehicle, field=primary_field, reason=reason)
    return ecus


def named_vehicle(data: bytes) -> str:
    """The vehicle that a description names, whatever else is wrong with it, for the answer to its sender; "" if none."""
    if len(data) > DEFAULT_LIMITS.report_bytes:
        return ""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    name = value.get("vehicle") if isinstance(value, dict) else None
    return name if isinstance(name, str) else ""


def read_vehicle_id(value: str) -> VehicleId:
    """The id of a vehicle, which is a segment of its URLs. Raises: UnsafePathError, VehicleIdError."""
    vehicle = VehicleId(identifier(value))
    if not _URL_SEGMENT.fullmatch(vehicle):
        reason = f"{value!a} cannot be part of a URL; use letters, digits and -._~!$&'()+,;=@"
        raise VehicleIdError(vehicle=vehicle, field="vehicle", reason=reason)
    return vehicle


def read_ecu(source: bytes | Mapping[str, Any]) -> EcuRecord:
    """Read the description of one ECU, as ``twinlock secondary describe`` prints it; it is not a Primary by itself.

    Raises: MalformedError, LimitError, WeakKeyError, UnsafePathError.
    """
    data = source if isinstance(source, bytes) else json.dumps(source).encode()
    if len(data) > DEFAULT_LIMITS.report_bytes:
        raise LimitError(what="ECU description in bytes", value=len(data), limit=DEFAULT_LIMITS.report_bytes)
    return _ecu(
        Node(parse_json(data, "ECU description", max_values=DEFAULT_LIMITS.report_values), "ECU description", "$"),
        EcuId(""),
    )


def _ecu(node: Node, primary: EcuId) -> EcuRecord:
    ecu = EcuId(identifier(node.get("ecu").text()))
    verification = Verification.FULL
    if node.has("verification"):
        verification = _verification(node.get("verification"))
    if ecu == primary and verification is not Verification.FULL:
        node.get("verification").fail("a Primary does full verification (Uptane 2.1.0 5.4.2)")
    return EcuRecord(
        ecu=ecu,
        hardware_id=HardwareId(identifier(node.get("hardwareId").text())),
        key=_key(node),
        primary=ecu == primary,
        verification=verification,
    )


def _verification(node: Node) -> Verification:
    try:
        return Verification(node.text())
    except ValueError:
        node.fail("'full' or 'partial' is required")


def _key(node: Node) -> PublicKey:
    """The ECU's key, of which only the public half may be given (Uptane 2.1.0 5.3.2.2)."""
    key = node.get("key")
    keyid = identifier(node.get("keyid").text())
    if set(key.get("keyval").object()) != {"public"} or set(key.object()) - {"keytype", "scheme", "keyval"}:
        key.fail("only keytype, scheme and the public key are accepted; never send a private key")
    return load_key(
        keyid,
        keytype=key.get("keytype").text(),
        scheme=key.get("scheme").text(),
        public=key.get("keyval").get("public").text(),
    )
