"""Text in the form that reports and metadata carry, and evidence that is written within the bounds of its reader."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from twinlock.trust.errors.base import Kind
from twinlock.trust.model.evidence import Evidence
from twinlock.trust.text.network_form import network_form, start_of
from twinlock.trust.wire.json.cursor import MAX_INTEGER
from twinlock.trust.wire.tuf.evidence import encode_evidence

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "form"),
    [("plain", "plain"), ("A\u0308", "\u00c4"), ("a\ud800b\udfff", "a?b?"), ("\ud83d\ude00", "??"), ("", "")],
)
def test_text_is_composed_and_halves_of_characters_are_replaced(text: str, form: str) -> None:
    assert network_form(text) == form


def test_the_start_of_a_text_is_bounded_in_bytes_and_ends_with_a_whole_character() -> None:
    assert [start_of("a\u00e9\u00e9", most) for most in range(6)] == [
        "",
        "a",
        "a",
        "a\u00e9",
        "a\u00e9",
        "a\u00e9\u00e9",
    ]


@pytest.mark.parametrize(("occurrences", "count"), [(0, 1), (1, 1), (2, 2), (2**63, MAX_INTEGER)])
def test_a_count_is_at_least_one_and_at_most_what_a_reader_takes(occurrences: int, count: int) -> None:
    event = Evidence(
        id="0" * 32,
        kind=Kind.FAILURE,
        code="fetch",
        attack="none",
        clause="",
        step="metadata",
        detail="d",
        first=NOW,
        last=NOW,
        occurrences=occurrences,
    )
    assert encode_evidence(event)["count"] == count
