"""A file reduced to what counts: which entries are kept, in which form, and that a bare file is kept as it is."""

from __future__ import annotations

import pytest

from twinlock.trust.wire.json.bare import compose_bare
from twinlock.trust.wire.json.parser import parse_envelope

BARE = b'{"signatures":[{"keyid":"a","sig":"00"},{"keyid":"b","sig":"11"}],"signed":{ "z":1, "a":"\\u00e9" }}'


def _bare(data: bytes) -> bytes:
    return compose_bare(parse_envelope(data, "here", 1_000), ("keyid", "sig"), lambda item: isinstance(item, dict))


def test_a_bare_file_is_not_held_twice() -> None:
    raw = parse_envelope(BARE, "here", 1_000)
    assert compose_bare(raw, ("keyid", "sig"), lambda item: True) is raw.data


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'{"signatures"', b'{ "signatures"'),
        (b'"sig":"00"', b'"sig":"00","more":[1]'),
        (b'"keyid":"b","sig":"11"', b'"sig":"11", "keyid":"\\u0062"'),
        (b'[{"keyid":"a"', b'[1,{"keyid":"a"'),
        (b'11"}]', b'11"},{"keyid":"a","sig":"00"}]'),
        (b',"signed"', b',"note":1,"signed"'),
        (b" }}", b" }}\n"),
    ],
    ids=["space", "member", "order", "no entry", "twice", "unsigned member", "line break"],
)
def test_what_does_not_count_is_left_out(old: bytes, new: bytes) -> None:
    assert BARE.count(old) == 1
    assert _bare(BARE.replace(old, new)) == BARE
