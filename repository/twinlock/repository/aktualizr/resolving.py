"""Which object a name means that the client asks for: its names have no versions, and ours have nothing else.

Everything follows from the one Timestamp that is published, so a server shows all of a publication or nothing of it. What
was found out is kept until that Timestamp changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from twinlock.repository.aktualizr.names import bytes_object, read_name
from twinlock.repository.errors import StoreTamperedError
from twinlock.repository.store.interface import ObjectStore
from twinlock.repository.store.object_names import NEWCOMER_ROOT, TIMESTAMP_OBJECT, aktualizr_object
from twinlock.repository.store.publication_log import timestamp_version
from twinlock.trust.errors.metadata import UnsafePathError
from twinlock.trust.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, target_path
from twinlock.trust.wire.aktualizr import form

_ROOT = re.compile(r"([1-9][0-9]{0,8})\.root\.json")
_DELEGATED = re.compile(rf"{form.DELEGATIONS}(.+)\.json", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Current:
    """The versions in force, by role, and the etag of the Timestamp that lists them."""

    etag: str
    versions: Mapping[str, int]


class Resolver:
    """The names of one store. Methods block, and may be called from several threads."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._current: _Current | None = None

    def metadata(self, name: str) -> str | None:
        """The object of a metadata file, such as ``targets.json`` or ``delegations/acme.json``; None if there is none."""
        root = _ROOT.fullmatch(name)
        if root is not None:
            return self._root(int(root.group(1)))
        delegated = _DELEGATED.fullmatch(name)
        role = delegated.group(1) if delegated else name.removesuffix(form.SUFFIX)
        top = (TIMESTAMP, SNAPSHOT, TARGETS)
        if bool(delegated) == (role in top) or (not delegated and role + form.SUFFIX != name):
            return None
        version = self._versions().get(role)
        return None if version is None else aktualizr_object(role, version)

    def _root(self, number: int) -> str:
        """A device asks for number 1 when it stores none; after a hand-over it is given the Root that handed over."""
        if number == 1 and self._store.stat(NEWCOMER_ROOT) is not None:
            return NEWCOMER_ROOT
        return aktualizr_object(ROOT, number)

    def image(self, path: str) -> str | None:
        """The object with the bytes of an image that is or was listed as ``path``; None if none ever was."""
        try:
            named = read_name(self._store, target_path(path))
        except UnsafePathError:
            return None
        return None if named is None else bytes_object(path, named)

    def _versions(self) -> Mapping[str, int]:
        info = self._store.stat(TIMESTAMP_OBJECT)
        if info is None:
            return {}
        current = self._current
        if current is None or current.etag != info.etag:
            current = self._current = _Current(info.etag, self._read())
        return current.versions

    def _read(self) -> dict[str, int]:
        version = timestamp_version(self._store)
        timestamp = self._signed(TIMESTAMP, version)
        if timestamp is None:
            return {}
        snapshot_version = int(timestamp[SNAPSHOT + form.SUFFIX]["version"])
        snapshot = self._signed(SNAPSHOT, snapshot_version) or {}
        listed = {name.removesuffix(form.SUFFIX): int(info["version"]) for name, info in snapshot.items()}
        listed.pop(ROOT, None)
        return {**listed, TIMESTAMP: version, SNAPSHOT: snapshot_version}

    def _signed(self, role: str, version: int) -> dict[str, dict[str, int]] | None:
        name = aktualizr_object(role, version)
        stored = self._store.get(name, max_bytes=form.MAX_BYTES[role])
        if stored is None:
            return None
        try:
            meta: dict[str, dict[str, int]] = json.loads(stored.data)["signed"]["meta"]
        except (ValueError, KeyError, TypeError):
            raise StoreTamperedError(reason=f"{name} is not readable") from None
        return meta
