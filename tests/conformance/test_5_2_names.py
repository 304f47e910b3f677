"""Uptane 2.1.0 5.2.6 and 5.2.7: which repositories have to agree, and how files are named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.worlds import refused, seasoned_world
from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.vehicle import Store
from twinlock.testing.simulator.world import ADAS, PARTS, World
from twinlock.trust.errors.images import ImageNotFoundError, UnmappedImageError
from twinlock.trust.errors.metadata import MalformedError, UnsafePathError
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import RoleName, TargetPath, identifier, role_file, target_path
from twinlock.trust.state.repository_map import RepositoryMap, decode_map, plain_map
from twinlock.trust.wire.tuf.metadata import TUF

DIRECTOR, IMAGE, FLEET = "director", "image", "fleet"


def map_file(**changes: Any) -> bytes:
    """A good map file, with members replaced."""
    good = {
        "repositories": {DIRECTOR: ["https://director.test"], IMAGE: ["https://image.test"]},
        "mapping": [{"paths": ["*"], "repositories": [DIRECTOR, IMAGE], "threshold": 2, "terminating": True}],
    }
    return json.dumps(good | changes).encode()


def mapping(*repositories: str, paths: tuple[str, ...] = ("*",), **more: Any) -> list[dict[str, Any]]:
    return [{"paths": list(paths), "repositories": list(repositories), **more}]


def test_the_plain_map_wants_both() -> None:
    read = decode_map(map_file())
    assert read.agreeing(TargetPath("any/name.bin")) == (IMAGE,)
    assert plain_map("https://director.test", "https://image.test") == read


@pytest.mark.parametrize(
    "changes",
    [
        {"repositories": {DIRECTOR: [], IMAGE: ["https://image.test"]}},
        {"repositories": {DIRECTOR: ["https://director.test"], IMAGE: []}},
        {"repositories": {DIRECTOR: "https://director.test", IMAGE: ["https://image.test"]}},
        {"repositories": {DIRECTOR: ["https://director.test"]}},
        {"repositories": {IMAGE: ["https://image.test"]}},
        {"repositories": {IMAGE: ["https://image.test"], FLEET: ["https://fleet.test"]}},
        {"repositories": {}},
        {"mapping": []},
        {"mapping": mapping(DIRECTOR)},
        {"mapping": mapping(IMAGE)},
        {"mapping": mapping(DIRECTOR, DIRECTOR)},
        {"mapping": mapping(DIRECTOR, FLEET)},
        {"mapping": mapping(DIRECTOR, IMAGE, threshold=1)},
        {"mapping": mapping(DIRECTOR, IMAGE, paths=())},
        {"mapping": mapping(DIRECTOR, IMAGE, terminating=False)},
    ],
    ids=json.dumps,
)
def test_a_map_that_asks_for_less_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        decode_map(map_file(**changes))


@pytest.mark.parametrize("names", [[DIRECTOR], [IMAGE], [IMAGE, FLEET], []], ids=str)
def test_the_list_of_repositories_has_the_director_and_another(names: list[str]) -> None:
    with pytest.raises(MalformedError) as caught:
        decode_map(map_file(repositories={name: [f"https://{name}.test"] for name in names}))
    assert caught.value.json_path == "$.repositories"


@pytest.mark.parametrize("member", ["repositories", "mapping"])
def test_a_map_needs_its_members(member: str) -> None:
    whole = json.loads(map_file())
    del whole[member]
    with pytest.raises(MalformedError):
        decode_map(json.dumps(whole).encode())


def test_a_name_that_no_mapping_covers_is_nobody_s() -> None:
    read = decode_map(map_file(mapping=mapping(DIRECTOR, IMAGE, paths=("brake/*",))))
    with pytest.raises(UnmappedImageError):
        read.agreeing(TargetPath("adas/adas-1.bin"))
    world = seasoned_world()
    world.vehicle.map = read
    refused(world, UnmappedImageError)


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("*", True),
        ("brake/*", True),
        ("brake/brake-?.bin", True),
        ("brake/brake-3.bin", True),
        ("*.bin", False),
        ("brake*", False),
    ],
)
def test_mapped_paths_are_patterns(pattern: str, fits: bool) -> None:
    read = decode_map(map_file(mapping=mapping(DIRECTOR, IMAGE, paths=("other/x", pattern))))
    if fits:
        assert read.agreeing(TargetPath("brake/brake-3.bin")) == (IMAGE,)
    else:
        with pytest.raises(UnmappedImageError):
            read.agreeing(TargetPath("brake/brake-3.bin"))


def world_of_three(listed: bool = True) -> World:
    """A third repository has to agree on ``adas/*``; it lists release 1, or nothing."""
    world = World()
    third = RepositorySimulator(FLEET, world.keys, world.time)
    if listed:
        agreed = {"hardwareIds": [ADAS.hardware_id], "releaseCounter": 1}
        third.add_image(ADAS.path(1), ADAS.image(1), mustAgree=agreed)
    third.publish("targets")
    world.repositories[FLEET] = world.vehicle.servers[FLEET] = third
    world.vehicle.stores[FLEET] = Store(roots={1: third.files["1.root.json"]})
    read = decode_map(
        map_file(
            repositories={name: [f"https://{name}.test"] for name in (DIRECTOR, IMAGE, FLEET)},
            mapping=[
                *mapping(DIRECTOR, IMAGE, FLEET, paths=("adas/*",)),
                *mapping(DIRECTOR, IMAGE),
            ],
        )
    )
    world.vehicle.map = read
    return world


def test_three_repositories_have_to_agree_where_the_map_says_so() -> None:
    world = world_of_three()
    decision = world.vehicle.update()
    agreeing = {str(image.ecu): image.repositories for image in decision.approved}
    assert agreeing[ADAS.ecu] == (DIRECTOR, IMAGE, FLEET)
    assert {names for ecu, names in agreeing.items() if ecu != ADAS.ecu} == {(DIRECTOR, IMAGE)}
    refused(world_of_three(listed=False), ImageNotFoundError, repository=FLEET, target=ADAS.path(1))


def test_the_map_decides_where_metadata_is_fetched() -> None:
    world = world_of_three()
    world.vehicle.update()
    assert world.vehicle.fetched(FLEET)
    world = world_of_three()
    whole = world.vehicle.map
    world.vehicle.map = RepositoryMap(whole.repositories, whole.mappings[1:])
    world.vehicle.update()
    assert not world.vehicle.fetched(FLEET)


@pytest.mark.parametrize("name", [DIRECTOR, IMAGE])
def test_both_repositories_have_to_list_an_image(name: str) -> None:
    world = seasoned_world()
    del world.repositories[name].bodies["targets"]["targets"][ADAS.path(3)]
    world.repositories[name].put("targets")
    if name == IMAGE:
        refused(world, ImageNotFoundError, target=ADAS.path(3))
    else:
        assert ADAS.ecu not in {image.ecu for image in world.vehicle.update().approved}


def test_a_map_of_more_than_two_is_read_in_order() -> None:
    read: RepositoryMap = world_of_three().vehicle.map
    assert read.agreeing(TargetPath("adas/x.bin")) == (IMAGE, FLEET)
    assert read.agreeing(TargetPath("brake/x.bin")) == (IMAGE,)


# 5.2.7


def test_every_file_is_asked_for_by_its_versioned_name() -> None:
    world = World()
    world.vehicle.update()
    assert world.vehicle.fetched(DIRECTOR) == ["2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"]
    image = ["2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json", "1.acme.json"]
    assert world.vehicle.fetched(IMAGE) == image


def test_metadata_bodies_keep_the_bare_names() -> None:
    world = World()
    world.vehicle.update()
    snapshot = world.vehicle.stores[IMAGE].restore(IMAGE).snapshot
    assert snapshot is not None
    assert set(snapshot.signed.targets) == {"targets", "acme"}
    assert TUF.file_name(RoleName("acme"), 7) == "7.acme.json"
    assert TUF.file_name(RoleName("timestamp"), None) == "timestamp.json"


def test_an_image_has_one_name_for_each_digest() -> None:
    entry = ImageEntry(target_path("brake/a.bin"), 3, {"sha256": "aa" * 32, "sha512": "bb" * 64})
    assert TUF.image_file_names(entry) == (f"brake/{'aa' * 32}.a.bin", f"brake/{'bb' * 64}.a.bin")
    top = ImageEntry(target_path("a.bin"), 3, {"sha256": "aa" * 32})
    assert TUF.image_file_names(top) == (f"{'aa' * 32}.a.bin",)


TRAVERSALS = [
    "../../etc/x",
    "/etc/x",
    "C:\\x",
    "C:/x",
    "a/../b",
    "a/./b",
    "a\x00b",
    "..",
    ".",
    "a//b",
    "a/",
    "a\\b",
    "nul",
    "a/con.bin",
]


@pytest.mark.parametrize("name", TRAVERSALS, ids=ascii)
def test_no_image_name_leaves_its_directory(name: str) -> None:
    with pytest.raises(UnsafePathError):
        target_path(name)


@pytest.mark.parametrize("name", ["a/b", "..", "a\\b", "", "nul", "a\x00"], ids=ascii)
def test_no_identifier_leaves_its_directory(name: str) -> None:
    with pytest.raises(UnsafePathError):
        identifier(name)


def test_a_role_s_name_is_encoded_and_a_percent_is_no_way_out() -> None:
    assert role_file("../x") == "..%2Fx"
    assert role_file("..%2Fx") == "..%252Fx"
    assert "/" not in role_file("a/b/../../c")
    with pytest.raises(UnsafePathError):
        role_file("..")


def test_all_parts_of_the_simulated_vehicle_are_covered() -> None:
    """The worlds above order one image for each of three ECUs; a test that found fewer would show less."""
    assert len(World().vehicle.update().approved) == len(PARTS) == 3
