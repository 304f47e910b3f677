"""The stored form of a floor: one JSON object, for clients that keep floors in a database or in protected memory."""

from __future__ import annotations

import json
from typing import Any, cast

from twinlock.trust.model.base import NOTHING
from twinlock.trust.names import RoleName
from twinlock.trust.state.floors import Floor
from twinlock.trust.text.times import format_time
from twinlock.trust.wire.json.cursor import MAX_INTEGER, Node
from twinlock.trust.wire.json.parser import parse_json

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def encode_floor(floor: Floor) -> bytes:
    """``floor`` as UTF-8 JSON, the same bytes for the same floor."""
    record: dict[str, Any] = {
        "version": floor.version,
        "content": floor.content.hex(),
        "root": floor.root,
        "material": {role: sorted(key.hex() for key in keys) for role, keys in floor.material.items()},
        "lists": dict(floor.lists),
    }
    if floor.issued is not None:
        record["issued"] = format_time(floor.issued)
    return _ENCODER.encode(record).encode()


def decode_floor(data: bytes, what: str) -> Floor:
    """The inverse of ``encode_floor``. ``what`` names the floor in an error. Raises: MalformedError, LimitError."""
    node = Node(parse_json(data, what, max_values=None), what, "$")
    material = {
        RoleName(role): frozenset(map(_digest, keys.items(MAX_INTEGER)))
        for role, keys in node.get("material").members(MAX_INTEGER)
    }
    return Floor(
        version=node.get("version").integer(1),
        content=_digest(node.get("content")),
        root=node.get("root").integer(1),
        material=material or NOTHING,
        lists=_versions(node.get("lists")) or NOTHING,
        issued=node.get("issued").time() if node.has("issued") else None,
    )


def _versions(node: Node) -> dict[RoleName, int]:
    listed = node.object()
    # One look at all of them: a repository may list sixteen thousand bins.
    if not all(type(version) is int and 1 <= version <= MAX_INTEGER for version in listed.values()):
        node.fail("each listed version has to be a positive integer")
    return cast("dict[RoleName, int]", listed)


def _digest(node: Node) -> bytes:
    value = node.hex()
    if len(value) != 32:
        node.fail("a SHA-256 digest is required")
    return value
