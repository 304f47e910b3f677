"""One repository is compromised and the other is not: the two disagree, and nothing is installed.

These are the attacks that Uptane has two repositories for (Uptane 2.1.0 5.4.4.2 step 10).
"""

from __future__ import annotations

import copy
from typing import Any

from tests.simulator.scenario import Accepted, Refused, accepted, refused, scenario
from tests.simulator.scenarios.rollback import both_repositories
from tests.simulator.world import ADAS, BRAKE, PARTS, World
from twinlock.trust.errors.images import CustomFieldError, ImageNotFoundError, RepositoryMismatchError

EVIL = b"TEST malware\n" * 40


def _order(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.director.bodies["targets"]["targets"][ADAS.path(3)]
    return found


def _listed(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.image.bodies["targets"]["targets"][ADAS.path(3)]
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
    for entry in (_order(world), _listed(world)):
        del entry["custom"]["mustAgree"][field]
    world.director.put("targets")
    world.image.put("targets")
    return refused(CustomFieldError, both_repositories(), target=ADAS.path(3), repository="director")


@scenario("compromised-image-repository")
def lists_other_bytes_under_an_ordered_name(world: World) -> Refused:
    """All keys of the Image repository's Targets are stolen; malware is listed under the name that is ordered."""
    world.image.add_image(ADAS.path(3), EVIL, **copy.deepcopy(_listed(world)["custom"]))
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
    world.image.add_image("adas/evil.bin", EVIL, **copy.deepcopy(_listed(world)["custom"]))
    world.image.put("targets")
    return accepted(*(part.path(3) for part in PARTS))


@scenario("compromised-image-repository")
def leaves_out_the_must_agree_section_there(world: World) -> Refused:
    """The Image repository's entry has no must-agree section, so nothing there backs the Director's word."""
    del _listed(world)["custom"]["mustAgree"]
    world.image.put("targets")
    fields = {"target": ADAS.path(3), "repository": "image", "field": "mustAgree"}
    return refused(CustomFieldError, both_repositories(), **fields)


@scenario("compromised-director", each=[("releaseCounter", 9), ("hardwareIds", ["adas-3", "adas-4"])])
def orders_another_field_outside_the_section(world: World, field: str, value: object) -> Refused:
    """A protected field stands beside the must-agree section, where the sections are equal and the field is not."""
    for entry in (_order(world), _listed(world)):
        entry["custom"][field] = entry["custom"]["mustAgree"].pop(field)
    _order(world)["custom"][field] = value
    world.director.put("targets")
    world.image.put("targets")
    return refused(RepositoryMismatchError, both_repositories(), target=ADAS.path(3), repository="image", field=field)
