"""The Root chains of one Director as they are published: what they name, and the transaction that publishes the next Root of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, select
from tuf.api.metadata import Metadata, Root

from twinlock.director.errors.operator import NoRootError, UnknownRootError
from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.history import record_audit
from twinlock.director.inventory.schema import schema_version
from twinlock.director.inventory.signing_marks import read_marks
from twinlock.director.model.actions import Action
from twinlock.director.model.profiles import Profiles, TranslatedChain
from twinlock.director.model.settings import Settings
from twinlock.director.signing.published_roots import PublishedRoots, insert_root, read_published_roots
from twinlock.director.signing.revoked_keys import read_published_keys, retire, unnamed_keys
from twinlock.director.signing.roots import (
    RoleKeysView,
    check_role,
    key_changes,
    own_key_changes,
    plan_of,
    role_keys,
)
from twinlock.repository.keys.keyring import KeyPlan, Keyring
from twinlock.repository.signing.named_keys import NamedKey, keys_of_roles, keys_of_root
from twinlock.repository.workspace.prepared_root import PreparedRoot
from twinlock.repository.workspace.validity import utc_now
from twinlock.trust.errors.local import ConflictError


class RootChains:
    """The Root chains of one Director. ``settings`` are those in force; ``save`` keeps those that adding a profile changes."""

    def __init__(
        self,
        directory: Path,
        database: Inventory,
        keyring: Keyring,
        settings: Settings,
        profiles: Profiles,
        *,
        save: Callable[[Settings], None],
        actor: str,
    ) -> None:
        self._save = save
        self._database = database
        self._keyring = keyring
        self.settings: Settings = settings
        self._profiles = profiles
        self._actor = actor
        self._prepared = PreparedRoot(directory)

    def _change(self, settings: Settings) -> None:
        self.settings = settings

    def roles(self) -> tuple[RoleKeysView, ...]:
        """Who signs by the newest Root, role by role."""
        return role_keys(self._read().current, self._keyring)

    def read(self, version: int | None, name: str) -> bytes:
        """A Root file in the profile ``name``: the newest, or that ``version``.

        Raises: UnknownProfileError, NoRootError, UnknownRootError.
        """
        with self._database.reading() as connection:
            data = self._profiles.named(name).read_root(connection, version)
        if data is not None:
            return data
        if version is None:
            raise NoRootError(profile=name)
        raise UnknownRootError(version=version, profile=name)

    def plan_of(self, role: str) -> KeyPlan:
        """Number, threshold and kinds of the keys that a role has now. Raises: UsageError for an unknown one."""
        check_role(role)
        return plan_of(self._read().signed(), role)

    def retire_revoked(self, now: datetime) -> None:
        """Remove private keys that no newest Root names from the directory of the live ones. Raises: StorageError."""
        if not self._keyring.has_abandoned and not unnamed_keys(self._keyring, self._used(now)):
            return
        with self._prepared.alone():
            used = self._used(now) | self._prepared.named(self._read().version)
            with self._database.reading() as connection:
                published = read_published_keys(connection, self._profiles)
            retire(self._keyring, used, published)

    def _used(self, now: datetime) -> set[str]:
        """The ids of the keys that the newest Roots name, or that sign for stranded vehicles."""
        published = self._read()
        used = {*published.signed().keys, *self.settings.stranded_keys(now)}
        return used.union(*(chain.root_keyids for chain in self._chains(published, now)))

    def named_keys(self) -> dict[str, NamedKey]:
        """The keys of all roles by the newest Root, and the Root keys of the translated chains, by id."""
        published = self._read()
        translated = published.translated
        chains = [each.chain(published.current, translated[each.name]) for each in self._profiles.translations]
        own = [role for role in (chain.named_role() for chain in chains) if role is not None]
        return keys_of_roles(own) | keys_of_root(published.signed())

    def _store(self, before: PublishedRoots, data: bytes, also: Mapping[str, list[bytes]], now: datetime) -> int:
        """Publish one Root and what it is in the other profiles, in one transaction. Raises: ConflictError."""
        changes, own = key_changes(before.current, data), dict[str, Any]()
        for name, roots in also.items():
            role_of = self._profiles.translation(name).own_root_role
            own |= own_key_changes(role_of(before.current, before.translated[name]), role_of(data, roots[-1]))
        with self._publishing(before, Metadata[Root].from_bytes(data).signed) as connection:
            version = insert_root(connection, data, now)
            detail: dict[str, object] = {"roles": list(changes), "version": version, "keys": {**changes, **own}}
            for name, roots in also.items():
                for root in roots:
                    detail[name] = self._profiles.translation(name).insert(connection, root, now)
            record_audit(connection, actor=self._actor, action="root", detail=detail, now=now)
        return version

    def _chains(self, published: PublishedRoots, now: datetime) -> list[TranslatedChain]:
        """The translated chains that are published, or that the configuration asks for."""
        stranded = self.settings.stranded_keys(now)
        return [
            each.chain(published.current, published.translated[each.name], stranded=stranded)
            for each in self._profiles.translations
            if published.translated[each.name] is not None or each.name in self.settings.wires
        ]

    def _lasting_from(self, now: datetime) -> datetime:
        """The time from which the life of a new Root counts: it has to outlast every time that was ever stated."""
        with self._database.reading() as connection:
            return read_marks(connection).lasting_from(now)

    def _read(self) -> PublishedRoots:
        with self._database.reading() as connection:
            published = read_published_roots(connection, self._profiles)
        if published is None:
            raise NoRootError(profile=self._profiles.authored.name)
        return published

    @contextmanager
    def _publishing(self, before: PublishedRoots, root: Root | None = None) -> Iterator[Connection]:
        """A transaction that publishes a Root after ``before``, while no process prepares or cancels one.

        ``root`` is the next one of ours where it may be the one that is prepared.
        Raises: ConflictError, RootPreparedError, RootCancelledError, StorageError.
        """
        with self._prepared.alone(), self._database.writing("publish a Root") as connection:
            self._check_unchanged(connection, before)
            self._prepared.check(before.version, root)
            yield connection

    def _audit(self, action: Action, detail: Mapping[str, object], now: datetime) -> None:
        """Record ``action``, which is about to change files: a process that dies before it did leaves the row alone."""
        with self._database.writing("record an action") as connection:
            record_audit(connection, actor=self._actor, action=action, detail=detail, now=now)

    def revoked_keys_in_force(self) -> tuple[str, ...]:
        """Keys that the newest Roots name although a newer Root revoked them, as after the restore of an old inventory.

        Keys are put aside only once no newest Root names them, so a Root that is not in this inventory was published.
        """
        return tuple(sorted(self._keyring.retired() & self.named_keys().keys()))

    def record_key_files(self, action: Literal["mark", "passphrase"], detail: Mapping[str, object]) -> None:
        """Record in the audit what is about to be done to the private keys here, which the inventory knows nothing of."""
        self._audit(action, detail, utc_now())

    def _check_vacant(self, before: PublishedRoots) -> None:
        """Check again, where no other process can change it, that no next Root is published or prepared."""
        if self._read() != before:
            raise ConflictError(what="the Director's Root", reason="another process published one")
        self._prepared.check(before.version)

    def _check_unchanged(self, connection: Connection, before: PublishedRoots) -> None:
        """All chains still end where they did: a Root without its translation would break another chain forever.

        The row of the schema's version serialises those who publish. Raises: ConflictError.
        """
        connection.execute(select(schema_version.c.version).with_for_update())
        if read_published_roots(connection, self._profiles) != before:
            raise ConflictError(what="the Director's Root", reason="another process published one")
