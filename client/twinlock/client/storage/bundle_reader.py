"""Reads a metadata bundle: JSON of objects and strings, read as bytes from its start to its end.

A bundle has no signature, and a sender without a key chooses its text. So none of it becomes one long ``str``, whose characters take
four bytes each where a single one is outside Unicode's first plane: a string is unescaped piece by piece, and reading a bundle
takes about as much memory again as its bytes.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from twinlock.trust.errors.metadata import LimitError, MalformedError

WHAT = "metadata bundle"
_NAME_BYTES = 4096
_SPACE = re.compile(rb"[ \t\n\r]*")
# A piece of a string: runs of plain bytes, and escapes, of which a surrogate pair is one.
_PIECE = re.compile(
    rb'(?:[^"\\\x00-\x1f]{1,1024}+'
    rb'|\\["\\/bfnrt]'
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|\\u[0-9a-fA-F]{4}){1,256}+"
)


@dataclass(slots=True)
class BundleReader:
    """``data`` is the bundle, ``position`` the byte that is read next. Every method raises MalformedError."""

    data: bytes
    position: int = 0

    def members(self) -> Iterator[str]:
        """The names of an object. Read the value of each before asking for the next. Raises: LimitError for a long name."""
        self._expect(b"{")
        if self._next() == b"}":
            self.position += 1
            return
        while True:
            name = self.string(_NAME_BYTES, "bytes of a name")
            self._expect(b":")
            yield name.decode()
            if self._next() != b",":
                break
            self.position += 1
        self._expect(b"}")

    def string(self, max_bytes: int, what: str) -> bytes:
        """A string, in UTF-8. Raises: LimitError for one of more than ``max_bytes``, which ``what`` describes."""
        if self._next() != b'"':
            raise self._wrong("a string")
        self.position += 1
        value, decoder = BytesIO(), codecs.getincrementaldecoder("utf-8")()
        try:
            while (piece := _PIECE.match(self.data, self.position)) is not None:
                self.position = piece.end()
                value.write(_unescaped(decoder.decode(piece[0])))
                if value.tell() > max_bytes:
                    raise LimitError(what=f"{WHAT}: {what}", value=value.tell(), limit=max_bytes)
            decoder.decode(b"", final=True)
        except (UnicodeDecodeError, UnicodeEncodeError) as error:
            raise malformed(f"the string before byte {self.position} is not Unicode: {error.reason}") from None
        if self.data[self.position : self.position + 1] != b'"':
            raise self._wrong("a character of a string, or its end,")
        self.position += 1
        return value.getvalue()

    def end(self) -> None:
        """Check that nothing follows."""
        if self._next():
            raise self._wrong("the end")

    def _next(self) -> bytes:
        space = _SPACE.match(self.data, self.position)
        self.position = self.position if space is None else space.end()
        return self.data[self.position : self.position + 1]

    def _expect(self, character: bytes) -> None:
        if self._next() != character:
            raise self._wrong(repr(character.decode()))
        self.position += 1

    def _wrong(self, expected: str) -> MalformedError:
        return malformed(f"expected {expected} at byte {self.position}")


def _unescaped(text: str) -> bytes:
    """UTF-8 of a piece of a JSON string. Raises: UnicodeEncodeError for half a surrogate pair."""
    return str(json.loads(f'"{text}"')).encode() if "\\" in text else text.encode()


def malformed(reason: str) -> MalformedError:
    """The error for a bundle that does not have its form."""
    return MalformedError(what=WHAT, json_path="$", reason=reason)
