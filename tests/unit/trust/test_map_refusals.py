"""What a refused map of repositories says: the bound, or the place and the rule."""

from __future__ import annotations

import json
from typing import Any

import pytest

from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.state.repository_map import decode_map

URLS = {"director": ["https://d"], "image": ["https://i"]}
RULE = {"paths": ["*"], "repositories": ["director", "image"]}


def encoded(urls: dict[str, Any] = URLS, **rule: Any) -> bytes:
    return json.dumps({"repositories": urls, "mapping": [RULE | rule]}).encode()


def refused(data: bytes) -> tuple[str, str]:
    with pytest.raises(MalformedError) as caught:
        decode_map(data)
    assert caught.value.what == "repository map"
    return caught.value.json_path, caught.value.reason


def test_the_bound_on_bytes() -> None:
    data = encoded()
    exact = DEFAULT_LIMITS._replace(map_bytes=len(data))
    assert decode_map(data, exact).repositories.keys() == URLS.keys()
    with pytest.raises(LimitError) as caught:
        decode_map(data + b" ", exact)
    bound = {"what": "repository map in bytes", "value": len(data) + 1, "limit": len(data)}
    assert caught.value.fields() == bound


@pytest.mark.parametrize(
    ("data", "path", "reason"),
    [
        (b"{", "$", ""),
        (b"[]", "$", "an object is required"),
        (encoded(URLS | {"a/b": ["x"]}), "$.repositories.a/b", "not a name: an identifier holds no slash or backslash"),
        (encoded({"director": ["x"]}), "$.repositories", "'director' and at least one other repository are required"),
        (encoded({"director": ["x"], "image": []}), "$.repositories.image", "at least one is required"),
        (encoded(paths=[]), "$.mapping[0].paths", "at least one is required"),
    ],
)
def test_a_place_and_a_rule(data: bytes, path: str, reason: str) -> None:
    found = refused(data)
    assert found[0] == path
    assert found[1].startswith(reason)


@pytest.mark.parametrize(
    ("rule", "path", "reason"),
    [
        ({"repositories": ["image"]}, "repositories", "'director' and at least one other are required, none twice"),
        ({"repositories": ["director", "x"]}, "repositories", "'x' is not among the repositories"),
        (
            {"repositories": ["director", "a/b"]},
            "repositories[1]",
            "not a name: an identifier holds no slash or backslash",
        ),
        ({"threshold": 1}, "threshold", "all of the listed repositories have to agree"),
        ({"threshold": 0}, "threshold", "an integer from 1 to 9223372036854775807 is required"),
        ({"terminating": False}, "terminating", "the first mapping that fits has to decide"),
    ],
)
def test_a_mapping(rule: dict[str, Any], path: str, reason: str) -> None:
    assert refused(encoded(**rule)) == (f"$.mapping[0].{path}", reason)
