"""Each refusal states the clause whose step refused, by role and by check, and not one clause for its class."""

from __future__ import annotations

import json
import pickle

import pytest

from tests.attacks.catalogue import every_scenario
from tests.simulator.hands import offer, replace
from tests.simulator.scenario import EVERYWHERE, Refused, seasoned
from twinlock.testing.simulator.world import World
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.metadata import LimitError, RollbackError
from twinlock.trust.limits import Limits
from twinlock.trust.state.repository_map import decode_map

CATALOGUE = every_scenario()
PROCEDURES = {"root": "5.4.4.3", "timestamp": "5.4.4.4", "snapshot": "5.4.4.5", "targets": "5.4.4.6", "acme": "5.4.4.6"}
BY_ROLE = (
    "arbitrary-software--below-threshold-{place}",
    "drop-request--missing-{place}",
    "freeze--expired-on-offer-{place}",
    "mix-and-match--targets-with-another-hash-{place}",
    "mix-and-match--newer-targets-than-listed-{place}",
)
# The place that raises is not the procedure of the role that the refusal names, or there is one for a repository.
BY_PLACE = {
    "freeze--root-{name}": "Uptane 2.1.0 5.4.4.3",
    "rollback--older-root-{name}": "Uptane 2.1.0 5.4.4.3",
    "rollback--root-that-skips-a-version-{name}": "Uptane 2.1.0 5.4.4.3",
    "rollback--timestamp-{name}": "Uptane 2.1.0 5.4.4.4",
    "rollback--snapshot-after-the-timestamp-was-lost-{name}": "Uptane 2.1.0 5.4.4.5",
    "rollback--snapshot-behind-a-new-timestamp-{name}": "TUF 1.0.34 5.4.3",
    "rollback--targets-after-the-snapshot-was-lost-{name}": "Uptane 2.1.0 5.4.4.6",
    "rollback--targets-behind-a-new-snapshot-{name}-targets": "Uptane 2.1.0 5.4.4.5",
    "mix-and-match--snapshot-with-another-hash-{name}": "Uptane 2.1.0 5.4.4.5",
    "mix-and-match--timestamp-that-lists-no-hash-{name}": "Uptane 2.1.0 5.2.5",
}
ONCE = {
    "rollback--targets-behind-a-new-snapshot-image-acme": "Uptane 2.1.0 5.4.4.5",
    "rollback--delegated-role-after-the-snapshot-was-lost-acme": "Uptane 2.1.0 5.4.4.6",
    "delegations--too-deep": "Uptane 2.1.0 5.4.4.7",
    "partial--expired": "Uptane 2.1.0 5.4.4.6",
    "partial--root-expired": "Uptane 2.1.0 5.4.4.3",
    "partial--rolled-back": "Uptane 2.1.0 5.4.4.6",
    "partial--older-image": "Uptane 2.1.0 5.4.3.4",
    "image-rollback--compromised-director-orders-the-older-image": "Uptane 2.1.0 5.4.4.2",
}
TABLE = {
    **{
        story: f"Uptane 2.1.0 {PROCEDURES[role]}"
        for pattern in BY_ROLE
        for name, role in EVERYWHERE
        if (story := pattern.format(place=f"{name}-{role}")) in CATALOGUE
    },
    **{pattern.format(name=name): clause for pattern, clause in BY_PLACE.items() for name in ("director", "image")},
    **ONCE,
}


@pytest.mark.parametrize("story", sorted(TABLE))
def test_the_clause_is_that_of_the_step_that_refused(story: str) -> None:
    entry, world = CATALOGUE[story], World()
    entry.prepare(world)
    assert isinstance(entry.act(world), Refused)
    with pytest.raises(RefusalError) as caught:
        entry.run(world)
    assert caught.value.clause == caught.value.as_json()["clause"] == TABLE[story]


@pytest.mark.parametrize("pattern", BY_ROLE)
def test_each_check_is_met_in_several_procedures(pattern: str) -> None:
    assert len([place for place in EVERYWHERE if pattern.format(place="-".join(place)) in TABLE]) >= 3


@pytest.mark.parametrize("careless", [False, True], ids=["driver", "engine"])
@pytest.mark.parametrize(("name", "role"), EVERYWHERE)
def test_a_file_without_end_is_stopped_under_the_clause_of_its_download(name: str, role: str, careless: bool) -> None:
    world = World()
    seasoned(world)
    world.vehicle.limits = Limits(targets_bytes=100_000)
    repository = offer(world, (name, role))
    repository.endless(role)
    repository.careless_driver = careless
    with pytest.raises(LimitError if careless else EndlessDataError) as caught:
        world.vehicle.update()
    assert caught.value.clause == f"Uptane 2.1.0 {PROCEDURES[role]}"


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_a_file_with_too_many_signatures_is_stopped_under_the_clause_of_its_role(role: str) -> None:
    world = World()
    seasoned(world)
    repository = offer(world, ("image", role))
    world.vehicle.limits = Limits(signatures=3)
    file = json.loads(repository.files[repository.current(role)])
    file["signatures"] += [{"keyid": f"{number:064x}", "sig": "00" * 64} for number in range(3)]
    replace(world, ("image", role), json.dumps(file).encode())
    with pytest.raises(LimitError) as caught:
        world.vehicle.update()
    assert caught.value.clause == f"Uptane 2.1.0 {PROCEDURES[role]}"


def test_a_root_chain_without_end() -> None:
    world = World()
    seasoned(world)
    world.vehicle.limits = Limits(root_rotations=1)
    world.image.publish_root()
    world.image.publish_root()
    with pytest.raises(LimitError) as caught:
        world.vehicle.update()
    assert caught.value.clause == "Uptane 2.1.0 5.4.4.3"


def test_a_repository_map_without_end() -> None:
    with pytest.raises(LimitError) as caught:
        decode_map(b" " * 1000, Limits(map_bytes=10))
    assert caught.value.clause == "Uptane 2.1.0 5.2.6"


def test_the_clause_is_no_field_and_survives_pickling() -> None:
    fields = {"repository": "image", "role": "acme", "offered": 1, "trusted": 2}
    error = RollbackError(repository="image", role="acme", offered=1, trusted=2, clause="Uptane 2.1.0 5.4.4.5")
    assert error.fields() == fields
    again = pickle.loads(pickle.dumps(error))
    assert (again.fields(), again.clause) == (fields, "Uptane 2.1.0 5.4.4.5")
    assert RollbackError(**fields).clause == "Uptane 2.1.0 5.4.4.6"  # type: ignore[arg-type]


def test_a_search_that_opens_too_many_roles() -> None:
    world = World()
    seasoned(world)
    world.vehicle.limits = Limits(delegation_visits=1)
    for number in range(3):
        world.image.delegate("targets", f"branch-{number}", ["brake/*"])
    delegations = world.image.bodies["targets"]["delegations"]["roles"]
    delegations.append(delegations.pop(0))  # the one that lists the image comes last
    world.image.publish("targets", *(f"branch-{number}" for number in range(3)))
    with pytest.raises(LimitError) as caught:
        world.vehicle.update()
    assert caught.value.clause == "Uptane 2.1.0 5.4.4.7"


def test_more_orders_than_a_vehicle_can_have() -> None:
    world = World()
    seasoned(world)
    world.vehicle.limits = Limits(ecus=1)
    with pytest.raises(LimitError) as caught:
        world.vehicle.update()
    assert (caught.value.what, caught.value.clause) == ("images in Director Targets", "Uptane 2.1.0 5.4.4.6")
