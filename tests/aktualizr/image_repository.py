"""The Image repository as the client sees it (wire 5, items 4 and 5, and the list of what is not checked).

Belongs here: Timestamp, Snapshot, Targets, delegations, and the search for an image. Does not belong here: the Director.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.aktualizr.metadata import (
    Listing,
    Log,
    Role,
    Root,
    Snapshot,
    Target,
    Targets,
    Timestamp,
    parse_snapshot,
    parse_targets,
    parse_timestamp,
    untrusted_version,
)
from tests.aktualizr.refusals import (
    ROLLBACK,
    DelegationHashMismatch,
    DelegationMissing,
    FetchFailure,
    UptaneError,
    VersionMismatch,
)
from tests.aktualizr.storage import RepositoryStore
from tests.aktualizr.verification import (
    IMAGE_TARGETS_LIMIT,
    SNAPSHOT_LIMIT,
    TIMESTAMP_LIMIT,
    Fetch,
    check_expiry,
    hashes_agree,
    read,
    stored_root,
    update_root,
)

DEPTH = 5
"""Delegations below the top-level Targets: an image in the fifth is found, in the sixth it is not."""


def same_image(director: Target, image: Target) -> bool:
    """Whether the entries of both repositories agree: file name, content, and hardware of every ECU.

    Each side has its own member: ``ecuIdentifiers`` is the Director's, ``hardwareIds`` the Image repository's, and the
    wrong one on either side is a mismatch (wire 0 fact 8).
    """
    if director.hardware_ids or image.ecus:
        return False
    fits = set(director.ecus.values()) <= set(image.hardware_ids)
    return director.name == image.name and director.same_content(image) and fits


_C = ctypes.CDLL(None)
_C.newlocale.restype = _C.uselocale.restype = ctypes.c_void_p
_C.newlocale.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p]
_C.uselocale.argtypes = [ctypes.c_void_p]
_NO_LOCALE = _C.newlocale(0b1001, b"C", None)  # LC_CTYPE and LC_COLLATE


def matches(pattern: str, name: str) -> bool:
    """``fnmatch(3)`` with no flags, from the C library itself: ``*`` and ``?`` cross ``/``.

    The client never sets a locale, so characters are bytes to it. Python does set one.
    """
    before = _C.uselocale(_NO_LOCALE)
    try:
        return bool(_C.fnmatch(pattern.encode(), name.encode(), 0) == 0)
    finally:
        _C.uselocale(before)


@dataclass
class ImageRepository:
    """One look at the Image repository."""

    store: RepositoryStore
    delegations: dict[str, bytes]
    now: datetime
    log: Log
    snapshot: Snapshot | None = None
    targets: Targets | None = None
    _floors: dict[str, int] = field(default_factory=dict)

    def update(self, fetch: Fetch) -> None:
        """Root, Timestamp, Snapshot, Targets: each verified, then stored, then its expiry looked at."""
        root = update_root(self.store, "image", fetch, self.now, self.log)
        timestamp = self._update_timestamp(root, fetch)
        limit = timestamp.snapshot.length or SNAPSHOT_LIMIT
        self.snapshot = self._update("snapshot", root, timestamp.snapshot, fetch, limit)
        check_expiry(self.snapshot.expires, "snapshot", self.now)
        listing = self.snapshot.listing("targets")
        self.targets = self._update("targets", root, listing, fetch, IMAGE_TARGETS_LIMIT)
        check_expiry(self.targets.expires, "targets", self.now)

    def check_stored(self) -> None:
        """The same checks on what is stored, before a download and before an installation."""
        root, roles = stored_root(self.store, self.log), self.store.roles
        check_expiry(root.expires, "root", self.now)
        timestamp = read(roles["timestamp"], "timestamp", root, parse_timestamp, self.log)
        check_expiry(timestamp.expires, "timestamp", self.now)
        self.snapshot = self._verify("snapshot", roles["snapshot"], root, timestamp.snapshot)
        check_expiry(self.snapshot.expires, "snapshot", self.now)
        self.targets = self._verify("targets", roles["targets"], root, self.snapshot.listing("targets"))
        check_expiry(self.targets.expires, "targets", self.now)

    def _update_timestamp(self, root: Root, fetch: Fetch) -> Timestamp:
        """Signature, rollback, expiry. The same version with other content is taken (wire 5, "not checked")."""
        document = fetch("timestamp.json", TIMESTAMP_LIMIT)
        if document is None:
            raise FetchFailure("timestamp", "image")
        try:
            timestamp = read(document, "timestamp", root, parse_timestamp, self.log)
        except UptaneError:
            self.log("Signature verification for Timestamp metadata failed")
            raise
        stored = self.store.roles.get("timestamp")
        if stored is not None and timestamp.version < untrusted_version(stored):
            raise UptaneError(ROLLBACK)
        self.store.roles["timestamp"] = document
        check_expiry(timestamp.expires, "timestamp", self.now)
        return timestamp

    def _update(self, role: str, root: Root, listing: Listing, fetch: Fetch, limit: int) -> Any:
        """The stored Snapshot or Targets if it still is what is listed, else a new one.

        The floor against rollback is the version of the stored file *if its hash is right*, which after any change it
        is not: so rollback is noticed only where the listing has no hashes (wire 5, "not checked").
        """
        current = self._still_current(role, root, listing)
        if current is not None:
            return current
        document = fetch(f"{role}.json", limit)
        if document is None:
            raise FetchFailure(role, "image")
        parsed = self._verify(role, document, root, listing)
        if parsed.version < self._floors.get(role, -1):
            raise UptaneError(ROLLBACK)
        self.store.roles[role] = document
        return parsed

    def _still_current(self, role: str, root: Root, listing: Listing) -> Any:
        """The stored file, verified against the new listing, or None."""
        title = role.capitalize()
        stored = self.store.roles.get(role)
        self._floors[role] = -1
        if stored is None:
            return None
        try:
            parsed = self._verify(role, stored, root, listing, local=True)
        except UptaneError as error:
            reason = f"because verification of local copy failed: {error}"
            self.log(f"Downloading new Image repo {title} metadata {reason}")
            return None
        self.log(f"Skipping Image repo {title} download; stored version is still current.")
        return parsed

    def _verify(self, role: str, document: bytes, root: Root, listing: Listing, *, local: bool = False) -> Any:
        """Hashes as far as listed, signature, version as listed. The listed length is ignored (wire 2.3)."""
        is_targets = role == "targets"
        try:
            if not is_targets and not listing.hashes:
                self.log("No hash found for shapshot.json")  # so the client spells it
                raise UptaneError("Snapshot metadata hash verification failed")
            if not hashes_agree(document, listing):
                if not local:
                    self.log(f"Hash verification for {role if is_targets else 'Snapshot'} metadata failed")
                wrong = "Snapshot hash mismatch for targets metadata"
                raise UptaneError(wrong if is_targets else "Snapshot metadata hash verification failed")
            parsed = self._read(role, document, root)
            if local:
                self._floors[role] = parsed.version
            if parsed.version != listing.version:
                raise VersionMismatch(role)
        except UptaneError:
            if is_targets:
                self.log(f"Verification for {'local ' if local else ''}Image repo Targets metadata failed")
            raise
        return parsed

    def _read(self, role: str, document: bytes, root: Root) -> Any:
        parse: Callable[..., Any] = parse_targets if role == "targets" else parse_snapshot
        try:
            return read(document, role, root, parse, self.log)
        except UptaneError:
            if role == "snapshot":
                self.log("Signature verification for Snapshot metadata failed")
            raise

    def find(self, wanted: Target, fetch: Fetch | None) -> Target | None:
        """The entry that matches the Director's. Without ``fetch``, only stored delegations are looked at."""
        assert self.targets is not None
        return self._search(self.targets, wanted, fetch, depth=0, terminating=False)

    def find_top_level(self, wanted: Target) -> Target | None:
        """What a Secondary finds: it never gets delegations (wire 6)."""
        assert self.targets is not None
        return next((each for each in self.targets.targets if same_image(wanted, each)), None)

    def _search(
        self, within: Targets, wanted: Target, fetch: Fetch | None, *, depth: int, terminating: bool
    ) -> Target | None:
        """Depth first, in listed order. An entry of that name which does not match ends nothing.

        ``terminating`` keeps the search out of the role's *own* delegations; siblings are still asked. A role that has
        expired is passed over without a word.
        """
        found = next((each for each in within.targets if same_image(wanted, each)), None)
        if found is not None or terminating or depth == DEPTH:
            return found
        for role in within.delegated:
            if any(matches(pattern, wanted.name) for pattern in role.paths):
                inner = self._delegation(role, within, fetch)
                if self.now < inner.expires:
                    found = self._search(inner, wanted, fetch, depth=depth + 1, terminating=role.terminating)
                if found is not None:
                    return found
        return None

    def _delegation(self, role: Role, parent: Targets, fetch: Fetch | None) -> Targets:
        """A delegated role, stored or fetched: hash, signature, version as Snapshot lists them."""
        assert self.snapshot is not None
        name, listing = role.name, self.snapshot.listing(role.name)
        document = self._stored_delegation(name, listing)
        if document is None:
            document = fetch(f"delegations/{name}.json", IMAGE_TARGETS_LIMIT) if fetch else None
            if document is None:
                self.log(f"Fetch role error: Failed to fetch role {name} in image repository.")
                raise DelegationMissing(name)
        if not hashes_agree(document, listing):
            self.log(f"Hash verification for {name} metadata failed")
            self.log(f"Role hashes error: Snapshot hash mismatch for {name} metadata")
            raise DelegationHashMismatch(name)
        try:
            parsed = read(document, name, parent.authority, parse_targets, self.log)
        except UptaneError:
            self.log("Signature verification for Image repo delegated Targets metadata failed")
            raise
        if parsed.version != listing.version:
            raise VersionMismatch(name)
        self.delegations[name] = document
        return parsed

    def _stored_delegation(self, name: str, listing: Listing) -> bytes | None:
        """What is stored, unless Snapshot lists a newer version. An older one is an attack."""
        stored = self.delegations.get(name)
        if stored is None or untrusted_version(stored) < listing.version:
            return None
        if untrusted_version(stored) > listing.version:
            raise UptaneError("Rollback attempt on delegated targets")
        return stored
