"""The ``tuf`` profile: TUF 1.0 JSON, readable by python-tuf, go-tuf, tough and tuf-js. ``docs/POUF.md`` describes it.

This file decodes Root, Timestamp and Snapshot and knows the file names; ``targets.py`` decodes Targets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from twinlock.trust.errors.metadata import UnsupportedSpecError
from twinlock.trust.keys.signatures import Envelope
from twinlock.trust.limits import Limits
from twinlock.trust.model.base import NOTHING, FileInfo
from twinlock.trust.model.root import Root
from twinlock.trust.model.snapshot import Snapshot
from twinlock.trust.model.targets import ImageEntry, Targets
from twinlock.trust.model.timestamp import Timestamp
from twinlock.trust.names import ROOT, SNAPSHOT, TARGETS, TOP_LEVEL, RoleName, role_file
from twinlock.trust.wire.json.bare import compose_bare
from twinlock.trust.wire.json.cursor import MAX_INTEGER, Node, check_text
from twinlock.trust.wire.json.parser import parse_envelope
from twinlock.trust.wire.tuf.delegation_members import post_quantum_roles
from twinlock.trust.wire.tuf.members import (
    common_fields,
    decode_keys,
    decode_role_keys,
    decode_signatures,
    decode_vehicle,
    read_signature,
)
from twinlock.trust.wire.tuf.targets import decode_targets

T = TypeVar("T")
_SPEC_MAJOR = "1"
_SUFFIX = ".json"


class TufProfile:
    """See ``WireProfile``; this is the default one.

    ``versioned`` False is for a Root that states ``consistent_snapshot`` false: bare names, and images under their own.
    """

    name = "tuf"
    folder = "metadata/"
    addresses_images = False

    def __init__(self, *, versioned: bool = True) -> None:
        self._versioned = versioned

    @property
    def bare(self) -> TufProfile:
        return _BARE

    def decode_root(self, data: bytes, what: str, limits: Limits) -> Envelope[Root]:
        return _decode(data, what, "root", _root, max_bytes=limits.root_bytes, limits=limits)

    def decode_timestamp(self, data: bytes, what: str, limits: Limits) -> Envelope[Timestamp]:
        return _decode(data, what, "timestamp", _timestamp, max_bytes=limits.timestamp_bytes, limits=limits)

    def decode_snapshot(self, data: bytes, what: str, limits: Limits) -> Envelope[Snapshot]:
        return _decode(data, what, "snapshot", _snapshot, max_bytes=limits.snapshot_bytes, limits=limits)

    def decode_targets(self, data: bytes, what: str, limits: Limits) -> Envelope[Targets]:
        return _decode(
            data, what, "targets", decode_targets, max_bytes=limits.targets_bytes, limits=limits, locate="targets"
        )

    def file_name(self, role: RoleName, version: int | None) -> str:
        name = role_file(role) + _SUFFIX
        return name if version is None or not (self._versioned or role == ROOT) else f"{version}.{name}"

    def image_file_names(self, entry: ImageEntry) -> tuple[str, ...]:
        if not self._versioned:
            return (entry.path,)
        folder, _, name = entry.path.rpartition("/")
        prefix = f"{folder}/" if folder else ""
        return tuple(f"{prefix}{digest}.{name}" for digest in entry.hashes.values())

    def max_bytes(self, role: RoleName, *, director: bool) -> int | None:
        return None

    def reencoded(self, data: bytes) -> bytes | None:
        return None


TUF = TufProfile()
_BARE = TufProfile(versioned=False)


def _decode(
    data: bytes,
    what: str,
    role_type: str,
    body: Callable[[Node, Limits], T],
    *,
    max_bytes: int,
    limits: Limits,
    locate: str | None = None,
) -> Envelope[T]:
    bounds = {"signatures_bytes": limits.signatures_bytes, "max_values": limits.values_in(len(data))}
    raw = parse_envelope(data, what, max_bytes, locate=locate, **bounds)
    signed = Node(raw.signed, what, "$.signed")
    found = signed.text_at("_type")
    if found != role_type:
        # Uptane 2.1.0 5.2.1: the type stops one role's file from passing as another's.
        signed.get("_type").fail(f"it is {found!r}, but {role_type!r} is required")
    if signed.has("spec_version"):
        offered = signed.text_at("spec_version")
        if offered.split(".")[0] != _SPEC_MAJOR:
            raise UnsupportedSpecError(what=what, offered=offered, supported=f"{_SPEC_MAJOR}.x")
    signatures = decode_signatures(Node(raw.signatures, what, "$.signatures"), limits)
    bare = partial(compose_bare, raw, ("keyid", "sig"), lambda item: read_signature(item, limits) is not None)
    decoded, failures = body(signed, limits), limits.failed_verifications
    return Envelope(decoded, raw.payload, signatures, data, raw.canonical, failures, bare)


def _root(signed: Node, limits: Limits) -> Root:
    keys = decode_keys(signed.get("keys"), limits)
    listed = signed.get("roles")
    demanded = post_quantum_roles(signed, TOP_LEVEL, limits)
    roles = {
        role: decode_role_keys(listed.get(role), limits)._replace(post_quantum=role in demanded) for role in TOP_LEVEL
    }
    time_source = None
    if signed.has("custom") and signed.get("custom").has("timeSource"):
        time_source = decode_role_keys(signed.get("custom").get("timeSource"), limits)
    consistent = not signed.has("consistent_snapshot") or signed.get("consistent_snapshot").boolean()
    return Root(
        **common_fields(signed),
        keys=keys.usable,
        roles=roles,
        time_source=time_source,
        consistent_snapshot=consistent,
        unusable=keys.unusable,
    )


def _timestamp(signed: Node, limits: Limits) -> Timestamp:
    info = signed.get("meta").get(SNAPSHOT + _SUFFIX)
    return Timestamp(**common_fields(signed), snapshot=_file_info(info, limits), vehicle=decode_vehicle(signed))


def _snapshot(signed: Node, limits: Limits) -> Snapshot:
    meta = signed.get("meta")
    found: dict[RoleName, FileInfo] = {}
    for name, value in meta.object().items():
        info = _bare_version(name, value)
        if info is None:
            node = Node(value, meta.what, (meta, name))
            check_text(name, node)
            if not name.endswith(_SUFFIX):
                node.fail("a name ending in .json is required")
            info = _file_info(node, limits)
        found[RoleName(name[: -len(_SUFFIX)])] = info
    found.pop(ROOT, None)  # permitted for old clients, and meaningless to us (Uptane 2.1.0 5.2.4)
    if TARGETS not in found:
        meta.fail("targets.json is missing")
    return Snapshot(**common_fields(signed), targets=found, vehicle=decode_vehicle(signed))


def _bare_version(name: str, value: Any) -> FileInfo | None:
    """The entry that states a version and nothing else, as sixteen thousand bins are listed; None for any other."""
    if not name.isascii() or not name.endswith(_SUFFIX) or type(value) is not dict or len(value) != 1:
        return None
    version = value.get("version")
    if type(version) is not int or not 1 <= version <= MAX_INTEGER:
        return None
    return FileInfo(version, None, NOTHING)


def _file_info(node: Node, limits: Limits) -> FileInfo:
    return FileInfo(
        version=node.get("version").integer(1),
        length=node.get("length").integer(0) if node.has("length") else None,
        hashes=node.get("hashes").hashes(limits.hashes) if node.has("hashes") else NOTHING,
    )
