"""What a refusal of JSON text names: the file, the place, and what was wrong there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.wire.json.parser import _DECODER, _SKIPPER, RawEnvelope, _scan, parse_envelope, parse_json


def _refusal(read: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(MalformedError) as refused:
        read()
    return refused.value.fields()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"c":{"a":1,"b":2,"b":3,"d":4}}', "the member 'b' appears twice in one object"),
        ('["a\\uD800"]', "a string holds a lone surrogate"),
        ("[1.5]", "the number 1.5 is not an integer"),
        ("[-Infinity]", "the number -Infinity is not an integer"),
        (f"[1.{'2' * 50}]", f"the number 1.{'2' * 38} is not an integer"),
        ("[" * 50_000, "nested too deeply"),
        ("[1 2]", "not JSON: Expecting ',' delimiter: line 1 column 4 (char 3)"),
        ("[1] 2", "something follows the value at character 3"),
    ],
    ids=lambda text: text[:20],
)
def test_of_plain_json(text: str, reason: str) -> None:
    expected = {"what": "here", "json_path": "$", "reason": reason}
    assert _refusal(lambda: parse_json(text.encode(), "here")) == expected


def test_of_text_in_another_encoding() -> None:
    expected = {"what": "here", "json_path": "$", "reason": "not UTF-8 at byte 2"}
    assert _refusal(lambda: parse_json(b'["\xff"]', "here")) == expected


def test_of_too_many_values() -> None:
    assert parse_json(b"[1,2]", "here", max_values=3) == [1, 2]
    with pytest.raises(LimitError) as refused:
        parse_json(b"[1,2]", "here", max_values=2)
    assert refused.value.fields() == {"what": "here: JSON values", "value": 3, "limit": 2}


BOTH = "an object with the members 'signatures' and 'signed' is required"


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        ("", "$", "'{' is required at character 0, found 'the end'"),
        (" []", "$", "'{' is required at character 1, found '['"),
        ("{}", "$", BOTH),
        ('{"signed":{}}', "$", BOTH),
        ('{"signatures":[]}', "$", BOTH),
        ('{"signatures":[],"signed":{},"signed":{}}', "$", "the member 'signed' appears twice"),
        ('{"signatures":[],"signed":{}}]', "$", "something follows the value at character 29"),
        ('{"signatures":[],"signed":{}', "$", "'}' is required at character 28, found 'the end'"),
        ('{"signatures":[],"signed":{1:2}}', "$.signed", "'\"' is required at character 27, found '1'"),
        ('{"signatures":[],"signed":{"a" 2}}', "$.signed", "':' is required at character 31, found '2'"),
        ('{"signatures":[],"signed":{"a\\ud800":2}}', "$.signed", "a string holds a lone surrogate"),
        ('{"signatures":[],"signed":{"a\\x":2}}', "$.signed", "not JSON: Invalid \\escape: line 1 column 30 (char 29)"),
        ('{"signatures":[],"signed":{"a":2.5}}', "$.signed.a", "the number 2.5 is not an integer"),
        ('{"signatures":[2.5],"signed":{}}', "$.signatures", "the number 2.5 is not an integer"),
        ('{"signed":{},"more":[2.5],"signatures":[]}', "$.more", "the number 2.5 is not an integer"),
    ],
)
def test_of_a_file(text: str, path: str, reason: str) -> None:
    expected = {"what": "here", "json_path": path, "reason": reason}
    assert _refusal(lambda: parse_envelope(text.encode(), "here", 1_000)) == expected


@pytest.mark.parametrize("text", ['{"a":"\\ud800"}', '{"a":{"b":["\\ud800"]}}'])
def test_an_object_that_is_only_scanned_is_not_judged_for_its_strings(text: str) -> None:
    assert _scan(_SKIPPER, text, 0, "here", "$") == (1, len(text))
    expected = {"what": "here", "json_path": "$", "reason": "a string holds a lone surrogate"}
    assert _refusal(lambda: _scan(_DECODER, text, 0, "here", "$")) == expected


@pytest.mark.parametrize("decoder", [_SKIPPER, _DECODER], ids=["scanned", "built"])
@pytest.mark.parametrize("text", ['"\\ud800"', '[1,"\\ud800"]'])
def test_what_is_no_object_is_judged_even_where_it_is_only_scanned(decoder: Any, text: str) -> None:
    expected = {"what": "here", "json_path": "$", "reason": "a string holds a lone surrogate"}
    assert _refusal(lambda: _scan(decoder, text, 0, "here", "$")) == expected


def _canonical(payload: bytes) -> bytes:
    return RawEnvelope({}, payload, [], b"").canonical()


def test_the_canonical_form_has_as_many_values_as_the_file_was_allowed() -> None:
    items = b",".join([b"1"] * DEFAULT_LIMITS.report_values)
    assert _canonical(b'{ "b": [' + items + b'], "a": 2 }') == b'{"a":2,"b":[' + items + b"]}"


def test_of_what_has_no_canonical_form() -> None:
    expected = {"what": "file", "json_path": "$", "reason": "the number 2.5 is not an integer"}
    assert _refusal(lambda: _canonical(b'{"a":2.5}')) == expected
