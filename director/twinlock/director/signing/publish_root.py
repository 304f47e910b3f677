"""Publishing Roots: the next one in every profile at once, and the first one of a profile that is added later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, select
from tuf.api.metadata import Metadata, Root

from twinlock.director.config import Settings, replace_config
from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.history import record_audit
from twinlock.director.inventory.schema import schema_version
from twinlock.director.inventory.signing_marks import read_marks
from twinlock.director.model.records import AKTUALIZR_WIRE
from twinlock.director.signing.aktualizr_roots import (
    check_rotation,
    first_wire_root,
    insert_newcomer_root,
    insert_wire_root,
    next_wire_roots,
    read_wire_root,
    root_chain,
    version_of,
)
from twinlock.director.signing.imported_roots import Inheritance, next_inherited_root
from twinlock.director.signing.roots import (
    RoleKeysView,
    check_role,
    check_signing,
    give_keys,
    insert_root,
    key_changes,
    next_root,
    plan_of,
    read_root,
    role_keys,
    root_authority,
    verify_successor,
)
from twinlock.repository.aktualizr.ceremony import attach
from twinlock.repository.aktualizr.root_chain import OWN_ROOT, RootChain, authority_of, new_own_keys
from twinlock.repository.keys.keyring import KeyPlan, Keyring
from twinlock.repository.keys.new_keys import NewKeys
from twinlock.repository.model.views import RootView
from twinlock.repository.publishing.root_cancelling import Cancelled, cancel_prepared
from twinlock.repository.publishing.root_ceremony import (
    carry_previous,
    check_new_file,
    hand_out,
    read_root_file,
    take_apart,
)
from twinlock.repository.signing.named_keys import NamedKey, keys_of_roles, keys_of_root
from twinlock.repository.signing.sign import Authority, renew
from twinlock.repository.workspace.prepared_root import PreparedRoot
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import ConflictError
from twinlock.trust.names import DIRECTOR, ROOT
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR

STRANDED = timedelta(days=730)  # how long old Root keys sign for stranded vehicles unless an operator chooses


class RootKeeper:
    """Publishes the Roots of one Director. ``settings`` are those in force; adding a profile changes them."""

    def __init__(self, directory: Path, database: Inventory, keyring: Keyring, settings: Settings, actor: str) -> None:
        self._directory = directory
        self._database = database
        self._keyring = keyring
        self.settings: Settings = settings
        self._actor = actor
        self._prepared = PreparedRoot(directory)

    def roles(self) -> tuple[RoleKeysView, ...]:
        """Who signs by the newest Root, role by role."""
        return role_keys(self._read()[0], self._keyring)

    def plan_of(self, role: str) -> KeyPlan:
        """Number, threshold and kinds of the keys that a role has now. Raises: UsageError for an unknown one."""
        check_role(role)
        return plan_of(Metadata[Root].from_bytes(self._read()[0]).signed, role)

    def follow(self, now: datetime, roles: tuple[str, ...], plan: KeyPlan | None) -> int:
        """Publish the next Root, with new keys for ``roles``, in every profile; returns its version.

        Raises: UsageError, ProfileError, RootPreparedError, MissingKeysError, PassphraseError, RefusalError, ConflictError.
        """
        current, translated = self._read()
        self._prepared.check(_version(current))
        enabled = translated is not None or AKTUALIZR_WIRE in self.settings.wires
        chain = root_chain(current, translated, stranded=self.settings.stranded_keys(now))
        if enabled:
            check_rotation(chain, roles, plan)
        with self._keyring.new_keys() as new:
            lasting_from = self._lasting_from(now)
            data = next_root(
                current,
                self._keyring,
                self.settings.periods,
                now,
                rotate=roles,
                plan=plan,
                new_keys=new,
                lasting_from=lasting_from,
            )
            change = self._new_own_keys(chain, plan, new) if ROOT in roles and enabled else None
            also = self._translate(chain, translated, data, change, now) if enabled else []
            with new.leaving():
                version = self._store((current, translated), (data, also), now)
        self._retire_revoked(current, chain, now)
        return version

    def prepare(self, now: datetime, plans: Mapping[str, KeyPlan | None], target: Path) -> RootView:
        """Write the next Root, with new keys by ``plans`` (None: as now), to ``target`` for others to sign.

        The root keys that are here sign it; ``repository.root_ceremony.sign_root`` adds those that are elsewhere.
        Until it is published or cancelled no other Root of its number is.
        Raises: UsageError, ProfileError, RootPreparedError, PassphraseError, StorageError.
        """
        check_new_file(target)
        current, translated = self._read()
        self._prepared.check(_version(current))
        enabled = translated is not None or AKTUALIZR_WIRE in self.settings.wires
        chain = root_chain(current, translated, stranded=self.settings.stranded_keys(now))
        old, root = Metadata[Root].from_bytes(current).signed, Metadata[Root].from_bytes(current).signed
        for role, plan in plans.items():
            check_role(role)
            if enabled:
                check_rotation(chain, (role,), plan)
        with self._keyring.new_keys() as new:
            for role, plan in plans.items():
                give_keys(root, role, new, plan or plan_of(old, role))
            period, lasting_from = self.settings.periods.root, self._lasting_from(now)
            renew(root, now, period, version=old.version + 1, lasting_from=lasting_from)
            metadata = Metadata(root)
            carry_previous(metadata, Metadata[Root].from_bytes(current))
            if enabled:
                change = self._new_own_keys(chain, plans[ROOT], new) if ROOT in plans else None
                attach(metadata, chain.links(root, self._keyring, change=change))
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
        current, translated = self._read()
        metadata = read_root_file(path)
        self._prepared.check(_version(current), metadata.signed)
        data, other = take_apart(metadata, path)
        verify_successor(current, data, now)
        trusted = bootstrap_repository(DIRECTOR, data).root.signed
        if trusted.issued is not None and trusted.issued > now:
            raise UsageError(
                reason=f"the Root says that it was signed at {trusted.issued:%Y-%m-%d %H:%M}Z, still to come"
            )
        check_signing(data, self._keyring, now)
        if (translated is not None or AKTUALIZR_WIRE in self.settings.wires) is not (other is not None):
            raise UsageError(
                reason="the Root was prepared for other wire profiles than are published; prepare it again"
            )
        also, before = sorted((other or {}).values(), key=version_of), translated
        for root in also:
            if before is not None:
                verify_successor(before, root, now, wire=AKTUALIZR)
            before = root
        version = self._store((current, translated), (data, also), now)
        self._prepared.end()
        self._retire_revoked(current, root_chain(current, translated), now)
        return version

    def cancel(self, now: datetime, path: Path) -> Cancelled:
        """End the ceremony of a prepared Root; ``path`` is its file with the signatures that were collected.

        Raises: as ``repository.root_cancelling.cancel_prepared``.
        """
        current, _ = self._read()
        cancelled = cancel_prepared(
            self._prepared,
            path,
            Metadata[Root].from_bytes(current).signed,
            self._keyring,
            now=now,
            used=self._used(now),
        )
        with self._database.writing("cancel a Root") as connection:
            detail = {"version": cancelled.root, "destroyed": list(cancelled.destroyed), "kept": list(cancelled.kept)}
            record_audit(connection, actor=self._actor, action="cancel-root", detail=detail, now=now)
        return cancelled

    def _store(self, before: tuple[bytes, bytes | None], after: tuple[bytes, list[bytes]], now: datetime) -> int:
        """Publish one Root and what it is in the other profile, in one transaction. Raises: ConflictError."""
        with self._database.writing("publish a Root") as connection:
            _check_unchanged(connection, *before)
            self._prepared.check(_version(before[0]), Metadata[Root].from_bytes(after[0]).signed)
            version = insert_root(connection, after[0], now)
            changes = key_changes(before[0], after[0])
            detail: dict[str, object] = {"roles": list(changes), "version": version, "keys": changes}
            for root in after[1]:
                detail[AKTUALIZR_WIRE] = insert_wire_root(connection, root, now)
            record_audit(connection, actor=self._actor, action="root", detail=detail, now=now)
        return version

    def _retire_revoked(self, before: bytes, chain: RootChain, now: datetime) -> None:
        """Take private keys that no Root names any more from beside the live ones; of these only old Root keys are kept."""
        used = self._used(now)
        old = Metadata[Root].from_bytes(before).signed
        roots = {*root_authority(old).keyids, *self.settings.stranded}
        if chain.newest is not None:
            roots |= set(authority_of(chain.newest).keyids)
        self._keyring.retire(sorted(roots - used))
        self._keyring.retire(sorted(set(old.keys) - roots - used), destroy=True)

    def _used(self, now: datetime) -> set[str]:
        """The ids of the keys that the newest Roots name, or that sign for stranded vehicles."""
        current, translated = self._read()
        used = {*Metadata[Root].from_bytes(current).signed.keys, *self.settings.stranded_keys(now)}
        newest = None if translated is None else root_chain(current, translated).newest
        return used if newest is None else used | set(authority_of(newest).keyids)

    def named_keys(self) -> dict[str, NamedKey]:
        """The keys of all roles by the newest Root, and the Root keys of the aktualizr chain, by id."""
        current, translated = self._read()
        newest = root_chain(current, translated).newest
        own = [] if newest is None else [(OWN_ROOT, authority_of(newest))]
        return keys_of_roles(own) | keys_of_root(Metadata[Root].from_bytes(current).signed)

    def hand_over(self, now: datetime, until: date | None) -> int:
        """Give the aktualizr Root chain, which shares its keys with ours, keys of its own; returns its newest version.

        Fillers leave no number for an old Root of ours, and ``1.root.json`` is the new Root from then on. The old keys sign
        each later Root too until the day ``until`` (default: two years), for stranded vehicles. A chain that has keys of
        its own is left alone.
        Raises: UsageError if the profile is off or the day has passed; MissingKeysError, PassphraseError, ConflictError.
        """
        current, translated = self._read()
        if translated is None:
            raise UsageError(reason=f"it publishes no Roots for {AKTUALIZR_WIRE}, so there is no chain to hand over")
        chain = root_chain(current, translated, handing_over=True)
        if chain.has_own_keys:
            return version_of(translated)
        if until is not None and until < now.date():
            raise UsageError(reason=f"the old Root keys cannot sign until {until}: that day has passed")
        period, lasting_from = self.settings.periods, self._lasting_from(now)
        self._prepared.check(_version(current))
        data = next_root(current, self._keyring, period, now, lasting_from=lasting_from)
        also = self._translate(chain, translated, data, None, now)
        # Before: a chain that still shares its keys has no other signers, so a crash in between costs nothing.
        assert chain.newest is not None
        self._keep_stranded(tuple(map(str, chain.newest.roles[ROOT].keyids)), until or now.date() + STRANDED)
        with self._database.writing("publish a Root") as connection:
            _check_unchanged(connection, current, translated)
            detail: dict[str, object] = {"wire": AKTUALIZR_WIRE, "root": insert_root(connection, data, now)}
            for root in also:
                detail["version"] = insert_wire_root(connection, root, now)
            insert_newcomer_root(connection, also[-1], now)
            record_audit(connection, actor=self._actor, action="hand-over", detail=detail, now=now)
        return version_of(also[-1])

    def _keep_stranded(self, keyids: tuple[str, ...], until: date) -> None:
        self.settings = replace(self.settings, stranded=keyids, stranded_until=until.isoformat())
        replace_config(self._directory, self.settings)

    def _new_own_keys(self, chain: RootChain, plan: KeyPlan | None, new: NewKeys) -> Authority | None:
        """New Root keys for the aktualizr chain, as our Root role gets all new ones; None where that chain shares those."""
        if chain.newest is None or not chain.has_own_keys or (plan is not None and plan.replacing):
            return None
        own = authority_of(chain.newest)
        return new_own_keys(new, plan or KeyPlan.like(own.keys.values(), own.threshold))

    def enable(self, wire: str, now: datetime, inheritance: Inheritance | None = None) -> int:
        """Publish Roots in the profile ``wire`` too, from version 1 on; returns the newest version in it.

        With ``inheritance`` they go on where another Director's chain ends. A profile that is enabled already stays as
        it is, and then there is nothing to go on from.
        Raises: UsageError for an unknown one; ProfileError for keys that its clients cannot read, before anything is
        signed; MissingKeysError, PassphraseError, ConflictError.
        """
        if wire != AKTUALIZR_WIRE:
            raise UsageError(reason=f"there is no profile {wire!r} that could be added; there is {AKTUALIZR_WIRE}")
        current, translated = self._read()
        if translated is None:
            translated = self._begin(current, inheritance, now)
        elif inheritance is not None and not self._went_on_from(inheritance):
            reason = (
                f"it publishes Roots for {wire} already, and vehicles follow those: no other chain can go before them"
            )
            raise UsageError(reason=reason)
        # Last: what has been published decides, so a death in between costs nothing.
        if wire not in self.settings.wires:
            self.settings = replace(self.settings, wires=(*self.settings.wires, wire))
            replace_config(self._directory, self.settings)
        return version_of(translated)

    def _begin(self, current: bytes, inheritance: Inheritance | None, now: datetime) -> bytes:
        """Publish the profile's first Root, or the whole of an old chain with the one that goes on from it."""
        self._prepared.check(_version(current))  # it was prepared without a form for this profile
        self._check_root_keys_held(current)
        before = () if inheritance is None else inheritance.roots
        if inheritance is None:
            data = first_wire_root(current, self._keyring)
        else:
            data = next_inherited_root(inheritance, current, self._keyring, now)
        with self._database.writing("publish a Root") as connection:
            _check_unchanged(connection, current, None)
            for root in (*before, data):
                insert_wire_root(connection, root, now)
            detail: dict[str, object] = {"wire": AKTUALIZR_WIRE, "version": version_of(data)}
            if before:
                detail["inherited"] = len(before)
            record_audit(connection, actor=self._actor, action="wire", detail=detail, now=now)
        return data

    def _check_root_keys_held(self, current: bytes) -> None:
        """Check that our Root keys are held, though they need not sign: they admit who begins the profile. Raises: MissingKeysError."""
        authority = root_authority(Metadata[Root].from_bytes(current).signed)
        authority.check_held(ROOT, (record.keyid for record in self._keyring.held(authority.keyids)))

    def _went_on_from(self, inheritance: Inheritance) -> bool:
        """Whether this very chain was taken over before: repeating that is no fault."""
        with self._database.reading() as connection:
            return read_wire_root(connection, len(inheritance.roots)) == inheritance.roots[-1]

    def _translate(
        self, chain: RootChain, translated: bytes | None, data: bytes, change: Authority | None, now: datetime
    ) -> list[bytes]:
        if translated is None:
            return [first_wire_root(data, self._keyring)]
        return next_wire_roots(chain, translated, data, self._keyring, change=change, now=now)

    def _lasting_from(self, now: datetime) -> datetime:
        """The time from which the life of a new Root counts: it has to outlast every time that was ever stated."""
        with self._database.reading() as connection:
            return read_marks(connection).lasting_from(now)

    def _read(self) -> tuple[bytes, bytes | None]:
        with self._database.reading() as connection:
            current = read_root(connection)
            if current is None:
                raise UsageError(reason="the Director has no Root")
            return current, read_wire_root(connection)


def _version(root: bytes) -> int:
    return int(Metadata[Root].from_bytes(root).signed.version)


def _check_unchanged(connection: Connection, current: bytes, translated: bytes | None) -> None:
    """Both chains still end where they did: a Root without its translation would break the other chain forever.

    The row of the schema's version serialises those who publish. Raises: ConflictError.
    """
    connection.execute(select(schema_version.c.version).with_for_update())
    if (read_root(connection), read_wire_root(connection)) != (current, translated):
        raise ConflictError(what="the Director's Root", reason="another process published one")
