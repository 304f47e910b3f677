"""The Director's Roots in the ``aktualizr`` profile: translations of its Roots, with Root keys of the profile's own.

The chain of this profile starts at version 1 whatever the other one has reached, since its clients start there, and every
Root that is published from then on has its translation. ``signing/publish_root.py`` decides when one is published.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError
from tuf.api.metadata import Metadata, Root

from twinlock.director.aktualizr.inherited_chain import read_inherited_chain
from twinlock.director.aktualizr.root_signing import decode_root, sign_link
from twinlock.director.inventory import schema
from twinlock.director.model.profiles import InheritedChain, TranslatedChain
from twinlock.director.model.records import AKTUALIZR_PROFILE
from twinlock.director.signing.roots import ROTATABLE, TIME, verify_successor
from twinlock.repository.aktualizr.ceremony import attach
from twinlock.repository.aktualizr.readable_keys import READABLE_KINDS
from twinlock.repository.aktualizr.root_chain import OWN_ROOT, RootChain, authority_of, new_own_keys
from twinlock.repository.keys.keyring import KeyPlan, Keyring
from twinlock.repository.keys.new_keys import NewKeys
from twinlock.repository.signing.sign import SigningAuthority
from twinlock.trust.errors.local import ConflictError, ProfileError
from twinlock.trust.names import ROOT
from twinlock.trust.wire.aktualizr import form
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR

_W = schema.wire_roots.c
_NEWCOMER = "newcomer"  # beside the profiles: what 1.root.json is after a hand-over


class AktualizrChain:
    """See ``TranslatedChain``. ``chain`` is the state of the two chains as the Image repository's side of it has it."""

    name: str = form.NAME

    def __init__(self, newest: bytes | None, chain: RootChain) -> None:
        self.newest: bytes | None = newest
        self._chain = chain

    @property
    def has_own_keys(self) -> bool:
        """See ``TranslatedChain``."""
        return self._chain.has_own_keys

    @property
    def root_keyids(self) -> tuple[str, ...]:
        """See ``TranslatedChain``."""
        return () if self._chain.newest is None else tuple(map(str, self._chain.newest.roles[ROOT].keyids))

    def named_role(self) -> tuple[str, SigningAuthority] | None:
        """See ``TranslatedChain``."""
        return None if self._chain.newest is None else (OWN_ROOT, authority_of(self._chain.newest))

    def check_rotation(self, roles: Iterable[str], plan: KeyPlan | None) -> None:
        """See ``TranslatedChain``."""
        named = [role for role in roles if role in ROTATABLE]
        if named:
            self._chain.check_may_change()
        _check_plans({role: plan for role in named if plan is not None}, shared_root=not self.has_own_keys)

    def new_root_keys(self, plan: KeyPlan | None, new: NewKeys) -> SigningAuthority | None:
        """See ``TranslatedChain``."""
        if self._chain.newest is None or not self.has_own_keys or (plan is not None and plan.replacing):
            return None
        own = authority_of(self._chain.newest)
        return new_own_keys(new, plan or KeyPlan.like(own.keys.values(), own.threshold))

    def follow(self, root: bytes, keyring: Keyring, *, change: SigningAuthority | None, now: datetime) -> list[bytes]:
        """See ``TranslatedChain``: one Root, or more at a hand-over."""
        if self.newest is None:
            return [_first(root, keyring)]
        roots, before = [], self.newest
        for link in self._chain.links(Metadata[Root].from_bytes(root).signed, keyring, change=change):
            before = self._checked(before, sign_link(link, keyring), now)
            roots.append(before)
        return roots

    def attach(self, metadata: Metadata[Root], keyring: Keyring, *, change: SigningAuthority | None) -> None:
        """See ``TranslatedChain``."""
        attach(metadata, self._chain.links(metadata.signed, keyring, change=change))

    def accept(self, files: Iterable[bytes], now: datetime) -> list[bytes]:
        """See ``TranslatedChain``."""
        roots, before = sorted(files, key=lambda data: decode_root(data).version), self.newest
        for root in roots:
            before = root if before is None else self._checked(before, root, now)
        return roots

    @staticmethod
    def _checked(before: bytes, root: bytes, now: datetime) -> bytes:
        verify_successor(before, root, now, reader=AKTUALIZR)
        return root


