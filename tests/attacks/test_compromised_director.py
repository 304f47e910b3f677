"""One repository is compromised and the other is not: the two disagree, and nothing is installed.

These are the attacks that Uptane has two repositories for (Uptane 2.1.0 5.4.4.2 step 10).
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.moves import COMMIT, both_entries, both_list, both_repositories, listed_at_image
from tests.simulator.scenario import Refused, Scenario, family, play, refused, scenario
from twinlock.testing.simulator.world import ADAS, BRAKE, World
from twinlock.trust.errors.images import (
    CustomFieldError,
    ImageNotFoundError,
    RepositoryMismatchError,
)


def _order(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.director.bodies["targets"]["targets"][ADAS.path(3)]
    return found


@scenario("compromised-director")
def orders_an_unlisted_image(world: World) -> Refused:
    """All the Director's online keys are stolen; an image that the Image repository never listed is ordered."""
    images = world.director.bodies["targets"]["targets"]
    images["adas/evil.bin"] = images.pop(ADAS.path(3))
    world.director.put("targets")
    fields = {"target": "adas/evil.bin", "repository": "image", "hardware_id": ADAS.hardware_id}
    return refused(ImageNotFoundError, both_repositories(), **fields)


@scenario("compromised-director")
def orders_an_unlisted_image_of_a_supplier(world: World) -> Refused:
    """As above, under a name that only the supplier could list."""
    images = world.director.bodies["targets"]["targets"]
    images["brake/evil.bin"] = images.pop(BRAKE.path(3))
    world.director.put("targets")
    fields = {"target": "brake/evil.bin", "repository": "image", "hardware_id": BRAKE.hardware_id}
    return refused(ImageNotFoundError, [*both_repositories(), "image/acme"], **fields)


@scenario("compromised-director", each=["sha256", "sha512"])
def orders_another_hash(world: World, algorithm: str) -> Refused:
    """A listed name with the digest of other bytes; that the other algorithm agrees does not help."""
    entry = _order(world)
    listed = entry["hashes"][algorithm]
    entry["hashes"][algorithm] = "0" * len(listed)
    world.director.put("targets")
    fields = {"target": ADAS.path(3), "repository": "image", "field": f"hashes.{algorithm}"}
    return refused(RepositoryMismatchError, both_repositories(), **fields)


@scenario("compromised-director")
def orders_no_common_hash(world: World) -> Refused:
    """The order and the listing have no hash algorithm in common, so nothing shows that they mean the same bytes."""
    entry = _order(world)
    del entry["hashes"]["sha256"]
    entry["hashes"] = {"sha384": "0" * 96}
    world.director.put("targets")
    return refused(RepositoryMismatchError, both_repositories(), target=ADAS.path(3), repository="image")


@scenario("compromised-director", each=["md5", "sha1", "sha4-256"])
def orders_by_a_digest_that_proves_nothing(world: World, algorithm: str) -> Refused:
    """The only digest in common is of an algorithm that is broken or unknown here."""
    order, listing = _order(world), world.image.bodies["targets"]["targets"][ADAS.path(3)]
    order["hashes"] = {"sha384": "0" * 96, algorithm: "00"}
    listing["hashes"][algorithm] = "00"
    world.director.put("targets")
    world.image.publish("targets")
    return refused(
        RepositoryMismatchError, both_repositories(), target=ADAS.path(3), repository="image", field="hash algorithms"
    )


@scenario("compromised-director")
def orders_another_length(world: World) -> Refused:
    """A listed name with another length."""
    entry = _order(world)
    entry["length"] += 1
    world.director.put("targets")
    fields = {"target": ADAS.path(3), "repository": "image", "field": "length", "director": str(entry["length"])}
    return refused(RepositoryMismatchError, both_repositories(), image=str(entry["length"] - 1), **fields)


@scenario("compromised-director")
def orders_other_hardware_ids(world: World) -> Refused:
    """The must-agree section names more hardware than the Image repository does."""
    _order(world)["custom"]["mustAgree"]["hardwareIds"] = ["adas-2", ADAS.hardware_id]
    world.director.put("targets")
    return refused(RepositoryMismatchError, both_repositories(), target=ADAS.path(3), repository="image")


@scenario("compromised-director")
def orders_another_must_agree_field(world: World) -> Refused:
    """A member of the must-agree section that the engine knows nothing about differs; it still has to agree."""
    _order(world)["custom"]["mustAgree"]["x-oem"] = "other"
    world.director.put("targets")
    return refused(RepositoryMismatchError, both_repositories(), target=ADAS.path(3), repository="image")


@scenario("compromised-director")
def leaves_out_the_must_agree_section(world: World) -> Refused:
    """The order has no must-agree section, which would leave the release counter to the Director's word."""
    del _order(world)["custom"]["mustAgree"]
    world.director.put("targets")
    return refused(CustomFieldError, both_repositories(), target=ADAS.path(3), repository="director")


@scenario("compromised-director", each=["releaseCounter", "hardwareIds"])
def both_leave_out(world: World, field: str) -> Refused:
    """Neither repository states a field that protects the ECU; strict verification requires it."""
    for entry in (_order(world), listed_at_image(world)):
        del entry["custom"]["mustAgree"][field]
    world.director.put("targets")
    world.image.put("targets")
    return refused(CustomFieldError, both_repositories(), target=ADAS.path(3), repository="director")


@scenario("compromised-director", each=[("releaseCounter", 9), ("hardwareIds", ["adas-3", "adas-4"])])
def orders_another_field_outside_the_section(world: World, field: str, value: object) -> Refused:
    """A protected field stands beside the must-agree section, where the sections are equal and the field is not."""
    for entry in (_order(world), listed_at_image(world)):
        entry["custom"][field] = entry["custom"]["mustAgree"].pop(field)
    _order(world)["custom"][field] = value
    world.director.put("targets")
    world.image.put("targets")
    return refused(RepositoryMismatchError, both_repositories(), target=ADAS.path(3), repository="image", field=field)


@scenario("compromised-director")
def orders_a_file_as_a_commit(world: World) -> Refused:
    """A listed file is ordered as an OSTree commit: the same digest, taken for something else."""
    order, _ = both_entries(world)
    order["custom"]["targetFormat"] = "OSTREE"
    world.director.put("targets")
    fields = {"target": ADAS.path(3), "repository": "image", "field": "targetFormat"}
    return refused(RepositoryMismatchError, both_repositories(), **fields, director="OSTREE", image="file")


@scenario("compromised-director")
def orders_a_commit_as_a_file(world: World) -> Refused:
    """A listed OSTree commit is ordered as a file of no bytes, which nothing would have to match."""
    both_list(world, length=0, hashes={"sha256": COMMIT}, targetFormat="OSTREE")
    order, _ = both_entries(world)
    order["custom"]["targetFormat"] = "BINARY"
    world.director.put("targets")
    fields = {"target": ADAS.path(3), "repository": "image", "field": "targetFormat"}
    return refused(RepositoryMismatchError, both_repositories(), **fields, director="file", image="OSTREE")


@pytest.mark.parametrize("scenario", family("compromised-director"), ids=str)
def test_compromised_director(scenario: Scenario) -> None:
    play(scenario)
