"""Evidence at its bounds: what is cut when it is written, and what is refused when it is read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from twinlock.trust.errors.base import Kind
from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.model.evidence import MAX_EVENT_DETAIL_BYTES, MAX_EVENT_WORD, Evidence
from twinlock.trust.wire.json.cursor import Node
from twinlock.trust.wire.tuf.evidence import decode_evidence, encode_evidence

TIME = datetime(2030, 1, 1, tzinfo=UTC)
EVENT = Evidence("e1", Kind.FAILURE, "storage", "none", "clause", "detail", "step", TIME, TIME)
WORDS = ("id", "code", "attack", "clause", "step")


def changed(**members: Any) -> Evidence:
    return EVENT._replace(**members)


def read(*members: object) -> tuple[Evidence, ...]:
    return decode_evidence(Node(list(members), "report", "$.evidence"))


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_cut_when_it_is_written_and_refused_when_it_is_read(word: str) -> None:
    full = "x" * MAX_EVENT_WORD
    written = encode_evidence(changed(**{word: full + "y"}))
    assert written[word] == full
    assert read(written) == (changed(**{word: full}),)
    with pytest.raises(MalformedError) as caught:
        read(written | {word: full + "y"})
    assert caught.value.json_path == f"$.evidence[0].{word}"


@pytest.mark.parametrize("sentence", ["detail", "latest"])
@pytest.mark.parametrize("character", ["x", "\u00e4", "\u20ac", "\U0001f600"])
def test_a_sentence_is_cut_between_characters_at_its_bound_in_bytes(sentence: str, character: str) -> None:
    fitting = MAX_EVENT_DETAIL_BYTES // len(character.encode())
    written = encode_evidence(changed(**{sentence: character * (fitting + 1)}))
    assert written[sentence] == character * fitting
    assert read(written) == (changed(**{sentence: character * fitting}),)
    with pytest.raises(MalformedError) as caught:
        read(written | {sentence: character * (fitting + 1)})
    assert caught.value.json_path == f"$.evidence[0].{sentence}"


def test_a_latest_sentence_is_written_only_where_it_says_something_else() -> None:
    assert "latest" not in encode_evidence(EVENT)
    assert "latest" not in encode_evidence(EVENT._replace(latest="detail"))
    assert encode_evidence(EVENT._replace(latest="other"))["latest"] == "other"
