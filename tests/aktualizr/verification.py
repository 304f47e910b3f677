"""Reading a verified file, and following the chain of Roots (wire 5, item 1).

Belongs here: what both repositories have in common. The rest of section 5 is in ``director_repository`` and
``image_repository``; what the client does not check is not checked there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from tests.aktualizr.metadata import Authority, Listing, Log, Root, Signed, parse_root, read_envelope
from tests.aktualizr.refusals import Expired, FetchFailure, InvalidMetadata, RootRotationError, UptaneError
from tests.aktualizr.signatures import verified
from tests.aktualizr.storage import RepositoryStore
from tests.aktualizr.wire import canonical

# wire 2.3
ROOT_LIMIT = DIRECTOR_TARGETS_LIMIT = TIMESTAMP_LIMIT = SNAPSHOT_LIMIT = 64 * 1024
IMAGE_TARGETS_LIMIT = 8 * 1024 * 1024
ROTATIONS = 1000

Fetch = Callable[[str, int], "bytes | None"]
"""A file by name, with the most bytes it may have; None when it cannot be had, for whatever reason."""

Parsed = TypeVar("Parsed")


def read(document: bytes, role: str, authority: Authority, parse: Callable[[Signed, Log], Parsed], log: Log) -> Parsed:
    """Check signatures, then the format of the role."""
    signed = verified(document, role, authority, log)
    return formatted(signed, parse, log)


def formatted(signed: Signed, parse: Callable[[Signed, Log], Parsed], log: Log) -> Parsed:
    """The role's value. What is missing or of a wrong kind makes the file unreadable."""
    try:
        return parse(signed, log)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidMetadata("invalid metadata json") from error


def hashes_agree(document: bytes, listing: Listing) -> bool:
    """Whether every listed hash is that of the *canonical form* of the whole file (wire 0 fact 4)."""
    try:
        whole = canonical(read_envelope(document))
    except InvalidMetadata:
        return False
    return all(hashlib.new(name, whole).hexdigest() == value for name, value in listing.hashes.items())


def check_expiry(expires: datetime, role: str, now: datetime) -> None:
    """Refuse what is past its time."""
    if now >= expires:
        raise Expired(role)


def stored_root(store: RepositoryStore, log: Log) -> Root:
    """The newest stored Root, checked by its own keys."""
    return _self_signed(store.roots[max(store.roots)], log)


def update_root(store: RepositoryStore, repository: str, fetch: Fetch, now: datetime, log: Log) -> Root:
    """From the stored Root, or number 1, to the newest. The first file that cannot be had ends the chain.

    Each new one is signed by a threshold of the old keys and of its own, and is stored at once. Only the last one's
    expiry counts.
    """
    try:
        if not store.roots:
            first = _first(repository, fetch)
            store.roots[_self_signed(first, log).version] = first
        root = stored_root(store, log)
        for _ in range(ROTATIONS):
            document = fetch(f"{root.version + 1}.root.json", ROOT_LIMIT)
            if document is None:
                break
            root = _next(document, root, log)
            store.roots[root.version] = document
            store.forget_non_root()
    except FetchFailure:
        raise
    except UptaneError as error:
        if str(error).endswith("invalid metadata json"):
            log("Failure during base metadata initialization from json")
        log(f"Signature verification for Root metadata failed: {error}")
        raise
    check_expiry(root.expires, "root", now)
    return root


def _first(repository: str, fetch: Fetch) -> bytes:
    """``1.root.json``, trusted on first use, whichever version it holds."""
    document = fetch("1.root.json", ROOT_LIMIT)
    if document is None:
        raise FetchFailure("root", repository)
    return document


def _self_signed(document: bytes, log: Log) -> Root:
    root = formatted(read_envelope(document)["signed"], parse_root, log)
    return read(document, "root", root, parse_root, log)


def _next(document: bytes, old: Root, log: Log) -> Root:
    """The Root after ``old``: type, the old keys, the new keys, and exactly the next version."""
    read_envelope(document)
    read(document, "root", old, parse_root, log)
    root = _self_signed(document, log)
    if root.version != old.version + 1:
        log(f"Version {root.version} in Root metadata doesn't match the expected value {old.version + 1}")
        raise RootRotationError
    return root
