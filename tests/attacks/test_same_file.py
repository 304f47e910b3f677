"""The same file is decided over the signed part: what nobody signed is neither compared, nor stored, nor forwarded."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.simulator.scenario import current
from twinlock.testing.simulator.vehicle import changed
from twinlock.testing.simulator.world import PARTS, World
from twinlock.trust.errors.metadata import EquivocationError, ThresholdError
from twinlock.trust.names import TARGETS, TIMESTAMP, RoleName

PARTIAL = "ecu-adas"
JUNK: list[Callable[[bytes], bytes]] = [
    lambda data: data + b"\n",
    lambda data: b"  " + data,
    lambda data: data[:-1] + b',"comment":"' + b"x" * 9_000 + b'"}',
    lambda data: data.replace(b'"signatures":[{', b'"signatures":[{"note":"by nobody",', 1),
    lambda data: data.replace(b'"signatures":[', b'"signatures":[ ', 1),
    lambda data: data.replace(b'"signatures":[', b'"signatures":[null,{"keyid":"a","sig":"no digits"},', 1),
]


@pytest.mark.parametrize("junk", JUNK)
def test_a_node_on_the_bus_cannot_turn_the_honest_file_into_an_equivocation(junk: Callable[[bytes], bytes]) -> None:
    world = World()
    honest = world.director.files["targets.json"]
    world.director.files["targets.json"] = junk(honest)
    world.vehicle.partial_update(PARTIAL)
    # Nothing of it is stored, so nothing of it is forwarded.
    assert world.vehicle.stores["director"].files == {"targets": honest}
    world.director.files["targets.json"] = honest
    assert world.vehicle.partial_update(PARTIAL).approved
    assert world.vehicle.persisted == []
    world.release()
    assert world.vehicle.partial_update(PARTIAL).approved


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("name", ["director", "image"])
def test_a_timestamp_with_junk_accuses_nobody(name: str, junk: Callable[[bytes], bytes]) -> None:
    world = World()
    repository = world.repositories[name]
    honest = repository.files["timestamp.json"]
    repository.files["timestamp.json"] = junk(honest)
    world.update()
    assert world.vehicle.stores[name].files["timestamp"] == honest
    repository.files["timestamp.json"] = honest
    world.update()
    assert (world.vehicle.notices, world.vehicle.persisted) == ([], [])


def test_a_root_is_stored_without_junk_and_with_all_its_signatures() -> None:
    world = World()
    world.image.publish_root()
    signers = [*world.image.signers["root"], world.keys("next year's key")]
    honest = world.image.put("root", signers=signers)
    world.image.files["2.root.json"] = honest[:-1] + b',"comment":[]}\n'
    world.update()
    assert world.vehicle.stores["image"].roots[2] == honest
    assert len(json.loads(honest)["signatures"]) == 2


def test_signatures_of_keys_to_come_are_kept_and_each_entry_once() -> None:
    world = World()
    honest = world.director.put("targets", signers=[*world.director.signers["targets"], world.keys("later")])
    first, second = json.loads(honest)["signatures"]
    world.director.deform("targets", lambda envelope: envelope["signatures"].append({"keyid": "k", "sig": "00"}))
    world.director.files["targets.json"] = world.director.files[world.director.current("targets")]
    world.vehicle.partial_update(PARTIAL)
    stored = json.loads(world.vehicle.stores["director"].files["targets"])["signatures"]
    assert stored == [first, second, {"keyid": "k", "sig": "00"}]


@pytest.mark.parametrize("role", ["snapshot", "targets", "acme"])
def test_the_envelope_that_the_index_lists_replaces_the_stored_one(role: str) -> None:
    world = World()
    current(world)
    image, store = world.image, world.vehicle.stores["image"]
    image.put(role, signers=[*image.signers[role], world.keys("co-signer")])
    if role == "snapshot":
        image.index("snapshot")
        image.refresh_timestamp()
    else:
        image.index(role)
        image.bodies["snapshot"]["meta"][f"{role}.json"]["length"] = len(image.files[image.current(role)])
        image.bump("snapshot")
        image.put("snapshot")
        image.index("snapshot")
        image.refresh_timestamp()
    before = store.files[role]
    world.vehicle.installed.clear()
    decision = world.update()
    assert len(decision.approved) == len(PARTS)
    assert store.files[role] == image.files[image.current(role)] != before
    # What is stored is proven: after a restart it counts without a fetch.
    world.vehicle.installed.clear()
    assert len(world.update().approved) == len(PARTS)
    assert world.vehicle.persisted == []


def test_the_same_content_signed_again_by_a_randomised_scheme() -> None:
    world = World()
    director = world.director
    for role in ("timestamp", "targets"):
        director.set_keys(role, [world.keys(f"{role} randomised", "ml-dsa-44")])
    director.publish_root()
    director.publish("targets")
    world.update()
    world.vehicle.partial_update(PARTIAL)
    for role, name in (("timestamp", "timestamp.json"), ("targets", "targets.json")):
        before = director.files[name]
        director.put(role)
        assert director.files[name] != before
    assert world.vehicle.partial_update(PARTIAL).approved == ()
    world.vehicle.refresh("director")
    assert world.vehicle.notices == []
    assert world.vehicle.stores["director"].files["timestamp"] == director.files["timestamp.json"]
    world.release()
    assert world.update().approved


@pytest.mark.parametrize("name", ["director", "image"])
def test_a_file_is_the_same_only_if_the_current_keys_signed_it(name: str) -> None:
    """Equal content under a stranger's signature, or a revoked key's, is refused as unsigned and not taken for the same."""
    world = World()
    current(world)
    world.vehicle.installed.clear()
    before = world.vehicle.snapshot_state()
    repository = world.repositories[name]
    with world.attack():
        repository.put("timestamp", signers=[world.keys("mallory")])
        with pytest.raises(ThresholdError) as caught:
            world.vehicle.update()
    assert (caught.value.repository, caught.value.role, caught.value.valid) == (name, "timestamp", 0)
    assert changed(before, world.vehicle.snapshot_state()) == set()
    world.release()
    assert len(world.update().approved) == len(PARTS)


@pytest.mark.parametrize("lost", [TIMESTAMP, TARGETS])
def test_other_content_is_refused_though_the_stored_file_was_lost(lost: RoleName) -> None:
    world = World()
    current(world)
    director, store = world.director, world.vehicle.stores["director"]
    with world.attack():
        store.files[lost] = store.files[lost][:-9]
        director.bodies[lost]["x-other"] = 1
        director.put(lost)
        if lost == TARGETS:
            director.index(lost)
            director.bump("snapshot")
            director.put("snapshot")
            director.index("snapshot")
            director.refresh_timestamp()
        with pytest.raises(EquivocationError) as caught:
            world.vehicle.update()
    assert (caught.value.repository, caught.value.role) == ("director", lost)
    world.release()
    assert world.update().approved
