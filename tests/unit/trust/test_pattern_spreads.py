"""Which patterns of TUF's rule stand for one of C's: each list to the letter, in order of its slashes."""

from __future__ import annotations

import pytest

from twinlock.trust.wire.aktualizr.patterns import MAX_SEGMENTS, MAX_SPREAD, expand, spread


def stars(before: str) -> tuple[str, ...]:
    """``before`` with a star, and with one more segment each time, up to the deepest name."""
    return tuple(before + "*" + "/*" * more for more in range(MAX_SEGMENTS - before.count("/")))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a", ("a",)),
        ("*", stars("")),
        ("**", stars("")),
        ("a/b/*", stars("a/b/")),
        ("\u00e9*", stars("\u00e9")),
        ("?", ("?", "/")),
        ("\u00e9?", ("\u00e9?", "\u00e9/")),
        ("[ab]", ("[ab]",)),
        ("[a]?", ("[a]?", "[a]/")),
        # A slash in a set that fits none is no slash of the name.
        ("[!/]*", tuple("[!/]" + each for each in stars(""))),
    ],
)
def test_the_list_of_a_pattern(pattern: str, expected: tuple[str, ...]) -> None:
    assert spread(pattern) == expected


def test_fewer_slashes_come_first() -> None:
    assert (spread("?*") or ())[:4] == ("?*", "?*/*", "/*", "?*/*/*")


@pytest.mark.parametrize("pattern", ["a/" * (MAX_SEGMENTS - 1) + "?", "a/" * MAX_SEGMENTS + "*", "a/" * 20 + "?*"])
def test_a_pattern_as_deep_as_any_name_is_given_no_further_slash(pattern: str) -> None:
    assert spread(pattern) == (pattern,)


def test_so_many_patterns_and_no_more() -> None:
    assert len(spread("*a*b?") or ()) == MAX_SPREAD
    assert spread("*a*b*") is None
    assert spread("*a*b?c?") is None


@pytest.mark.parametrize(
    "pattern", ["??", "?a??", "?*?", "[!a]?", "?[!a]", "?**[!b]", "[\u00e9]", "a[\u00e9]*", "[/]", "[!a]"]
)
def test_what_fits_single_bytes_or_a_slash_has_no_list(pattern: str) -> None:
    assert spread(pattern) is None


@pytest.mark.parametrize("pattern", ["?a?", "?a*b?", "?[b]?"])
def test_single_bytes_apart_from_each_other_share_no_character(pattern: str) -> None:
    assert spread(pattern) is not None


def test_an_author_s_folder_is_everything_below_it() -> None:
    assert expand("a/**") == stars("a/")
    assert expand("a/*") == ("a/*",)
    assert expand("*a*b*/**") == ("*a*b*/**",)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("pattern", ["*a" * 64, "*?*a" * 40, "a?" * 500, "?a" * 512])
def test_a_pattern_of_many_wildcards_is_refused_without_trying_each_way(pattern: str) -> None:
    assert spread(pattern) is None


def test_a_pattern_of_many_sets_is_read_in_one_part() -> None:
    assert spread("[a]" * 900) == ("[a]" * 900,)
    assert spread("[a]" * 900 + "?") == ("[a]" * 900 + "?", "[a]" * 900 + "/")


def test_as_many_wildcards_as_fit_are_listed() -> None:
    assert len(spread("?a" * 6) or ()) == MAX_SPREAD
    assert spread("?a" * 7) is None


def test_a_pattern_without_room_for_a_slash_stands_for_itself_however_many_wildcards_it_has() -> None:
    assert spread("a/" * MAX_SEGMENTS + "?a" * 400) == ("a/" * MAX_SEGMENTS + "?a" * 400,)


def test_a_pattern_without_room_for_a_slash_stands_for_itself_however_many_stars_it_has() -> None:
    full = "a/" * (MAX_SEGMENTS - 1)
    for pattern in (full + "*", full + "*a" * MAX_SPREAD, full + "a/*"):
        assert spread(pattern) == (pattern,)


def test_room_for_one_slash_makes_two_patterns_of_one_star() -> None:
    almost = "a/" * (MAX_SEGMENTS - 2)
    assert spread(almost + "*") == (almost + "*", almost + "*/*")


@pytest.mark.parametrize("number", [MAX_SPREAD - 1, MAX_SPREAD, 5_000])
def test_many_stars_are_counted_before_any_is_tried(number: int) -> None:
    almost = "a/" * (MAX_SEGMENTS - 2)
    found = spread(almost + "*b" * number)
    assert (None if found is None else len(found)) == (MAX_SPREAD if number < MAX_SPREAD else None)
