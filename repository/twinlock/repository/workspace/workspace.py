"""A repository's own directory: configuration, keys, draft, and what was last seen to be published.

    config.json            validity by role, where the keys are, wire profiles
    draft.json             staged edits
    keys/offline, online   private keys (0600 in 0700), elsewhere if config.json names another place
    treehub.json           where the OSTree repository is, if there is one
    trusted/               the newest Root, Timestamp and Snapshot seen: the store is checked against these
    public/                the object store: metadata/ targets/ publications/

Vehicles see nothing of it but ``public/``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from twinlock.io.files.durable import TEMPORARY, clean_stale, create_file, read_file, replace_file, storage_errors
from twinlock.io.files.new_directory import make_directory
from twinlock.repository.keys.keyring import Keyring
from twinlock.repository.keys.private_keys import Passphrase
from twinlock.repository.store.directory import DirectoryStore
from twinlock.repository.store.hosted import PUBLIC_HOSTS, OutsideHosts
from twinlock.repository.store.interface import ObjectStore
from twinlock.repository.workspace.config import CONFIG, MAX_CONFIG_BYTES, RepositoryConfig, read_config
from twinlock.repository.workspace.profiles import PublishedProfiles
from twinlock.repository.workspace.validity import Clock, Periods
from twinlock.trust.errors.base import UsageError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import ROOT, SNAPSHOT, TIMESTAMP, RoleName
from twinlock.trust.state.trusted import TrustedRepository

ONLINE_ROLES = frozenset({SNAPSHOT, TIMESTAMP})


@dataclass
class LastVerified:
    """What this process verified last in the store: files with the very same bytes are not verified again."""

    trusted: TrustedRepository | None = None


@dataclass(frozen=True)
class Workspace:
    """An opened repository directory. ``hosts`` are where images may be that are not in the store."""

    path: Path
    store: ObjectStore
    keyring: Keyring
    periods: Periods
    clock: Clock
    hosts: OutsideHosts = PUBLIC_HOSTS
    verified: LastVerified = field(default_factory=LastVerified, repr=False, compare=False)

    @property
    def draft_path(self) -> Path:
        """The file of staged edits."""
        return self.path / "draft.json"

    def read_wires(self) -> PublishedProfiles:
        """The wire profiles as the configuration names them now. An operation has them in its ``RepositoryState``."""
        return read_config(self.path).profiles

    def set_wires(self, wires: PublishedProfiles) -> None:
        """Keep other wire profiles in the configuration. Raises: StorageError."""
        data = read_config(self.path).with_wires(wires).encode()
        replace_file(self.path / CONFIG, data, max_bytes=MAX_CONFIG_BYTES)

    def tidy(self) -> None:
        """Remove what killed writers left half-written."""
        for directory in (self.path, self.path / "trusted", self.keyring.offline, self.keyring.online):
            clean_stale(directory)
        self.store.tidy()

    def now(self) -> datetime:
        """The time for one operation, in whole seconds."""
        return self.clock().replace(microsecond=0)

    def anchor(self) -> bytes | None:
        """The Root from which the store is verified, or None before the first publication."""
        return read_file(self.seen_path(ROOT), max_bytes=DEFAULT_LIMITS.root_bytes)

    def set_anchor(self, root: bytes) -> None:
        """Keep the first Root, made here, before anything is in the store; in place of one from an attempt cut off."""
        with storage_errors("create", self.seen_path(ROOT).parent):
            make_directory(self.seen_path(ROOT).parent)
        replace_file(self.seen_path(ROOT), root, max_bytes=DEFAULT_LIMITS.root_bytes)

    def seen_path(self, role: RoleName) -> Path:
        """Where the newest file of ``role`` that was seen in the store is kept."""
        return self.path / "trusted" / f"{role}.json"


def checked_workspace(given: Workspace) -> Workspace:
    """``given``, if it is an opened directory. Raises: UsageError for a path, which a constructor does not open."""
    if not isinstance(given, Workspace):
        raise UsageError(reason=f"{given} is not an opened repository; open it with ImageRepository.open")
    return given


def create_workspace(
    path: Path, *, passphrase: Passphrase, periods: Periods, clock: Clock, wires: PublishedProfiles | None = None
) -> Workspace:
    """Make the directory and its configuration; one that is there already is opened. Raises: StorageError."""
    with storage_errors("create", path):
        make_directory(path)
        clean_stale(path)
        check_place(path)
    data = RepositoryConfig.new(periods, wires or PublishedProfiles()).encode()
    created = create_file(path / CONFIG, data, max_bytes=MAX_CONFIG_BYTES)
    if not created and not any(path.glob("public/publications/*")):
        read_config(path)  # an earlier attempt, cut off: what is wanted now counts
        replace_file(path / CONFIG, data, max_bytes=MAX_CONFIG_BYTES)
    return open_workspace(path, passphrase=passphrase, clock=clock)


def check_place(path: Path) -> None:
    """Check that a repository may be made in ``path``: it is missing, empty or begun. Raises: UsageError."""
    if not path.is_dir() or (path / CONFIG).exists():
        return
    if any(not item.name.startswith(TEMPORARY) for item in path.iterdir()):  # one is left where making it was cut off
        raise UsageError(reason=f"{path} is not empty and not an Image repository")


def open_workspace(path: Path, *, passphrase: Passphrase, clock: Clock) -> Workspace:
    """Open a repository directory. Raises: UsageError if it is none, NewerStateError, StorageError."""
    return make_workspace(path, read_config(path), passphrase=passphrase, clock=clock, hosts=PUBLIC_HOSTS)


def make_workspace(
    path: Path, config: RepositoryConfig, *, passphrase: Passphrase, clock: Clock, hosts: OutsideHosts
) -> Workspace:
    """The workspace that ``config`` describes. Writes nothing."""
    keyring = Keyring(
        offline=path / config.keys.offline,
        online=path / config.keys.online,
        online_roles=ONLINE_ROLES,
        passphrase=passphrase,
    )
    return Workspace(
        path=path,
        store=DirectoryStore(path / config.store),
        keyring=keyring,
        periods=config.validity.periods(Periods()),
        clock=clock,
        hosts=hosts,
    )
