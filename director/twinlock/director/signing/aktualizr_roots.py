"""The Director's Roots in the ``aktualizr`` profile: translations of its Roots, but for Root keys of the profile's own.

The chain of this profile starts at version 1 whatever the other one has reached, since its clients start there, and every
Root that is published from then on has its translation. When one is published is for ``publish_root.py`` to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError
from tuf.api.metadata import Metadata, Root

from twinlock.director.inventory import schema
from twinlock.director.model.records import AKTUALIZR_WIRE
from twinlock.director.signing.roots import ROTATABLE, TIME, verify_successor
from twinlock.repository.aktualizr.readable_keys import READABLE_KINDS
from twinlock.repository.aktualizr.root_chain import RootChain, RootLink
from twinlock.repository.aktualizr.signing import sign_aktualizr
from twinlock.repository.keys.keyring import KeyPlan, Keyring
from twinlock.repository.signing.sign import Authority
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.local import ConflictError, ProfileError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.root import Root as TrustedRoot
from twinlock.trust.names import DIRECTOR, ROOT
from twinlock.trust.wire.aktualizr import form
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR

_W = schema.wire_roots.c
_NEWCOMER = "newcomer"  # beside the profiles: what 1.root.json is after a hand-over


def read_wire_root(connection: Connection, version: int | None = None) -> bytes | None:
    """A Root file of the profile, the newest where no version is asked for; None if there is none."""
    query = select(_W.data).where(_W.profile == AKTUALIZR_WIRE).order_by(_W.version.desc()).limit(1)
    if version is not None:
        query = query.where(_W.version == version)
    data = connection.execute(query).scalar_one_or_none()
    return None if data is None else bytes(data)


def insert_wire_root(connection: Connection, data: bytes, now: datetime) -> int:
    """Publish a Root of the profile. Raises: ConflictError if another process published that version."""
    return _insert(connection, AKTUALIZR_WIRE, data, now)


def insert_newcomer_root(connection: Connection, data: bytes, now: datetime) -> None:
    """Have ``data``, the Root that hands the chain over, be number 1 for devices that store none. Raises: ConflictError."""
    _insert(connection, _NEWCOMER, data, now)


def read_served_root(connection: Connection, version: int) -> bytes | None:
    """The Root that a device is given for ``version``; None if there is none.

    It asks for number 1 only if it stores none. After a hand-over it must not trust a Root from before.
    """
    if version == 1:
        query = select(_W.data).where(_W.profile == _NEWCOMER).order_by(_W.version.desc()).limit(1)
        data = connection.execute(query).scalar_one_or_none()
        if data is not None:
            return bytes(data)
    return read_wire_root(connection, version)


def _insert(connection: Connection, profile: str, data: bytes, now: datetime) -> int:
    version = version_of(data)
    row = {"profile": profile, "version": version, "data": data, "published_at": now}
    try:
        connection.execute(insert(schema.wire_roots).values(**row))
    except IntegrityError:
        raise ConflictError(what="the Director's Root", reason=f"version {version} exists already") from None
    return version


def version_of(data: bytes) -> int:
    """The version of a Root file of the profile."""
    return _decode(data).version


def check_plans(plans: Mapping[str, KeyPlan], *, shared_root: bool = False) -> None:
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


def check_rotation(chain: RootChain, roles: Iterable[str], plan: KeyPlan | None) -> None:
    """Refuse new keys by ``plan`` for ``roles`` that the client could not read, or its chain could not bring safely.

    Without a plan keys are made that can be read. Raises: ProfileError.
    """
    named = [role for role in roles if role in ROTATABLE]
    if named:
        chain.check_may_change()
    check_plans({role: plan for role in named if plan is not None}, shared_root=not chain.has_own_keys)


def root_chain(
    current: bytes, translated: bytes | None, *, handing_over: bool = False, stranded: frozenset[str] = frozenset()
) -> RootChain:
    """The Root chain of the profile, whose newest Root is ``translated``, beside ours, whose newest is ``current``."""
    newest = None if translated is None else _decode(translated)
    following = 1 if newest is None else newest.version + 1

    def number(version: int) -> int:
        return max(version, following) if handing_over else following

    tuf = Metadata[Root].from_bytes(current).signed
    return RootChain(number=number, newest=newest, tuf=tuf, handing_over=handing_over, stranded=stranded)


def first_wire_root(root: bytes, keyring: Keyring) -> bytes:
    """Version 1 of the profile: what the Root ``root`` says, but for Root keys of its own, which sign it.

    Raises: ProfileError for a key that the client cannot read, before anything is made or signed; PassphraseError.
    """
    chain = RootChain(number=lambda _: 1, newest=None, tuf=None)
    (link,) = chain.links(Metadata[Root].from_bytes(root).signed, keyring, change=None)
    return seal_link(link, keyring)


def next_wire_roots(
    chain: RootChain, translated: bytes, root: bytes, keyring: Keyring, *, change: Authority | None, now: datetime
) -> list[bytes]:
    """The Roots of ``chain`` after ``translated`` that follow from our next Root ``root``: one, or more at a hand-over.

    The trust engine has to accept each as the successor of the one before.
    Raises: as ``first_wire_root``; MissingKeysError, RefusalError.
    """
    found = []
    for link in chain.links(Metadata[Root].from_bytes(root).signed, keyring, change=change):
        data = seal_link(link, keyring)
        verify_successor(translated, data, now, wire=AKTUALIZR)
        found.append(data)
        translated = data
    return found


def seal_link(link: RootLink, keyring: Keyring) -> bytes:
    """One Root of the profile, signed. Raises: ProfileError, MissingKeysError, PassphraseError."""
    bound = form.MAX_BYTES[ROOT]
    data = sign_aktualizr(ROOT, link.signed, link.authorities, keyring, max_bytes=bound, also=link.also)
    bootstrap_repository(DIRECTOR, data, wire=AKTUALIZR)
    return data


def _decode(data: bytes) -> TrustedRoot:
    return AKTUALIZR.decode_root(data, f"{DIRECTOR}/{ROOT}", DEFAULT_LIMITS).signed
