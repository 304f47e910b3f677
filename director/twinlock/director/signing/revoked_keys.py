"""Revoked keys of a Director: their private halves leave the directory of the live ones, by what is published.

Not by what one run changed: what a crash cuts off between a publication and this is done when the Director is opened next.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection
from tuf.api.metadata import Metadata, Root

from twinlock.director.model.profiles import Profiles
from twinlock.director.signing.published_roots import read_root
from twinlock.repository.keys.keyring import Keyring
from twinlock.repository.signing.sign import root_authority
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.names import ROOT

log = logging.getLogger("twinlock.director.signing.revoked_keys")


@dataclass(frozen=True, slots=True)
class PublishedKeys:
    """The ids of all keys that any published Root names: for Root, in any chain, and for the other roles of ours."""

    of_root: frozenset[str]
    of_others: frozenset[str]


def read_published_keys(connection: Connection, profiles: Profiles) -> PublishedKeys:
    """The keys of every Root, from the first to the newest."""
    of_root, of_others = set[str](), set[str]()
    for data in _roots(connection):
        root = Metadata[Root].from_bytes(data).signed
        of_root |= set(root_authority(root, ROOT).keyids)
        of_others |= set(root.keys)
    for translation in profiles.translations:
        current, newest = read_root(connection), translation.read(connection)
        while current is not None and newest is not None:
            of_root |= set(translation.chain(current, newest).root_keyids)
            newest = translation.read(connection, translation.version_of(newest) - 1)
    return PublishedKeys(frozenset(of_root), frozenset(of_others))


def unnamed_keys(keyring: Keyring, used: Iterable[str]) -> frozenset[str]:
    """The keys on record here that are not among ``used``."""
    return frozenset(str(record.keyid) for record in keyring.records()).difference(used)


@contextmanager
def as_far_as_allowed() -> Iterator[None]:
    """Log that keys could not be retired now: a user who may not write there can still open a Director."""
    try:
        yield
    except TwinlockError as error:
        log.warning(
            "revoked keys are still in the directory of the live ones, and the next command tries again: %s", error
        )


def retire(keyring: Keyring, used: Iterable[str], published: PublishedKeys) -> None:
    """Remove keys that are not ``used`` from the directory of the live ones: those of Root are put aside, others are destroyed.

    So are new ones that a crash left before they were published. Any other key that no Root ever named is left alone: it
    may have been brought here for the next one. Raises: StorageError.
    """
    used = frozenset(used)
    keyring.discard_abandoned(used)
    revoked = unnamed_keys(keyring, used)
    keyring.retire(sorted(revoked & published.of_root))
    keyring.retire(sorted(revoked & published.of_others - published.of_root), destroy=True)


def _roots(connection: Connection) -> Iterator[bytes]:
    """Every Root file of ours, the newest first."""
    data = read_root(connection)
    while data is not None:
        yield data
        data = read_root(connection, Metadata[Root].from_bytes(data).signed.version - 1)
