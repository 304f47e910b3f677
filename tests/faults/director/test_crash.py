"""The Director killed, starved of disk and shut out of its directory: nothing is half-done, and one error says what."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.director.world import FACTORY, NOW, ImageSite, TestVehicle
from twinlock.director.director import Director
from twinlock.trust.errors.reports import ReportReplayError
from twinlock.trust.names import EcuId

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
# Root writes anywhere, unless it has to go by the permissions of files like everybody else.
LIKE_OTHERS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()

# What a child does: take in the manifests of a list of files, and print the number of each that was accepted.
RECEIVE = """
import sys
from tests.unit.director.world import NOW
from twinlock.director.director import Director
from twinlock.trust.errors.base import TwinlockError
director = Director.open(sys.argv[1], clock=lambda: NOW)
for name in sys.argv[2:]:
    try:
        director.receive_manifest(open(name, "rb").read())
        print("accepted", name, flush=True)
    except TwinlockError as error:
        print("refused", error.code, flush=True)
"""

# Signs for a vehicle without end.
SIGN = """
import sys
from tests.unit.director.world import NOW
from twinlock.director.director import Director
from twinlock.trust.errors.local import ConflictError
director = Director.open(sys.argv[1], clock=lambda: NOW)
while True:
    try:
        print(director.issue("VIN1", force=True).targets, flush=True)
    except ConflictError:  # another process was faster, five times in a row
        pass
