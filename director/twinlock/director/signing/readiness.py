"""Readiness of a Director: it can write and sign, and nothing that vehicles need has expired or is about to."""

from __future__ import annotations

import logging
from datetime import datetime

from tuf.api.metadata import Metadata, Root

from twinlock.director.catalogue.catalogue import CatalogueKeeper
from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.signing_marks import write_probe
from twinlock.director.signing.clock import SigningClock
from twinlock.director.signing.published_roots import read_root
from twinlock.director.signing.roots import ROOT_DUE, check_signing
from twinlock.repository.errors import NotReadyError
from twinlock.repository.keys.keyring import Keyring
from twinlock.repository.serving.readiness import check_free_space, is_about_to_expire, refuse_unready
from twinlock.repository.signing.clock import issued_of
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.local import StorageError, TransportError
from twinlock.trust.text.times import format_time

log = logging.getLogger("twinlock.director.signing.readiness")


class Readiness:
    """Judges one Director. Threads may share it."""

    def __init__(self, database: Inventory, catalogues: CatalogueKeeper, keyring: Keyring, clock: SigningClock) -> None:
        self._database = database
        self._catalogues = catalogues
        self._keyring = keyring
        self._clock = clock

    def judge(self, now: datetime) -> None:
        """Raises: NotReadyError, with every reason. It writes to the disk and may ask the Image repository (``probe``)."""
        refuse_unready(
            lambda: self._check_writing(now),
            lambda: self._check_signing(now),
            lambda: self._clock.check(now),
            lambda: self._check_image_repository(now),
        )

    def _check_writing(self, now: datetime) -> None:
        file = self._database.file
        if file is not None:
            check_free_space(file.parent)
        try:
            with self._database.writing("check") as connection:
                write_probe(connection, now)
        except StorageError as error:
            log.error("the inventory cannot be written to: %s", error)
            raise

    def _check_signing(self, now: datetime) -> None:
        with self._database.reading() as connection:
            data = read_root(connection)
        if data is None:
            raise NotReadyError(reasons=("the Director has no Root",))
        check_signing(data, self._keyring, now)
        expires = Metadata[Root].from_bytes(data).signed.expires
        if expires - now <= ROOT_DUE or is_about_to_expire(expires, issued_of(data), now):
            raise NotReadyError(reasons=(f"the Director's Root expires at {format_time(expires)}",))

    def _check_image_repository(self, now: datetime) -> None:
        """Check that the verified files of the Image repository, by which the Director orders, are usable and not about to expire."""
        try:
            trusted = self._catalogues.current(now).trusted
        except (RefusalError, TransportError) as error:
            raise NotReadyError(reasons=(f"the Image repository cannot be used: {error}",)) from error
        files = {"root": trusted.root, "timestamp": trusted.timestamp, "snapshot": trusted.snapshot}
        for role, file in {**files, "targets": trusted.targets}.items():
            if file is not None and is_about_to_expire(file.signed.expires, file.signed.issued, now):
                reason = f"the Image repository's {role} expires at {format_time(file.signed.expires)}"
                raise NotReadyError(reasons=(reason,))
