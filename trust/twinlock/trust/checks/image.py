"""Whether one ECU may take an image, by its entry and then by its bytes: Uptane 2.1.0 5.4.3.4."""

from __future__ import annotations

import hashlib

from twinlock.trust.checks.formats import check_format, check_supported
from twinlock.trust.errors.images import (
    CustomFieldError,
    DigestError,
    EndlessDataError,
    HardwareError,
    LengthError,
    ReleaseCounterError,
    TargetNotAcceptedError,
    UnknownHashError,
)
from twinlock.trust.model.delegations import path_matches
from twinlock.trust.model.ecu import Ecu, InstalledImage
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import DIRECTOR
from twinlock.trust.policy import STRICT, Policy
from twinlock.trust.wire.json.cursor import DIGEST_DIGITS


def check_entry(
    entry: ImageEntry,
    ecu: Ecu,
    installed: InstalledImage | None,
    *,
    policy: Policy = STRICT,
    counter_clause: str = ReleaseCounterError.clause,
) -> None:
    """Refuse an image that is not for this ECU, not acceptable to it by name or format, or older than the one it has.

    ``counter_clause`` is that of the step which compares release counters: by default full verification's.
    Raises: HardwareError, TargetNotAcceptedError, TargetFormatError, UnsupportedFormatError, ReleaseCounterError,
    CustomFieldError, UnknownHashError where no listed hash is of a known algorithm.
    Source: Uptane 2.1.0 5.4.3.4 steps 3 to 5; 5.4.4.2 step 10.2.3.
    """
    if not entry.hashes.keys() & DIGEST_DIGITS.keys():
        raise UnknownHashError(target=entry.path, algorithm=", ".join(sorted(entry.hashes)))
    check_format(entry)
    if entry.hardware_ids is None and policy.require_hardware_ids:
        raise CustomFieldError(target=entry.path, repository=DIRECTOR, field="hardwareIds")
    if entry.hardware_ids is not None and ecu.hardware_id not in entry.hardware_ids:
        raise HardwareError(
            ecu=ecu.ecu, target=entry.path, listed=tuple(sorted(entry.hardware_ids)), actual=ecu.hardware_id
        )
    if ecu.accepts and not any(path_matches(entry.path, pattern) for pattern in ecu.accepts):
        raise TargetNotAcceptedError(ecu=ecu.ecu, target=entry.path, accepted=ecu.accepts)
    check_supported(entry, ecu)
    if entry.release_counter is None:
        if policy.require_release_counter:
            raise CustomFieldError(target=entry.path, repository=DIRECTOR, field="releaseCounter")
        return
    before = None if installed is None else installed.release_counter
    if before is not None and entry.release_counter < before:
        raise ReleaseCounterError(
            ecu=ecu.ecu,
            target=entry.path,
            offered=entry.release_counter,
            installed=before,
            clause=counter_clause,
        )


class ImageVerifier:
    """Length and every listed hash of an image, computed as its bytes arrive. Holds no image bytes.

    Pass chunks to ``update``, then call ``finish``. Source: Uptane 2.1.0 5.4.3.3 (never more than the length), 5.4.3.4.
    """

    def __init__(self, entry: ImageEntry) -> None:
        """Raises: UnknownHashError when a listed algorithm is unknown: every listed hash has to be checked."""
        for algorithm in entry.hashes:
            if algorithm not in DIGEST_DIGITS:
                raise UnknownHashError(target=entry.path, algorithm=algorithm)
        self._entry = entry
        self._digests = {algorithm: hashlib.new(algorithm) for algorithm in entry.hashes}
        self.received: int = 0

    def update(self, chunk: bytes) -> None:
        """Take the next bytes. Raises: EndlessDataError as soon as there are more than listed."""
        if self.received + len(chunk) > self._entry.length:
            raise EndlessDataError(what=self._entry.path, limit_bytes=self._entry.length)
        self.received += len(chunk)
        for digest in self._digests.values():
            digest.update(chunk)

    def finish(self) -> None:
        """Judge the whole. Raises: LengthError, DigestError."""
        entry = self._entry
        if self.received != entry.length:
            raise LengthError(target=entry.path, listed=entry.length, received=self.received)
        for algorithm, digest in self._digests.items():
            if digest.hexdigest() != entry.hashes[algorithm]:
                raise DigestError(
                    target=entry.path,
                    algorithm=algorithm,
                    listed=entry.hashes[algorithm],
                    computed=digest.hexdigest(),
                )
