"""The benchmark programs run, at the smallest size, and write what they promise. How fast anything is, is not judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.layout import WANTED
from bench.repositories import DIRECTOR, Recipe, generate, obtain

ROOT = Path(__file__).parents[3]
CASE = {"case", "runs", "repeat", "medians_ms", "spread_ms", "times_less", "times_floor", "extra_memory_kib", "figures"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cases"),
    [
        ("refresh", {"flat-1 first", "flat-1 stored"}),
        (
            "poll",
            {f"{which} {mode}" for which in ("flat-1", "director + flat-1") for mode in ("stored", "kept", "fresh")},
        ),
        ("imports", {"import of the verifier", "process: start, import, first refresh"}),
        ("anchor", {"chain of 30 Roots from the anchor"}),
        ("images", {"1 MiB, sha256 and sha512, chunks of 64 KiB"}),
        pytest.param(
            "checkins",
            {f"ecus-1 {load} connections-{count}" for load in ("quiet", "order") for count in (1, 32)},
            marks=pytest.mark.timeout(300),
        ),
    ],
)
def test_a_program_prints_and_writes(name: str, cases: set[str], tmp_path: Path) -> None:
    only = "ecus-1" if name == "checkins" else "flat-1"
    command = [sys.executable, "-m", f"bench.{name}", "--quick", "--only", only, "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    written = json.loads((tmp_path / f"{name}.json").read_text())
    assert set(written) == {"benchmark", "quick", "machine", "cases", "goals"}
    assert (written["benchmark"], written["quick"]) == (name, True)
    assert {case["case"] for case in written["cases"]} == cases
    for case in written["cases"]:
        assert case["case"] in done.stdout
        check(case)
    for goal in written["goals"]:
        assert set(goal) == {"goal", "case", "bound", "measured", "reached"}
        assert goal["goal"] in done.stdout


def check(case: dict[str, Any]) -> None:
    assert set(case) == CASE
    assert case["runs"] > 0
    assert set(case["spread_ms"]) == set(case["medians_ms"]) >= {"twinlock", *case["times_less"]}
    for label, median in case["medians_ms"].items():
        least, most = case["spread_ms"][label]
        assert 0 < least <= median <= most
    assert all(ratio > 0 for ratio in (*case["times_less"].values(), *case["times_floor"].values()))


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(name="flat", images=3),
        Recipe(name="flat", images=3, indented=True),
        Recipe(name="bins", images=64, bins=4),
        Recipe(name="roots", roots=3),
        DIRECTOR,
    ],
)
def test_repositories_come_out_the_same_every_time(recipe: Recipe, tmp_path: Path) -> None:
    first = generate(recipe)
    assert first == generate(recipe)
    assert any(WANTED in data.decode() for data in first.values())
    kept = obtain(recipe, tmp_path)
    stamp = kept.first_root.stat().st_mtime_ns
    assert obtain(recipe, tmp_path).first_root.stat().st_mtime_ns == stamp
