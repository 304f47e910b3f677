"""The ECUs that a vehicle with aktualizr registers: ``POST /director/ecus``, read strictly.

    {"primary_ecu_serial": "gw-1", "ecus": [{"ecu_serial": "gw-1", "hardware_identifier": "gateway",
 "clientKey": {"keytype": "RSA" or "ED25519", "keyval": {"public": ...}}}, ...]}

The names are those that aktualizr sends (docs/POUF-aktualizr.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from twinlock.director.model.records import EcuRecord
from twinlock.director.model.vehicle_description import index_ecus
from twinlock.trust.errors.metadata import LimitError
from twinlock.trust.keys.public_keys import PublicKey
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import EcuId, HardwareId, VehicleId, identifier
from twinlock.trust.wire.aktualizr.form import key_id
from twinlock.trust.wire.aktualizr.members import decode_public_key
from twinlock.trust.wire.json.cursor import Node
from twinlock.trust.wire.json.parser import parse_json

_WHAT = "registration of ECUs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """All ECUs of a vehicle by serial; ``primary`` is one of them."""

    primary: EcuId
    ecus: Mapping[EcuId, EcuRecord]


def read_registration(data: bytes, vehicle: VehicleId) -> Registration:
    """Read the body that ``vehicle`` sent. It is not signed: what it states is only as trustworthy as its sender.

    Raises: MalformedError, LimitError, WeakKeyError, UnsafePathError, RegistrationError.
    """
    if len(data) > DEFAULT_LIMITS.report_bytes:
        raise LimitError(what=f"{_WHAT} in bytes", value=len(data), limit=DEFAULT_LIMITS.report_bytes)
    node = Node(parse_json(data, _WHAT, max_values=DEFAULT_LIMITS.report_values), _WHAT, "$")
    primary = EcuId(identifier(node.get("primary_ecu_serial").text()))
    records = (_ecu(item, primary) for item in node.get("ecus").items(DEFAULT_LIMITS.ecus))
    ecus = index_ecus(records, vehicle, primary, primary_field="primary_ecu_serial")
    return Registration(primary=primary, ecus=ecus)


def _ecu(node: Node, primary: EcuId) -> EcuRecord:
    ecu = EcuId(identifier(node.get("ecu_serial").text()))
    hardware = HardwareId(identifier(node.get("hardware_identifier").text()))
    return EcuRecord(ecu=ecu, hardware_id=hardware, key=_key(node.get("clientKey")), primary=ecu == primary)


def _key(node: Node) -> PublicKey:
    """The ECU's key under the id that the client gives it (Uptane 2.1.0 5.3.2.2: only the public half)."""
    value = node.get("keyval")
    if set(value.object()) != {"public"}:
        value.fail("only the public key is accepted; never send a private key")
    public = value.get("public")
    try:
        keyid = key_id(public.text())
    except ValueError as error:
        public.fail(f"no key id can be derived from the key: {error}")
    return decode_public_key(keyid, node.get("keytype"), public)
