"""Bytes to plain JSON, strictly, keeping the exact bytes of the ``signed`` member."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from json.scanner import make_scanner
from typing import Any, NamedTuple, NoReturn

from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.wire.json.brackets import depths
from twinlock.trust.wire.json.olpc import encode_parsed
from twinlock.trust.wire.json.prescan import check_values, has_lone_surrogate
from twinlock.trust.wire.json.scan import WORTH_IT, locate_plain

_SPACE = " \t\n\r"


class RawEnvelope(NamedTuple):
    """A file split into its two members. ``payload`` is the text of ``signed`` as it was received."""

    signed: dict[str, Any]
    payload: bytes
    signatures: Any
    data: bytes

    def canonical(self) -> bytes:
        """The canonical form of ``signed``. Raises: MalformedError when it has none."""
        try:
            return encode_parsed(parse_json(self.payload, "file", max_values=None))
        except (ValueError, TypeError, RecursionError) as error:
            raise MalformedError(what="file", json_path="$.signed", reason=f"no canonical form: {error}") from None


class LocatedMembers(NamedTuple):
    """The members of a large object, found and known to be JSON, but not built until one is asked for.

    A Targets file may list a hundred thousand images of which a vehicle wants three. Only names and places are kept.
    """

    places: Mapping[str, int]
    text: str
    what: str
    path: str

    def read(self, name: str) -> Any:
        """The value of the member. Raises: KeyError; MalformedError for what strict JSON forbids inside it."""
        return _parse_value(self.text, self.places[name], self.what, f"{self.path}[{name!r}]")[0]


def parse_json(data: bytes, what: str, *, max_values: int | None = DEFAULT_LIMITS.report_values) -> Any:
    """Parse a whole JSON text.

    ``max_values`` is None only for text whose writer is trusted not to exhaust its reader, or whose values were counted.
    Raises: LimitError for more values, before any is built; MalformedError for anything that is not strict JSON without floats.
    """
    text = _decode_text(data, what)
    if max_values is not None:
        check_values(text, max_values, what)
    value, end = _parse_value(text, _skip(text, 0), what, "$")
    _expect_end(text, end, what)
    return value


def parse_envelope(
    data: bytes,
    what: str,
    max_bytes: int,
    *,
    locate: str | None = None,
    signatures_bytes: int = DEFAULT_LIMITS.signatures_bytes,
    max_values: int | None = None,
) -> RawEnvelope:
    """Split ``{"signatures": …, "signed": …}`` (members in any order, others ignored) without losing a byte.

    ``locate`` names a member of ``signed`` that becomes a ``LocatedMembers`` instead of an object. ``signatures_bytes`` is a
    bound on each unsigned member, held before it is parsed. ``max_values`` bounds the JSON values of the file; None: what
    ``DEFAULT_LIMITS`` permit in a file of its length.
    Raises: LimitError for a file over ``max_bytes``, such a member or too many values, MalformedError with the place for
    everything else.
    """
    if len(data) > max_bytes:
        raise LimitError(what=f"{what} in bytes", value=len(data), limit=max_bytes)
    text = _decode_text(data, what)
    check_values(text, DEFAULT_LIMITS.values_in(len(data)) if max_values is None else max_values, what)

    def read_signed(name: str, start: int) -> tuple[Any, int]:
        path = f"$.signed.{name}"
        return _locate(text, start, what, path) if name == locate else _parse_value(text, start, what, path)

    def signed_at(start: int) -> tuple[Any, int]:
        # Member by member where one is only located, and where one is at fault, to name it.
        whole = _parse_whole(text, start) if locate is None else None
        return whole or _parse_object(text, start, what, "$.signed", read_signed)

    def bounded(name: str, start: int) -> None:
        _check_extent(text, start, signatures_bytes, f"{what}: characters of $.{name}")

    members, span = _usual_members(text, signed_at, bounded) or _any_members(text, what, signed_at, bounded)
    # In ASCII text characters are bytes, and nothing needs to be encoded again.
    payload = data[span] if text.isascii() else text[span].encode()
    return RawEnvelope(members["signed"], payload, members["signatures"], data)


_Members = tuple[dict[str, Any], slice]
_FIRST, _SECOND = '{"signatures":', ',"signed":'


def _usual_members(
    text: str, signed_at: Callable[[int], tuple[Any, int]], bounded: Callable[[str, int], None]
) -> _Members | None:
    """Both members of a file in the form that publishers write; None for any other form and for any fault."""
    if not text.startswith(_FIRST + "["):
        return None
    bounded("signatures", len(_FIRST))
    try:
        signatures, end = _parse_value(text, len(_FIRST), "", "")
    except MalformedError:
        return None
    start = end + len(_SECOND)
    if not text.startswith(_SECOND, end):
        return None
    signed, end = signed_at(start)
    if text[end:] not in ("}", "}\n"):
        return None
    return {"signatures": signatures, "signed": signed}, slice(start, end)


def _any_members(
    text: str, what: str, signed_at: Callable[[int], tuple[Any, int]], bounded: Callable[[str, int], None]
) -> _Members:
    """Both members of a file in any order and spacing. Raises: MalformedError."""
    span = slice(0, 0)

    def read_member(name: str, start: int) -> tuple[Any, int]:
        nonlocal span
        if name != "signed":
            bounded(name, start)
            return _parse_value(text, start, what, f"$.{name}")
        value, end = signed_at(start)
        span = slice(start, end)
        return value, end

    members, end = _parse_object(text, _skip(text, 0), what, "$", read_member)
    _expect_end(text, end, what)
    if "signed" not in members or "signatures" not in members:
        _malformed(what, "$", "an object with the members 'signatures' and 'signed' is required")
    return members, span


def _check_extent(text: str, start: int, limit: int, what: str) -> None:
    """Ensure that the array or object at ``start`` ends within ``limit`` characters, without building any of it.

    The parser refuses what is not JSON. Raises: LimitError.
    """
    if text[start : start + 1] not in ("[", "{") or len(text) - start <= limit:
        return
    if 0 not in depths(text, start, start + limit):
        raise LimitError(what=what, value=limit + 1, limit=limit)


def _parse_whole(text: str, position: int) -> tuple[Any, int] | None:
    """An object read in one step; None if it is not an object or anything is wrong with it."""
    try:
        value, end = _parse_value(text, position, "", "")
    except MalformedError:
        return None
    return (value, end) if isinstance(value, dict) else None


def _parse_object(
    text: str, position: int, what: str, path: str, read: Callable[[str, int], tuple[Any, int]]
) -> tuple[dict[str, Any], int]:
    """One object, each of whose values is read by ``read(name, position)``. Returns it and where it ends."""
    members: dict[str, Any] = {}
    position = _skip(text, _expect(text, position, "{", what, path))
    if text[position : position + 1] == "}":
        return members, position + 1
    while True:
        name, position = _member_name(text, position, what, path)
        if name in members:
            _malformed(what, path, f"the member {name!r} appears twice")
        members[name], position = read(name, position)
        position = _skip(text, position)
        if text[position : position + 1] != ",":
            return members, _expect(text, position, "}", what, path)
        position = _skip(text, position + 1)


def _locate(text: str, position: int, what: str, path: str) -> tuple[LocatedMembers, int]:
    """Find the members of a large object; every value is scanned as JSON and discarded."""
    large = len(text) - position >= WORTH_IT
    located = (locate_plain(text, position) if large else None) or _locate_compact(text, position)
    if located is None:

        def skip(name: str, start: int) -> tuple[int, int]:
            return start, _scan(_SKIPPER, text, start, what, f"{path}[{name!r}]")[1]

        located = _parse_object(text, position, what, path, skip)
    return LocatedMembers(located[0], text, what, path), located[1]


def _locate_compact(text: str, position: int) -> tuple[dict[str, int], int] | None:
    """The same for text without white space, which is what repositories write: half the time.

    None for anything unexpected, white space or fault; the careful reader then names the fault.
    """
    places: dict[str, int] = {}
    scan = make_scanner(_SKIPPER)  # type: ignore[arg-type]  # the stubs want a scanner where a decoder goes
    count, char = 0, text[position : position + 1]
    if char != "{":
        return None
    try:
        while char != "}":
            position += 1
            if text[position] != '"':
                return None
            name, position = scan(text, position)
            if text[position] != ":":
                return None
            places[name] = position + 1
            count += 1
            _, position = scan(text, position + 1)
            char = text[position]
            if char not in ",}":
                return None
    except (StopIteration, ValueError, IndexError, RecursionError, _Number):
        return None
    return (places, position + 1) if len(places) == count else None


def _decode_text(data: bytes, what: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        _malformed(what, "$", f"not UTF-8 at byte {error.start}")


def _member_name(text: str, position: int, what: str, path: str) -> tuple[str, int]:
    _expect(text, position, '"', what, path)
    name, position = _scan(_DECODER, text, position, what, path)
    if text[position : position + 1] != ":":
        position = _skip(text, position)
    return name, _skip(text, _expect(text, position, ":", what, path))


def _parse_value(text: str, position: int, what: str, path: str) -> tuple[Any, int]:
    return _scan(_DECODER, text, position, what, path)


def _scan(decoder: json.JSONDecoder, text: str, position: int, what: str, path: str) -> tuple[Any, int]:
    try:
        value, end = decoder.raw_decode(text, position)
    except _Duplicate as duplicate:
        _malformed(what, path, f"the member {duplicate.args[0]!r} appears twice in one object")
    except _Number as number:
        _malformed(what, path, f"the number {number.args[0]} is not an integer")
    except RecursionError:
        _malformed(what, path, "nested too deeply")
    except ValueError as error:
        _malformed(what, path, f"not JSON: {error}")
    # A skipped object, which became a number, is judged when it is read: one bad entry spoils no others.
    if (decoder is _DECODER or not isinstance(value, int)) and has_lone_surrogate(text, position, end):
        _malformed(what, path, "a string holds a lone surrogate")
    return value, end


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position


def _expect(text: str, position: int, char: str, what: str, path: str) -> int:
    if text[position : position + 1] != char:
        found = text[position : position + 1] or "the end"
        _malformed(what, path, f"{char!r} is required at character {position}, found {found!r}")
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


# Builds values.
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_no_float, parse_constant=_no_float)
# Scans values by the same grammar and keeps nothing: an object becomes the number of its members.
_SKIPPER = json.JSONDecoder(object_pairs_hook=len, parse_float=_no_float, parse_constant=_no_float)
