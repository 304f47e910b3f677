"""The Director's Roots in the ``aktualizr`` profile: translations of its Roots, with Root keys of the profile's own.

The chain of this profile starts at version 1 whatever the other one has reached, since its clients start there, and every
Root that is published from then on has its translation. ``signing/publish_root.py`` decides when one is published.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection
from tuf.api.metadata import Metadata, Root

from twinlock.director.aktualizr.inherited_chain import read_inherited_chain
from twinlock.director.aktualizr.root_files import decode_root, sign_link
from twinlock.director.model.profiles import InheritedChain, OldChain, TranslatedChain
from twinlock.director.model.records import AKTUALIZR_PROFILE
from twinlock.director.signing.published_roots import insert_translated_root, read_translated_root
from twinlock.director.signing.roots import ROTATABLE, verify_successor
from twinlock.repository.aktualizr.ceremony import attach
from twinlock.repository.aktualizr.readable_keys import READABLE_KINDS
from twinlock.repository.aktualizr.root_chain import RootChain, authority_of, new_own_keys
from twinlock.repository.keys.keyring import KeyPlan, Keyring
from twinlock.repository.keys.new_keys import NewKeys
from twinlock.repository.signing.named_keys import OWN_ROOT, TIME
from twinlock.repository.signing.sign import SigningAuthority
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.names import ROOT
from twinlock.trust.wire.aktualizr import form
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR

_NEWCOMER = "newcomer"  # among the names of profiles: what 1.root.json is after a hand-over


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

    def follow(
        self, root: bytes, keyring: Keyring, new: NewKeys, *, change: SigningAuthority | None, now: datetime
    ) -> list[bytes]:
        """See ``TranslatedChain``: one Root, or more at a hand-over."""
        links = self._chain.links(Metadata[Root].from_bytes(root).signed, keyring, new, change=change)
        return self._each_after_the_other((sign_link(link, keyring) for link in links), now)

    def attach(
        self, metadata: Metadata[Root], keyring: Keyring, new: NewKeys, *, change: SigningAuthority | None
    ) -> None:
        """See ``TranslatedChain``."""
        attach(metadata, self._chain.links(metadata.signed, keyring, new, change=change))

    def accept(self, files: Iterable[bytes], now: datetime) -> list[bytes]:
        """See ``TranslatedChain``."""
        return self._each_after_the_other(sorted(files, key=lambda data: decode_root(data).version), now)

    def _each_after_the_other(self, files: Iterable[bytes], now: datetime) -> list[bytes]:
        """``files`` in their order, each accepted by the trust engine after the one before. Raises: RefusalError."""
        roots, before = [], self.newest
        for root in files:
            if before is not None:
                verify_successor(before, root, now, reader=AKTUALIZR)
            before = root
            roots.append(root)
        return roots


class AktualizrRoots:
    """See ``RootTranslation``."""

    name: str = form.NAME

    def read(self, connection: Connection, version: int | None = None) -> bytes | None:
        """See ``RootTranslation``."""
        return read_translated_root(connection, AKTUALIZR_PROFILE, version)

    def read_served(self, connection: Connection, version: int | None) -> bytes | None:
        """The Root that a device is given for ``version``; None if there is none.

        It asks for number 1 only if it stores none. After a hand-over it must not trust a Root from before.
        """
        if version == 1:
            handed_over = read_translated_root(connection, _NEWCOMER)
            if handed_over is not None:
                return handed_over
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

    def read_inherited(self, old: OldChain, now: datetime, *, image_keys: Collection[bytes]) -> InheritedChain:
        """See ``RootTranslation``."""
        return read_inherited_chain(old, now, image_keys=image_keys)


def _insert(connection: Connection, profile: str, data: bytes, now: datetime) -> int:
    version = decode_root(data).version
    insert_translated_root(connection, profile, data, now, version=version)
    return version


def _check_plans(plans: Mapping[str, KeyPlan], *, shared_root: bool) -> None:
    """Refuse keys that the client could not read, before they are made.

    The client uses no time source, and its Root chain has keys of its own; in a chain that shares ours (``shared_root``) every
    key has to be readable, so that equal numbers state the same. Raises: ProfileError.
    """
    free = () if shared_root else (TIME, ROOT)
    for role, plan in plans.items():
        unreadable = [kind.value for kind in plan.kinds if kind not in READABLE_KINDS]
        if role not in free and unreadable:
            readable = " and ".join(sorted(kind.value for kind in READABLE_KINDS))
            reason = f"its keys would be of the kind {unreadable[0]}; {readable} can be read"
            raise ProfileError(profile=form.NAME, what=role, reason=reason)
