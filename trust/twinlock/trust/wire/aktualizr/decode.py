"""Reading the ``aktualizr`` profile: bytes to the same model that every other encoding gives.

What that client ignores silently is decided here as strictly as in the ``tuf`` profile: a duplicate key id, an
unknown method, a name that could become a path. What it refuses, we refuse. This file decodes Root, Timestamp and
Snapshot; ``targets.py`` decodes Targets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.keys.signatures import Envelope
from twinlock.trust.limits import Limits
from twinlock.trust.model.base import NOTHING, FileInfo
from twinlock.trust.model.root import Root
from twinlock.trust.model.snapshot import Snapshot
from twinlock.trust.model.targets import ImageEntry, Targets
from twinlock.trust.model.timestamp import Timestamp
from twinlock.trust.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RoleName
from twinlock.trust.wire.aktualizr import form
from twinlock.trust.wire.aktualizr.members import (
    decode_hashes,
    decode_keys,
    decode_signatures,
    decode_signers,
    read_signature,
)
from twinlock.trust.wire.aktualizr.targets import decode_targets
from twinlock.trust.wire.json.bare import compose_bare
from twinlock.trust.wire.json.cursor import Node, check_text
from twinlock.trust.wire.json.parser import parse_envelope, parse_json
from twinlock.trust.wire.tuf.delegation_members import post_quantum_roles
from twinlock.trust.wire.tuf.members import common_fields, decode_vehicle

T = TypeVar("T")


class AktualizrProfile:
    """See ``WireProfile``. A Director's Root of this profile need not name Timestamp and Snapshot."""

    name = form.NAME
    folder = ""
    addresses_images = True

    @property
    def bare(self) -> AktualizrProfile:
        return self

    def decode_root(self, data: bytes, what: str, limits: Limits) -> Envelope[Root]:
        return _decode(data, what, ROOT, _root, max_bytes=limits.root_bytes, limits=limits)

    def decode_timestamp(self, data: bytes, what: str, limits: Limits) -> Envelope[Timestamp]:
        return _decode(data, what, TIMESTAMP, _timestamp, max_bytes=limits.timestamp_bytes, limits=limits)

    def decode_snapshot(self, data: bytes, what: str, limits: Limits) -> Envelope[Snapshot]:
        return _decode(data, what, SNAPSHOT, _snapshot, max_bytes=limits.snapshot_bytes, limits=limits)

    def decode_targets(self, data: bytes, what: str, limits: Limits) -> Envelope[Targets]:
        bound = limits.targets_bytes
        return _decode(data, what, TARGETS, decode_targets, max_bytes=bound, limits=limits, locate="targets")

    def file_name(self, role: RoleName, version: int | None) -> str:
        return form.file_name(role, version)

    def image_file_names(self, entry: ImageEntry) -> tuple[str, ...]:
        return (entry.path,)

    def max_bytes(self, role: RoleName, *, director: bool) -> int | None:
        if director and role not in (ROOT, TIMESTAMP, SNAPSHOT):
            return form.MAX_DIRECTOR_TARGETS_BYTES
        return form.MAX_BYTES.get(role, form.MAX_BYTES[TARGETS])

    def reencoded(self, data: bytes) -> bytes | None:
        try:
            return _canonical(data, "file")
        except MalformedError:
            return None  # a file without a canonical form has no other spelling


AKTUALIZR = AktualizrProfile()


def _decode(
    data: bytes,
    what: str,
    role: RoleName,
    body: Callable[[Node, Limits], T],
    *,
    max_bytes: int,
    limits: Limits,
    locate: str | None = None,
) -> Envelope[T]:
    bounds = {"signatures_bytes": limits.signatures_bytes, "max_values": limits.values_in(len(data))}
    raw = parse_envelope(data, what, max_bytes, locate=locate, **bounds)
    signed = Node(raw.signed, what, "$.signed")
    found = signed.get("_type").text()
    # Some publishers write Root alone in lower case, and this client accepts both; a chain keeps to one (``checks.root``).
    if found != form.TYPES[role] and (role, found) != (ROOT, ROOT):
        signed.get("_type").fail(f"it is {found!r}, but {form.TYPES[role]!r} is required")
    signatures = decode_signatures(Node(raw.signatures, what, "$.signatures"), limits)
    payload = raw.payload
    if not payload.isascii():
        # The canonical form is ASCII. Raw UTF-8 is what the other profile signs, and counts for nothing here.
        payload = _canonical(payload, what)
    bare = partial(compose_bare, raw, ("keyid", "method", "sig"), lambda item: read_signature(item, limits) is not None)
    decoded, failures = body(signed, limits), limits.failed_verifications
    return Envelope(decoded, payload, signatures, data, lambda: _canonical(payload, what), failures, bare)


def _canonical(data: bytes, what: str) -> bytes:
    try:
        return form.encode_canonical(parse_json(data, what, max_values=None))
    except (ValueError, TypeError, RecursionError) as error:
        raise MalformedError(what=what, json_path="$", reason=f"no canonical form: {error}") from None


def _root(signed: Node, limits: Limits) -> Root:
    keys = decode_keys(signed.get("keys"), limits)
    listed = signed.get("roles")
    named = (ROOT, TARGETS, *(role for role in (TIMESTAMP, SNAPSHOT) if listed.has(role)))
    demanded = post_quantum_roles(signed, named, limits)
    roles = {role: decode_signers(listed.get(role), limits)._replace(post_quantum=role in demanded) for role in named}
    time_source = None
    if signed.has("custom") and signed.get("custom").has("timeSource"):
        time_source = decode_signers(signed.get("custom").get("timeSource"), limits)
    return Root(
        **common_fields(signed),
        keys=keys.usable,
        roles=roles,
        time_source=time_source,
        written_type=signed.get("_type").text(),
        unusable=keys.unusable,
    )


def _timestamp(signed: Node, limits: Limits) -> Timestamp:
    info = signed.get("meta").get(SNAPSHOT + form.SUFFIX)
    listed = FileInfo(
        info.get("version").integer(1), info.get("length").integer(0), decode_hashes(info.get("hashes"), limits)
    )
    return Timestamp(**common_fields(signed), snapshot=listed, vehicle=decode_vehicle(signed))


def _snapshot(signed: Node, limits: Limits) -> Snapshot:
    meta = signed.get("meta")
    found: dict[RoleName, FileInfo] = {}
    for name, node in meta.members(limits.delegations_per_role):
        check_text(name, node)
        if not name.endswith(form.SUFFIX):
            node.fail("a name ending in .json is required")
        hashes = decode_hashes(node.get("hashes"), limits) if node.has("hashes") else NOTHING
        length = node.get("length").integer(0) if hashes and node.has("length") else None
        found[RoleName(name[: -len(form.SUFFIX)])] = FileInfo(node.get("version").integer(1), length, hashes)
    found.pop(ROOT, None)
    if TARGETS not in found:
        meta.fail("targets.json is missing")
    return Snapshot(**common_fields(signed), targets=found, vehicle=decode_vehicle(signed))
