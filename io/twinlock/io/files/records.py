"""Records: the JSON files that our servers write and read again, such as configurations, drafts and key records.

    class Place(Record, frozen=True, kw_only=True):
        format: int
        repository: str

    place = read_record(data, str(path), Place, newest=1)

JSON is read strictly, as everywhere (``trust.wire.json``); msgspec then holds it to the declared shape: every member known, each
of its type. For servers only: no module that a vehicle starts imports this one, since a gateway does not install msgspec.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from twinlock.io.files.near_names import nearest_name
from twinlock.trust.errors.local import NewerStateError, OperatorFileError, StorageError
from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.wire.json.parser import parse_json

_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_EXPECTED = re.compile(r"Expected `([a-z| ]+)`( [<>]=? -?\d+)?(, got .*)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_WORDS = {
    "int": "a whole number",
    "bool": "true or false",
    "str": "a text",
    "object": "an object",
    "array": "a list",
    "null": "null",
}
_SHOWN = 60  # characters of a wrong value


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The shape of a file of ours; members are camelCase there. ``msgspec.UNSET`` is a member that is left out."""


_R = TypeVar("_R")


class RecordError(StorageError):
    """A file of ours that is not what we write: damaged, or edited wrongly."""

    @property
    def fault(self) -> str:
        """What is wrong, without the path of the file."""
        return self.reason


class MemberError(RecordError):
    """A member of such a file that is missing, or has a value that it cannot have. ``member`` is its path: ``validity.root``."""

    template = "cannot {operation} {path}: {member} {reason}"
    member: str

    @property
    def fault(self) -> str:
        """What is wrong, without the path of the file."""
        return f"{self.member} {self.reason}"


class UnknownMemberError(MemberError):
    """A member that the file cannot have, such as a mistyped one. ``nearest`` is the known one that is most like it, or empty."""

    nearest: str


def parse_record(data: bytes, path: str) -> dict[str, Any]:
    """The members of the JSON object in ``data``, read from ``path``; a whole number ``format`` is among them.

    For a reader that looks at a member before it holds them all to a shape; others use ``read_record``.
    Raises: RecordError, MemberError.
    """
    body = _parse(data, path)
    if not isinstance(body, dict):
        raise RecordError(path=path, operation="read", reason="not a JSON object")
    if type(body.get("format")) is not int:
        raise MemberError(path=path, operation="read", reason="is missing or not a whole number", member="format")
    return body


def check_format(body: Mapping[str, Any], path: str, *, newest: int) -> None:
    """See that a version wrote the file that this one knows. Raises: NewerStateError."""
    if body["format"] > newest:
        reason = "a newer version wrote it"
        raise NewerStateError(path=path, operation="read", reason=reason, found=body["format"], supported=newest)


def to_record(body: Any, path: str, kind: type[_R]) -> _R:
    """``body`` as a record of ``kind``. Raises: RecordError, MemberError, UnknownMemberError."""
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise _explain(error, body, path, kind) from None


def read_record(data: bytes, path: str, kind: type[_R], *, newest: int | None = None) -> _R:
    """The record of ``kind`` in ``data``, read from ``path``; ``newest`` is the latest ``format`` known, None without one.

    Raises: RecordError, MemberError, UnknownMemberError, NewerStateError.
    """
    if newest is None:
        return to_record(_parse(data, path), path, kind)
    body = parse_record(data, path)
    check_format(body, path, newest=newest)
    return to_record(body, path, kind)


def plain(record: msgspec.Struct) -> dict[str, Any]:
    """The members of ``record`` as plain JSON, in the order in which they are declared."""
    members: dict[str, Any] = msgspec.to_builtins(record)
    return members


def record_bytes(record: msgspec.Struct) -> bytes:
    """The file of a record that people read too: indented, one line break at its end."""
    return json.dumps(plain(record), indent=2).encode() + b"\n"


@contextmanager
def records_of_operators() -> Iterator[None]:
    """Judge a file of ours that operators edit, such as a configuration, inside the block. Raises: OperatorFileError."""
    try:
        yield
    except RecordError as error:
        raise OperatorFileError(path=error.path, operation=error.operation, reason=error.fault) from None


def _parse(data: bytes, path: str) -> Any:
    try:
        return parse_json(data, path, max_values=None)
    except MalformedError as error:
        raise RecordError(path=path, operation="read", reason=f"damaged: {error.reason}") from None


def _explain(error: msgspec.ValidationError, body: Any, path: str, kind: Any) -> RecordError:
    """What msgspec found, as an error of ours."""
    told, _, place = str(error).partition(" - at `$")
    steps = [name or index for name, index in _STEP.findall(place.removesuffix("`"))]
    if unknown := _UNKNOWN.fullmatch(told):
        return _unknown(path, steps, unknown[1], kind)
    reason = told
    if missing := _MISSING.fullmatch(told):
        steps, reason = [*steps, missing[1]], "is missing"
    elif expected := _EXPECTED.fullmatch(told):
        wanted = " or ".join(_WORDS.get(name, name) for name in expected[1].split(" | "))
        reason = f"has to be {wanted}{expected[2] or ''}{_shown(body, steps)}"
    if not steps:
        reason = told if reason is told else f"the content {reason}"
        return RecordError(path=path, operation="read", reason=reason)
    return MemberError(path=path, operation="read", reason=reason, member=_join(steps))


def _unknown(path: str, steps: list[str], name: str, kind: Any) -> UnknownMemberError:
    near = nearest_name(name, _names_at(kind, steps))
    nearest = _join([*steps, near]) if near else ""
    reason = f"is unknown; correct its name{f' (the nearest is {nearest})' if near else ''}, or remove it"
    member = _join([*steps, name])
    return UnknownMemberError(path=path, operation="read", reason=reason, member=member, nearest=nearest)


def _join(steps: list[str]) -> str:
    """``validity.root`` or ``keys[2]``."""
    return "".join(f"[{step}]" if step.isdigit() or step == "..." else f".{step}" for step in steps).removeprefix(".")


def _shown(body: Any, steps: list[str]) -> str:
    """``, not "12"``: the value at fault, where the path leads to one."""
    for step in steps:
        inside = int(step) if isinstance(body, list) and step.isdigit() else step
        try:
            body = body[inside]
        except (KeyError, IndexError, TypeError):
            return ""
    return f", not {json.dumps(body)[:_SHOWN]}"


def _names_at(kind: Any, steps: list[str]) -> list[str]:
    """The members that an object of the record can have at that place."""
    from msgspec import inspect

    found: list[Any] = [inspect.type_info(kind)]
    for step in steps:
        found = [inner for item in found for inner in _inside(item, step)]
    flat = [part for item in found for part in getattr(item, "types", (item,))]
    return [field.encode_name for item in flat for field in getattr(item, "fields", ())]


def _inside(kind: Any, step: str) -> list[Any]:
    """The types that ``step`` leads to from a type."""
    parts = getattr(kind, "types", (kind,))
    named = [field.type for part in parts for field in getattr(part, "fields", ()) if field.encode_name == step]
    return named + [
        getattr(part, name) for part in parts for name in ("value_type", "item_type") if hasattr(part, name)
    ]
