"""A full or read-only disk gives one clear error, leaves trusted state as it was, and is survived.

The disk is made small by the limit on file sizes (RLIMIT_FSIZE) in a child process, read-only by taking rights away
from a child that is not root: both work for everybody and everywhere the tests run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.client.dying import in_child
from tests.unit.client.test_secondary import bundle, pieces
from tests.unit.client.test_slots import NEW, OLD, image
from tests.unit.client.test_state import create, persist_all
from tests.unit.client.vehicle import roots
from twinlock.client.ecu.identity import create_identity
from twinlock.client.ecu.provision import EcuPlan, provision_secondary
from twinlock.client.install.ab_slots import SlotInstaller
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.storage.staging import Staging
from twinlock.client.storage.state import TrustedState
from twinlock.testing.simulator.world import BRAKE, World
from twinlock.trust.engine.commands import Persist
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import IMAGE, TARGETS, EcuId

NOBODY = 65_534


def error_of(action: Callable[[], object], notes: Path, *, max_file_bytes: int | None = None) -> dict[str, Any]:
    """The JSON of the TwinlockError that ``action`` raises in a child, with files limited to ``max_file_bytes``."""

    def run() -> None:
        if max_file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, resource.RLIM_INFINITY))
        try:
            action()
        except TwinlockError as error:
            found = error.as_json()
        else:
            found = {"code": "none"}
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        notes.write_text(json.dumps(found))

    assert in_child(run) == 0
    answer: dict[str, Any] = json.loads(notes.read_text())
    return answer


def test_staging_on_a_full_disk(tmp_path: Path) -> None:
    entry, _source = image(tmp_path, NEW, 1)

    def receive() -> None:
        with Staging(tmp_path / "staging").arrival(entry) as arrival:
            arrival.resume()
            for start in range(0, len(NEW), 9000):
                arrival.write(NEW[start : start + 9000])
            arrival.finish()

    found = error_of(receive, tmp_path / "notes", max_file_bytes=50_000)
    assert found["code"] == "storage"
    assert "free some space" in found["message"]
    assert list((tmp_path / "staging").iterdir()) == [], "what cannot be finished does not fill the disk further"
    receive()
    assert Staging(tmp_path / "staging").find(entry) is not None


def test_staging_whose_last_buffer_does_not_fit(tmp_path: Path) -> None:
    """The buffered rest meets the full disk only when the file is closed."""
    entry, _source = image(tmp_path, b"xy " * 1000, 1)

    def receive() -> None:
        with Staging(tmp_path / "staging").arrival(entry) as arrival:
            arrival.write(b"xy " * 1000)

    found = error_of(receive, tmp_path / "notes", max_file_bytes=1000)
    assert found["code"] == "storage"
    assert list((tmp_path / "staging").iterdir()) == []


def test_installing_on_a_full_disk(tmp_path: Path) -> None:
    slots = SlotInstaller.provision(tmp_path / "slots", EcuId("e"), *image(tmp_path, OLD, 1))
    new = image(tmp_path, NEW, 2)
    found = error_of(lambda: slots.install(*new), tmp_path / "notes", max_file_bytes=50_000)
    assert found["code"] == "storage"
    assert "free some space" in found["message"]
    assert slots.installed().path == "brake/old.bin"
    assert slots.path.read_bytes() == OLD
    assert slots.install(*new).path == "brake/new.bin"


def test_storing_on_a_full_disk(tmp_path: Path) -> None:
    world = World()
    with create(tmp_path, world) as state:
        persist_all(state, world)
        before = state.files(IMAGE)

    def store() -> None:
        with TrustedState.open(tmp_path / "state.db", limits=DEFAULT_LIMITS) as state:
            state.persist(Persist(IMAGE, ((TARGETS, 99, b"x" * 500_000),)))

    found = error_of(store, tmp_path / "notes", max_file_bytes=100_000)
    assert found["code"] == "storage"
    assert found["fields"]["path"] == str(tmp_path / "state.db")
    with TrustedState.open(tmp_path / "state.db", limits=DEFAULT_LIMITS) as state:
        assert state.files(IMAGE) == before
    store()
    with TrustedState.open(tmp_path / "state.db", limits=DEFAULT_LIMITS) as state:
        assert state.files(IMAGE) != before


def test_a_whole_secondary_on_a_full_disk(tmp_path: Path) -> None:
    """It refuses with a storage error, keeps its image and state, and goes on when there is room again."""
    world = World()
    big = b"big image " * 100_000
    entry = world.image.bodies["acme"]["targets"].pop(BRAKE.path(1))
    world.image.add_image(BRAKE.path(1), big, role="acme", **entry["custom"])
    world.image.publish("acme")
    world.order_release(1)
    world.director.publish("targets")
    plan = EcuPlan(vehicle="TESTVIN0000000001", ecu=BRAKE.ecu, hardware_id=BRAKE.hardware_id)
    provision_secondary(tmp_path / "brake", plan, roots(world), verification="full", listen="unix:s")

    def cycle() -> None:
        with Secondary.open(tmp_path / "brake" / "secondary.json", wall=world.time) as secondary:
            wanted = secondary.accept_metadata(bundle(world))
            assert wanted is not None
            asyncio.run(secondary.accept_image(wanted.path, pieces(big[:500_000], big[500_000:])))

    def installed() -> str:
        return SlotInstaller(tmp_path / "brake" / "slots", EcuId(BRAKE.ecu)).installed().path

    found = error_of(cycle, tmp_path / "notes", max_file_bytes=700_000)
    assert found["code"] == "storage"
    assert installed() == "factory"
    cycle()
    assert installed() == BRAKE.path(1)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that another user can reach; pytest's own are private."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@contextlib.contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Nobody but root may change anything in ``directory``."""
    for path in directory.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    directory.chmod(0o555)
    yield
    directory.chmod(0o755)


def unprivileged(action: Callable[[], object]) -> Callable[[], object]:
    """``action`` without root's right to write everywhere."""

    def run() -> object:
        if os.geteuid() == 0:
            os.seteuid(NOBODY)
        try:
            return action()
        finally:
            if os.getuid() == 0:
                os.seteuid(0)

    return run


def test_a_read_only_disk_is_said(open_directory: Path, tmp_path: Path) -> None:
    world = World()
    create(open_directory, world).close()
    entry, source = image(tmp_path, NEW, 2)
    place = open_directory / "image"
    shutil.copy(source, place)
    slots = SlotInstaller.provision(open_directory / "slots", EcuId("e"), *image(tmp_path, OLD, 1))
    (open_directory / "slots").chmod(0o555)
    actions: dict[str, Callable[[], object]] = {
        "open state": lambda: TrustedState.open(open_directory / "state.db", limits=DEFAULT_LIMITS),
        "make state": lambda: create(open_directory / "slots", world),
        "make a key": lambda: create_identity(open_directory / "key.pem"),
        "make staging": lambda: Staging(open_directory / "staging"),
        "install": lambda: slots.install(entry, place),
    }
    with read_only(open_directory):
        (open_directory / "slots").chmod(0o555)
        before = {path: path.read_bytes() for path in open_directory.rglob("*") if path.is_file()}
        for name, action in actions.items():
            found = error_of(unprivileged(action), tmp_path / "notes")
            assert found["code"] == "storage", name
            assert str(open_directory) in found["message"], name
        after = {path: path.read_bytes() for path in open_directory.rglob("*") if path.is_file()}
        assert after == before
        (open_directory / "slots").chmod(0o755)
    TrustedState.open(open_directory / "state.db", limits=DEFAULT_LIMITS).close()
    assert slots.install(entry, place).path == entry.path
