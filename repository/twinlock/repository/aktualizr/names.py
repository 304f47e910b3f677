"""What a file name stands for, forever: a vehicle that has a file installed refuses its name with other bytes.

One small object for each name that was ever listed, made once and never changed. It is what refuses a name that comes
back, and what the server finds the bytes of a name by, also when it is no longer listed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from twinlock.io.files.records import Record, RecordError, plain, read_record
from twinlock.repository.errors import StoreTamperedError
from twinlock.repository.store.interface import ObjectStore
from twinlock.repository.store.object_names import image_objects, name_object
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.wire.aktualizr import form

_MAX_BYTES = 8_192


class NamedBytes(NamedTuple):
    """The bytes that a name stands for: their length, and their SHA-256 digest in lower-case hex."""

    length: int
    sha256: str


class NameRecord(Record, frozen=True, kw_only=True):
    """The object of a name, in canonical JSON."""

    path: str
    length: int
    sha256: str


def read_name(store: ObjectStore, path: str) -> NamedBytes | None:
    """What ``path`` stands for; None if it was never listed. Raises: StoreTamperedError."""
    stored = store.get(name_object(path), max_bytes=_MAX_BYTES)
    if stored is None:
        return None
    try:
        record = read_record(stored.data, name_object(path), NameRecord)
    except RecordError:
        record = None
    if record is None or record.path != path:
        raise StoreTamperedError(reason=f"{name_object(path)} does not state which bytes {path} names")
    return NamedBytes(record.length, record.sha256)


def bytes_object(path: str, named: NamedBytes) -> str:
    """Where those bytes are in the store."""
    return image_objects(path, named.length, {"sha256": named.sha256})[0]


def check_name(store: ObjectStore, path: str, offered: NamedBytes) -> bool:
    """Whether ``path`` is new. Raises: ProfileError if it stood for other bytes before."""
    known = read_name(store, path)
    if known is not None and known != offered:
        raise reused_name(path, known.sha256)
    return known is None


def new_names(
    store: ObjectStore, entries: Mapping[str, Mapping[str, Any]], before: Mapping[str, NamedBytes]
) -> Iterator[tuple[str, bytes]]:
    """The objects for those of ``entries`` (of the profile) that are not among ``before`` and are not kept yet.

    Raises: ProfileError for a name that stood for other bytes.
    """
    for path, entry in entries.items():
        offered = NamedBytes(entry["length"], entry["hashes"]["sha256"])
        if before.get(path) != offered and check_name(store, path, offered):
            yield name_object(path), _encode(path, offered)


def check_names_agree(path: str, one: bytes, other: bytes) -> None:
    """Two roles that list the same new name have to mean the same bytes. Raises: ProfileError."""
    if one != other:
        raise reused_name(path, json.loads(one)["sha256"])


def _encode(path: str, named: NamedBytes) -> bytes:
    return form.encode_canonical(plain(NameRecord(path=path, length=named.length, sha256=named.sha256)))


def reused_name(path: str, digest: str) -> ProfileError:
    """The refusal of a name that stands for other bytes, those with the SHA-256 ``digest``."""
    reason = (
        f"that name stands for other bytes (sha256 {digest[:12]}...), and a vehicle that has those installed refuses "
        "the name with any others; put a version into the name"
    )
    return ProfileError(profile=form.NAME, what=path, reason=reason)
