"""A compromised Image repository alone installs nothing at all."""

from __future__ import annotations

import copy

import pytest

from tests.simulator.moves import both_repositories, listed_at_image
from tests.simulator.scenario import Accepted, Refused, Scenario, accepted, family, play, refused, scenario
from twinlock.testing.simulator.world import ADAS, BRAKE, PARTS, World
from twinlock.trust.errors.images import CustomFieldError, ImageNotFoundError, RepositoryMismatchError

EVIL = b"TEST malware\n" * 40


@scenario("compromised-image-repository")
def lists_other_bytes_under_an_ordered_name(world: World) -> Refused:
    """All keys of the Image repository's Targets are stolen; malware is listed under the name that is ordered."""
    world.image.add_image(ADAS.path(3), EVIL, **copy.deepcopy(listed_at_image(world)["custom"]))
    world.image.put("targets")
    return refused(RepositoryMismatchError, both_repositories(), target=ADAS.path(3), repository="image")


@scenario("compromised-image-repository")
def supplier_lists_other_bytes(world: World) -> Refused:
    """The supplier's key is stolen; malware is listed under the name that is ordered."""
    entry = world.image.bodies["acme"]["targets"][BRAKE.path(3)]
    world.image.add_image(BRAKE.path(3), EVIL, role="acme", **copy.deepcopy(entry["custom"]))
    world.image.put("acme")
    fields = {"target": BRAKE.path(3), "repository": "image"}
    return refused(RepositoryMismatchError, [*both_repositories(), "image/acme"], **fields)


@scenario("compromised-image-repository")
def removes_an_ordered_image(world: World) -> Refused:
    """The thief of the Image repository's keys takes back what is ordered: denial, never a half bundle."""
    del world.image.bodies["targets"]["targets"][ADAS.path(3)]
    world.image.put("targets")
    fields = {"target": ADAS.path(3), "repository": "image", "hardware_id": ADAS.hardware_id}
    return refused(ImageNotFoundError, both_repositories(), **fields)


@scenario("compromised-image-repository")
def lists_malware_that_nobody_orders(world: World) -> Accepted:
    """Malware listed by the Image repository alone is simply never installed."""
    world.image.add_image("adas/evil.bin", EVIL, **copy.deepcopy(listed_at_image(world)["custom"]))
    world.image.put("targets")
    return accepted(*(part.path(3) for part in PARTS))


@scenario("compromised-image-repository")
def leaves_out_the_must_agree_section_there(world: World) -> Refused:
    """The Image repository's entry has no must-agree section, so nothing there backs the Director's word."""
    del listed_at_image(world)["custom"]["mustAgree"]
    world.image.put("targets")
    fields = {"target": ADAS.path(3), "repository": "image", "field": "mustAgree"}
    return refused(CustomFieldError, both_repositories(), **fields)


@pytest.mark.parametrize("scenario", family("compromised-image-repository"), ids=str)
def test_compromised_image_repository(scenario: Scenario) -> None:
    play(scenario)
