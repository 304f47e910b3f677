"""The Director's Roots in the ``aktualizr`` profile: translations of its Roots, signed by the same keys at the same time.

The chain of this profile starts at version 1 whatever the other one has reached, since its clients start there, and every
Root that is published from then on has its translation. Belongs here: those files and their rows. Does not belong here:
when a Root is published (``root_keeper.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError
from tuf.api.metadata import Metadata, Root

from twinlock.director import schema
from twinlock.director.records import AKTUALIZR_WIRE
from twinlock.director.roots import ROTATABLE, TIME, root_authority, verify_successor
from twinlock.repository.aktualizr.sealing import seal_aktualizr
from twinlock.repository.keyring import KeyKind, KeyPlan, Keyring
from twinlock.repository.signing import Authority
from twinlock.trust.errors.local import ConflictError, ProfileError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, ROOT
from twinlock.trust.restore import bootstrap_repository
from twinlock.trust.wire.aktualizr import form
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.aktualizr.encode import translate_root

_W = schema.wire_roots.c
_READABLE = (KeyKind.ED25519, KeyKind.RSA_PSS)


def read_wire_root(connection: Connection, version: int | None = None) -> bytes | None:
    """A Root file of the profile, the newest where no version is asked for; None if there is none."""
    query = select(_W.data).where(_W.profile == AKTUALIZR_WIRE).order_by(_W.version.desc()).limit(1)
    if version is not None:
        query = query.where(_W.version == version)
    data = connection.execute(query).scalar_one_or_none()
    return None if data is None else bytes(data)


def insert_wire_root(connection: Connection, data: bytes, now: datetime) -> int:
    """Publish a Root of the profile. Raises: ConflictError if somebody else published that version."""
    version = version_of(data)
    row = {"profile": AKTUALIZR_WIRE, "version": version, "data": data, "published_at": now}
    try:
        connection.execute(insert(schema.wire_roots).values(**row))
    except IntegrityError:
        raise ConflictError(what="the Director's Root", reason=f"version {version} exists already") from None
    return version


def version_of(data: bytes) -> int:
    """The version of a Root file of the profile."""
    return AKTUALIZR.decode_root(data, f"{DIRECTOR}/{ROOT}", DEFAULT_LIMITS).signed.version


def check_plans(plans: Mapping[str, KeyPlan]) -> None:
    """Refuse keys that the client could not read, before they are made. Time it asks nobody for, so those may be any.

    Raises: ProfileError.
    """
    for role, plan in plans.items():
        if role != TIME and plan.kind not in _READABLE:
            readable = " and ".join(kind.value for kind in _READABLE)
            reason = f"its keys would be of the kind {plan.kind.value}; {readable} can be read"
            raise ProfileError(profile=form.NAME, what=role, reason=reason)


def check_rotation(roles: Iterable[str], plan: KeyPlan | None) -> None:
    """As ``check_plans``, of one plan for several roles; without one, keys are made that can be read."""
    if plan is not None:
        check_plans({role: plan for role in roles if role in ROTATABLE})


def first_wire_root(root: bytes, keyring: Keyring) -> bytes:
    """Version 1 of the profile: what the Root ``root`` says, signed by that Root's keys.

    Raises: ProfileError for a key that the client cannot read, before anything is signed; MissingKeysError,
    PassphraseError.
    """
    return seal_wire_root(root, 1, keyring)


def seal_wire_root(root: bytes, version: int, keyring: Keyring) -> bytes:
    """What the Root ``root`` says, as that version of the profile, signed by that Root's keys alone.

    Raises: as ``first_wire_root``.
    """
    return _seal(Metadata[Root].from_bytes(root).signed, version, [], keyring)


def next_wire_root(current: bytes, *, old: bytes, new: bytes, keyring: Keyring, now: datetime) -> bytes:
    """What the Root ``new`` says, as the Root after ``current``, which says what ``old`` does.

    It is signed with the old and the new Root keys, and the trust engine has to accept it as the successor.
    Raises: as ``first_wire_root``; RefusalError.
    """
    before = root_authority(Metadata[Root].from_bytes(old).signed)
    data = _seal(Metadata[Root].from_bytes(new).signed, version_of(current) + 1, [before], keyring)
    verify_successor(current, data, now, wire=AKTUALIZR)
    return data


def _seal(root: Root, version: int, before: list[Authority], keyring: Keyring) -> bytes:
    translated = translate_root(root.to_dict(), version=version)
    authorities = [*before, root_authority(root)]
    data = seal_aktualizr(ROOT, translated, authorities, keyring, max_bytes=form.MAX_BYTES[ROOT])
    bootstrap_repository(DIRECTOR, data, wire=AKTUALIZR)
    return data
