"""Provisioned limits: which values there may be, and the sizes that follow from the counts."""

from __future__ import annotations

from typing import Any

import pytest

from twinlock.trust.errors.usage import LimitSettingError
from twinlock.trust.limits import DEFAULT_LIMITS, Limits, provision

SIGNATURE = 2 * 4_627 + 256  # the largest permitted one in hexadecimal, and what is around it
FIXED = 8_192


def test_nothing_given_is_the_default() -> None:
    assert provision({}) == DEFAULT_LIMITS


def test_a_limit_is_replaced_and_no_other() -> None:
    assert provision({"map_bytes": 7, "keys": 9}) == DEFAULT_LIMITS._replace(map_bytes=7, keys=9)


@pytest.mark.parametrize("name", Limits._fields)
def test_every_limit_may_be_one(name: str) -> None:
    assert getattr(provision({name: 1}), name) == 1


@pytest.mark.parametrize("value", [0, -1, True, 1.0, 2.5, "5", None], ids=repr)
def test_a_limit_is_an_integer_from_one(value: Any) -> None:
    with pytest.raises(LimitSettingError) as caught:
        provision({"hashes": 2, "ecus": value})
    assert caught.value.fields() == {"name": "ecus", "reason": f"an integer from 1 is required, not {value!r}"}


@pytest.mark.parametrize("name", ["ecu", "", "rootBytes", "_fields"])
def test_a_name_that_is_no_limit_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(LimitSettingError) as caught:
        provision({"ecus": 2, name: 5})
    assert caught.value.name == name
    assert all(known in caught.value.reason for known in Limits._fields)


def test_sizes_follow_from_the_counts() -> None:
    found = provision({"signatures": 2, "root_keys": 3, "ecus": 5, "order_bytes": 100, "ecu_report_bytes": 50})
    assert found.signatures_bytes == 2 * SIGNATURE
    assert found.root_bytes == FIXED + 3 * 4_096 + 2 * SIGNATURE
    assert found.timestamp_bytes == FIXED + 2 * SIGNATURE
    assert found.director_bytes == FIXED + 5 * 100 + 2 * SIGNATURE
    assert found.report_bytes == FIXED + 5 * (50 + SIGNATURE) + SIGNATURE


def test_a_size_that_is_given_follows_from_nothing() -> None:
    found = provision({"ecus": 1, "director_bytes": 70})
    assert (found.director_bytes, found.report_bytes) == (70, provision({"ecus": 1}).report_bytes)
    assert found.report_bytes < DEFAULT_LIMITS.report_bytes
