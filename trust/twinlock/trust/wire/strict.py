"""Bytes to plain JSON, strictly, keeping the exact bytes of the ``signed`` member.

Belongs here: JSON as text. Does not belong here: what any member means (``node.py`` and the profiles know that).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from twinlock.trust.canonical import encode_canonical
from twinlock.trust.errors.metadata import LimitError, MalformedError

_SPACE = " \t\n\r"


@dataclass(frozen=True, slots=True)
class RawEnvelope:
    """A file split into its two members. ``payload`` is the text of ``signed`` as it was received."""

    signed: dict[str, Any]
    payload: bytes
    signatures: Any
    data: bytes

    def canonical(self) -> bytes:
        """The canonical form of ``signed``. Raises: MalformedError when it has none."""
        try:
            return encode_canonical(self.signed)
        except (ValueError, TypeError, RecursionError) as error:
            raise MalformedError(what="file", json_path="$.signed", reason=f"no canonical form: {error}") from None


def parse_json(data: bytes, what: str) -> Any:
    """Parse a whole JSON text. Raises: MalformedError for anything that is not strict JSON without floats."""
    text = _decode_text(data, what)
    value, end = _parse_value(text, _skip(text, 0), what, "$")
    _expect_end(text, end, what)
    return value


def parse_envelope(data: bytes, what: str, max_bytes: int) -> RawEnvelope:
    """Split ``{"signatures": …, "signed": …}`` (members in any order, others ignored) without losing a byte.

    Raises: LimitError for a file over ``max_bytes``, MalformedError with the place for everything else.
    """
    if len(data) > max_bytes:
        raise LimitError(what=f"{what} in bytes", value=len(data), limit=max_bytes)
    text = _decode_text(data, what)
    members: dict[str, Any] = {}
    payload = b""
    position = _expect(text, _skip(text, 0), "{", what)
    while True:
        name, position = _member_name(text, position, what)
        if name in members:
            _malformed(what, "$", f"the member {name!r} stands twice")
        start = position
        members[name], position = _parse_value(text, start, what, f"$.{name}")
        if name == "signed":
            payload = text[start:position].encode()
        position = _skip(text, position)
        if text[position : position + 1] != ",":
            break
        position += 1
    _expect_end(text, _expect(text, position, "}", what), what)
    signed = members.get("signed")
    if not isinstance(signed, dict) or "signatures" not in members:
        _malformed(what, "$", "an object with the members 'signatures' and 'signed' is required")
    return RawEnvelope(signed, payload, members["signatures"], data)


def _decode_text(data: bytes, what: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        _malformed(what, "$", f"not UTF-8 at byte {error.start}")


def _member_name(text: str, position: int, what: str) -> tuple[str, int]:
    position = _skip(text, position)
    _expect(text, position, '"', what)
    name, position = _parse_value(text, position, what, "$")
    return name, _skip(text, _expect(text, _skip(text, position), ":", what))


def _parse_value(text: str, position: int, what: str, path: str) -> tuple[Any, int]:
    try:
        value, end = _DECODER.raw_decode(text, position)
    except _Duplicate as duplicate:
        _malformed(what, path, f"the member {duplicate.args[0]!r} stands twice in one object")
    except _Number as number:
        _malformed(what, path, f"the number {number.args[0]} is not an integer")
    except RecursionError:
        _malformed(what, path, "nested too deeply")
    except ValueError as error:
        _malformed(what, path, f"not JSON: {error}")
    return value, end


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position


def _expect(text: str, position: int, char: str, what: str) -> int:
    if text[position : position + 1] != char:
        found = text[position : position + 1] or "the end"
        _malformed(what, "$", f"{char!r} is required at character {position}, found {found!r}")
    return position + 1


def _expect_end(text: str, position: int, what: str) -> None:
    if _skip(text, position) != len(text):
        _malformed(what, "$", f"something follows the value at character {position}")


def _malformed(what: str, path: str, reason: str) -> NoReturn:
    raise MalformedError(what=what, json_path=path, reason=reason[:300])


class _Duplicate(Exception):
    """One name twice in an object: two readers could each see another value."""


class _Number(Exception):
    """A float, NaN or infinity: no canonical form."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        raise _Duplicate(next(name for name, _ in pairs if name in seen or seen.add(name)))  # type: ignore[func-returns-value]
    return members


def _no_float(text: str) -> NoReturn:
    raise _Number(text[:40])


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_no_float, parse_constant=_no_float)
