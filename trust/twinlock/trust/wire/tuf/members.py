"""Members that more than one kind of file of the ``tuf`` profile has: versions and times, keys, signatures."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, cast

from twinlock.trust.errors.metadata import MalformedError, UnsafePathError, UnusableKeyError
from twinlock.trust.keys.public_keys import PublicKey, load_key
from twinlock.trust.keys.signatures import RoleKeys, Signature
from twinlock.trust.limits import Limits
from twinlock.trust.model.base import NOTHING
from twinlock.trust.names import EcuId, KeyId, VehicleId, identifier
from twinlock.trust.wire.json.cursor import Node, check_text

_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")
_NONCE_BYTES = range(16, 65)


def common_fields(signed: Node) -> dict[str, Any]:
    """Version, expiry and signing time of any role, as keyword arguments of its class."""
    issued: datetime | None = signed.get("issued").time() if signed.has("issued") else None
    expires = signed.get("expires").time()
    if issued is not None and issued > expires:
        signed.get("issued").fail("it was issued after its own expiry")
    return {"version": signed.get("version").integer(1), "expires": expires, "issued": issued}


class KeyTable(NamedTuple):
    """The keys that a file names: those that can be used, and the others, each with the reason."""

    usable: dict[KeyId, PublicKey]
    unusable: dict[KeyId, str]


def decode_keys(node: Node, limits: Limits, decode: Callable[[KeyId, Node], PublicKey] | None = None) -> KeyTable:
    """The keys of a file. One that ``decode`` (default: ``decode_key``) cannot read is unusable, and the file holds.

    Raises: LimitError; MalformedError where there are no keys at all.
    """
    table = KeyTable({}, {})
    for keyid, key in node.members(limits.keys):
        try:
            table.usable[KeyId(keyid)] = (decode or decode_key)(KeyId(keyid), key)
        except (UnusableKeyError, MalformedError) as error:
            table.unusable[KeyId(keyid)] = error.reason
    return table


def decode_key(keyid: KeyId, node: Node) -> PublicKey:
    """One public key as TUF 1.0.34 4.2 writes it. Raises: UnusableKeyError, MalformedError."""
    check_text(keyid, node)
    return load_key(
        keyid,
        keytype=node.text_at("keytype"),
        scheme=node.text_at("scheme"),
        public=node.get("keyval").text_at("public"),
    )


def decode_role_keys(node: Node, limits: Limits) -> RoleKeys:
    """The ``keyids`` and ``threshold`` of a role. Raises: MalformedError, also for a repeated key id."""
    keyids = cast("tuple[KeyId, ...]", node.get("keyids").texts(limits.keys))
    if len(set(keyids)) != len(keyids):
        node.get("keyids").fail("a key id is repeated")
    return RoleKeys(keyids, node.get("threshold").integer(1))


def decode_signatures(node: Node, limits: Limits) -> tuple[Signature, ...]:
    """The signatures of a file: those with a key id and hexadecimal digits of either case. Others are ignored.

    Raises: LimitError for more items than permitted, MalformedError for a repeated key id (TUF 1.0.34 4.2.1).
    """
    return collect_signatures(node, limits, read_signature)


def collect_signatures(
    node: Node, limits: Limits, read: Callable[[Any, Limits], Signature | None]
) -> tuple[Signature, ...]:
    """What ``read`` makes of the items of ``node``, without those that are ignored; no two may have one key id.

    Raises: LimitError, MalformedError.
    """
    found = [read(item.value, limits) for item in node.items(limits.signatures)]
    signatures = [signature for signature in found if signature is not None]
    if len({signature.keyid for signature in signatures}) != len(signatures):
        node.fail("two signatures have the same key id")
    return tuple(signatures)


def read_signature(item: Any, limits: Limits) -> Signature | None:
    """One entry as a signature; None for what is ignored."""
    if not isinstance(item, dict):
        return None
    keyid, value = item.get("keyid"), item.get("sig")
    if not isinstance(keyid, str) or not isinstance(value, str):
        return None
    if len(value) > 2 * limits.signature_bytes or not _HEX.fullmatch(value):
        return None
    return Signature(KeyId(keyid), bytes.fromhex(value))


def decode_vehicle(signed: Node) -> VehicleId | None:
    """The vehicle that a Director's file is for; None in files for all vehicles."""
    node = custom_member(signed, "vehicleIdentifier")
    return None if node is None else VehicleId(decode_identifier(node))


def decode_correlation(signed: Node) -> str | None:
    """The id of a Director's order; None where none is stated."""
    node = custom_member(signed, "correlationId")
    return None if node is None else node.text()


def decode_acknowledged(signed: Node, limits: Limits) -> Mapping[EcuId, int]:
    """The counter, by ECU, up to which a Director has taken the evidence in reports; empty where it states none."""
    node = custom_member(signed, "acknowledged")
    return NOTHING if node is None else {_ecu(ecu, item): item.integer(0) for ecu, item in node.members(limits.ecus)}


def decode_acknowledged_reports(signed: Node, limits: Limits) -> Mapping[EcuId, str]:
    """The SHA-256, by ECU, of the report that a Director acknowledges; empty where it states none."""
    node = custom_member(signed, "acknowledgedReports")
    return NOTHING if node is None else {_ecu(ecu, item): _sha256(item) for ecu, item in node.members(limits.ecus)}


def decode_resets(signed: Node, limits: Limits) -> Mapping[EcuId, str]:
    """The nonce, by ECU, with which a report may start its counter over; empty where a Director states none."""
    node = custom_member(signed, "resets")
    return NOTHING if node is None else {_ecu(ecu, item): _nonce(item) for ecu, item in node.members(limits.ecus)}


def custom_member(signed: Node, name: str) -> Node | None:
    """The member ``name`` of ``signed.custom``; None if it is missing."""
    if not signed.has("custom") or not signed.get("custom").has(name):
        return None
    return signed.get("custom").get(name)


def _ecu(name: str, node: Node) -> EcuId:
    return EcuId(decode_identifier(Node(name, node.what, node.path)))


def _sha256(node: Node) -> str:
    value = node.hex()
    if len(value) != hashlib.sha256().digest_size:
        node.fail("a SHA-256 digest is required")
    return value.hex()


def _nonce(node: Node) -> str:
    if len(node.hex()) not in _NONCE_BYTES:
        node.fail(f"{_NONCE_BYTES.start} to {_NONCE_BYTES.stop - 1} bytes are required")
    return node.text()


def decode_identifier(node: Node) -> str:
    """An identifier of a vehicle, ECU or hardware. Raises: MalformedError at its place."""
    try:
        return identifier(node.text())
    except UnsafePathError as error:
        node.fail(f"not an identifier: {error.reason}")
