"""Trusted state: stored whole or not at all, kept over a restart, held by one process."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from twinlock.client.storage.database import SCHEMA_VERSION
from twinlock.client.storage.records import LastRefusal
from twinlock.client.storage.state import TrustedState
from twinlock.testing.simulator.world import World
from twinlock.trust.engine.commands import Persist
from twinlock.trust.errors.local import ConflictError, NewerStateError, StorageError
from twinlock.trust.errors.metadata import RollbackError, ThresholdError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, EcuId, RoleName
from twinlock.trust.wire.tuf.attestation import Attestation


@pytest.fixture
def world() -> World:
    return World()


def create(path: Path, world: World) -> TrustedState:
    roots = {DIRECTOR: world.director.files["1.root.json"], IMAGE: world.image.files["1.root.json"]}
    return TrustedState.create(path / "state.db", roots, limits=DEFAULT_LIMITS)


def persist_all(state: TrustedState, world: World) -> None:
    for name, repository in ((DIRECTOR, world.director), (IMAGE, world.image)):
        files = tuple(
            (role, repository.bodies[role]["version"], repository.files[repository.current(role)])
            for role in (TIMESTAMP, SNAPSHOT, TARGETS)
        )
        state.persist(Persist(name, files))


def test_what_was_stored_is_trusted_again_after_a_restart(tmp_path: Path, world: World) -> None:
    with create(tmp_path, world) as state:
        persist_all(state, world)
    with TrustedState.open(tmp_path / "state.db", limits=DEFAULT_LIMITS) as state:
        trusted = state.repository(IMAGE)
        assert trusted.targets is not None
        assert trusted.targets.data == world.image.files[world.image.current("targets")]
        assert trusted.snapshot is not None
        assert trusted.timestamp is not None


def test_every_root_is_kept_and_of_others_the_last(tmp_path: Path, world: World) -> None:
    with create(tmp_path, world) as state:
        persist_all(state, world)
        world.image.rotate("targets")
        state.persist(Persist(IMAGE, ((ROOT, 2, world.image.files["2.root.json"]),)))
        version = world.image.bodies["targets"]["version"]
        state.persist(Persist(IMAGE, ((TARGETS, version, world.image.files[world.image.current("targets")]),)))
        stored = [(file.role, file.version) for file in state.files(IMAGE)]
        assert stored.count((ROOT, 1)) == stored.count((ROOT, 2)) == 1
        assert [entry for entry in stored if entry[0] == TARGETS] == [(TARGETS, version)]
        assert state.repository(IMAGE).root.signed.version == 2


def test_the_newest_root_counts_even_beyond_version_nine(tmp_path: Path, world: World) -> None:
    with create(tmp_path, world) as state:
        for version in range(2, 12):
            world.image.publish_root()
            state.persist(Persist(IMAGE, ((ROOT, version, world.image.files[f"{version}.root.json"]),)))
        assert state.repository(IMAGE).root.signed.version == 11


def test_a_deletion_takes_the_role_away(tmp_path: Path, world: World) -> None:
    with create(tmp_path, world) as state:
        persist_all(state, world)
        state.persist(Persist(DIRECTOR, ((TIMESTAMP, 0, None), (SNAPSHOT, 0, None))))
        trusted = state.repository(DIRECTOR)
        assert trusted.timestamp is None
        assert trusted.snapshot is None
        assert trusted.targets is not None
        assert state.repository(IMAGE).timestamp is not None


def test_a_transaction_that_fails_half_way_changes_nothing(tmp_path: Path, world: World) -> None:
    with create(tmp_path, world) as state:
        persist_all(state, world)
        before = state.files(IMAGE)
        unstorable: bytes = "a string where bytes belong"  # type: ignore[assignment]
        with pytest.raises(StorageError):
            state.persist(Persist(IMAGE, ((TARGETS, 9, b"{}"), (SNAPSHOT, 9, unstorable))))
        assert state.files(IMAGE) == before
        state.persist(Persist(IMAGE, ((RoleName("acme"), 1, b"{}"),)))  # and the next one works


def test_a_root_that_is_not_sound_is_no_anchor(tmp_path: Path, world: World) -> None:
    world.image.deform("root", lambda envelope: envelope["signed"].update(version=7))
    with pytest.raises(ThresholdError):
        create(tmp_path, world)
    assert not (tmp_path / "state.db").exists()


def test_existing_state_is_never_made_anew(tmp_path: Path, world: World) -> None:
    create(tmp_path, world).close()
    before = (tmp_path / "state.db").read_bytes()
    with pytest.raises(StorageError):
        create(tmp_path, world)
    assert (tmp_path / "state.db").read_bytes() == before


def test_a_missing_root_says_what_to_do(tmp_path: Path, world: World) -> None:
    with TrustedState.create(
        tmp_path / "s.db", {DIRECTOR: world.director.files["1.root.json"]}, limits=DEFAULT_LIMITS
    ) as state:
        with pytest.raises(StorageError) as refused:
            state.repository(IMAGE)
        assert "provision" in refused.value.reason


def test_a_counter_is_never_given_twice(tmp_path: Path, world: World) -> None:
    with create(tmp_path, world) as state:
        assert [state.reserve_counter() for _ in range(3)] == [1, 2, 3]
    with TrustedState.open(tmp_path / "state.db", limits=DEFAULT_LIMITS) as state:
        assert state.reserve_counter() == 4


def test_facts_survive_a_restart(tmp_path: Path, world: World) -> None:
    time = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    error = RollbackError(repository="director", role="targets", offered=1, trusted=2)
    refusal = LastRefusal.of(error, step="metadata", now=time)
    with create(tmp_path, world) as state:
        assert (state.attested, state.refusal, state.decision) == (None, None, None)
        assert state.verified_time == world.now  # when the Roots were signed
        state.store_attested(time, ["b", "a"])
        state.store_verified_time(time)
        state.store_refusal(refusal)
        state.store_report(EcuId("ecu-1"), b"first")
        state.store_report(EcuId("ecu-1"), b"second")
    with TrustedState.open(tmp_path / "state.db", limits=DEFAULT_LIMITS) as state:
        assert state.attested == Attestation(time, frozenset({"a", "b"}))
        assert state.verified_time == time
        assert state.refusal == refusal
        assert refusal.code == "rollback"
        assert refusal.clause == "Uptane 2.1.0 5.4.4.6"
        assert state.reports() == {EcuId("ecu-1"): b"second"}
        state.store_refusal(None)
        assert state.refusal is None


# Who may open it


def test_two_processes_cannot_hold_one_state(tmp_path: Path, world: World) -> None:
    with create(tmp_path, world):
        with pytest.raises(ConflictError) as refused:
            TrustedState.open(tmp_path / "state.db", limits=DEFAULT_LIMITS)
        assert refused.value.what == str(tmp_path / "state.db")
    TrustedState.open(tmp_path / "state.db", limits=DEFAULT_LIMITS).close()


def test_a_reader_may_look_while_another_works(tmp_path: Path, world: World) -> None:
    with create(tmp_path, world) as state:
        persist_all(state, world)
        with TrustedState.open(tmp_path / "state.db", read_only=True, limits=DEFAULT_LIMITS) as reader:
            assert reader.repository(IMAGE).targets is not None
            with pytest.raises(StorageError) as refused:
                reader.reserve_counter()
            assert "read-only" in refused.value.reason
        assert state.reserve_counter() == 1


def test_missing_state_is_not_made_by_opening(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as refused:
        TrustedState.open(tmp_path / "state.db", limits=DEFAULT_LIMITS)
    assert "recover" in refused.value.reason
    assert not list(tmp_path.iterdir())


def test_newer_state_is_left_alone(tmp_path: Path, world: World) -> None:
    path = tmp_path / "state.db"
    create(tmp_path, world).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(NewerStateError) as refused:
        TrustedState.open(path, limits=DEFAULT_LIMITS)
    assert (refused.value.found, refused.value.supported) == (SCHEMA_VERSION + 1, SCHEMA_VERSION)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"this is not a database" * 100], ids=["empty", "text"])
def test_what_is_no_state_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(content)
    with pytest.raises(StorageError) as refused:
        TrustedState.open(path, limits=DEFAULT_LIMITS)
    assert not isinstance(refused.value, NewerStateError)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(StorageError) as refused:
        TrustedState.open(path, limits=DEFAULT_LIMITS)
    assert "not a Twinlock state" in refused.value.reason


def test_damage_is_found_and_says_what_to_do(tmp_path: Path, world: World) -> None:
    path = tmp_path / "state.db"
    with create(tmp_path, world) as state:
        persist_all(state, world)
    data = bytearray(path.read_bytes())
    assert len(data) > 8192
    data[4096 : len(data) - 100] = b"\xff" * (len(data) - 100 - 4096)
    path.write_bytes(data)
    with pytest.raises(StorageError) as refused:
        TrustedState.open(path, limits=DEFAULT_LIMITS)
    assert "damaged" in refused.value.reason
    assert "twinlock primary recover" in refused.value.reason
