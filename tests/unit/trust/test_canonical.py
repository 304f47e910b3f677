"""Our canonical encoder against securesystemslib's: byte for byte the same, on everything that both take."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical as other

from twinlock.trust.wire.json.olpc import encode_canonical

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.text(
    '\\"/bfnrtu0123456789abcdef\x00\x01\x1f\x7f\n\t\r\b\f', max_size=12
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_the_same_bytes(value: object) -> None:
    assert encode_canonical(value) == str(other(value)).encode()  # type: ignore[arg-type]


@given(VALUES, VALUES)
def test_two_values_never_share_a_form(one: object, two: object) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)
    assert (encode_canonical(one) == encode_canonical(two)) == same


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ({"b": 1, "a": [True, None, -5]}, '{"a":[true,null,-5],"b":1}'),
        ('"\\', '"\\"\\\\"'),
        ("\n\t\x00\x1f\x7f", '"\n\t\x00\x1f\x7f"'),
        ("\\n", '"\\\\n"'),
        ("\\u0041", '"\\\\u0041"'),
        ("\u00e4\U0001f697\u2028", '"\u00e4\U0001f697\u2028"'),
        ({"\uffff": 1, "\U00010000": 2}, '{"\uffff":1,"\U00010000":2}'),
        (2**70, str(2**70)),
        ({}, "{}"),
        ((), "[]"),
    ],
    ids=ascii,
)
def test_examples(value: object, form: str) -> None:
    assert encode_canonical(value) == form.encode()


@pytest.mark.parametrize("character", ['"', "\\", "\n", "\0", "\x1f"], ids=ascii)
def test_an_escape_costs_no_step_of_python(character: str) -> None:
    """A file may hold 32 million of them, and a sender without a key chooses them."""
    calls: list[str] = []
    value = character * 10_000
    sys.setprofile(lambda _frame, event, _argument: calls.append(event))
    try:
        form = encode_canonical(value)
    finally:
        sys.setprofile(None)
    assert form == str(other(value)).encode()
    assert len(calls) < 1_000


@pytest.mark.parametrize("value", [1.0, [1.5], {"a": {"b": float("nan")}}, "\ud800", {"\udfff": 1}], ids=ascii)
def test_what_has_no_form(value: object) -> None:
    with pytest.raises(ValueError, match=r"float|surrogate"):
        encode_canonical(value)


@pytest.mark.parametrize(
    "value", [{1: 2}, {"a": {None: 1}}, b"x", {1, 2}, object()], ids=["int", "none", "bytes", "set", "object"]
)
def test_what_is_not_json(value: object) -> None:
    with pytest.raises(TypeError):
        encode_canonical(value)
