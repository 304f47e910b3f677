"""Publishing Roots: the next one in every profile at once, and the first one of a profile that is added later.

Belongs here: reading, making, and storing all of it in one transaction. Does not belong here: what a Root says
(``roots.py``) or its translation (``wire_roots.py``).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, select

from twinlock.director.config import Settings, replace_config
from twinlock.director.database import Database
from twinlock.director.history import record_audit
from twinlock.director.inherited_roots import Inheritance, next_inherited_root
from twinlock.director.records import AKTUALIZR_WIRE
from twinlock.director.roots import insert_root, next_root, read_root
from twinlock.director.schema import schema_version
from twinlock.director.wire_roots import (
    check_rotation,
    first_wire_root,
    insert_wire_root,
    next_wire_root,
    read_wire_root,
    version_of,
)
from twinlock.repository.keyring import KeyPlan, Keyring
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import ConflictError


class RootKeeper:
    """Publishes the Roots of one Director. ``settings`` are those in force; adding a profile changes them."""

    def __init__(self, directory: Path, database: Database, keyring: Keyring, settings: Settings) -> None:
        self._directory = directory
        self._database = database
        self._keyring = keyring
        self.settings = settings

    def follow(self, now: datetime, roles: tuple[str, ...], plan: KeyPlan | None) -> int:
        """Publish the next Root, with new keys for ``roles``, in every profile; returns its version.

        Raises: UsageError, ProfileError, MissingKeysError, PassphraseError, RefusalError, ConflictError.
        """
        current, translated = self._read()
        enabled = translated is not None or AKTUALIZR_WIRE in self.settings.wires
        if enabled:
            check_rotation(roles, plan)
        data = next_root(current, self._keyring, self.settings.periods, now, rotate=roles, plan=plan)
        also = self._translate(translated, current, data, now) if enabled else None
        with self._database.writing("publish a Root") as connection:
            _check_unchanged(connection, current, translated)
            version = insert_root(connection, data, now)
            detail = {"roles": list(roles), "version": version}
            if also is not None:
                detail[AKTUALIZR_WIRE] = insert_wire_root(connection, also, now)
            record_audit(connection, actor="operator", action="root", detail=detail, now=now)
        return version

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
            record_audit(connection, actor="operator", action="wire", detail=detail, now=now)
        return data

    def _went_on_from(self, inheritance: Inheritance) -> bool:
        """Whether this very chain was taken over before: repeating that is no fault."""
        with self._database.reading() as connection:
            return read_wire_root(connection, len(inheritance.roots)) == inheritance.roots[-1]

    def _translate(self, translated: bytes | None, current: bytes, data: bytes, now: datetime) -> bytes:
        if translated is None:
            return first_wire_root(data, self._keyring)
        return next_wire_root(translated, old=current, new=data, keyring=self._keyring, now=now)

    def _read(self) -> tuple[bytes, bytes | None]:
        with self._database.reading() as connection:
            current = read_root(connection)
            if current is None:
                raise UsageError(reason="the Director has no Root")
            return current, read_wire_root(connection)


def _check_unchanged(connection: Connection, current: bytes, translated: bytes | None) -> None:
    """Both chains still end where they did: a Root without its translation would break the other chain for ever.

    The row of the schema's version serialises those who publish. Raises: ConflictError.
    """
    connection.execute(select(schema_version.c.version).with_for_update())
    if (read_root(connection), read_wire_root(connection)) != (current, translated):
        raise ConflictError(what="the Director's Root", reason="somebody else published one")
