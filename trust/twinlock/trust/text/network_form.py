"""Text in the form that reports and metadata carry: RFC 5198, as ``wire/json/cursor.py`` reads it."""

from __future__ import annotations

import unicodedata


def network_form(text: str) -> str:
    """``text`` in Unicode normal form C, with ``?`` for each half of a character. So is every start of it.

    Sentences quote other parties, and what two of them wrote may compose where it meets: a reader refuses text in another form.
    """
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", text.encode(errors="replace").decode())


def start_of(text: str, most: int) -> str:
    """The start of ``text`` in that form, at most ``most`` bytes of UTF-8 long."""
    return network_form(text).encode()[:most].decode(errors="ignore")
