"""What objects there are in everything that is sent, and which members the page has to give each of them.

Belongs here: the walk over real JSON, by type. Does not belong here: the page (``pouf.py``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.unit.docs.pouf import hash_bins, plain_map_file, report_of_evidence, several_roles
from tests.unit.docs.scene import Play

ANY = "*"  # names that are data, and not members of a format
LEAF = ""
Shape = str | list["Shape"] | dict[str, "Shape"]

_HASHES: Shape = {ANY: LEAF}
_KEYS: Shape = {ANY: "key"}
# For each type, the members that hold objects or arrays, and of what. All other members hold plain values.
TYPES: dict[str, dict[str, Shape]] = {
    "key": {"keyval": "keyval"},
    "keyval": {},
    "file": {"signatures": ["signature"], "signed": "signed"},
    "signature": {},
    "root": {"keys": _KEYS, "roles": "roles", "custom": "root-custom"},
    "roles": {ANY: "role"},
    "role": {"keyids": [LEAF]},
    "root-custom": {"timeSource": "role", "postQuantum": [LEAF]},
    "timestamp": {"meta": {ANY: "meta"}, "custom": "director-index-custom"},
    "snapshot": {"meta": {ANY: "meta"}, "custom": "director-index-custom"},
    "meta": {"hashes": _HASHES},
    "targets": {"targets": {ANY: "entry"}, "delegations": "delegations", "custom": "targets-custom"},
    "targets-custom": {
        "acknowledged": {ANY: LEAF},
        "acknowledgedReports": {ANY: LEAF},
        "resets": {ANY: LEAF},
        "delegatedHardware": ["restriction"],
        "postQuantum": [LEAF],
    },
    "restriction": {"roles": [LEAF], "hardwareIds": [LEAF]},
    "director-index-custom": {},
    "entry": {"hashes": _HASHES, "custom": "entry-custom"},
    "entry-custom": {
        "mustAgree": "must-agree",
        "dependencies": {ANY: LEAF},
        "conflicts": {ANY: LEAF},
        "ecuIdentifiers": {ANY: "ordered-ecu"},
    },
    "must-agree": {"hardwareIds": [LEAF]},
    "ordered-ecu": {},
    "delegations": {
        "keys": _KEYS,
        "roles": ["delegated-role"],
        "prioritized_delegations": ["several-roles"],
        "succinct_roles": "bins",
    },
    "delegated-role": {"keyids": [LEAF], "paths": [LEAF], "path_hash_prefixes": [LEAF], "hardwareIds": [LEAF]},
    "several-roles": {
        "paths": [LEAF],
        "path_hash_prefixes": [LEAF],
        "hardwareIds": [LEAF],
        "roles": ["member-role"],
    },
    "member-role": {"keyids": [LEAF]},
    "bins": {"keyids": [LEAF]},
    "report-file": {"signatures": ["report-signature"], "signed": "report"},
    "report-signature": {},
    "report": {"installedImage": "installed-image", "evidence": ["evidence"]},
    "evidence": {},
    "installed-image": {"hashes": _HASHES},
    "manifest-file": {"signatures": ["report-signature"], "signed": "manifest"},
    "manifest": {"reports": ["report-file"]},
    "time-request": {"nonces": [LEAF]},
    "attestation": {"nonces": [LEAF]},
    "map": {"repositories": {ANY: [LEAF]}, "mapping": ["mapping"]},
    "mapping": {"paths": [LEAF], "repositories": [LEAF]},
    "description": {"ecus": ["described-ecu"]},
    "described-ecu": {"key": "key"},
    "enrolled": {},
    "identity": {"key": "key", "roots": {ANY: LEAF}},
    "time-taken": {},
    "wants": {"wants": "wanted-image"},
    "wanted-image": {"hashes": _HASHES},
    "installed": {"installed": "running-image"},
    "running-image": {"hashes": _HASHES},
    "problem": {"fields": {ANY: LEAF}},
}
_SIGNED = {"time-attestation": "attestation"}  # the type of ``signed`` in a file, where its ``_type`` is not the name


class Found(NamedTuple):
    """One object: its type, where it was, and its members."""

    type: str
    place: str
    members: frozenset[str]


def walk(value: Any, shape: Shape, place: str) -> Iterator[Found]:
    """Every object in ``value``. Raises: AssertionError for one where none is expected, so that none is passed over."""
    if isinstance(shape, list):
        assert isinstance(value, list), place
        for number, item in enumerate(value):
            yield from walk(item, shape[0], f"{place}[{number}]")
    elif isinstance(shape, dict):
        assert isinstance(value, dict), place
        for name, item in value.items():
            yield from walk(item, shape[ANY], f"{place}.{name}")
    elif shape == LEAF or value is None:
        assert not isinstance(value, (dict, list)), f"{place} holds an object that has no type"
    else:
        yield from _object(value, shape, place)


def _object(value: Any, kind: str, place: str) -> Iterator[Found]:
    assert isinstance(value, dict), place
    if kind == "signed":
        stated = str(value["_type"])
        kind = _SIGNED.get(stated, stated)
    yield Found(kind, place, frozenset(value))
    members = TYPES[kind]
    for name, item in value.items():
        yield from walk(item, members.get(name, members.get(ANY, LEAF)), f"{place}.{name}")


def everything(made: Play) -> Iterator[Found]:
    """Every object in everything that was sent, and in the forms of delegations that were not."""
    for exchange in made.exchanges:
        for data, shape in zip((exchange.request, exchange.answer), _shapes(exchange.route), strict=True):
            if data:
                kind = "problem" if exchange.status >= 400 and data is exchange.answer else shape
                yield from _message(json.loads(data), kind, f"{exchange.route} {exchange.status}")
    for name, data in made.files.items():
        described = {"map": "map", "bundle/partial": "bundle"}.get(name, "file")
        yield from _message(json.loads(data), described, name)
    yield from walk(several_roles(), "delegations", "several roles")
    yield from walk(hash_bins(), "delegations", "hash bins")
    yield from walk(json.loads(report_of_evidence()), "report-file", "report of evidence")
    yield from walk(plain_map_file(), "map", "map")


def _message(value: Any, kind: str, place: str) -> Iterator[Found]:
    if kind != "bundle":
        yield from walk(value, kind, place)
        return
    for repository, files in value.items():
        for name, text in files.items():
            yield from walk(json.loads(text), "file", f"{place} {repository}/{name}")


def _shapes(route: str) -> tuple[str, str]:
    """The types of request and answer. Raises: StopIteration for a route that is not known here."""
    known = {
        "/manifest": ("manifest-file", LEAF),
        "/enrolment": ("description", "enrolled"),
        "director /time": ("time-request", "file"),
        "/v1/identity": (LEAF, "identity"),
        "/v1/time": ("file", "time-taken"),
        "/v1/metadata": ("bundle", "wants"),
        "/v1/report": (LEAF, "report-file"),
        "/v1/image/": (LEAF, "installed"),
        "/metadata/": (LEAF, "file"),
    }
    return next(shapes for part, shapes in known.items() if part in route)
