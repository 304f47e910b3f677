"""The aktualizr profile under every attack there is: the whole catalogue once more in that form, and what is its own.

The client of that name checks less than we do (it follows an older Snapshot, an older Targets file, a role that vanished, one
version with two contents); reading its form must not make us do the same.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

import tests.simulator.scenarios  # noqa: F401  (fills the catalogue)
from tests.simulator.scenario import CATALOGUE, Scenario, family, play

# By name: what this form cannot say, or says otherwise, and why. Its own scenarios tell what holds instead.
OTHERWISE = {
    "*--*bins*": "it has no hash bins",
    "delegations--bin-*": "it has no hash bins",
    "delegations--entry-in-the-wrong-bin": "it has no hash bins",
    "delegations--hash-prefixes-true": "a delegation by digests of names covers nothing",
    "delegations--both-kinds-of-path": "digests of names are an unknown member, and passed over",
    "delegations--pattern-that-does-not-fit-*": "stars and question marks of its patterns fit a slash",
    "multi-role--*": "it has no delegations to several roles that have to agree",
    "malformed--other-major-specification-*": "it states no version of a specification, and one that is there means nothing",
    "mix-and-match--*-shorter-than-listed-*": "a length is a bound, since digests may be of another spelling",
    "mix-and-match--*-with-another-hash-*": "digests are of the canonical form, so another spelling is the same file",
    "mix-and-match--listed-by-an-unknown-hash-only-*": "digests of unknown algorithms are passed over where they are read",
    "mix-and-match--timestamp-that-lists-no-hash-*": "the digest is a required member, and refused where it is missing",
    "agility--upper-case-digits-*": "its signatures are base64, in which case matters",
    "malformed--root-says-that-file-names-hold-no-version-*": "it has no such member, and its names hold no versions",
    "agility--a-key-of-another-supplier-unknown-scheme": "its keys name no scheme",
    "post-quantum--a-root-without-it": "it has no ML-DSA keys",
    "post-quantum--one-of-each-kind-image-*": "it has no ML-DSA keys",
    "honest--other-keys-ecdsa-*": "it has no ECDSA keys",
}


def _otherwise(entry: Scenario) -> bool:
    return any(fnmatchcase(entry.name, pattern) for pattern in OTHERWISE)


EVERYWHERE = [entry for entry in CATALOGUE.values() if entry.wire is None]


@pytest.mark.parametrize("scenario", family("aktualizr"), ids=str)
def test_what_only_this_form_makes_possible(scenario: Scenario) -> None:
    play(scenario)


@pytest.mark.parametrize("scenario", [entry for entry in EVERYWHERE if not _otherwise(entry)], ids=str)
def test_every_attack_in_this_form(scenario: Scenario) -> None:
    play(scenario, wire="aktualizr")


@pytest.mark.parametrize("pattern", OTHERWISE)
def test_an_exception_is_one(pattern: str) -> None:
    excepted = [entry for entry in EVERYWHERE if fnmatchcase(entry.name, pattern)]
    differs = 0
    for entry in excepted:
        try:
            play(entry, wire="aktualizr")
        except Exception:  # noqa: BLE001 (whatever it is: the story does not hold in this form)
            differs += 1
    assert differs


def test_most_attacks_are_played_in_both_forms() -> None:
    played = sum(not _otherwise(entry) for entry in EVERYWHERE)
    assert played >= 0.85 * len(EVERYWHERE)
