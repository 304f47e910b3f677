"""JSON as text: what strict reading refuses, and that it keeps the signed bytes as they came."""

from __future__ import annotations

import json

import pytest

from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.wire.json.parser import parse_envelope, parse_json

ENVELOPE = b'{"signatures":[],"signed":{"a":1}}'


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (b"", "$"),
        (b" ", "$"),
        (b"\xff\xfe{}", "$"),
        (b"\xef\xbb\xbf" + ENVELOPE, "$"),
        (b"null", "$"),
        (b"[]", "$"),
        (b'"signed"', "$"),
        (b"{}", "$"),
        (b'{"signed":{}}', "$"),
        (b'{"signatures":[]}', "$"),
        (ENVELOPE[:-1], "$"),
        (ENVELOPE + b"x", "$"),
        (ENVELOPE + ENVELOPE, "$"),
        (ENVELOPE[:-1] + b",}", "$"),
        (b"{'signed':{}}", "$"),
        (b'{"signatures":[] "signed":{}}', "$"),
        (b'{"signatures":[],"signatures":[],"signed":{}}', "$"),
        (b'{"signatures":[],"signed":{},"signed":{}}', "$"),
        (b'{"signatures":[],"signed":[]}', "$.signed"),
        (b'{"signatures":[],"signed":{"a":1,"a":1}}', "$.signed"),
        (b'{"signatures":[],"signed":{"a":1,"\\u0061":1}}', "$.signed"),
        (b'{"signatures":[],"signed":{"a":{"b":1,"b":2}}}', "$.signed.a"),
        (b'{"signatures":[],"signed":{"a":[{"b":1,"b":2}]}}', "$.signed.a"),
        (b'{"signatures":[],"signed":{"a":1.0}}', "$.signed.a"),
        (b'{"signatures":[],"signed":{"a":1e3}}', "$.signed.a"),
        (b'{"signatures":[],"signed":{"a":NaN}}', "$.signed.a"),
        (b'{"signatures":[],"signed":{"a":-Infinity}}', "$.signed.a"),
        (b'{"signatures":[],"signed":{"a":01}}', "$.signed"),
        (b'{"signatures":[],"signed":{"a":+1}}', "$.signed.a"),
        (b'{"signatures":[],"signed":{"a":"\x01"}}', "$.signed.a"),
        (b'{"signatures":[],"signed":{"a":"\\x"}}', "$.signed.a"),
        (b'{"signatures":[],"signed":{"a":"\\ud800"}}', "$.signed.a"),
        (b'{"signatures":[],"signed":{"a":["\\udfff\\ud800"]}}', "$.signed.a"),
        (b'{"signatures":[],"signed":{"a":{"\\uD83D":1}}}', "$.signed.a"),
        (b'{"signatures":[],"signed":{"a":' + b"9" * 5000 + b"}}", "$.signed.a"),
        (b'{"signatures":[],"signed":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}", "$.signed.a"),
        (b'{"signatures":' + b"[" * 100_000 + b',"signed":{}}', "$.signatures"),
        (b'{"signatures":[],"signed":{"a":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}}", "$.signed.a"),
        (b'{"signatures":[1.5],"signed":{}}', "$.signatures"),
        (b'{"x":{"a":1,"a":2},"signatures":[],"signed":{}}', "$.x"),
        (b'{"signatures":[],"signed":{"a":1}/**/}', "$"),
        (b'{"signatures":[],"signed":\xc0\xae{}}', "$"),
        (b'{"signatures":[],"signed":{"a":"\xed\xa0\x80"}}', "$"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_malformed(data: bytes, path: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_envelope(data, "here", 1_000_000)
    assert caught.value.what == "here"
    assert caught.value.json_path == path
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize("where", ["", "signed", "signed.a"])
def test_a_name_that_is_no_text(where: str) -> None:
    inner = {"": '{"\\ud800":1,"signatures":[],"signed":{}}', "signed": '{"signatures":[],"signed":{"\\ud800":1}}'}
    data = inner.get(where, '{"signatures":[],"signed":{"a":{"\\ud800":1}}}').encode()
    with pytest.raises(MalformedError) as caught:
        parse_envelope(data, "here", 1000)
    assert str(caught.value).encode()


def test_the_bound_on_bytes_comes_first() -> None:
    assert parse_envelope(ENVELOPE, "here", len(ENVELOPE)).data == ENVELOPE
    with pytest.raises(LimitError) as caught:
        parse_envelope(b"\xff" * 101, "here", 100)
    assert (caught.value.limit, caught.value.value) == (100, 101)


NESTED = '[{"k":"]]}\\"[["},[]]'  # its brackets in a string open and close nothing


@pytest.mark.parametrize("value", [NESTED, f'{{"k":{NESTED}}}'])
@pytest.mark.parametrize(
    ("form", "name"),
    [
        ('{"signatures":%s,"signed":{}}', "signatures"),
        ('{ "signatures" : %s, "signed" : {} }', "signatures"),
        ('{"signed":{},"signatures":%s}', "signatures"),
        ('{"note":%s,"signatures":[],"signed":{}}', "note"),
        ('{"signatures":[],"note":%s,"signed":{}}', "note"),
    ],
)
def test_a_member_that_is_not_signed_has_a_bound_of_its_own(form: str, name: str, value: str) -> None:
    data = (form % value).encode()
    for bound in (len(value), len(value) + 1, len(data)):
        assert parse_envelope(data, "here", 1_000, signatures_bytes=bound).signed == {}
    for bound in (2, 10, len(value) - 1):
        with pytest.raises(LimitError) as caught:
            parse_envelope(data, "here", 1_000, signatures_bytes=bound)
        expected = {"what": f"here: characters of $.{name}", "value": bound + 1, "limit": bound}
        assert caught.value.fields() == expected


@pytest.mark.parametrize("value", ["[[[[", '{"a":', "[{}]]"])
def test_a_text_that_ends_within_the_bound_is_the_parsers_to_refuse(value: str) -> None:
    data = b'{"signatures":' + value.encode()
    with pytest.raises(MalformedError):
        parse_envelope(data, "here", 1_000, signatures_bytes=len(value))


@pytest.mark.parametrize("value", ["[[[[", '{"a":'])
def test_a_text_that_ends_beyond_the_bound_is_not_parsed(value: str) -> None:
    data = b'{"signatures":' + value.encode()
    with pytest.raises(LimitError):
        parse_envelope(data, "here", 1_000, signatures_bytes=len(value) - 1)


def test_the_bound_is_not_on_what_is_signed_and_not_on_what_builds_no_objects() -> None:
    data = b'{"signatures":[],"note":"' + b"[" * 100 + b'","other":-123456,"signed":{"a":["' + b"x" * 100 + b'"]}}'
    raw = parse_envelope(data, "here", 1_000, signatures_bytes=2)
    assert raw.signed == {"a": ["x" * 100]}


@pytest.mark.parametrize(
    "payload",
    [
        '{"a":1}',
        '{ "a" : 1 }',
        '{\n  "b": "\\u0041\\/",\r\n  "a": [1, 2 ]\t}',
        '{"z":1,"a":2}',
        '{"\u00e4":"\U0001f697"}',
        '{"a":"\\ud83d\\ude97"}',
        "{}",
        '{"a":-0}',
        '{"a":"}{\\"signed\\":{}"}',
    ],
)
@pytest.mark.parametrize(
    "form", ['{"signatures":[],"signed":%s}', ' { "signed" : %s , "x": [1], "signatures" : [ ] } \n']
)
def test_the_payload_is_the_received_text(payload: str, form: str) -> None:
    raw = parse_envelope((form % payload).encode(), "here", 10_000)
    assert raw.payload == payload.encode()
    assert raw.signed == json.loads(payload)
    assert raw.signatures == []


@pytest.mark.parametrize("data", [b"1", b"[1,2]", b' {"a": null} ', b'"x"', b"true"])
def test_plain_json(data: bytes) -> None:
    assert parse_json(data, "here") == json.loads(data)


@pytest.mark.parametrize("data", [b"", b"1 2", b"[1.5]", b'{"a":1,"a":2}', b"[NaN]", b'["\\udead"]', b"nul", b"\xff"])
def test_plain_json_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_json(data, "here")
