"""Names that cross a trust boundary, and the one validator for each.

A name that passed is safe to join below a directory.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from typing import NewType

from twinlock.trust.errors.metadata import UnsafePathError

RoleName = NewType("RoleName", str)
KeyId = NewType("KeyId", str)
TargetPath = NewType("TargetPath", str)
EcuId = NewType("EcuId", str)
HardwareId = NewType("HardwareId", str)
VehicleId = NewType("VehicleId", str)
RepositoryName = NewType("RepositoryName", str)

DIRECTOR = RepositoryName("director")
IMAGE = RepositoryName("image")

ROOT = RoleName("root")
TIMESTAMP = RoleName("timestamp")
SNAPSHOT = RoleName("snapshot")
TARGETS = RoleName("targets")
TOP_LEVEL = (ROOT, TIMESTAMP, SNAPSHOT, TARGETS)

MAX_NAME_BYTES = 1024
MAX_SEGMENT_BYTES = 126  # with a 128-digit hash and a dot before it: the usual 255-byte limit of file systems
MAX_ID_BYTES = 128

_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Format characters, separators and private use: a name with one reads like another name, or in another order.
_HIDDEN = frozenset({"Cf", "Cs", "Co", "Zl", "Zp", "Zs"})
_NOT_IN_FILES = re.compile(r'[<>:"|?*]')

# Names that Windows gives to devices, whatever the extension; a gateway or a supplier's computer may run Windows.
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))],
)


class Verification(enum.Enum):
    """How an ECU verifies: Uptane 2.1.0 5.4.4.2 (full) or 5.4.4.1 (partial)."""

    FULL = "full"
    PARTIAL = "partial"


def target_path(value: str) -> TargetPath:
    """Admit ``value`` as the name of an image: a relative, NFC, ``/``-separated path that names no device.

    Raises: UnsafePathError, with the reason.
    Source: Uptane 2.1.0 5.2.7 (names SHOULD NOT allow path traversal); RFC 5198 for the text form.
    """
    _check_text(value, MAX_NAME_BYTES)
    if value.startswith("/") or value[1:2] == ":":
        raise UnsafePathError(path=value, reason="absolute paths are not allowed")
    if "\\" in value:
        raise UnsafePathError(path=value, reason="backslashes are not allowed")
    for segment in value.split("/"):
        _check_segment(value, segment)
    return TargetPath(value)


def hidden_character(text: str) -> str | None:
    """The first character of ``text`` that a reader does not see or that reorders the others, as ``U+202E``; None if none is."""
    if text.isascii():
        return None
    hidden = (char for char in text if char != " " and unicodedata.category(char) in _HIDDEN)
    return next((f"U+{ord(char):04X}" for char in hidden), None)


def identifier(value: str) -> str:
    """Admit ``value`` as an identifier of a vehicle, ECU, hardware or repository: one safe path segment.

    A person approves by identifiers, so none of their characters may be hidden. Raises: UnsafePathError, with the reason.
    """
    _check_text(value, MAX_ID_BYTES)
    if hidden := hidden_character(value):
        raise UnsafePathError(path=value, reason=f"an identifier must not hold the hidden character {hidden}")
    if "/" in value or "\\" in value:
        raise UnsafePathError(path=value, reason="an identifier holds no slash or backslash")
    _check_segment(value, value)
    return value


def role_file(role: str) -> str:
    """The file-name stem of a role, percent-encoded so that any role name is one safe path segment.

    ``../x`` becomes ``..%2Fx``. The same encoding is used on disk and in URLs. Raises: UnsafePathError.
    """
    encoded = role
    if not _PLAIN.fullmatch(role):
        _check_text(role, MAX_NAME_BYTES)
        from urllib.parse import quote  # here, because most role names never need it and it is slow to import

        encoded = quote(role, safe="")
    if len(encoded) > MAX_SEGMENT_BYTES or not encoded.strip("."):
        raise UnsafePathError(path=role, reason="a file cannot have this name")
    return encoded


def _check_text(value: str, limit: int) -> None:
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise UnsafePathError(path=ascii(value), reason="valid Unicode is required") from None
    if not value or size > limit:
        raise UnsafePathError(path=value[:80], reason=f"a length from 1 to {limit} bytes is required")
    if _CONTROL.search(value):
        raise UnsafePathError(path=ascii(value), reason="control characters are not allowed")
    if not unicodedata.is_normalized("NFC", value):
        raise UnsafePathError(path=value, reason="Unicode normal form C is required")


def _check_segment(path: str, segment: str) -> None:
    if segment in ("", ".", ".."):
        raise UnsafePathError(path=path, reason="a segment is empty, '.' or '..'")
    if len(segment.encode()) > MAX_SEGMENT_BYTES:
        raise UnsafePathError(path=path[:80], reason=f"a segment is longer than {MAX_SEGMENT_BYTES} bytes")
    if segment[-1] in ". ":
        raise UnsafePathError(path=path, reason="a segment ends in a dot or a space")
    if _NOT_IN_FILES.search(segment):
        raise UnsafePathError(path=path, reason='a segment holds one of < > : " | ? *')
    if segment.split(".", maxsplit=1)[0].rstrip(" ").lower() in _DEVICES:
        raise UnsafePathError(path=path, reason="a segment names a Windows device")