class AktualizrRoots:
    """See ``RootTranslation``."""

    name: str = form.NAME

    def read(self, connection: Connection, version: int | None = None) -> bytes | None:
        """See ``RootTranslation``."""
        query = select(_W.data).where(_W.profile == AKTUALIZR_PROFILE).order_by(_W.version.desc()).limit(1)
        if version is not None:
            query = query.where(_W.version == version)
        data = connection.execute(query).scalar_one_or_none()
        return None if data is None else bytes(data)

    def read_served(self, connection: Connection, version: int | None) -> bytes | None:
        """The Root that a device is given for ``version``; None if there is none.

        It asks for number 1 only if it stores none. After a hand-over it must not trust a Root from before.
        """
        if version == 1:
            query = select(_W.data).where(_W.profile == _NEWCOMER).order_by(_W.version.desc()).limit(1)
            data = connection.execute(query).scalar_one_or_none()
            if data is not None:
                return bytes(data)
        return self.read(connection, version)

    def insert(self, connection: Connection, data: bytes, now: datetime) -> int:
        """See ``RootTranslation``."""
        return _insert(connection, AKTUALIZR_PROFILE, data, now)

    def insert_newcomer(self, connection: Connection, data: bytes, now: datetime) -> None:
        """See ``RootTranslation``."""
        _insert(connection, _NEWCOMER, data, now)

    def version_of(self, data: bytes) -> int:
        """See ``RootTranslation``."""
        return decode_root(data).version

    def check_plans(self, plans: Mapping[str, KeyPlan]) -> None:
        """See ``RootTranslation``."""
        _check_plans(plans, shared_root=False)

    def first(self, root: bytes, keyring: Keyring) -> bytes:
        """See ``RootTranslation``."""
        return _first(root, keyring)

    def chain(
        self,
        current: bytes,
        newest: bytes | None,
        *,
        handing_over: bool = False,
        stranded: frozenset[str] = frozenset(),
    ) -> TranslatedChain:
        """See ``RootTranslation``."""
        decoded = None if newest is None else decode_root(newest)
        following = 1 if decoded is None else decoded.version + 1

        def number(version: int) -> int:
            return max(version, following) if handing_over else following

        tuf = Metadata[Root].from_bytes(current).signed
        chain = RootChain(number=number, newest=decoded, tuf=tuf, handing_over=handing_over, stranded=stranded)
        return AktualizrChain(newest, chain)

    def own_root_role(self, current: bytes, newest: bytes | None) -> tuple[str, SigningAuthority] | None:
        """See ``RootTranslation``."""
        if newest is None:
            return None
        decoded, tuf = decode_root(newest), Metadata[Root].from_bytes(current).signed
        state = RootChain(number=lambda version: version, newest=decoded, tuf=tuf)
        return (OWN_ROOT, authority_of(decoded)) if state.has_own_keys else None

    def read_inherited(self, path: Path, keys: Path, now: datetime) -> InheritedChain:
        """See ``RootTranslation``."""
        return read_inherited_chain(path, keys, now)


def _insert(connection: Connection, profile: str, data: bytes, now: datetime) -> int:
    version = decode_root(data).version
    row = {"profile": profile, "version": version, "data": data, "published_at": now}
    try:
        connection.execute(insert(schema.wire_roots).values(**row))
    except IntegrityError:
        raise ConflictError(what="the Director's Root", reason=f"version {version} exists already") from None
    return version


def _first(root: bytes, keyring: Keyring) -> bytes:
    chain = RootChain(number=lambda _: 1, newest=None, tuf=None)
    (link,) = chain.links(Metadata[Root].from_bytes(root).signed, keyring, change=None)
    return sign_link(link, keyring)


def _check_plans(plans: Mapping[str, KeyPlan], *, shared_root: bool) -> None:
    """Refuse keys that the client could not read, before they are made.

    It asks no time source, and its Root chain has keys of its own; in a chain that shares ours (``shared_root``) every
    key has to be readable, so that equal numbers say the same. Raises: ProfileError.
    """
    free = () if shared_root else (TIME, ROOT)
    for role, plan in plans.items():
        unreadable = [kind.value for kind in plan.kinds if kind not in READABLE_KINDS]
        if role not in free and unreadable:
            readable = " and ".join(sorted(kind.value for kind in READABLE_KINDS))
            reason = f"its keys would be of the kind {unreadable[0]}; {readable} can be read"
            raise ProfileError(profile=form.NAME, what=role, reason=reason)
