"""The map of repositories: a map must never let fewer repositories decide than the vehicle's maker meant."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.simulator.scenario import seasoned
from twinlock.testing.simulator.world import ADAS, PARTS, World
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import UnmappedImageError
from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import TargetPath
from twinlock.trust.state.repository_map import RepositoryMap, decode_map, plain_map

BOTH = ["director", "image"]


def _map(*mappings: dict[str, Any], repositories: dict[str, Any] | None = None) -> RepositoryMap:
    urls = {"director": ["https://d"], "image": ["https://i"], "third": ["https://t"]}
    document = {"repositories": urls if repositories is None else repositories, "mapping": list(mappings)}
    return decode_map(json.dumps(document).encode())


def _rule(paths: list[str], repositories: list[str] = BOTH, **more: Any) -> dict[str, Any]:
    return {"paths": paths, "repositories": repositories} | more


def test_the_basic_case() -> None:
    plain = plain_map("https://d", "https://i")
    assert plain.agreeing(TargetPath("any/where/deep.bin")) == ("image",)
    read = _map(_rule(["*"], threshold=2, terminating=True))
    assert read.agreeing(TargetPath("any/where/deep.bin")) == ("image",)


def test_the_first_mapping_that_covers_decides() -> None:
    mapped = _map(_rule(["brake/*"], [*BOTH, "third"]), _rule(["*"]))
    assert mapped.agreeing(TargetPath("brake/x")) == ("image", "third")
    assert mapped.agreeing(TargetPath("brake/x/y")) == ("image",)


def test_an_image_that_no_mapping_covers() -> None:
    with pytest.raises(UnmappedImageError) as caught:
        _map(_rule(["brake/*"])).agreeing(TargetPath("adas/x"))
    assert caught.value.target == "adas/x"


@pytest.mark.parametrize(
    "rule",
    [
        _rule(["*"], ["director"]),
        _rule(["*"], ["image"]),
        _rule(["*"], ["image", "third"]),
        _rule(["*"], []),
        _rule(["*"], ["director", "director"]),
        _rule(["*"], ["director", "image", "image"]),
        _rule(["*"], ["director", "unknown"]),
        _rule(["*"], threshold=1),
        _rule(["*"], threshold=0),
        _rule(["*"], threshold=3),
        _rule(["*"], terminating=False),
        _rule([]),
        _rule(["*"], ["director", "../image"]),
        {"paths": ["*"]},
        {"repositories": BOTH},
    ],
    ids=str,
)
def test_a_mapping_that_would_weaken_the_agreement(rule: dict[str, Any]) -> None:
    with pytest.raises(MalformedError) as caught:
        _map(rule)
    assert caught.value.json_path.startswith("$.mapping[0]")


@pytest.mark.parametrize(
    "repositories",
    [{}, {"director": ["x"]}, {"image": ["x"]}, {"image": ["x"], "third": ["x"]}, {"director": [], "image": ["x"]}],
)
def test_a_map_without_two_repositories(repositories: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        _map(_rule(["*"]), repositories=repositories)


def test_a_map_without_mappings() -> None:
    with pytest.raises(MalformedError) as caught:
        _map()
    assert caught.value.json_path == "$.mapping"


@pytest.mark.parametrize(
    "data", [b"", b"null", b"[]", b'{"repositories": 1}', b"\xef\xbb\xbf{}", b"{}x", b'{"a":1,"a":2}']
)
def test_nonsense(data: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_map(data)


def test_a_map_without_end() -> None:
    with pytest.raises(LimitError):
        decode_map(b" " * (DEFAULT_LIMITS.map_bytes + 1))


def test_an_unmapped_order_refuses_the_whole_cycle() -> None:
    world = World()
    seasoned(world)
    world.vehicle.map = _map(_rule(["gateway/*", "brake/*"]))
    with pytest.raises(UnmappedImageError) as caught:
        world.vehicle.update()
    assert caught.value.target == ADAS.path(3)
    world.vehicle.map = plain_map("https://d", "https://i")
    assert {image.entry.path for image in world.update().approved} == {part.path(3) for part in PARTS}


def test_a_third_repository_has_to_agree() -> None:
    from twinlock.testing.simulator.repository import RepositorySimulator

    world = World()
    third = RepositorySimulator("third", world.keys, world.time)
    world.repositories["third"] = world.vehicle.servers["third"] = third
    world.vehicle.stores["third"] = type(world.vehicle.stores["image"])({1: third.files["1.root.json"]})
    world.vehicle.map = _map(_rule(["adas/*"], [*BOTH, "third"]), _rule(["*"]))
    with pytest.raises(RefusalError) as caught:
        world.vehicle.update()
    assert caught.value.fields()["repository"] == "third"
    third.bodies["targets"]["targets"] = {ADAS.path(1): world.image.bodies["targets"]["targets"][ADAS.path(1)]}
    third.publish("targets")
    approved = {image.entry.path: image.repositories for image in world.update().approved}
    assert approved[TargetPath(ADAS.path(1))] == ("director", "image", "third")
