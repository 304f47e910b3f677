"""The one form of JSON that commands write: camelCase members, times in RFC 3339 (UTC, whole seconds, ``Z``).

Members that are data, such as the names of components or vehicles, stay as they are: only the names of fields change.
"""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.text.times import format_time


def camel(name: str) -> str:
    """``release_counter`` as ``releaseCounter``."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """``value`` as a JSON document that a terminal may have: what is not printable is escaped as ``\\uXXXX``.

    Vehicles and suppliers write some of the text in it. A reader of JSON gets the same value as without the escapes.
    Raises: TypeError (``json_value``).
    """
    text = json.dumps(json_value(value), indent=indent, ensure_ascii=False)
    if text.replace("\n", "").isprintable():  # inside a string a line feed is escaped already
        return text
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def json_value(value: Any) -> Any:
    """``value`` as plain JSON. Dataclasses become objects with camelCase members.

    Raises: TypeError for a value that has no JSON form, so that nothing is shown as Python would print it.
    """
    if value is None or (isinstance(value, (bool, int, float, str)) and not isinstance(value, enum.Enum)):
        return value
    for kind, form in _FORMS.items():
        if isinstance(value, kind):
            return form(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {camel(item.name): json_value(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if hasattr(value, "__struct_fields__"):  # a record of a server; the library that makes it need not be here
        names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
        return {shown: json_value(getattr(value, name)) for shown, name in names}
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _object(value: Mapping[Any, Any]) -> dict[str, Any]:
    """A mapping; the fields of an error (see ``TwinlockError.as_json``) are names of ours and become camelCase."""
    members = {str(key): json_value(item) for key, item in value.items()}
    if members.keys() >= {"code", "message", "fields"} and isinstance(members["fields"], dict):
        members["fields"] = {camel(name): item for name, item in members["fields"].items()}
    return members


_FORMS: dict[type, Callable[[Any], Any]] = {
    datetime: format_time,
    enum.Enum: lambda value: json_value(value.value),
    Path: str,
    TwinlockError: lambda value: json_value(value.as_json()),
    Mapping: _object,
    tuple: lambda value: [json_value(item) for item in value],
    list: lambda value: [json_value(item) for item in value],
    frozenset: lambda value: sorted(json_value(item) for item in value),
}
