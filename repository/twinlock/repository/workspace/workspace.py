"""A repository's own directory: configuration, keys, draft, and what was last seen to be published.

    config.json            validity by role, where the keys are, wire profiles
    draft.json             staged edits
    keys/offline, online   private keys (0600 in 0700), elsewhere if config.json says so
    treehub.json           where the OSTree repository is, if there is one
    trusted/               the newest Root, Timestamp and Snapshot seen: the store is checked against these
    public/                the object store: metadata/ targets/ publications/

Vehicles see nothing of it but ``public/``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from twinlock.io.files.durable import clean_stale, create_file, read_file, replace_file, storage_errors
from twinlock.io.files.new_directory import make_directory
from twinlock.repository.elsewhere.hosted import PUBLIC_HOSTS, OutsideHosts
from twinlock.repository.errors import StoreTamperedError
from twinlock.repository.keys.keyring import Keyring
from twinlock.repository.keys.private_keys import Passphrase
from twinlock.repository.store.directory import DirectoryStore
from twinlock.repository.store.interface import ObjectStore
from twinlock.repository.store.object_names import adopt_served_names, root_object
from twinlock.repository.store.publication_log import is_decided, roll_forward, timestamp_version
from twinlock.repository.workspace.current import Published, check_not_older, read_published
from twinlock.repository.workspace.profiles import Wires
from twinlock.repository.workspace.validity import Clock, Periods
from twinlock.trust.engine.restore import restore_repository
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import NewerStateError, StorageError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TIMESTAMP, RoleName

_FORMAT = 2
_PLAIN_FORMAT = 1  # of a repository that a version without wire profiles can go on with
_KIND = "image-repository"
_MAX_CONFIG_BYTES = 65_536
ONLINE_ROLES = frozenset({SNAPSHOT, TIMESTAMP})


@dataclass(frozen=True)
class Workspace:
    """An opened repository directory. ``hosts`` are where images may be that are not in the store."""

    path: Path
    store: ObjectStore
    keyring: Keyring
    periods: Periods
    clock: Clock
    hosts: OutsideHosts = PUBLIC_HOSTS

    @property
    def draft_path(self) -> Path:
        """The file of staged edits."""
        return self.path / "draft.json"

    @property
    def wires(self) -> Wires:
        """The wire profiles, read each time: another process may turn one on while this one serves."""
        return Wires.from_json(_read_config(self.path / "config.json"))

    def set_wires(self, wires: Wires) -> None:
        """Keep other wire profiles in the configuration. Raises: StorageError."""
        body = _read_config(self.path / "config.json")
        replace_file(self.path / "config.json", _encode_config(body, wires))

    def now(self) -> datetime:
        """The time for one operation, in whole seconds."""
        return self.clock().replace(microsecond=0)

    def anchor(self) -> bytes | None:
        """The Root from which the store is believed, or None before the first publication."""
        return read_file(self._seen(ROOT), max_bytes=DEFAULT_LIMITS.root_bytes)

    def set_anchor(self, root: bytes) -> None:
        """Keep the first Root, made here, before anything is in the store; in place of one from an attempt cut off."""
        with storage_errors("create", self._seen(ROOT).parent):
            make_directory(self._seen(ROOT).parent)
        replace_file(self._seen(ROOT), root)

    def published(self) -> Published:
        """What is published now, verified; a publication that was cut off is finished first.

        Raises: StoreTamperedError, UsageError if nothing was published yet.
        """
        found = self.find_published()
        if found is None:
            raise UsageError(reason=f"{self.path} was not created completely; run init again")
        return found

    def find_published(self) -> Published | None:
        """As ``published``, but None if nothing is."""
        roll_forward(self.store, first=self.wires.first_timestamp)
        adopt_served_names(self.store)
        anchor = self.anchor()
        if anchor is None:
            return None
        found = self._read_published(anchor)
        if found is not None:
            self._compare_and_keep(found)
        elif read_file(self._seen(TIMESTAMP), max_bytes=DEFAULT_LIMITS.timestamp_bytes) is not None:
            raise StoreTamperedError(reason="timestamp.json is gone")
        return found

    def _read_published(self, anchor: bytes) -> Published | None:
        """What is published. Files of two publications read together, while another publisher is at it, are read again."""
        while True:
            version = timestamp_version(self.store)
            try:
                return read_published(self.store, anchor)
            except StoreTamperedError:
                if not is_decided(self.store, version + 1):
                    raise
                roll_forward(self.store, first=self.wires.first_timestamp)

    def first_root(self) -> bytes:
        """The first Root, with which the first vehicles were built. Raises: StoreTamperedError."""
        stored = self.store.get(root_object(self.wires.first_root), max_bytes=DEFAULT_LIMITS.root_bytes)
        if stored is None:
            raise StoreTamperedError(reason="the first Root is missing")
        return stored.data

    def _seen(self, role: RoleName) -> Path:
        return self.path / "trusted" / f"{role}.json"

    def _compare_and_keep(self, found: Published) -> None:
        limit = DEFAULT_LIMITS.targets_bytes
        seen = {
            role: data
            for role in (ROOT, TIMESTAMP, SNAPSHOT)
            if (data := read_file(self._seen(role), max_bytes=limit)) is not None
        }
        check_not_older(found, restore_repository(IMAGE, {**seen, ROOT: found.trusted.root.data}))
        trusted = found.trusted
        assert trusted.snapshot is not None
        assert trusted.timestamp is not None
        files = {ROOT: trusted.root.data, SNAPSHOT: trusted.snapshot.data, TIMESTAMP: trusted.timestamp.data}
        for role, data in files.items():
            if seen.get(role) != data:
                replace_file(self._seen(role), data)


def create_workspace(
    path: Path, *, passphrase: Passphrase, periods: Periods, clock: Clock, wires: Wires | None = None
) -> Workspace:
    """Make the directory and its configuration; one that is there already is opened. Raises: StorageError."""
    with storage_errors("create", path):
        make_directory(path)
        clean_stale(path)
        if not (path / "config.json").exists() and any(path.iterdir()):
            raise UsageError(reason=f"{path} is not empty and not an Image repository")
    body = {
        "format": _PLAIN_FORMAT,
        "kind": _KIND,
        "validity": periods.as_json(),
        "keys": {"offline": "keys/offline", "online": "keys/online"},
        "store": "public",
    }
    data = _encode_config(body, wires or Wires())
    if not create_file(path / "config.json", data) and not any(path.glob("public/publications/*")):
        _read_config(path / "config.json")  # an earlier attempt, cut off: what is wanted now counts
        replace_file(path / "config.json", data)
    return open_workspace(path, passphrase=passphrase, clock=clock)


def open_workspace(
    path: Path, *, passphrase: Passphrase, clock: Clock, hosts: OutsideHosts = PUBLIC_HOSTS
) -> Workspace:
    """Open a repository directory. Raises: UsageError if it is none, NewerStateError, StorageError."""
    config = _read_config(path / "config.json")
    keys = config.get("keys", {})
    keyring = Keyring(
        offline=path / str(keys.get("offline", "keys/offline")),
        online=path / str(keys.get("online", "keys/online")),
        online_roles=ONLINE_ROLES,
        passphrase=passphrase,
    )
    for directory in (path, path / "trusted", keyring.offline, keyring.online):
        clean_stale(directory)
    return Workspace(
        path=path,
        store=DirectoryStore(path / str(config.get("store", "public"))),
        keyring=keyring,
        periods=Periods.from_json(config.get("validity", {})),
        clock=clock,
        hosts=hosts,
    )


def _encode_config(body: dict[str, Any], wires: Wires) -> bytes:
    body = {**body, **wires.as_json()}
    body["format"] = _PLAIN_FORMAT if wires == Wires() else _FORMAT
    return json.dumps(body, indent=2).encode() + b"\n"


def _read_config(path: Path) -> dict[str, Any]:
    data = read_file(path, max_bytes=_MAX_CONFIG_BYTES)
    if data is None:
        raise UsageError(reason=f"{path.parent} is no Image repository: it has no config.json (run init first)")
    try:
        body: dict[str, Any] = json.loads(data)
        found = int(body["format"])
        kind = body.get("kind")
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(path=str(path), operation="read", reason=f"it is no configuration ({error!r})") from None
    if kind != _KIND:
        what = f"a {kind}" if kind else "the directory of a Director, or of another program"
        raise UsageError(reason=f"{path.parent} is {what}, not an Image repository")
    if found > _FORMAT:
        reason = "it was written by a newer version"
        raise NewerStateError(path=str(path), operation="open", reason=reason, found=found, supported=_FORMAT)
    return body
