"""Roots given to a recovery: swapped ones are refused before anything is written, as they are when an ECU is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.test_future_dated import opened
from tests.unit.client.vehicle import roots
from twinlock.client.ecu.config import load_secondary
from twinlock.client.ecu.recovery import recover_state
from twinlock.testing.simulator.world import World
from twinlock.trust.errors.usage import GivenRootError
from twinlock.trust.names import DIRECTOR, IMAGE


@pytest.mark.parametrize("doubled", [False, True], ids=["swapped", "one-for-both"])
def test_wrong_roots_are_refused_and_the_right_ones_then_recover(tmp_path: Path, doubled: bool) -> None:
    world = World()
    opened(tmp_path, world, {"source": "attested"}).close()
    settings = load_secondary(tmp_path / "s" / "secondary.json")
    settings.state.write_bytes(b"damaged")
    known = roots(world)
    assert known.image_root is not None
    wrong = {DIRECTOR: known.image_root, IMAGE: known.image_root if doubled else known.director_root}
    before = sorted(path.name for path in settings.state.parent.iterdir())
    with pytest.raises(GivenRootError) as caught:
        recover_state(settings, wrong, 1, world.now)
    assert caught.value.repository == DIRECTOR
    assert settings.state.read_bytes() == b"damaged"
    assert sorted(path.name for path in settings.state.parent.iterdir()) == before
    right = {DIRECTOR: known.director_root, IMAGE: known.image_root}
    assert set(recover_state(settings, right, 1, world.now).versions) == {DIRECTOR, IMAGE}
