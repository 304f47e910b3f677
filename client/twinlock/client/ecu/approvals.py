"""The lifetime of an approval: judged before the first write, and recorded so that a bundle that was begun is completed.

``docs/lifetimes.md`` has the rules. Source: Uptane 2.1.0 5.4.3.5.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

from twinlock.client.ecu.clock import Clock
from twinlock.client.model.errors import ApprovalExpiredError, BegunUnlistedError
from twinlock.client.storage.records import BegunBundle
from twinlock.client.storage.state import TrustedState
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import EcuId
from twinlock.trust.state.trusted import ApprovedImage

COMPLETION = timedelta(hours=1)
"""How long a bundle may take from its first write: longer than any flashing, shorter than the lifetime of metadata."""


class Approvals:
    """What this ECU may still write. One bundle at a time."""

    def __init__(self, state: TrustedState, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    def begin(self, images: Collection[ApprovedImage]) -> None:
        """Judge the approvals of a bundle, all of whose images are verified and staged, and record that it is begun.

        Raises: ApprovalExpiredError, TimeError, StorageError; then nothing of the bundle may be written.
        """
        now = self._now()
        for image in images:
            if now >= image.valid_until and self.unfinished(image.ecu) != _bare(image.entry):
                raise ApprovalExpiredError(
                    ecu=image.ecu, target=image.entry.path, valid_until=image.valid_until, now=now
                )
        if images:
            entries = {image.ecu: _bare(image.entry) for image in images}
            self._state.store_begun(BegunBundle(entries, now + COMPLETION))

    def unfinished(self, ecu: EcuId) -> ImageEntry | None:
        """The image of ``ecu`` in a bundle that was recorded as begun, not finished, and whose deadline has not passed.

        The record alone permits nothing, because anyone who can write to the state can forge it. Raises: TimeError.
        """
        begun = self._state.begun
        if begun is None or ecu not in begun.images:
            return None
        now = self._now()
        return begun.images[ecu] if now < begun.deadline <= now + COMPLETION else None

    def completable(
        self, ecu: EcuId, installed: InstalledImage, stored: Callable[[], Mapping[EcuId, ImageEntry]]
    ) -> ImageEntry | None:
        """The unfinished image of ``ecu``, which the metadata of ``stored`` must list; None if there is nothing to complete.

        Raises: BegunUnlistedError, after which the record has ended; TimeError, StorageError.
        """
        entry = self.unfinished(ecu)
        if entry is None:
            return None
        if _is(installed, entry):  # only the end of the record was cut off
            self.end()
            return None
        try:
            listed, reason = stored().get(ecu), "they list a different image, or none"
        except RefusalError as error:
            listed, reason = None, str(error)
        if listed is None or _bare(listed) != entry:
            self.end()
            raise BegunUnlistedError(ecu=ecu, target=entry.path, reason=reason)
        return entry

    def replace(self, images: Collection[ApprovedImage]) -> None:
        """A verification approved ``images``: a bundle that was begun and holds anything else ends. Raises: StorageError."""
        begun = self._state.begun
        if begun is not None and begun.images != {image.ecu: _bare(image.entry) for image in images}:
            self.end()

    def end(self) -> None:
        """The bundle is complete, or was refused: nothing more of it may be written. Raises: StorageError."""
        self._state.store_begun(None)

    def _now(self) -> datetime:
        """The time now; a clock set back since the last verification is not used. Raises: TimeError."""
        verified = self._state.verified_time
        if verified is not None:
            self._clock.check_lag(verified)
            return max(verified, self._clock.now())
        return self._clock.now()


def _bare(entry: ImageEntry) -> ImageEntry:
    """The part of an entry that the record keeps: what the bytes are, and the counter that they raise."""
    return ImageEntry(entry.path, entry.length, dict(entry.hashes), entry.release_counter)


def _is(installed: InstalledImage, entry: ImageEntry) -> bool:
    return (installed.path, installed.length, dict(installed.hashes)) == (entry.path, entry.length, dict(entry.hashes))
