"""A publisher of two forms killed before any of its writes: each kind of vehicle sees old or new, and repeating finishes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.repository.killing import deaths_of

BEFORE = {
    "publish": {"timestamp": 2, "images": ["a.bin"]},
    "rotate": {"timestamp": 2, "images": ["a.bin"]},
    "wire": {"timestamp": 2, "images": ["a.bin"]},
    "import": {"timestamp": 7, "images": ["a.bin", "acme/c.bin"]},
}
AFTER = {
    "publish": {"timestamp": 3, "images": ["a.bin", "b.bin"]},
    "rotate": {"timestamp": 3, "images": ["a.bin"]},
    "wire": {"timestamp": 3, "images": ["a.bin", "b.bin"]},
    "import": {"timestamp": 8, "images": ["a.bin", "acme/c.bin"]},
}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", sorted(AFTER))
def test_killed_anywhere_old_or_new_and_then_done(scenario: str, tmp_path: Path) -> None:
    results = deaths_of("aktualizr_deaths", scenario, tmp_path)
    assert len(results) > 10
    seen = set()
    for result in results:
        for kind, found in result["after_death"].items():
            assert found in (BEFORE[scenario], AFTER[scenario]), (kind, result)
            seen.add(found["timestamp"])
        # Both kinds of vehicles are at the same publication: it is one step.
        assert len({found["timestamp"] for found in result["after_death"].values()}) <= 1, result
        assert result["repeated"] == 0, result
        for kind, found in result["after_repeat"].items():
            again = {**AFTER[scenario], "timestamp": 4}  # repeating a finished rotation rotates once more
            assert found == AFTER[scenario] or (scenario == "rotate" and found == again), (kind, result)
        assert "fresh" in result["after_repeat"]
        assert "tuf" in result["after_repeat"]
        assert result["left_behind"] == [], result
    assert seen == {BEFORE[scenario]["timestamp"], AFTER[scenario]["timestamp"]}
