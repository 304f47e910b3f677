"""A read-only anchor by itself: which stored Roots follow it, in which profile, under which limits."""

from __future__ import annotations

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.wires import AKTUALIZR_WIRE, TUF_WIRE, Wire
from twinlock.testing.simulator.world import START
from twinlock.trust.engine.anchor import follow_stored_roots, prove_top_level
from twinlock.trust.engine.restore import restore_repository
from twinlock.trust.errors.metadata import LimitError, MalformedError, ThresholdError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RoleName

KEYS = KeyPool()


def repository(wire: Wire = TUF_WIRE) -> RepositorySimulator:
    """A repository with three Roots, each with the next key."""
    image = RepositorySimulator("image", KEYS, lambda: START, wire=wire)
    for number in (2, 3):
        image.rotate("root", number)
    return image


def roots(image: RepositorySimulator) -> dict[int, bytes]:
    return {version: image.files[f"{version}.root.json"] for version in (1, 2, 3)}


@pytest.mark.parametrize("wire", [TUF_WIRE, AKTUALIZR_WIRE])
def test_each_stored_root_follows_the_one_before_in_its_profile(wire: Wire) -> None:
    stored = roots(repository(wire))
    root, refusal = follow_stored_roots(IMAGE, stored[1], stored, limits=DEFAULT_LIMITS, wire=wire.profile)
    assert (root.signed.version, root.data, refusal) == (3, stored[3], None)
    del stored[2]
    root, refusal = follow_stored_roots(IMAGE, stored[1], stored, limits=DEFAULT_LIMITS, wire=wire.profile)
    assert (root.signed.version, refusal) == (1, None)


def test_a_stored_root_that_does_not_follow_ends_the_chain_with_its_refusal() -> None:
    image = repository()
    stored = roots(image)
    image.bodies["root"]["version"] = 2
    stored[2] = image.put("root", signers=[image.key("root", 9)])
    root, refusal = follow_stored_roots(IMAGE, stored[1], stored, limits=DEFAULT_LIMITS)
    assert root.signed.version == 1
    assert isinstance(refusal, ThresholdError)
    assert (refusal.repository, refusal.role) == (IMAGE, ROOT)


def test_an_anchor_that_is_not_sound_is_refused_by_its_repository() -> None:
    stored = roots(repository())
    with pytest.raises(MalformedError) as malformed:
        follow_stored_roots(IMAGE, b"{", stored, limits=DEFAULT_LIMITS)
    assert malformed.value.what == "image/root"
    tight = DEFAULT_LIMITS._replace(root_bytes=len(stored[1]) - 1)
    with pytest.raises(LimitError) as long:
        follow_stored_roots(IMAGE, stored[1], {}, limits=tight)
    assert long.value.limit == tight.root_bytes
    image = RepositorySimulator("image", KEYS, lambda: START)
    with pytest.raises(ThresholdError) as unsigned:
        follow_stored_roots(IMAGE, image.put("root", signers=[]), {}, limits=DEFAULT_LIMITS)
    assert (unsigned.value.repository, unsigned.value.role) == (IMAGE, ROOT)


def test_only_files_that_are_there_and_wholly_signed_are_proven() -> None:
    image = RepositorySimulator("image", KEYS, lambda: START)
    image.put("snapshot", signers=[image.key("snapshot")])
    files = {RoleName(role): image.files[image.current(role)] for role in (ROOT, TIMESTAMP, SNAPSHOT, TARGETS)}
    whole = prove_top_level(restore_repository(IMAGE, files))
    assert set(whole) == {TIMESTAMP, SNAPSHOT, TARGETS}
    assert set(prove_top_level(restore_repository(IMAGE, {ROOT: files[ROOT]}))) == set()
    del files[SNAPSHOT]
    left = prove_top_level(restore_repository(IMAGE, files))
    assert left == {role: proof for role, proof in whole.items() if role in left}
    assert SNAPSHOT not in left
