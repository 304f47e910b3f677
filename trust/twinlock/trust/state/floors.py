"""Floors: what a role may not fall below, kept apart from the file that established it.

Three functions change floors. ``establish`` gives the floor of a role once a file that passed the old floor is accepted.
``lower_floors`` is the only one that removes a floor: when key material that established it left its role, or is fewer keys
than the role's new threshold. Key ids, their order and added keys do not count. ``cap_floors`` (``engine/fetching.py``)
lowers nothing but the time that a floor proves, down to a clock that is itself proven; its version and content remain.
Each link of a Root chain is judged by itself, so one walk over many links and many walks over one link each give the same
floors. Losing, damaging or dropping a stored file lowers nothing.
Source: Uptane 2.1.0 5.4.4.3 step 4; TUF 1.0.34 5.3.11.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple, TypeAlias, TypeVar

from twinlock.trust.keys.public_keys import PublicKey
from twinlock.trust.keys.signatures import RoleKeys, Verified
from twinlock.trust.model.base import NOTHING, Signed
from twinlock.trust.model.root import Root
from twinlock.trust.model.snapshot import Snapshot
from twinlock.trust.model.timestamp import Timestamp
from twinlock.trust.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, TOP_LEVEL, KeyId, RoleName

S = TypeVar("S", bound=Signed)
_INDEX = (TIMESTAMP, SNAPSHOT)


class Floor(NamedTuple):
    """What one accepted file of a role established.

    ``version`` and ``content`` (the SHA-256 of the signed bytes) are its own, ``lists`` are the versions that it lists
    by role, ``issued`` is the time that it proves, UTC (top-level roles only). ``material`` is the key material whose
    signatures counted (the SHA-256 of each ``PublicKey.identity``), by role: of the role itself, and of the Timestamp and
    Snapshot that led to it. ``root`` is the version of the Root that it was last accepted under.
    """

    version: int
    content: bytes
    root: int
    material: Mapping[RoleName, frozenset[bytes]]
    lists: Mapping[RoleName, int] = NOTHING
    issued: datetime | None = None


Floors: TypeAlias = Mapping[RoleName, Floor]
"""The floors of one repository by role. That of Root holds no material: no Root lowers it."""


class Signers(NamedTuple):
    """Who may sign for a role now: key material and threshold."""

    material: frozenset[bytes]
    threshold: int


def lower_floors(floors: Floors, signers: Mapping[RoleName, Signers]) -> Floors:
    """The floors that remain once each role in ``signers`` is signed by those; the rest have fallen.

    Timestamp and Snapshot fall together, as Uptane 2.1.0 5.4.4.3 step 4 deletes both. Call it once for each link of a
    Root chain, with ``root_signers``; for a delegated role, with the keys that its delegator names now.
    """
    fallen = {role for role, floor in floors.items() if not _stands(floor, signers)}
    if not fallen.isdisjoint(_INDEX):
        fallen |= {*_INDEX}
    return {role: floor for role, floor in floors.items() if role not in fallen} if fallen else floors


def _stands(floor: Floor, signers: Mapping[RoleName, Signers]) -> bool:
    return all(
        material <= signers[role].material and len(material) >= signers[role].threshold
        for role, material in floor.material.items()
        if role in signers
    )


def role_signers(role: RoleKeys, keys: Mapping[KeyId, PublicKey]) -> Signers:
    """Who signs for a role that names ``role``, of which ``keys`` gives the usable keys."""
    return Signers(_material(role.keyids, keys), role.threshold)


def root_signers(root: Root) -> dict[RoleName, Signers]:
    """Who signs for the roles below ``root``. A role that it does not name has no signers, so its floor falls."""
    return {
        role: role_signers(root.roles.get(role, RoleKeys((), 1)), root.keys) for role in (TIMESTAMP, SNAPSHOT, TARGETS)
    }


def establish(
    floors: Floors,
    role: RoleName,
    accepted: Verified[S],
    *,
    keys: Mapping[KeyId, PublicKey],
    root: int,
    ceiling: datetime | None = None,
) -> Floor:
    """The floor of ``role`` once ``accepted``, which ``keys`` signed under Root number ``root``, is trusted.

    A file that states a time beyond ``ceiling`` proves that time and no later one.
    The same content again changes nothing: who accepted it first established it, whatever signatures were added since.
    """
    known = floors.get(role)
    if known is not None and is_established(accepted, known):
        return known._replace(root=max(known.root, root))
    # A Timestamp comes before the Snapshot that it lists, and falls with it anyway.
    index = {name: floors[name].material[name] for name in _INDEX if name in floors and role != TIMESTAMP}
    return Floor(
        version=accepted.signed.version,
        content=accepted.content,
        root=root,
        material=NOTHING if role == ROOT else {**index, role: _material(accepted.tally.signed, keys)},
        lists=_listed(accepted.signed),
        issued=_capped(accepted.signed.issued, ceiling) if role in TOP_LEVEL else None,
    )


def _capped(issued: datetime | None, ceiling: datetime | None) -> datetime | None:
    return issued if issued is None or ceiling is None else min(issued, ceiling)


def ahead_of(floors: Floors, ceiling: datetime) -> Floors:
    """Those of ``floors`` that prove a time beyond ``ceiling``. A proven clock does not let them."""
    return {role: floor for role, floor in floors.items() if floor.issued is not None and floor.issued > ceiling}


def is_established(file: Verified[S], floor: Floor | None) -> bool:
    """Whether ``file`` has the version and content of ``floor``; an older copy of a stored file has not."""
    return floor is not None and (floor.version, floor.content) == (file.signed.version, file.content)


def _material(keyids: Iterable[KeyId], keys: Mapping[KeyId, PublicKey]) -> frozenset[bytes]:
    return frozenset(hashlib.sha256(keys[keyid].identity).digest() for keyid in keyids if keyid in keys)


def _listed(signed: Signed) -> Mapping[RoleName, int]:
    if isinstance(signed, Timestamp):
        return {SNAPSHOT: signed.snapshot.version}
    if isinstance(signed, Snapshot):
        return {role: info.version for role, info in signed.targets.items()}
    return NOTHING
