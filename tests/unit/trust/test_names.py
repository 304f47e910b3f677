"""Names from elsewhere that must never become a path, an identifier or a file of a role."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlock.trust.errors.base import Attack
from twinlock.trust.errors.metadata import UnsafePathError
from twinlock.trust.names import MAX_SEGMENT_BYTES, hidden_character, identifier, role_file, target_path

HOSTILE = [
    "",
    "/",
    "/etc/passwd",
    "..",
    ".",
    "../x",
    "a/../x",
    "a/..",
    "a/./b",
    "a//b",
    "a/",
    "./a",
    "a\\b",
    "..\\x",
    "\\\\server\\share",
    "C:\\x",
    "C:/x",
    "c:x",
    "a\x00b",
    "a\nb",
    "a\x7fb",
    "a\x85b",
    "\x1b[31m",
    "e\u0301",
    "a/\u212b",
    "x" * 4096,
    "x" * (MAX_SEGMENT_BYTES + 1),
    "/".join("x" * 100 for _ in range(11)),
    "\u00e4" * 513,
    "con",
    "NUL",
    "a/aux.bin",
    "com1",
    "COM9.tar.gz",
    "lpt0",
    "a/nul /b",
    "prn.",
    "a.",
    "a ",
    "a./b",
    "a /b",
    "a<b",
    "a>b",
    "a:b",
    'a"b',
    "a|b",
    "a?b",
    "a*b",
    "\ud800",
    "a/\udfff",
]
FINE = [
    "a",
    "a.bin",
    "a/b/c.bin",
    "..a",
    "a..b",
    ".hidden",
    "...a",
    "console",
    "com10",
    "nulls/x",
    "\u00e4\u4f60/\U0001f697.bin",
    "a b",
    "x" * MAX_SEGMENT_BYTES,
    "~",
    "%2e%2e",
    "-rf",
]


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name)[:20])
def test_hostile_target_paths(name: str) -> None:
    with pytest.raises(UnsafePathError) as caught:
        target_path(name)
    assert caught.value.reason
    assert caught.value.attack is Attack.TRAVERSAL
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 4000


@pytest.mark.parametrize("name", FINE)
def test_target_paths(name: str) -> None:
    assert target_path(name) == name


@pytest.mark.parametrize(
    "name", [name for name in HOSTILE if len(name) < 1000] + ["a/b", "x" * 129], ids=lambda name: ascii(name)[:20]
)
def test_hostile_identifiers(name: str) -> None:
    with pytest.raises(UnsafePathError):
        identifier(name)


@pytest.mark.parametrize(
    "char", ["\u200b", "\u202e", "\u2066", "\ufeff", "\u00ad", "\u2028", "\u00a0", "\ue000"], ids=ascii
)
def test_identifiers_have_no_hidden_character(char: str) -> None:
    with pytest.raises(UnsafePathError) as caught:
        identifier(f"VIN{char}1")
    reason = f"an identifier must not hold the hidden character U+{ord(char):04X}"
    assert caught.value.fields() == {"path": f"VIN{char}1", "reason": reason}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("a b\n", None),
        ("\u00e4 b", None),
        ("\u00e4\u00a0b", "U+00A0"),
        ("a b\u200b", "U+200B"),
        ("\u2028\u200b", "U+2028"),
        ("\U000e0041", "U+E0041"),
    ],
)
def test_the_first_hidden_character(text: str, found: str | None) -> None:
    assert hidden_character(text) == found


def test_letters_that_look_alike_are_admitted() -> None:
    assert identifier("VIN\u0410") != identifier("VINA")


@pytest.mark.parametrize("name", ["ecu-1", "WVWZZZ1JZXW000001", "x" * MAX_SEGMENT_BYTES, "\u00e4", "a b"])
def test_identifiers(name: str) -> None:
    assert identifier(name) == name


@pytest.mark.parametrize(
    ("role", "file"),
    [
        ("acme", "acme"),
        ("../x", "..%2Fx"),
        ("a/b", "a%2Fb"),
        ("a\\b", "a%5Cb"),
        ("a b", "a%20b"),
        ("%2F", "%252F"),
        ("a:b", "a%3Ab"),
    ],
)
def test_role_files(role: str, file: str) -> None:
    assert role_file(role) == file


@pytest.mark.parametrize(
    "role",
    ["", ".", "..", "...", "x" * (MAX_SEGMENT_BYTES + 1), "\u00e4" * 30, "a\x00", "a\nb", "e\u0301", "\ud800"],
    ids=ascii,
)
def test_roles_that_cannot_be_files(role: str) -> None:
    with pytest.raises(UnsafePathError):
        role_file(role)


@given(st.text(max_size=300))
def test_what_passes_stays_below_its_directory(name: str) -> None:
    try:
        path = target_path(name)
    except UnsafePathError:
        return
    for kind in (PurePosixPath, PureWindowsPath):
        joined = kind("base") / path
        assert joined.parts[0] == "base"
        assert ".." not in joined.parts
        assert len(joined.parts) == 1 + len(path.split("/"))


@given(st.text(max_size=200), st.text(max_size=200))
def test_two_roles_never_share_a_file(one: str, other: str) -> None:
    try:
        files = role_file(one), role_file(other)
    except UnsafePathError:
        return
    assert (files[0] == files[1]) == (one == other)
    assert all("/" not in file and "\\" not in file and file not in {".", ".."} for file in files)
