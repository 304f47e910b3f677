"""What an entry of each target format has to state, and which formats an ECU installs."""

from __future__ import annotations

from twinlock.trust.errors.images import TargetFormatError, UnsupportedFormatError
from twinlock.trust.model.ecu import Ecu
from twinlock.trust.model.target_format import FILE, target_format
from twinlock.trust.model.targets import ImageEntry


def check_format(entry: ImageEntry) -> None:
    """Refuse an entry whose length and hashes are not those of its format.

    An OSTree commit has no length, and its SHA-256 names it; a file has at least one byte. So a digest of a file is never
    taken for a commit to be pulled, nor a commit for an empty file.
    Raises: TargetFormatError. Source: Uptane 2.1.0 5.2.3.1 (length and hashes); aktualizr's form for the two formats.
    """
    found = target_format(entry)
    if found == FILE:
        if entry.length == 0:
            _refuse(entry, found, "its length is 0, which only an OSTree commit may have")
    elif entry.length != 0:
        _refuse(entry, found, f"it states a length of {entry.length}, and a commit has none")
    elif "sha256" not in entry.hashes:
        _refuse(entry, found, "it lists no sha256, which names the commit")


def check_supported(entry: ImageEntry, ecu: Ecu) -> None:
    """Refuse an image of a format that this ECU does not install. Raises: UnsupportedFormatError.

    Source: Uptane 2.1.0 5.4.3.4: an image that an ECU cannot verify is not installed. Only an installer that pulls
    exactly the commit of the metadata and checks every object verifies an OSTree commit.
    """
    found = target_format(entry)
    if found not in ecu.formats:
        raise UnsupportedFormatError(ecu=ecu.ecu, target=entry.path, target_format=found, supported=ecu.formats)


def _refuse(entry: ImageEntry, found: str, reason: str) -> None:
    raise TargetFormatError(target=entry.path, target_format=found, reason=reason)
