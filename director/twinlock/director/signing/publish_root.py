"""Publishing Roots: the next one in every profile at once, and the first one of a profile that is added later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select
from tuf.api.metadata import Metadata, Root

from twinlock.director.errors.operator import (
    ChainBegunError,
    PastEndError,
    ProfileNotPublishedError,
    UnfitRootError,
    UnknownRootError,
)
from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.history import record_audit
from twinlock.director.inventory.schema import schema_version
from twinlock.director.inventory.signing_marks import read_marks
from twinlock.director.model.profiles import InheritedChain, Profiles, RootTranslation, TranslatedChain
from twinlock.director.model.settings import Settings
from twinlock.director.signing.published_roots import PublishedRoots, read_published_roots
from twinlock.director.signing.revoked_keys import read_published_keys, retire, unnamed_keys
from twinlock.director.signing.roots import (
    RoleKeysView,
    check_role,
    check_signing,
    give_keys,
    insert_root,
    key_changes,
    next_root,
    own_key_changes,
    plan_of,
    role_keys,
    root_authority,
    verify_successor,
)
from twinlock.repository.errors import RootPreparedError
from twinlock.repository.keys.keyring import KeyPlan, Keyring
from twinlock.repository.model.views import RootView
from twinlock.repository.publishing.root_cancelling import Cancelled, cancel_prepared
from twinlock.repository.publishing.root_ceremony import (
    carry_previous,
    check_new_file,
    hand_out,
    take_apart,
)
from twinlock.repository.publishing.root_signing import read_root_file
from twinlock.repository.signing.named_keys import NamedKey, keys_of_roles, keys_of_root
from twinlock.repository.signing.sign import renew
from twinlock.repository.workspace.prepared_root import PreparedRoot
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.local import ConflictError
from twinlock.trust.names import DIRECTOR, ROOT

STRANDED = timedelta(days=730)  # how long old Root keys sign for stranded vehicles unless an operator chooses


class RootKeeper:
    """Publishes the Roots of one Director. ``settings`` are those in force; adding a profile changes them, and ``save`` keeps them."""

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

    def roles(self) -> tuple[RoleKeysView, ...]:
        """Who signs by the newest Root, role by role."""
        return role_keys(self._read().current, self._keyring)

    def read(self, version: int | None, name: str) -> bytes:
        """A Root file in the profile ``name``: the newest, or that ``version``. Raises: UnknownProfileError, UnknownRootError."""
        with self._database.reading() as connection:
            data = self._profiles.named(name).read_root(connection, version)
        if data is None:
            raise UnknownRootError(version=version, profile=name)
        return data

    def plan_of(self, role: str) -> KeyPlan:
        """Number, threshold and kinds of the keys that a role has now. Raises: UsageError for an unknown one."""
        check_role(role)
        return plan_of(self._read().signed(), role)

    def follow(self, now: datetime, roles: tuple[str, ...], plan: KeyPlan | None) -> int:
        """Publish the next Root, with new keys for ``roles``, in every profile; returns its version.

        Raises: UsageError, ProfileError, RootPreparedError, MissingKeysError, PassphraseError, RefusalError, ConflictError.
        """
        published = self._read()
        self._prepared.check(published.version)
        chains = self._chains(published, now)
        for chain in chains:
            chain.check_rotation(roles, plan)
        with self._keyring.new_keys() as new:
            lasting_from = self._lasting_from(now)
            data = next_root(
                published.current,
                self._keyring,
                self.settings.periods,
                now,
                rotate=roles,
                plan=plan,
                new_keys=new,
                lasting_from=lasting_from,
            )
            also = {}
            for chain in chains:
                change = chain.new_root_keys(plan, new) if ROOT in roles else None
                also[chain.name] = chain.follow(data, self._keyring, change=change, now=now)
            with new.leaving(RootPreparedError):
                version = self._store(published, data, also, now)
        self.retire_revoked(now)
        return version

    def prepare(self, now: datetime, plans: Mapping[str, KeyPlan | None], target: Path) -> RootView:
        """Write the next Root, with new keys by ``plans`` (None: as now), to ``target`` for others to sign.

        The root keys that are here sign it; ``repository.root_signing.sign_root`` adds those that are elsewhere.
        Until it is published or cancelled no other Root of its number is.
        Raises: UsageError, ProfileError, RootPreparedError, PassphraseError, StorageError.
        """
        check_new_file(target)
        published = self._read()
        self._prepared.check(published.version)
        chains = self._chains(published, now)
        old, root = published.signed(), published.signed()
        for role, plan in plans.items():
            check_role(role)
            for chain in chains:
                chain.check_rotation((role,), plan)
        with self._keyring.new_keys() as new:
            for role, plan in plans.items():
                give_keys(root, role, new, plan or plan_of(old, role))
            period, lasting_from = self.settings.periods.root, self._lasting_from(now)
            renew(root, now, period, version=old.version + 1, lasting_from=lasting_from)
            metadata = Metadata(root)
            carry_previous(metadata, Metadata[Root].from_bytes(published.current))
            for chain in chains:
                change = chain.new_root_keys(plans[ROOT], new) if ROOT in plans else None
                chain.attach(metadata, self._keyring, change=change)
            with self._prepared.alone():
                self._check_vacant(published)
                with new.leaving():
                    view = hand_out(self._prepared, target, metadata, old, new=new, keyring=self._keyring)
        with self._database.writing("prepare a Root") as connection:
            detail = {"roles": list(plans), "version": root.version, "file": target.name}
            record_audit(connection, actor=self._actor, action="prepare-root", detail=detail, now=now)
        return view

    def publish(self, now: datetime, path: Path) -> int:
        """Publish a prepared Root that has all its signatures, in every profile; returns its version.

        Raises: RefusalError if it may not follow the current Root; UsageError if it was prepared for other profiles, or
        for a time to come; MissingKeysError for online keys that it names and that are not here; ConflictError.
        """
        published = self._read()
        metadata = read_root_file(path)
        self._prepared.check(published.version, metadata.signed)
        data, translated = take_apart(metadata, path)
        verify_successor(published.current, data, now)
        trusted = bootstrap_repository(DIRECTOR, data).root.signed
        if trusted.issued is not None and trusted.issued > now:
            raise UnfitRootError(
                version=trusted.version, reason=f"it states that it was signed at {trusted.issued:%Y-%m-%d %H:%M}Z"
            )
        check_signing(data, self._keyring, now)
        chains = self._chains(published, now)
        if bool(chains) is not (translated is not None):
            raise UnfitRootError(
                version=trusted.version,
                reason="it was prepared for other wire profiles than are published; prepare it again",
            )
        also = {chain.name: chain.accept((translated or {}).values(), now) for chain in chains}
        version = self._store(published, data, also, now)
        self._prepared.end_published(version)
        self.retire_revoked(now)
        return version

    def cancel(self, now: datetime, path: Path) -> Cancelled:
        """End the ceremony of a prepared Root; ``path`` is its file with the signatures that were collected.

        Raises: as ``repository.root_cancelling.cancel_prepared``.
        """
        with self._prepared.alone():
            current, used = self._read().signed(), self._used(now)
            cancelled = cancel_prepared(self._prepared, path, current, self._keyring, now=now, used=used)
        with self._database.writing("cancel a Root") as connection:
            detail = {"version": cancelled.root, "destroyed": list(cancelled.destroyed), "kept": list(cancelled.kept)}
            record_audit(connection, actor=self._actor, action="cancel-root", detail=detail, now=now)
        return cancelled

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

    def retire_revoked(self, now: datetime) -> None:
        """Take private keys that no newest Root names any more from beside the live ones. Raises: StorageError."""
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

    def hand_over(self, name: str, now: datetime, until: date | None) -> int:
        """Give the Root chain of the profile ``name``, which shares its keys with ours, keys of its own; returns its newest version.

        Fillers leave no number for an old Root of ours, and ``1.root.json`` is the new Root from then on. The old keys sign
        each later Root too until the day ``until`` (default: two years), for stranded vehicles. A chain that has keys of
        its own is left alone.
        Raises: UsageError if the profile is off or the day has passed; MissingKeysError, PassphraseError, ConflictError.
        """
        published, translation = self._read(), self._profiles.translation(name)
        newest = published.translated[name]
        if newest is None:
            raise ProfileNotPublishedError(profile=name)
        chain = translation.chain(published.current, newest, handing_over=True)
        if chain.has_own_keys:
            return translation.version_of(newest)
        if until is not None and until < now.date():
            raise PastEndError(what="the use of the old Root keys", ends=datetime.combine(until, time.max, UTC))
        period, lasting_from = self.settings.periods, self._lasting_from(now)
        self._prepared.check(published.version)
        data = next_root(published.current, self._keyring, period, now, lasting_from=lasting_from)
        also = chain.follow(data, self._keyring, change=None, now=now)
        own = own_key_changes(None, translation.own_root_role(data, also[-1]))
        # Before: a chain that still shares its keys has no other signers, so a crash in between costs nothing.
        self._keep_stranded(chain.root_keyids, until or now.date() + STRANDED)
        with self._publishing(published) as connection:
            detail: dict[str, object] = {"wire": name, "root": insert_root(connection, data, now), "keys": own}
            for root in also:
                detail["version"] = translation.insert(connection, root, now)
            translation.insert_newcomer(connection, also[-1], now)
            record_audit(connection, actor=self._actor, action="hand-over", detail=detail, now=now)
        return translation.version_of(also[-1])

    def _keep_stranded(self, keyids: tuple[str, ...], until: date) -> None:
        self.settings = replace(self.settings, stranded=keyids, stranded_until=until.isoformat())
        self._save(self.settings)

    def enable(self, name: str, now: datetime, continue_from: tuple[Path, Path] | None = None) -> int:
        """Publish Roots in the profile ``name`` too, from version 1 on; returns the newest version in it.

        With ``continue_from``, the directories of another Director's Roots and of its keys, they continue its chain. A
        profile that is enabled already stays as it is, and then there is nothing to continue from.
        Raises: UsageError for an unknown one; ProfileError for keys that its clients cannot read, before anything is
        signed; MissingKeysError, PassphraseError, ConflictError; RefusalError for the other Director's chain.
        """
        translation = self._profiles.translation(name)
        inherited = None if continue_from is None else translation.read_inherited(*continue_from, now)
        published = self._read()
        newest = published.translated[name]
        if newest is None:
            newest = self._begin(published, translation, inherited, now)
        elif inherited is not None and not self._continued_from(translation, inherited):
            raise ChainBegunError(profile=name)
        # Last: what has been published decides, so a death in between costs nothing.
        if name not in self.settings.wires:
            self.settings = replace(self.settings, wires=(*self.settings.wires, name))
            self._save(self.settings)
        return translation.version_of(newest)

    def _begin(
        self, published: PublishedRoots, translation: RootTranslation, inherited: InheritedChain | None, now: datetime
    ) -> bytes:
        """Publish the profile's first Root, or the whole of an old chain with the one that continues it."""
        self._prepared.check(published.version)  # it was prepared without a translation for this profile
        self._check_root_keys_held(published)
        before: tuple[bytes, ...] = ()
        if inherited is None:
            data = translation.first(published.current, self._keyring)
        else:
            before, data = inherited.roots, inherited.next_root(published.current, self._keyring, now)
        old = translation.own_root_role(published.current, before[-1] if before else None)
        own = own_key_changes(old, translation.own_root_role(published.current, data))
        with self._publishing(published) as connection:
            for root in (*before, data):
                translation.insert(connection, root, now)
            detail: dict[str, object] = {"wire": translation.name, "version": translation.version_of(data), "keys": own}
            if before:
                detail["inherited"] = len(before)
            record_audit(connection, actor=self._actor, action="wire", detail=detail, now=now)
        return data

    def _check_root_keys_held(self, published: PublishedRoots) -> None:
        """Check that our Root keys are held, though they need not sign: they admit who begins the profile. Raises: MissingKeysError."""
        authority = root_authority(published.signed())
        authority.check_held(ROOT, (record.keyid for record in self._keyring.held(authority.keyids)))

    def _continued_from(self, translation: RootTranslation, inherited: InheritedChain) -> bool:
        """Whether this very chain was taken over before: repeating that is no fault."""
        with self._database.reading() as connection:
            return translation.read(connection, len(inherited.roots)) == inherited.roots[-1]

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
            raise UnknownRootError(version=None, profile=self._profiles.authored.name)
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
