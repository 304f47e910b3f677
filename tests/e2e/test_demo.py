"""The demonstration as a test: it ends well on real firmware, and it notices when an attack gets through."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.source import ROOT
from tests.e2e.commands import environment

# What the demonstration has to show, by words that its titles contain.
SHOWN = (
    "tampered image",
    *(f"{role}, {repository}" for repository in ("director", "image") for role in ("root", "timestamp", "snapshot")),
    *(f"rollback of {role}, {place}" for place in ("director", "image") for role in ("root", "timestamp")),
    *(f"rollback of {role}, {place}" for place in ("director", "image") for role in ("snapshot", "targets")),
    "freeze",
    "among new",
    "unlisted image",
    "downgrade",
    "wrong hardware",
    "Image repository lists other bytes",
    "another vehicle's orders",
    "endless",
    "slow",
    "replayed manifest",
    "forged manifest",
    "keys revoked",
)


def demo(*words: str | Path, status: int = 0, patch: Path | None = None) -> dict[str, Any]:
    """Run the demonstration to its end; its table. ``patch`` is a directory with a ``sitecustomize.py``."""
    path = {"PYTHONPATH": str(patch)} if patch else {}
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--json", *map(str, words)],
        cwd=ROOT,
        env=environment() | path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == status, done.stdout.decode() + done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_attack_on_given_firmware_ends_as_it_has_to(firmware: dict[str, Path], tmp_path: Path) -> None:
    for file in firmware.values():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    table = demo("--images", tmp_path)
    assert table["ok"]
    titles = [row["attack"] for row in table["attacks"]]
    assert not [wanted for wanted in SHOWN if not any(wanted in title for title in titles)]
    stopped = [row for row in table["attacks"] if row["verdict"] == "stopped"]
    assert len(stopped) >= 50
    assert all(row["unchanged"] and row["code"] and row["clause"] and row["recovered"] for row in stopped)
    limits = [row["attack"] for row in table["attacks"] if row["verdict"] != "stopped"]
    assert limits == ["both repositories' keys stolen", "gateway and Director against the door"]


# Each switches one check off in every process of the play.
WITHOUT_MATCH = """
import twinlock.trust.engine.verification as verification
verification.check_match = lambda *arguments, **named: None
"""
WITHOUT_DIGESTS = """
from twinlock.trust.checks.image import ImageVerifier
ImageVerifier.finish = lambda self: None
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("check", "attack"),
    [(WITHOUT_MATCH, "Director orders other bytes"), (WITHOUT_DIGESTS, "tampered image")],
    ids=["repositories-not-compared", "digests-not-compared"],
)
def test_an_attack_that_gets_through_is_noticed(tmp_path: Path, check: str, attack: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(check)
    table = demo("--only", attack, status=1, patch=tmp_path)
    assert not table["ok"]
    row = next(row for row in table["attacks"] if row["attack"] == attack)
    assert row["verdict"] == "GOT THROUGH"
    assert not row["unchanged"]


def test_nothing_played_is_nothing_shown() -> None:
    from demo.table import all_good

    assert not all_good([])


def test_a_directory_without_firmware_is_a_usage_error(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--images", str(tmp_path)], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.decode().startswith("error[usage]: ")
