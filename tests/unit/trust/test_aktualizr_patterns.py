"""One list of patterns under two rules: what means the same, and what is refused before it widens a supplier's right."""

from __future__ import annotations

import itertools
from fnmatch import fnmatchcase

import pytest

from tests.aktualizr.image_repository import matches as client_matches
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.model.delegations import Delegation, path_matches
from twinlock.trust.names import TargetPath
from twinlock.trust.wire.aktualizr.patterns import MAX_SEGMENTS, check_alike, expand, spread

SEGMENTS = ("acme", "a.bin", "sub")
NAMES = ["/".join(each) for count in range(1, 5) for each in itertools.product(SEGMENTS, repeat=count)]


@pytest.mark.parametrize(
    "pattern", ["acme/*", "*.bin", "*", "acme/sub/*", "acme?a.bin", "acme/a.bin", "a*/*.bin", "[as]*"]
)
def test_a_spread_fits_under_tufs_rule_what_one_pattern_fits_under_fnmatch(pattern: str) -> None:
    found = spread(pattern)
    assert found is not None
    assert found[0] == pattern
    for name in (*NAMES, "/".join(["acme"] * MAX_SEGMENTS)):
        assert any(path_matches(name, each) for each in found) == fnmatchcase(name, pattern)
        assert any(fnmatchcase(name, each) for each in found) == fnmatchcase(name, pattern)
    check_alike("acme", found)


@pytest.mark.parametrize(
    "pattern", ["acme/*", "*.bin", "a?c", "[!a]b", "[.-0]", "*a*b*c*", "??", "?*?", "[!/][!/]", "[\u00e9]"]
)
def test_a_pattern_with_two_meanings_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(ProfileError) as caught:
        check_alike("acme", ["acme/fixed.bin", pattern])
    assert (caught.value.profile, caught.value.what) == ("aktualizr", "acme")
    assert repr(pattern) in caught.value.reason
    assert "fnmatch" in caught.value.reason


def test_an_author_asks_for_everything_below_a_folder() -> None:
    found = expand("acme/**")
    assert found[:2] == ("acme/*", "acme/*/*")
    assert len(found) == MAX_SEGMENTS - 1
    check_alike("acme", found)
    assert expand("acme/*") == ("acme/*",)
    assert expand("acme/fw.bin") == ("acme/fw.bin",)


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        *(("acme/??.bin", "acme/\u00e9.bin", True), ("acme/?.bin", "acme/\u00e9.bin", False)),
        *(("acme/???.bin", "acme/\u20ac.bin", True), ("acme/*.bin", "acme/\u00e9.bin", True)),
        *(("acme/\u00e9.bin", "acme/\u00e9.bin", True), ("acme/[\u00e9].bin", "acme/\u00e9.bin", False)),
    ],
)
def test_a_wildcard_fits_a_byte_as_in_c(pattern: str, name: str, fits: bool) -> None:
    delegation = Delegation(roles=(), terminating=False, paths=(pattern,), crossing=True)
    assert delegation.covers(TargetPath(name), None) is fits
    assert client_matches(pattern, name) is fits
