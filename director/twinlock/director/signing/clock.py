"""The Director's signing clock: the check before anything is signed.

The second source is the Image repository: its newest verified files cannot have been signed in the future, and are kept
fresh.
"""

from __future__ import annotations

from datetime import datetime

from twinlock.director.catalogue.catalogue import CatalogueKeeper
from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.signing_marks import is_news, note_signature, read_marks
from twinlock.repository.signing.clock import ClockMarks, check_signing_clock


class SigningClock:
    """Decides whether this Director may sign at a time. Threads and processes may share the inventory behind it."""

    def __init__(self, database: Inventory, catalogues: CatalogueKeeper) -> None:
        self._database = database
        self._catalogues = catalogues

    def check(self, now: datetime) -> ClockMarks:
        """The past of this signer, once its clock agrees with that and with the Image repository.

        Not to be called inside a transaction: the Image repository may be asked. Where it cannot be reached, the
        Director's own past decides. Raises: ClockBehindError, ClockContradictedError, StorageError.
        """
        with self._database.reading() as connection:
            marks = read_marks(connection)
        check_signing_clock(now, marks, self._catalogues.second_time(now))
        return marks

    def note(self, now: datetime) -> None:
        """Record that something was signed at ``now``, in a transaction of its own, unless that is recorded already."""
        with self._database.reading() as connection:
            if not is_news(read_marks(connection), now):
                return
        with self._database.writing("record the signing clock") as connection:
            note_signature(connection, now)
