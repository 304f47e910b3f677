"""Servers that fail and vehicles that stop: whatever breaks off, nothing is lost, and no update is hidden by it.

"Not found" for the next Root is the only answer that means "no newer Root"; any other failure ends the cycle.
"""

from __future__ import annotations

import pytest

from tests.simulator.scenario import next_releases, seasoned
from twinlock.testing.simulator.vehicle import changed
from twinlock.testing.simulator.world import PARTS, World
from twinlock.trust.engine.commands import Answer, Command, Fetch, Persist
from twinlock.trust.errors.local import FetchError, StorageError, TransportError

ALL = {part.path(3) for part in PARTS}


def _seasoned() -> World:
    world = World()
    seasoned(world)
    # A Root for each repository as well, so that every kind of file is on its way.
    for repository in world.repositories.values():
        repository.publish_root()
    return world


def _commands(kind: type[Command]) -> int:
    world = _seasoned()
    world.vehicle.update()
    return len(world.vehicle.requests if kind is Fetch else world.vehicle.persisted)


FETCHES, PERSISTS = _commands(Fetch), _commands(Persist)


class Breaking:
    """Answers like the vehicle until the ``number``-th command of ``kind``, which breaks."""

    def __init__(self, world: World, kind: type[Command], number: int, error: Exception) -> None:
        self.answer = world.vehicle.answer
        self.kind = kind
        self.left = number
        self.error = error

    def __call__(self, command: Command) -> Answer:
        if isinstance(command, self.kind):
            if self.left == 0:
                raise self.error
            self.left -= 1
        return self.answer(command)


def test_the_cycle_is_long_enough_to_break() -> None:
    assert FETCHES == 4 + 1 + 2 + 2 + 2  # a Root each and the end of each chain, three files each, one delegated
    assert PERSISTS == 9


@pytest.mark.parametrize("status", [500, 502, 403])
@pytest.mark.parametrize("number", range(FETCHES))
def test_a_server_error_is_never_an_absence(monkeypatch: pytest.MonkeyPatch, number: int, status: int) -> None:
    world = _seasoned()
    error = FetchError(url="https://example.test", status=status, reason="an error")
    with monkeypatch.context() as patch:
        patch.setattr(world.vehicle, "answer", Breaking(world, Fetch, number, error))
        with pytest.raises(FetchError) as caught:
            world.vehicle.update()
        assert caught.value is error
    # What was accepted before stays, and the next cycle approves all of it.
    assert {image.entry.path for image in world.update().approved} == ALL
    assert world.vehicle.update().approved == ()


@pytest.mark.parametrize("number", range(FETCHES))
def test_a_line_that_breaks_leaves_only_what_was_stored(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    world = _seasoned()
    error = TransportError(url="https://example.test", reason="connection reset")
    stored = world.vehicle.snapshot_state()
    with monkeypatch.context() as patch:
        patch.setattr(world.vehicle, "answer", Breaking(world, Fetch, number, error))
        with pytest.raises(TransportError):
            world.vehicle.update()
    done = {
        f"{persist.repository}/{version}.root" if role == "root" else f"{persist.repository}/{role}"
        for persist in world.vehicle.persisted
        for role, version, _ in persist.files
    }
    assert changed(stored, world.vehicle.snapshot_state()) == done


@pytest.mark.parametrize("number", range(PERSISTS))
def test_a_store_that_fails_hides_no_update(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    world = _seasoned()
    error = StorageError(path="state", operation="write", reason="no space left")
    with monkeypatch.context() as patch:
        patch.setattr(world.vehicle, "answer", Breaking(world, Persist, number, error))
        with pytest.raises(StorageError):
            world.vehicle.update()
        assert len(world.vehicle.persisted) == number
    assert {image.entry.path for image in world.update().approved} == ALL


@pytest.mark.parametrize("number", range(PERSISTS + 1))
def test_an_attack_after_an_interruption_is_still_refused(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    # The floors of what was accepted hold, although the cycle in which it was accepted never ended.
    world = _seasoned()
    with monkeypatch.context() as patch:
        error = StorageError(path="state", operation="write", reason="power lost")
        patch.setattr(world.vehicle, "answer", Breaking(world, Persist, number, error))
        if number < PERSISTS:
            with pytest.raises(StorageError):
                world.vehicle.update()
        else:
            world.vehicle.update()
    versions = {
        (name, role): data for name, store in world.vehicle.stores.items() for role, data in store.files.items()
    }
    with world.attack():
        for repository in world.repositories.values():
            repository.rewind("timestamp", 2)
        with pytest.raises(Exception, match="older than trusted"):
            world.vehicle.update()
    after = {(name, role): data for name, store in world.vehicle.stores.items() for role, data in store.files.items()}
    assert after == versions
    next_releases(world)
    assert {image.entry.path for image in world.update().approved} == {part.path(world.releases) for part in PARTS}


def test_a_driver_that_gives_no_answer_is_told_so() -> None:
    world = _seasoned()
    world.director.tricks["timestamp.json"] = lambda fetch: None  # type: ignore[assignment, return-value]
    with pytest.raises(TypeError, match="bytes or ABSENT"):
        world.vehicle.update()


@pytest.mark.parametrize("missing", [["snapshot"], ["targets"], ["acme"], ["timestamp"], ["timestamp", "snapshot"]])
def test_a_store_that_lost_files_is_filled_again(missing: list[str]) -> None:
    world = _seasoned()
    world.update()
    for name in world.repositories:
        world.vehicle.forget(name, missing)
    world.vehicle.installed.clear()
    assert {image.entry.path for image in world.update().approved} == ALL
