"""Text of another party, as it is shown."""

from __future__ import annotations

import pytest

from twinlock.trust.text.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("a plain name", "a plain name"),
        ("Ärger 鍵 \\n", "Ärger 鍵 \\n"),
        ("Ä\\\n", "Ä\\\\n"),
        ("a\tb\r\n", "a\\tb\\r\\n"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("half \ud800", "half \\ud800"),
    ],
)
def test_what_is_not_printable_is_escaped_and_all_else_is_left(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(text).isprintable()
