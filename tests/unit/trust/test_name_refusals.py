"""What a refused name says: which rule it broke, and as much of the name as may be shown."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from twinlock.trust.errors.metadata import UnsafePathError
from twinlock.trust.names import MAX_SEGMENT_BYTES, identifier, role_file, target_path

ABSOLUTE = "absolute paths are not allowed"
BACKSLASH = "backslashes are not allowed"
SLASH = "an identifier holds no slash or backslash"
DOTS = "a segment is empty, '.' or '..'"
END = "a segment ends in a dot or a space"
CHARACTER = 'a segment holds one of < > : " | ? *'
DEVICE = "a segment names a Windows device"
CONTROL = "control characters are not allowed"
UNICODE = "valid Unicode is required"
NORMAL = "Unicode normal form C is required"
LONG = f"a segment is longer than {MAX_SEGMENT_BYTES} bytes"
NO_FILE = "a file cannot have this name"
LONGEST = "/".join(["x" * MAX_SEGMENT_BYTES] * 8) + "/" + "y" * 8  # 1024 bytes


def refused(admit: Callable[[str], str], name: str) -> tuple[str, str]:
    with pytest.raises(UnsafePathError) as caught:
        admit(name)
    return caught.value.path, caught.value.reason


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/x", ABSOLUTE),
        ("C:x", ABSOLUTE),
        ("a:", ABSOLUTE),
        ("x\\y", BACKSLASH),
        ("x//y", DOTS),
        ("x/", DOTS),
        (".", DOTS),
        ("x/.", DOTS),
        ("..", DOTS),
        ("x/../y", DOTS),
        ("x./y", END),
        ("x /y", END),
        ("...", END),
        ("ab:c", CHARACTER),
        ("x/*", CHARACTER),
        ("x/con", DEVICE),
        ("con .txt", DEVICE),
        ("AUX.tar.gz", DEVICE),
        ("e\u0301", NORMAL),
    ],
)
def test_a_target_path(name: str, reason: str) -> None:
    assert refused(target_path, name) == (name, reason)


@pytest.mark.parametrize("char", [*'<>:"|?*'])
def test_a_character_that_file_systems_take_for_something_else(char: str) -> None:
    assert refused(identifier, f"ab{char}") == (f"ab{char}", CHARACTER)


@pytest.mark.parametrize("name", ["x\x00", "x\x1f", "x\x7f", "x\x80", "x\x9f", "\n"])
def test_a_control_character_is_shown_as_what_it_is(name: str) -> None:
    for admit in (target_path, identifier, role_file):
        assert refused(admit, name) == (ascii(name), CONTROL)


@pytest.mark.parametrize("name", ["x\x20y", "x\xa0", "x\x7ey", "con\xa0", "conx", "co.n", "x.con", LONGEST])
def test_what_is_just_inside(name: str) -> None:
    assert target_path(name) == name


def test_lengths() -> None:
    assert refused(target_path, "") == ("", "a length from 1 to 1024 bytes is required")
    assert refused(target_path, LONGEST + "y") == (LONGEST[:80], "a length from 1 to 1024 bytes is required")
    assert refused(identifier, "") == ("", "a length from 1 to 128 bytes is required")
    assert refused(identifier, "y" * 129) == ("y" * 80, "a length from 1 to 128 bytes is required")
    assert refused(identifier, "y" * 128) == ("y" * 80, LONG)
    assert refused(target_path, "z/" + "y" * 127) == ("z/" + "y" * 78, LONG)


def test_text_that_is_none() -> None:
    assert refused(target_path, "\ud800") == ("'\\ud800'", UNICODE)
    assert refused(identifier, "e\u0301") == ("e\u0301", NORMAL)


@pytest.mark.parametrize("name", ["x/y", "x\\y"])
def test_an_identifier_is_one_segment(name: str) -> None:
    assert refused(identifier, name) == (name, SLASH)


@pytest.mark.parametrize("role", [".", "..", "x" * 127, "x" * 2000, "\u00e4" * 22])
def test_a_role_that_cannot_be_a_file(role: str) -> None:
    assert refused(role_file, role) == (role, NO_FILE)


@pytest.mark.parametrize("role", ["x" * 126, "\u00e4" * 21, "x.", ".x"])
def test_a_role_that_just_can(role: str) -> None:
    assert len(role_file(role)) <= MAX_SEGMENT_BYTES


def test_an_empty_role() -> None:
    assert refused(role_file, "") == ("", "a length from 1 to 1024 bytes is required")
    assert refused(role_file, "\u00e4" * 513) == ("\u00e4" * 80, "a length from 1 to 1024 bytes is required")
