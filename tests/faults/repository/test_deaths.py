"""A publisher killed before any of its writes: vehicles see the old state or the new one, and repeating finishes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.repository.killing import deaths_of

BEFORE = {"timestamp": 2, "images": ["a.bin"]}
AFTER = {
    "publish": {"timestamp": 3, "images": ["a.bin", "b.bin"]},
    "add": {"timestamp": 3, "images": ["a.bin", "b.bin", "c.bin"]},
    "accept": {"timestamp": 3, "images": ["a.bin", "b.bin", "acme/lidar.bin"]},
    "refresh": {"timestamp": 3, "images": ["a.bin"]},
    "rotate": {"timestamp": 3, "images": ["a.bin"]},
}
# Root 1 is there and Timestamp is not yet: nobody was ever given that Root, so no vehicle looks.
NO_TIMESTAMP = {"error": "missing-metadata", "message": "image/timestamp: timestamp.json not found"}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenario", sorted(AFTER))
def test_killed_anywhere_old_or_new_and_then_done(scenario: str, tmp_path: Path) -> None:
    results = deaths_of("deaths", scenario, tmp_path)
    assert len(results) > 10
    states = []
    for result in results:
        for vehicle in ("follower", "fresh"):
            assert result["after_death"][vehicle] in (BEFORE, AFTER[scenario]), result
        states.append(result["after_death"]["fresh"]["timestamp"])
        assert result["repeated"] == 0, result
        for vehicle in ("follower", "fresh"):
            final = dict(result["after_repeat"][vehicle])
            if scenario == "rotate" and final["timestamp"] == 4:  # repeating a finished rotation rotates once more
                final["timestamp"] = 3
            assert final == AFTER[scenario], result
        assert result["left_behind"] == [], result
    assert states == sorted(states)
    assert set(states) == {2, 3}  # the kills did reach both sides of the decision


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_creation_killed_anywhere_is_finished_by_repeating_it(tmp_path: Path) -> None:
    results = deaths_of("deaths", "create", tmp_path)
    whole = {"timestamp": 1, "images": []}
    for result in results:
        assert result["after_death"].get("fresh", {"empty": True}) in ({"empty": True}, whole, NO_TIMESTAMP), result
        assert result["repeated"] == 0, result
        assert result["after_repeat"]["fresh"] == whole, result
        assert result["left_behind"] == [], result