"""


@pytest.fixture
def car() -> TestVehicle:
    return TestVehicle("VIN1", {"ecu-gw": "gw-1", "ecu-brake": "hw-7"})


@pytest.fixture
def site(tmp_path: Path) -> ImageSite:
    site = ImageSite(tmp_path / "image")
    site.add(FACTORY, hardware=["gw-1", "hw-7"], counter=0)
    site.add("gw/1.4.bin", hardware=["gw-1"], counter=14, name="gateway", version="1.4")
    site.publish()
    return site


@pytest.fixture
def director(tmp_path: Path, site: ImageSite, car: TestVehicle) -> Iterator[Director]:
    made = Director.create(tmp_path / "director", image_root=site.root, image_url=str(site.path), clock=lambda: NOW)
    with made as director:
        director.register(car.description())
        director.receive_manifest(car.manifest())
        yield director


def child(
    script: str, *arguments: object, before: Sequence[str] = (), setup: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [*before, sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=setup,  # noqa: PLW1509 - set before any thread of ours starts
    )


def manifests(car: TestVehicle, directory: Path, count: int) -> list[Path]:
    paths = []
    for number in range(count):
        path = directory / f"manifest-{number}.json"
        path.write_bytes(car.manifest())
        paths.append(path)
    return paths


def check_consistent(director: Director) -> None:
    """What must hold in the inventory whatever happened."""
    with closing(sqlite3.connect(director.path / "inventory.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        accepted = connection.execute("SELECT count(*) FROM manifests WHERE accepted").fetchone()[0]
        reports = connection.execute("SELECT count(*) FROM reports").fetchone()[0]
        files = connection.execute("SELECT role, max(version), count(*) FROM signed_metadata GROUP BY role").fetchall()
    assert reports == 2 * accepted
    assert all(newest == count for _, newest, count in files)
    assert len({newest for _, newest, _ in files}) <= 1


@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.05, 0.11])
def test_a_kill_while_manifests_come_in_loses_none_that_was_accepted(
    director: Director, car: TestVehicle, tmp_path: Path, delay_s: float
) -> None:
    paths = manifests(car, tmp_path, 60)
    process = child(RECEIVE, director.path, *paths)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(delay_s)
    process.send_signal(signal.SIGKILL)
    said = 1 + sum(line.startswith("accepted") for line in process.communicate()[0].splitlines())
    check_consistent(director)
    taken = sum(item.refusal is None for item in director.manifests("VIN1", limit=100)) - 1
    assert said <= taken <= said + 1  # one may have been committed and not yet told
    with pytest.raises(ReportReplayError):
        director.receive_manifest(paths[taken - 1].read_bytes())
    for path in paths[taken:]:
        director.receive_manifest(path.read_bytes())
    assert director.vehicle("VIN1").reports[EcuId("ecu-gw")].counter == 61


@pytest.mark.parametrize("delay_s", [0.0, 0.03, 0.07, 0.13])
def test_a_kill_while_signing_leaves_whole_sets(director: Director, delay_s: float) -> None:
    process = child(SIGN, director.path)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(delay_s)
    process.send_signal(signal.SIGKILL)
    told = [int(line) for line in process.communicate()[0].split()]
    check_consistent(director)
    before = director.issue("VIN1")
    assert before.targets >= max(told, default=1)
    after = director.issue("VIN1", force=True)
    assert after.targets == before.targets + 1
    timestamp = director.metadata("VIN1", "timestamp.json")
    assert timestamp is not None
    assert json.loads(timestamp)["signed"]["meta"]["snapshot.json"]["version"] == after.snapshot


def test_a_creation_that_was_cut_off_is_done_again(tmp_path: Path, site: ImageSite, director: Director) -> None:
    half = tmp_path / "half"
    shutil.copytree(director.path, half)
    (half / "config.json").unlink()
    with Director.create(half, image_root=site.root, image_url=str(site.path), clock=lambda: NOW) as again:
        assert again.root_bytes() == director.root_bytes()
        again.issue("VIN1")


def test_a_full_disk_is_told_and_forgets_nothing(director: Director, car: TestVehicle, tmp_path: Path) -> None:
    import resource

    paths = manifests(car, tmp_path, 40)
    before = director.vehicle("VIN1").reports[EcuId("ecu-gw")].counter or 0
    largest = max(path.stat().st_size for path in director.path.glob("inventory.sqlite*"))

    def starve() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 40_000, largest + 40_000))

    process = child(RECEIVE, director.path, *paths, setup=starve)
    out, err = process.communicate(timeout=60)
    lines = out.splitlines()
    assert "refused storage" in lines, err
    accepted = [line for line in lines if line.startswith("accepted")]
    assert lines[: len(accepted)] == accepted, "nothing is accepted once the disk is full"
    check_consistent(director)
    assert director.vehicle("VIN1").reports[EcuId("ecu-gw")].counter == before + len(accepted)
    for path in paths[len(accepted) :]:
        director.receive_manifest(path.read_bytes())


def test_a_read_only_directory_is_told_and_nothing_changes(
    director: Director, car: TestVehicle, tmp_path: Path
) -> None:
    path = manifests(car, tmp_path, 1)[0]
    before = director.vehicle("VIN1")
    director.close()
    content = {item: item.read_bytes() for item in director.path.rglob("*") if item.is_file()}
    for item in (director.path, *director.path.rglob("*")):
        item.chmod(0o555 if item.is_dir() else 0o444)
    try:
        out, err = child(RECEIVE, director.path, path, before=LIKE_OTHERS).communicate(timeout=60)
    finally:
        for item in (director.path, *director.path.rglob("*")):
            item.chmod(0o755 if item.is_dir() else 0o644)
    assert not out.startswith("accepted")
    assert "refused storage" in out or "StorageError: cannot" in err, (out, err)
    assert {item: item.read_bytes() for item in content} == content
    with Director.open(director.path) as untouched:
        assert untouched.vehicle("VIN1") == before
        untouched.receive_manifest(path.read_bytes(), now=NOW)


def test_two_processes_that_send_the_same_manifests_share_them(
    director: Director, car: TestVehicle, tmp_path: Path
) -> None:
    paths = manifests(car, tmp_path, 30)
    processes = [child(RECEIVE, director.path, *paths) for _ in range(2)]
    said = [process.communicate(timeout=90)[0].splitlines() for process in processes]
    accepted = [line for lines in said for line in lines if line.startswith("accepted")]
    assert len(accepted) == len(set(accepted))
    assert {line for lines in said for line in lines if line.startswith("refused")} <= {"refused report-replay"}
    check_consistent(director)
    assert director.vehicle("VIN1").reports[EcuId("ecu-gw")].counter == 31


def test_two_processes_that_sign_never_make_one_version_twice(director: Director) -> None:
    processes = [child(SIGN, director.path) for _ in range(2)]
    told: list[str] = []
    for process in processes:
        assert process.stdout is not None
        told += [process.stdout.readline().strip() for _ in range(5)]
    for process in processes:
        process.send_signal(signal.SIGKILL)
        told += process.communicate()[0].split()
    assert all(told)
    assert len(told) == len(set(told))
    check_consistent(director)
