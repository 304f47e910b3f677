"""Typed access to plain JSON that remembers where it is, so that every refusal names the place."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple, NoReturn, TypeGuard

from twinlock.trust.errors.metadata import LimitError, MalformedError

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_HEX = re.compile(r"(?:[0-9a-f]{2})*")
MAX_INTEGER = 2**63 - 1
_MAX_TEXT = 65_536
_NEW = (
    tuple.__new__
)  # what a named tuple is made by, without the Python function around it: nodes are made by the thousand
_MAX_DEPTH = 16  # of members that are kept as plain JSON, such as ``custom``

# How many hexadecimal digits a digest of each known algorithm has; all of them are strong. Others are kept as they are.
DIGEST_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}


class Node(NamedTuple):
    """A JSON value, the file it is from, and its place in it.

    ``place`` is a path as text, or the node above and the member or index there: most paths are never read, so they
    are put together when a refusal needs one.
    """

    value: Any
    what: str
    place: str | tuple[Node, str | int]

    @property
    def path(self) -> str:
        """The place as text, such as ``$.signed.roles.root``."""
        if isinstance(self.place, str):
            return self.place
        above, step = self.place
        return f"{above.path}[{step}]" if isinstance(step, int) else f"{above.path}.{step}"

    def fail(self, reason: str) -> NoReturn:
        """Raise the MalformedError of this place."""
        raise MalformedError(what=self.what, json_path=self.path[:300], reason=reason)

    def has(self, name: str) -> bool:
        """Whether this object has the member, other than null."""
        return self.object().get(name) is not None

    def get(self, name: str) -> Node:
        """The member ``name``, which is required."""
        value, what, _ = self
        if not isinstance(value, dict) or name not in value:
            self.object()
            self.fail(f"the member {name!r} is missing")
        return _NEW(Node, (value[name], what, (self, name)))

    def object(self) -> dict[str, Any]:
        """This value as an object."""
        if not isinstance(self.value, dict):
            self.fail("an object is required")
        return self.value

    def shallow(self) -> dict[str, Any]:
        """This value as an object that nests no deeper than any sane use, so that its readers have the stack for it."""
        level: list[Any] = [self.object()]
        depth = 0
        while level:
            depth += 1
            if depth > _MAX_DEPTH:
                self.fail(f"it nests deeper than {_MAX_DEPTH} levels")
            inner = (child for item in level for child in (item.values() if isinstance(item, dict) else item))
            level = [child for child in inner if isinstance(child, (dict, list))]
        return self.object()

    def members(self, limit: int) -> Iterator[tuple[str, Node]]:
        """The members of this object, of which there may be at most ``limit``."""
        found = self.object()
        if len(found) > limit:
            raise LimitError(what=f"{self.what}: members of {self.path}", value=len(found), limit=limit)
        return ((name, Node(value, self.what, (self, name))) for name, value in found.items())

    def items(self, limit: int) -> list[Node]:
        """The items of this array, of which there may be at most ``limit``."""
        if not isinstance(self.value, list):
            self.fail("an array is required")
        if len(self.value) > limit:
            raise LimitError(what=f"{self.what}: items of {self.path}", value=len(self.value), limit=limit)
        return [Node(item, self.what, (self, index)) for index, item in enumerate(self.value)]

    def text(self) -> str:
        """This value as a string in the network form of RFC 5198: NFC, encodable, of a sane size."""
        value = self.value
        if not isinstance(value, str):
            self.fail("a string is required")
        if not value.isascii() or len(value) > _MAX_TEXT:
            check_text(value, self)
        return value

    def text_at(self, name: str) -> str:
        """The member ``name``, which is required, as a string: ``get(name).text()`` in half the time."""
        value = self.value.get(name) if isinstance(self.value, dict) else None
        return value if _is_plain(value) else self.get(name).text()

    def texts(self, limit: int) -> tuple[str, ...]:
        """This value as an array of at most ``limit`` strings, each as ``text`` takes them."""
        value = self.value
        if isinstance(value, list) and len(value) <= limit and all(map(_is_plain, value)):
            return tuple(value)
        return tuple(item.text() for item in self.items(limit))

    def integer(self, least: int, most: int = MAX_INTEGER) -> int:
        """This value as an integer from ``least`` to ``most``."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            self.fail("an integer is required")
        if not least <= self.value <= most:
            self.fail(f"an integer from {least} to {most} is required")
        return self.value

    def boolean(self) -> bool:
        """This value as true or false."""
        if not isinstance(self.value, bool):
            self.fail("true or false is required")
        return self.value

    def time(self) -> datetime:
        """This value as a UTC time of the form ``2026-11-22T19:35:00Z``."""
        text = self.text()
        if not _TIME.fullmatch(text):
            self.fail("a time like 2026-11-22T19:35:00Z is required")
        try:
            return datetime.fromisoformat(text)
        except ValueError as error:
            self.fail(str(error))

    def hex(self) -> bytes:
        """This value as bytes written in lower-case hexadecimal digits; empty is allowed."""
        text = self.text()
        if not _HEX.fullmatch(text):
            self.fail("lower-case hexadecimal digits are required")
        return bytes.fromhex(text)

    def hashes(self, limit: int) -> dict[str, str]:
        """This value as digests by algorithm, at least one, each of the right length where the algorithm is known.

        The value of an unknown algorithm is any text: the check that needs it refuses.
        """
        found: dict[str, str] = {}
        for algorithm, node in self.members(limit):
            if algorithm in DIGEST_DIGITS and len(node.hex()) * 2 != DIGEST_DIGITS[algorithm]:
                node.fail(f"not a digest of {algorithm}")
            found[algorithm] = node.text()
        if not found:
            self.fail("at least one hash is required")
        return found


def _is_plain(value: object) -> TypeGuard[str]:
    """A quick test whether ``text`` would accept ``value``; False proves nothing."""
    return isinstance(value, str) and value.isascii() and len(value) <= _MAX_TEXT


def check_text(text: str, node: Node) -> None:
    """Refuse a string that is overlong, not encodable or not in normal form C. Raises: MalformedError at ``node``."""
    if text.isascii():
        if len(text) > _MAX_TEXT:
            node.fail("the string is too long")
        return
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        node.fail("the string holds a lone surrogate")
    if size > _MAX_TEXT:
        node.fail("the string is too long")
    if not unicodedata.is_normalized("NFC", text):
        node.fail("the string is not in Unicode normal form C")
