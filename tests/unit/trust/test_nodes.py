"""Typed access to plain JSON: each bound from both sides, and the place that a refusal names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.wire.json.cursor import MAX_INTEGER, Node, _is_plain, check_text

LONGEST = 65_536


def node(value: Any) -> Node:
    return Node(value, "file", "$")


def refused(read: Callable[[], object], path: str = "$") -> str:
    with pytest.raises(MalformedError) as caught:
        read()
    assert (caught.value.what, caught.value.json_path) == ("file", path)
    return caught.value.reason


def test_a_path_is_put_together_and_cut() -> None:
    found = node({"a": [{"b": {}}]}).get("a").items(1)[0].get("b")
    assert found.path == "$.a[0].b"
    assert refused(found.text, "$.a[0].b") == "a string is required"
    deep = Node(1, "file", "$" + "x" * 299)
    assert refused(deep.text, "$" + "x" * 299)
    assert refused(Node(1, "file", "$" + "x" * 300).text, "$" + "x" * 299)


def test_members_of_an_object() -> None:
    found = node({"a": None, "b": 0, "c": False})
    assert [found.has(name) for name in "abcd"] == [False, True, True, False]
    assert found.get("a").value is None
    assert refused(lambda: found.get("d")) == "the member 'd' is missing"
    strange: list[Any] = [[], "a", None, 1]
    for value in strange:
        for read in (lambda: node(value).has("a"), lambda: node(value).get("a"), node(value).object):  # noqa: B023
            assert refused(read) == "an object is required"
    assert [(name, inner.value, inner.path) for name, inner in found.members(3)] == [
        ("a", None, "$.a"),
        ("b", 0, "$.b"),
        ("c", False, "$.c"),
    ]
    with pytest.raises(LimitError) as caught:
        found.members(2)
    assert caught.value.fields() == {"what": "file: members of $", "value": 3, "limit": 2}


def test_items_of_an_array() -> None:
    assert [(item.value, item.what, item.path) for item in node(["x", 1]).items(2)] == [
        ("x", "file", "$[0]"),
        (1, "file", "$[1]"),
    ]
    assert refused(lambda: node({}).items(2)) == "an array is required"
    with pytest.raises(LimitError) as caught:
        node([1, 2, 3]).items(2)
    assert caught.value.fields() == {"what": "file: items of $", "value": 3, "limit": 2}


def test_an_array_of_strings() -> None:
    assert node([]).texts(0) == ()
    assert node(["a", ""]).texts(2) == ("a", "")
    assert node(["a", "\u00e4"]).texts(2) == ("a", "\u00e4")
    assert refused(lambda: node("ab").texts(2)) == "an array is required"
    assert refused(lambda: node({"a": "b"}).texts(2)) == "an array is required"
    assert refused(lambda: node(["a", 1]).texts(2), "$[1]") == "a string is required"
    assert refused(lambda: node(["a", "e\u0301"]).texts(2), "$[1]") == "the string is not in Unicode normal form C"
    assert refused(lambda: node(["x" * (LONGEST + 1)]).texts(2), "$[0]") == "the string is too long"
    for items in (["a", "b", "c"], ["a", "b", "\u00e4"]):
        with pytest.raises(LimitError):
            node(items).texts(2)


def test_a_string_of_an_object() -> None:
    assert node({"a": "x"}).text_at("a") == "x"
    assert node({"a": "\u00e4"}).text_at("a") == "\u00e4"
    assert refused(lambda: node({"a": 1}).text_at("a"), "$.a") == "a string is required"
    assert refused(lambda: node({"a": "e\u0301"}).text_at("a"), "$.a") == "the string is not in Unicode normal form C"
    assert refused(lambda: node({"a": "x" * (LONGEST + 1)}).text_at("a"), "$.a") == "the string is too long"
    assert refused(lambda: node({}).text_at("a")) == "the member 'a' is missing"
    assert refused(lambda: node([]).text_at("a")) == "an object is required"


def test_the_length_and_form_of_a_string() -> None:
    for text in ("", "x" * LONGEST, "\u00e4" * (LONGEST // 2)):
        assert node(text).text() == text
    for text in ("x" * (LONGEST + 1), "\u00e4" * (LONGEST // 2) + "x", "\u00e4" * (LONGEST // 2 + 1)):
        assert refused(node(text).text) == "the string is too long"
    check_text("x" * LONGEST, node(""))
    assert refused(lambda: check_text("x" * (LONGEST + 1), node(""))) == "the string is too long"
    assert refused(node("\ud800").text) == "the string holds a lone surrogate"


@pytest.mark.parametrize("least", [0, 1, 5])
def test_an_integer(least: int) -> None:
    for value in (least, MAX_INTEGER):
        assert node(value).integer(least) == value
    for other in (least - 1, MAX_INTEGER + 1):
        assert refused(lambda: node(other).integer(least)) == f"an integer from {least} to {MAX_INTEGER} is required"  # noqa: B023
    for strange in (True, "1", None, [1]):
        assert refused(lambda: node(strange).integer(least)) == "an integer is required"  # noqa: B023


def test_true_or_false() -> None:
    assert node(True).boolean() is True
    assert node(False).boolean() is False
    for value in (1, 0, "true", None):
        assert refused(node(value).boolean) == "true or false is required"


def test_a_time() -> None:
    found = node("2026-11-22T19:35:07Z").time()
    assert found.isoformat() == "2026-11-22T19:35:07+00:00"
    for text in ("2026-11-22T19:35:07", "2026-11-22T19:35:07+00:00", "2026-11-22 19:35:07Z", "x2026-11-22T19:35:07Z"):
        assert refused(node(text).time) == "a time like 2026-11-22T19:35:00Z is required"
    for text in ("2026-13-22T19:35:07Z", "2026-02-30T19:35:07Z", "2026-11-22T25:35:07Z", "0000-11-22T19:35:07Z"):
        assert refused(node(text).time) != "a time like 2026-11-22T19:35:00Z is required"


def test_digits() -> None:
    assert node("").hex() == b""
    assert node("00ff").hex() == b"\x00\xff"
    for text in ("0", "0F", "0g", " 00", "00\n"):
        assert refused(node(text).hex) == "lower-case hexadecimal digits are required"


def test_hashes() -> None:
    good = {"sha256": "0" * 64, "sha384": "0" * 96, "sha512": "0" * 128, "x": "00"}
    assert node(good).hashes(4) == good
    for algorithm, digest in (("sha256", "0" * 62), ("sha384", "0" * 64), ("sha512", "0" * 130), ("sha256", "")):
        reason = refused(lambda: node({algorithm: digest}).hashes(4), f"$.{algorithm}")  # noqa: B023
        assert reason == f"not a digest of {algorithm}"
    assert node({"x": ""}).hashes(4) == {"x": ""}  # not ours to judge
    assert refused(lambda: node({"x": 1}).hashes(4), "$.x") == "a string is required"
    assert refused(lambda: node({}).hashes(4)) == "at least one hash is required"
    with pytest.raises(LimitError):
        node(good).hashes(3)


def nested(depth: int) -> dict[str, Any]:
    value: Any = {} if depth % 2 else []
    for level in range(depth - 1):
        value = {"a": value} if level % 2 or level == depth - 2 else [value]
    found: dict[str, Any] = value
    return found


def test_how_deep_plain_json_may_be() -> None:
    assert node({"a": {"b": [1, "x", {}]}}).shallow() == {"a": {"b": [1, "x", {}]}}
    assert node(nested(16)).shallow() == nested(16)
    assert refused(node(nested(17)).shallow) == "it nests deeper than 16 levels"
    assert refused(node([]).shallow) == "an object is required"


@pytest.mark.parametrize("value", ["", "a", "a" * LONGEST], ids=len)
def test_plain_text_is_seen_at_one_look(value: str) -> None:
    assert _is_plain(value) is True


@pytest.mark.parametrize("value", ["a" * (LONGEST + 1), "\u00e9", 1, None, ["a"]], ids=lambda value: repr(value)[:5])
def test_other_values_are_looked_at_again(value: object) -> None:
    assert _is_plain(value) is False
