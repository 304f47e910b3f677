"""Target formats: what one repository lists as a file is never pulled as an OSTree commit, nor the other way round.

A commit has no length and its SHA-256 names it, so the two formats share the fields that bind an image to its bytes.
"""

from __future__ import annotations

import pytest

from tests.simulator.moves import COMMIT, both_list, both_repositories
from tests.simulator.scenario import Refused, Scenario, family, play, refused, scenario
from twinlock.testing.simulator.world import ADAS, BRAKE, World
from twinlock.trust.errors.images import TargetFormatError, UnsupportedFormatError


@scenario("target-format", each=["BINARY", "other"])
def a_file_of_no_length(world: World, stated: str) -> Refused:
    """Both repositories list a file of no length: its digest, which may be any commit's, would be checked by nobody."""
    both_list(world, length=0, hashes={"sha256": COMMIT}, targetFormat=stated)
    return refused(TargetFormatError, both_repositories(), target=ADAS.path(3), target_format="file")


@scenario("target-format")
def a_commit_with_a_length(world: World) -> Refused:
    """Both repositories list an OSTree commit with the length of a file."""
    both_list(world, length=41, hashes={"sha256": COMMIT}, targetFormat="OSTREE")
    return refused(TargetFormatError, both_repositories(), target=ADAS.path(3), target_format="OSTREE")


@scenario("target-format")
def a_commit_without_its_name(world: World) -> Refused:
    """Both repositories list an OSTree commit without a SHA-256, so it does not say which."""
    both_list(world, length=0, hashes={"sha512": COMMIT * 2}, targetFormat="OSTREE")
    return refused(TargetFormatError, both_repositories(), target=ADAS.path(3), target_format="OSTREE")


@scenario("target-format", each=["stated", "by-its-length"])
def a_commit_for_an_ecu_that_installs_files(world: World, how: str) -> Refused:
    """Both repositories list an OSTree commit, as they may, and it is ordered to an ECU that cannot pull one."""
    custom = {"targetFormat": "OSTREE"} if how == "stated" else {}
    both_list(world, length=0, hashes={"sha256": COMMIT}, **custom)
    fields = {"target": ADAS.path(3), "ecu": ADAS.ecu, "target_format": "OSTREE", "supported": ("file",)}
    return refused(UnsupportedFormatError, both_repositories(), **fields)


@scenario("target-format", verification="partial", subject=BRAKE.ecu)
def a_commit_for_a_secondary_by_the_director_alone(world: World) -> Refused:
    """A Secondary that reads the Director's files alone is ordered an OSTree commit."""
    order = world.director.bodies["targets"]["targets"][BRAKE.path(3)]
    order.update(length=0, hashes={"sha256": COMMIT})
    order["custom"]["targetFormat"] = "OSTREE"
    world.director.put("targets")
    fields = {"target": BRAKE.path(3), "ecu": BRAKE.ecu, "target_format": "OSTREE", "supported": ("file",)}
    return refused(UnsupportedFormatError, ["director/targets"], **fields)


@pytest.mark.parametrize("scenario", family("target-format"), ids=str)
def test_target_format(scenario: Scenario) -> None:
    play(scenario)
