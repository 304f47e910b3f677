"""A bundle is read as bytes: whatever a node without a key writes into it, memory stays near its size."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlock.client.storage.bundle import decode_bundle
from twinlock.client.storage.bundle_reader import BundleReader
from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, Verification

TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text('\\"/\n\x00\U0001f511é')
MEBI = 1_048_576


def read(data: bytes) -> bytes:
    reader = BundleReader(data)
    value = reader.string(100 * MEBI, "bytes")
    reader.end()
    return value


@given(TEXTS, st.booleans())
def test_a_string_is_what_any_json_reader_makes_of_it(text: str, ascii_only: bool) -> None:
    data = json.dumps(text, ensure_ascii=ascii_only).encode()
    assert read(data) == text.encode()


@given(st.binary(max_size=40))
def test_any_bytes_are_read_as_a_json_reader_reads_them(inner: bytes) -> None:
    data = b'"' + inner + b'"'
    try:
        expected = str(json.loads(data.decode())).encode()
    except ValueError:
        with pytest.raises(MalformedError):
            read(data)
    else:
        assert read(data) == expected


@pytest.mark.parametrize("ahead", [1022, 1023, 1024, 255 * 6, 256 * 6])
@pytest.mark.parametrize("one", ["\U0001f511", "é"])
def test_a_character_may_lie_across_two_pieces(ahead: int, one: str) -> None:
    text = "x" * ahead + one * 700
    for ascii_only in (True, False):
        assert read(json.dumps(text, ensure_ascii=ascii_only).encode()) == text.encode()
    escaped = json.dumps("é" * (ahead // 6) + one)
    assert read(escaped.encode()) == ("é" * (ahead // 6) + one).encode()


@pytest.mark.parametrize(
    "data", [b'"\xff"', b'"\xc3', b'"\xc3"', b'"a\x01"', b'"\\x"', b'"\\ud800"', b'"\\ud800x"', b'"', b'"\\']
)
def test_what_is_no_string_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        read(data)


def test_a_long_name_is_refused() -> None:
    with pytest.raises(LimitError):
        decode_bundle(json.dumps({"d" * 5000: {}}).encode(), Verification.FULL, DEFAULT_LIMITS)


@pytest.mark.parametrize("filler", ["x", '\\"', "\\u00e9", "\u00e9"], ids=["plain", "escaped", "numbered", "two bytes"])
def test_wide_text_costs_no_more_memory_than_plain_text(filler: str) -> None:
    """One character outside the first plane makes each character of a ``str`` four bytes long."""
    text = '{"director":{"a":"' + "\U0001f511" + filler * (8 * MEBI // len(filler.encode())) + '"}}'
    data = text.encode()
    del text
    tracemalloc.start()
    try:
        bundle = decode_bundle(data, Verification.FULL, DEFAULT_LIMITS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(bundle.files[DIRECTOR]["a"]) > MEBI
    assert peak < 3 * len(data)
