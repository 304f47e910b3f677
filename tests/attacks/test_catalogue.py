"""The catalogue as a whole: every family has its test file, and the tests could fail."""

from __future__ import annotations

import pytest

from tests.attacks.catalogue import FAMILIES, every_scenario
from tests.simulator.scenario import (
    EVERYWHERE,
    ONLINE,
    Accepted,
    Expectation,
    Refused,
    Scenario,
    accepted,
    family,
    next_releases,
    play,
    refused,
    seasoned,
)
from twinlock.testing.simulator.world import PARTS, World
from twinlock.trust.errors.metadata import ExpiredError, MissingMetadataError, RollbackError

CATALOGUE = every_scenario()


def test_every_family_is_told_and_played_by_a_module_of_its_name() -> None:
    assert {entry.attack for entry in CATALOGUE.values()} == set(FAMILIES)


@pytest.mark.parametrize("place", EVERYWHERE, ids="-".join)
def test_every_role_of_both_repositories_is_attacked_by_forgery(place: tuple[str, str]) -> None:
    names = {entry.detail for entry in family("arbitrary-software")}
    assert {f"{kind}-{'-'.join(place)}" for kind in ("unsigned", "stranger", "altered-after-signing")} <= names


@pytest.mark.parametrize("place", ONLINE, ids="-".join)
def test_every_online_role_is_frozen(place: tuple[str, str]) -> None:
    assert f"freeze--expired-on-offer-{'-'.join(place)}" in CATALOGUE


def _scenario(expected: Expectation) -> Scenario:
    def act(world: World) -> Expectation:
        world.image.rewind("timestamp", 2)
        return expected

    return Scenario("none", "none", "", seasoned, act, next_releases)


DIRECTOR = ["director/timestamp", "director/snapshot", "director/targets"]


def test_play_accepts_the_true_story() -> None:
    story = refused(RollbackError, DIRECTOR, repository="image", role="timestamp", offered=2, trusted=3)
    play(_scenario(story))


@pytest.mark.parametrize(
    "lie",
    [
        refused(ExpiredError, DIRECTOR),
        refused(RollbackError, DIRECTOR, offered=1),
        refused(RollbackError, DIRECTOR[:-1]),
        refused(RollbackError, [*DIRECTOR, "image/timestamp"]),
    ],
    ids=["class", "field", "too little stored", "too much stored"],
)
def test_play_fails_on_a_lie(lie: Refused) -> None:
    with pytest.raises(AssertionError):
        play(_scenario(lie))


@pytest.mark.parametrize("lie", [accepted(), accepted("adas/adas-2.bin")], ids=["nothing", "another image"])
def test_play_fails_on_a_wrong_acceptance(lie: Accepted) -> None:
    scenario = Scenario("none", "none", "", seasoned, lambda world: lie, next_releases)
    with pytest.raises(AssertionError):
        play(scenario)


def test_play_fails_when_the_attack_gets_through() -> None:
    scenario = Scenario("none", "none", "", seasoned, lambda world: refused(RollbackError), next_releases)
    with pytest.raises(AssertionError, match="got through"):
        play(scenario)


def test_play_fails_when_the_vehicle_does_not_recover() -> None:
    expected = accepted(*(part.path(3) for part in PARTS))

    def destroy(world: World) -> None:
        world.director.files.clear()

    with pytest.raises(MissingMetadataError):
        play(Scenario("none", "none", "", seasoned, lambda world: expected, destroy))
