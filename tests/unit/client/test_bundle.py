"""Metadata bundles: what each kind of Secondary gets, byte for byte, and what a hostile one meets."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from twinlock.client.storage.bundle import Bundle, decode_bundle, make_bundle, max_bundle_bytes, max_bundle_files
from twinlock.client.storage.state import TrustedState
from twinlock.testing.simulator.world import World
from twinlock.trust.engine.commands import ABSENT, Fetch, Persist
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, IMAGE, ROOT, TARGETS, RoleName, Verification

BUNDLE_BYTES = max_bundle_bytes(Verification.FULL, DEFAULT_LIMITS)


@pytest.fixture
def world() -> World:
    return World()


def stored(tmp_path: Path, world: World) -> TrustedState:
    roots = {DIRECTOR: world.director.files["1.root.json"], IMAGE: world.image.files["1.root.json"]}
    state = TrustedState.create(tmp_path / "state.db", roots, limits=DEFAULT_LIMITS)
    world.director.publish_root()
    state.persist(Persist(DIRECTOR, ((ROOT, 2, world.director.files["2.root.json"]),)))
    for name, repository in ((DIRECTOR, world.director), (IMAGE, world.image)):
        roles = [role for role in repository.bodies if role != "root"]
        files = tuple(
            (RoleName(role), repository.bodies[role]["version"], repository.files[repository.current(role)])
            for role in roles
        )
        state.persist(Persist(name, files))
    return state


def test_a_partial_secondary_gets_the_directors_roots_and_bare_targets(tmp_path: Path, world: World) -> None:
    with stored(tmp_path, world) as state:
        bundle = make_bundle(Verification.PARTIAL, [DIRECTOR, IMAGE], state.files)
    assert {name: sorted(files) for name, files in bundle.files.items()} == {
        DIRECTOR: ["1.root.json", "2.root.json", "targets.json"]
    }
    assert bundle.files[DIRECTOR]["targets.json"] == world.director.files["targets.json"]


def test_a_full_secondary_gets_every_role_of_both_and_the_delegated(tmp_path: Path, world: World) -> None:
    with stored(tmp_path, world) as state:
        bundle = make_bundle(Verification.FULL, [DIRECTOR, IMAGE], state.files)
    targets = world.image.current("targets")
    assert set(bundle.files[IMAGE]) == {
        "1.root.json", "timestamp.json", world.image.current("snapshot"), targets, world.image.current("acme")
    }  # fmt: skip
    assert {"1.root.json", "2.root.json", "timestamp.json"} < set(bundle.files[DIRECTOR])
    for name, data in bundle.files[IMAGE].items():
        assert data == world.image.files[name]


def test_a_bundle_survives_the_link_byte_for_byte() -> None:
    data = '{"a":"é\\u0000\\n"}\r\n '.encode()
    bundle = Bundle({DIRECTOR: {"1.root.json": data}})
    assert decode_bundle(bundle.encode(), Verification.FULL, DEFAULT_LIMITS) == bundle


def test_what_is_not_in_it_is_absent_and_what_is_too_long_is_endless() -> None:
    bundle = Bundle({DIRECTOR: {"targets.json": b"x" * 11}})
    assert bundle.fetch(Fetch(DIRECTOR, TARGETS, None, "snapshot.json", 10)) is ABSENT
    assert bundle.fetch(Fetch(IMAGE, TARGETS, None, "targets.json", 10)) is ABSENT
    assert bundle.fetch(Fetch(DIRECTOR, TARGETS, None, "targets.json", 11)) == b"x" * 11
    with pytest.raises(EndlessDataError) as refused:
        bundle.fetch(Fetch(DIRECTOR, TARGETS, None, "targets.json", 10))
    assert refused.value.limit_bytes == 10


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b'{"director": []}', b'{"director": {"a": 1}}', b'{"director": {"a": "\\ud800"}}', b"\xff",
     b"[" * 100_000],
    ids=["empty", "list", "null", "list-inside", "number", "surrogate", "no-utf8", "deep"],
)  # fmt: skip
def test_a_malformed_bundle_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_bundle(data, Verification.FULL, DEFAULT_LIMITS)


def test_an_oversize_bundle_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(EndlessDataError):
        decode_bundle(b" " * (BUNDLE_BYTES + 1), Verification.FULL, DEFAULT_LIMITS)


@pytest.mark.parametrize("space", ["", " \n"])
def test_members_are_counted_while_they_are_read(space: str) -> None:
    """Millions of empty files in a bundle of the longest size cost nothing: reading ends at the bound."""
    most = max_bundle_files(DEFAULT_LIMITS)
    members = ",".join(f'{space}"{number}"{space}:{space}""' for number in range(10 * most))
    with pytest.raises(LimitError) as refused:
        decode_bundle(f'{{"x":{{{members}}}}}'.encode(), Verification.FULL, DEFAULT_LIMITS)
    assert (refused.value.value, refused.value.limit) == (most + 1, most)
    many = ",".join(f'"{number}":{{}}' for number in range(1_000))
    with pytest.raises(LimitError):
        decode_bundle(f"{{{many}}}".encode(), Verification.FULL, DEFAULT_LIMITS)


@pytest.mark.parametrize(
    "data",
    [b'{"a":{"b":"c"}} x', b'{"a":{"b":"c",}}', b'{"a":{"b" "c"}}', b'{"a":{"b":"c"}', b'{"a":{"b":"c', b'{"a":"b"}',
     b'{"a":{"b":"c","b":"d"}}', b'{"a":{},"a":{}}', b'{"a":{"b":null}}', b'{"a":{"b":["c"]}}', b'{"a":{"b":"\n"}}'],
)  # fmt: skip
def test_any_other_shape_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_bundle(data, Verification.FULL, DEFAULT_LIMITS)


def test_what_json_allows_around_the_members_is_read() -> None:
    data = b' { "director" : { "a" : "\\u0041\\"" ,\r\n\t"b":"" } , "image":{} } '
    assert decode_bundle(data, Verification.PARTIAL, DEFAULT_LIMITS) == Bundle(
        {DIRECTOR: {"a": b'A"', "b": b""}, IMAGE: {}}
    )


def test_a_partial_verifier_takes_less() -> None:
    partial = max_bundle_bytes(Verification.PARTIAL, DEFAULT_LIMITS)
    assert 2 * DEFAULT_LIMITS.director_bytes < partial < 4_000_000 < max_bundle_bytes(Verification.FULL, DEFAULT_LIMITS)
    with pytest.raises(EndlessDataError) as refused:
        decode_bundle(b" " * (partial + 1), Verification.PARTIAL, DEFAULT_LIMITS)
    assert refused.value.limit_bytes == partial
    assert "limits.partialBundleBytes" in refused.value.what


def test_one_wide_character_does_not_multiply_the_memory_of_a_bundle() -> None:
    data = ('{"director":{"targets.json":"\U0001f600' + "a" * 8_000_000 + '"}}').encode()
    tracemalloc.start()
    try:
        decode_bundle(data, Verification.FULL, DEFAULT_LIMITS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * len(data)  # beside the bundle itself
