"""Version strings: PEP 440 where it applies, any other text by its runs, and ranges over both."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlock.repository.model.component import read_component
from twinlock.repository.model.versions import (
    LOWEST,
    MAX_CLAUSES,
    SoftwareVersion,
    VersionRange,
    read_range,
    read_version,
)
from twinlock.trust.errors.base import UsageError

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("version", "text", "within"),
    [
        ("1.4", ">=1.4,<2", True),
        ("2.0rc1", "<2", False),  # PEP 440: a range below 2 leaves out 2's pre-releases
        ("2.0rc1", ">=1", True),
        ("7.4.2-bosch+3", ">=7.4,<8", True),
        ("7.4.2-bosch+3", ">=7.5", False),
        ("7.10.0-bosch+1", ">7.9", True),
        ("7.4.2-bosch+3", "==7.4.*", True),
        ("7.4.2-bosch+3", "!=7.4.2-bosch+3", False),
        ("7.4.2-bosch+3", "===7.4.2-bosch+3", True),
        ("7.4.2-bosch+3", "~=7.4.1", True),
        ("7.5.0-bosch+3", "~=7.4.1", False),
        ("A07_R3", ">=A07_R2,<A08", True),
        ("A07_R3", "", True),
        ("2026-11-05/2", "<=2026-11-05", False),
        ("1.4", "==A07_R3", False),
    ],
)
def test_a_version_is_in_a_range_or_not(version: str, text: str, within: bool) -> None:
    assert (read_version(version) in read_range(text)) is within


@pytest.mark.parametrize("text", ["", " ", "-", "1" * 129, "1.0\n", "1\u202e0"])
def test_what_is_not_a_version(text: str) -> None:
    with pytest.raises(UsageError):
        read_version(text)


@pytest.mark.parametrize(
    "text",
    ["1.4 or so", "=>3", "!==3", "====3", "<>3", ">", ">=1,,<2", "1.4", ">=-", ",".join([">1"] * (MAX_CLAUSES + 1))],
)
def test_what_is_not_a_range(text: str) -> None:
    with pytest.raises(UsageError):
        read_range(text)


@given(st.lists(TEXT.map(SoftwareVersion), min_size=3, max_size=3))
def test_the_order_is_total_and_nothing_precedes_the_lowest(versions: list[SoftwareVersion]) -> None:
    for one, two, three in itertools.permutations(versions):
        assert (one.order < two.order) + (one.order == two.order) + (one.order > two.order) == 1
        assert not (one.order <= two.order <= three.order) or one.order <= three.order
        assert LOWEST.order <= one.order


@given(TEXT, TEXT)
def test_ranges_divide_the_versions(version: str, bound: str) -> None:
    try:
        found = read_version(version)
        below, above, same, other = (read_range(f"{sign}{bound}") for sign in ("<", ">=", "==", "!="))
    except UsageError:
        return
    assert (found in same) is not (found in other)
    if found.pep440 is None:
        assert (found in below) is not (found in above)


def test_a_range_reads_as_people_write_it() -> None:
    assert str(read_range("<2,>=1.4")) == "< 2, >= 1.4"
    assert str(VersionRange(())) == "of any version"


@pytest.mark.parametrize("version", [3, "3"])
def test_a_whole_number_is_as_good_a_version_as_text(version: object) -> None:
    component = read_component({"name": "brake", "version": version})
    assert (component.name, str(component.version), component.unreadable) == ("brake", "3", ())


@pytest.mark.parametrize("version", [None, 3.5, True, 1 << 80, [], {}, "", "1" * 200])
def test_a_version_that_cannot_be_read_is_none_and_spoils_nothing(version: object) -> None:
    component = read_component({"name": "brake", "version": version, "dependencies": {"gateway": ">=1"}})
    assert (component.name, component.version) == ("brake", None)
    assert component.dependencies == {"gateway": read_range(">=1")}


@pytest.mark.parametrize("terms", ["gateway", ["gateway"], {"gateway": 3}, {"gateway": "newest"}])
def test_terms_that_cannot_be_read_are_named(terms: object) -> None:
    component = read_component({"dependencies": terms, "conflicts": {"adas": "<2"}})
    assert component.unreadable == ("dependencies",)
    assert (component.dependencies, component.conflicts) == ({}, {"adas": read_range("<2")})
