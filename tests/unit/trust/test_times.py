"""Times are written so that they can be read back, whatever the year."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlock.trust.text.times import format_time, parse_time


def test_a_year_has_four_digits() -> None:
    assert format_time(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01T00:00:00Z"
    assert format_time(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == "9999-12-31T23:59:59Z"


def test_a_time_is_written_in_utc() -> None:
    east = timezone(timedelta(hours=2))
    assert format_time(datetime(2026, 11, 26, 1, 30, tzinfo=east)) == "2026-11-25T23:30:00Z"


@pytest.mark.parametrize(
    "text",
    ["2026-1-2T3:4:5Z", "2026-01-02t03:04:05z", "2026-01-02T03:04:05", "2026-01-02T03:04:05+02:00", "2026-01-02", ""],
)
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_time(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00", "2026-01-02T03:04:05", "2026-01-02T03:04:05+02:00"])
def test_another_form_is_named_beside_the_right_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a time like ") as caught:
        parse_time(text)
    assert str(caught.value) == f"a time like 2026-11-22T19:35:00Z is required, not {text!r}"


def test_a_time_is_read_in_utc() -> None:
    assert parse_time("2026-11-25T23:30:00Z") == datetime(2026, 11, 25, 23, 30, tzinfo=UTC)


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read_back_to_the_second(time: datetime) -> None:
    assert parse_time(format_time(time)) == time.replace(microsecond=0)
