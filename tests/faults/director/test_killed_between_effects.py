"""A Director that is killed at any change of a file: whatever it did is in the audit, and every new private key is on record.

A child does the work and kills itself before its n-th change of a file, for every n.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.director.legacy_chain import begin_with_shared_keys
from tests.unit.director.world import NOW, ImageSite
from twinlock.director.director import Director
from twinlock.director.model.settings import Settings
from twinlock.repository.keys.keyring import KeyPlan

pytestmark = pytest.mark.slow

CHANGES = {"os.rename", "os.remove", "os.link"}
NOISE = ("inventory.sqlite", "prepared-root.lock", ".tmp-", ".new-keys-")
BOTH = Settings(wires=("tuf", "aktualizr"))
SAFE_STEPS = 60

Work = Callable[[Director, Path], object]


def _prepare(director: Director, place: Path) -> object:
    return director.prepare_root(place / "next.json", {"root": KeyPlan(count=2, threshold=2), "timestamp": None})


def _cancel(director: Director, place: Path) -> object:
    return director.cancel_root(place / "short.json")


def _publish(director: Director, place: Path) -> object:
    return director.publish_root(place / "whole.json")


def _create_ca(director: Director, _place: Path) -> object:
    return director.devices.create_ca(valid=timedelta(days=30))


def _rotate(director: Director, _place: Path) -> object:
    return director.rotate("root", "timestamp")


def _turn_on(director: Director, _place: Path) -> object:
    return director.add_wire("aktualizr")


def _hand_over(director: Director, _place: Path) -> object:
    return director.hand_over()


def _killed_at(step: int, work: Callable[[Callable[[], None]], None]) -> bool:
    """Whether a child died before the ``step``-th change that ``work`` made since it called what it is given."""
    child = os.fork()
    if child == 0:
        left, status = step, 1

        def count(event: str, _: tuple[object, ...]) -> None:
            nonlocal left
            if event in CHANGES:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            work(lambda: sys.addaudithook(count))
            status = 0
        finally:
            os._exit(status)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the work itself failed"
    return os.WIFSIGNALED(status)


class Scene:
    """A Director in a directory that is copied for each attempt, so that all of them begin alike."""

    def __init__(self, tmp_path: Path, settings: Settings) -> None:
        self.template, self.place = tmp_path / "template", tmp_path / "attempt"
        site = ImageSite(tmp_path / "image")
        site.publish()
        root, url = site.root, str(site.path)
        self.template.mkdir()
        self._here = self.template
        Director.create(
            self.template / "director", image_root=root, image_url=url, settings=settings, clock=lambda: NOW
        ).close()

    def open(self) -> Director:
        return Director.open(self._here / "director", clock=lambda: NOW)

    def restart(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.template, self.place)
        self._here = self.place

    def killed_at(self, step: int, work: Work) -> bool:
        """Whether the child died before its ``step``-th change; False: it was done before that."""

        def open_and_work(arm: Callable[[], None]) -> None:
            with self.open() as director:
                arm()
                work(director, self.place)

        return _killed_at(step, open_and_work)

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self._here)): path.read_bytes()
            for path in self._here.rglob("*")
            if path.is_file() and not path.name.startswith(NOISE)
        }


@pytest.mark.parametrize(
    ("work", "settings"),
    [
        (_prepare, BOTH),
        (_cancel, BOTH),
        (_publish, BOTH),
        (_create_ca, Settings()),
        (_rotate, BOTH),
        (_turn_on, Settings()),
        (_hand_over, Settings()),
    ],
)
def test_no_change_is_without_its_row_and_no_new_key_without_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: Work, settings: Settings
) -> None:
    scene = Scene(tmp_path, settings)
    _begin(scene, work, monkeypatch)
    with scene.open() as director:
        rows = len(director.audit(limit=1_000))
    scene.restart()
    before = scene.files()
    for step in range(1, SAFE_STEPS):
        scene.restart()
        killed = scene.killed_at(step, work)
        with scene.open() as director:  # it deletes new keys with which nothing was published
            done = len(director.audit(limit=1_000)) > rows
            named = set(director.named_keys()) | _prepared_keys(director)
        after = scene.files()
        assert done or after == before, f"killed at change {step}: {sorted(set(after) ^ set(before))}"
        held = {
            path.split(".")[-2]
            for path in after
            if path.endswith(".pem") and "/keys/" in path and "retired" not in path
        }
        assert all(any(keyid.startswith(short) for keyid in named) for short in held), f"killed at change {step}"
        if not killed:
            assert done
            assert step > 1
            return
    raise AssertionError("it never ended")


def _prepared_keys(director: Director) -> set[str]:
    return set(director.roots._prepared.named(director.roots._read().version))


def _begin(scene: Scene, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has to be there before ``work``: a prepared Root with and without its signatures, or a chain that shares its keys."""
    with scene.open() as director:
        if work is _hand_over:
            director.rotate("targets")
            begin_with_shared_keys(director, monkeypatch)
        if work is _publish:
            director.prepare_root(scene.template / "whole.json", {"root": None, "timestamp": None})
        if work is _cancel:
            director.prepare_root(scene.template / "short.json", {"root": None, "timestamp": None})
    if work is _cancel:
        _strip(scene.template / "short.json")
        _strip(scene.template / "director/prepared-root.json")


def _strip(path: Path) -> None:
    """Take the signatures out, as if the keys were elsewhere."""
    body = json.loads(path.read_bytes())
    body["signatures"] = []
    path.write_text(json.dumps(body))


def test_a_creation_that_was_cut_off_leaves_no_key_that_nothing_names(tmp_path: Path) -> None:
    site = ImageSite(tmp_path / "image")
    site.publish()
    for step in range(1, SAFE_STEPS):
        place = tmp_path / f"made-{step}"

        def create(arm: Callable[[], None] = lambda: None, place: Path = place) -> None:
            arm()
            url = str(site.path)
            Director.create(place, image_root=site.root, image_url=url, settings=BOTH, clock=lambda: NOW).close()

        killed = _killed_at(step, create)
        if killed and not (place / "config.json").exists():
            create()
        with Director.open(place, clock=lambda: NOW) as director:
            named = director.named_keys()
        held = {path.name.split(".")[-2] for path in place.glob("keys/*/*.pem")}
        assert len(held) == len(named)
        assert all(any(keyid.startswith(short) for keyid in named) for short in held)
        if not killed:
            assert step > 1
            return
    raise AssertionError("it never ended")
