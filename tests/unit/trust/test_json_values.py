"""What is counted of JSON text before any of it is built, and that looking at it is left to C code."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.limits import DEFAULT_LIMITS, provision
from twinlock.trust.wire.aktualizr import reports as aktualizr_reports
from twinlock.trust.wire.json.parser import parse_envelope, parse_json
from twinlock.trust.wire.json.prescan import check_values, count_values, has_lone_surrogate
from twinlock.trust.wire.tuf import reports as tuf_reports
from twinlock.trust.wire.tuf.attestation import stated_nonces
from twinlock.trust.wire.tuf.metadata import TUF

MANY = ",".join(["{}"] * 600_000)

plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, min_size=1) | st.dictionaries(st.text(), inner, min_size=1),
)


@given(value=plain_json)
def test_each_value_counts_once_whatever_its_strings_hold(value: Any) -> None:
    text, values = json.dumps(value), _values(value)
    assert count_values(text.encode()) == values
    check_values(text, values, "here")
    if values > 1:
        with pytest.raises(LimitError) as refused:
            check_values(text, values - 1, "here")
        assert (refused.value.what, refused.value.value, refused.value.limit) == (
            "here: JSON values",
            values,
            values - 1,
        )


def _values(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_values, inner))


@pytest.mark.parametrize("text", ['["' + "," * 9, '["\\",,,,,,,,,"]', '[",,,,,,,,', '["a","b"]' + " " * 90])
def test_commas_in_strings_are_no_values(text: str) -> None:
    check_values(text, 3, "here")


def test_an_empty_container_counts_twice() -> None:
    assert count_values(b"[{},[]]") == 5


@pytest.mark.parametrize(
    "read",
    [
        lambda text: parse_json(text, "here"),
        tuf_reports.decode_report,
        tuf_reports.decode_manifest,
        aktualizr_reports.decode_report,
        aktualizr_reports.decode_manifest,
    ],
)
def test_nothing_of_too_many_values_is_built(read: Any) -> None:
    """One JSON value of three bytes becomes an object of 64: three megabytes of them took a second and 120 MB."""
    text = b'{"signatures":[],"signed":{"x":["\\u0041",' + MANY.encode() + b"]}}"
    with pytest.raises(LimitError) as refused:
        read(text)
    assert refused.value.limit == DEFAULT_LIMITS.report_values
    assert refused.value.what.endswith("JSON values")


def test_a_metadata_file_has_values_in_proportion_to_its_length() -> None:
    limits = provision({"metadata_values": 20, "value_bytes": 8})
    assert (limits.values_in(100), limits.values_in(800)) == (20, 100)
    many = b'{"signatures":[],"signed":{"_type":"targets","x":[' + b"{}," * 99 + b"{}]}}"
    with pytest.raises(LimitError) as refused:
        TUF.decode_targets(many, "targets", limits)
    assert refused.value.limit == len(many) // 8
    with pytest.raises(LimitError):
        parse_envelope(many, "here", 1_000, max_values=200)
    assert parse_envelope(many, "here", 1_000, max_values=300).signed["x"]
    with pytest.raises(MalformedError):  # of the default, which has room for it
        stated_nonces(many, DEFAULT_LIMITS)


def test_the_values_of_a_manifest_follow_from_the_ecus() -> None:
    assert DEFAULT_LIMITS.report_values == 1_024 + 256 * 256
    assert provision({"ecus": 2, "ecu_report_values": 10}).report_values == 1_044
    assert provision({"ecus": 2, "report_values": 7}).report_values == 7


def test_strings_are_looked_at_in_c() -> None:
    """A writer can always have one escape in the text, so the careful look must cost no call for each value."""
    text = json.dumps({"x": ["A", *range(5_000), *({"n": "v"} for _ in range(50))]}).replace('"A"', '"\\u0041"')
    calls = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        parse_json(text.encode(), "here")
    finally:
        sys.setprofile(before)
    assert calls < 500


SURROGATES = [
    "\\ud83d",
    "\\uDE00",
    "\\uD800",
    "\\\\",
    "u",
    "d",
    "\\n",
    '\\"',
    "\\u0041",
    "é",
    "\\udfff",
    "d83d",
    "\\ud7ff",
]


@given(parts=st.lists(st.sampled_from(SURROGATES), max_size=8))
def test_a_surrogate_without_its_partner_is_found_in_the_text(parts: list[str]) -> None:
    text = f'["{"".join(parts)}"]'
    try:
        json.loads(text)[0].encode()
        lone = False
    except UnicodeEncodeError:
        lone = True
    assert has_lone_surrogate(text, 0, len(text)) == lone
    if lone:
        with pytest.raises(MalformedError):
            parse_json(text.encode(), "here")
