"""Proofs in trusted state: stored and replaced with their files, in one transaction, and never needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinlock.client.storage.state import TrustedState
from twinlock.testing.simulator.world import World
from twinlock.trust.engine.commands import Answer, Command, Fetch, Persist, drive
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.errors.local import StorageError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, IMAGE, SNAPSHOT, TARGETS, TIMESTAMP, RoleName

ALL = {TIMESTAMP, SNAPSHOT, TARGETS}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def path(tmp_path: Path, world: World) -> Path:
    """The state of a vehicle that has refreshed both repositories."""
    roots = {name: world.repositories[name].files["1.root.json"] for name in (DIRECTOR, IMAGE)}
    with TrustedState.create(tmp_path / "state.db", roots, limits=DEFAULT_LIMITS) as state:
        for name in (DIRECTOR, IMAGE):
            _refresh(state, world, name)
    return tmp_path / "state.db"


def _refresh(state: TrustedState, world: World, name: str) -> None:
    def answer(command: Command) -> Answer:
        if isinstance(command, Fetch):
            return world.repositories[name].serve(command)
        assert isinstance(command, Persist)
        state.persist(command)
        return None

    trusted = state.repository(DIRECTOR if name == DIRECTOR else IMAGE)
    drive(refresh_repository(trusted, world.now), answer)


def _proofs(path: Path) -> dict[RoleName, bytes]:
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state:
        return dict(state.repository(IMAGE).proofs)


def test_every_file_has_its_proof_over_a_restart(path: Path) -> None:
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state:
        for name in (DIRECTOR, IMAGE):
            assert set(state.repository(name).proofs) == ALL
        assert not {*state.repository(IMAGE).proofs.values()} & {*state.repository(DIRECTOR).proofs.values()}


def test_a_new_file_takes_the_place_of_the_old_one_and_its_proof(path: Path, world: World) -> None:
    before = _proofs(path)
    world.image.refresh_timestamp()
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state:
        _refresh(state, world, IMAGE)
    after = _proofs(path)
    assert set(after) == ALL
    assert {role for role in ALL if before[role] != after[role]} == {TIMESTAMP}


def test_with_its_file_a_proof_is_replaced_or_deleted(path: Path) -> None:
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state:
        state.persist(Persist(IMAGE, ((TIMESTAMP, 0, None), (SNAPSHOT, 9, b"{}"))))
    assert set(_proofs(path)) == {TARGETS}
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state:
        assert set(state.repository(DIRECTOR).proofs) == ALL


def test_a_transaction_that_fails_leaves_file_and_proof(path: Path) -> None:
    before = _proofs(path)
    unstorable: bytes = "a string where bytes belong"  # type: ignore[assignment]
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state:
        files = state.files(IMAGE)
        with pytest.raises(StorageError):
            state.persist(Persist(IMAGE, ((TARGETS, 9, b"{}"),), {TARGETS: b"new", SNAPSHOT: unstorable}))
        assert state.files(IMAGE) == files
    assert _proofs(path) == before


def test_who_only_reads_has_everything_counted_again(path: Path) -> None:
    with TrustedState.open(path, read_only=True, limits=DEFAULT_LIMITS) as state:
        trusted = state.repository(IMAGE)
    assert trusted.proofs == {}
    assert None not in (trusted.timestamp, trusted.snapshot, trusted.targets)


def test_a_proof_without_its_file_is_nothing(path: Path) -> None:
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state:
        state.persist(Persist(IMAGE, ((TIMESTAMP, 0, None),), {TIMESTAMP: b"proof"}))
        assert state.repository(IMAGE).timestamp is None
