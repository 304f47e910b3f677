"""A read-only trust anchor: whoever writes the state file once does not own trust from then on."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from twinlock.client.storage.state import TrustedState
from twinlock.testing.simulator.repository import seal
from twinlock.testing.simulator.world import World
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, Persist, drive
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.errors.local import StorageError
from twinlock.trust.errors.metadata import ThresholdError
from twinlock.trust.keys import signatures
from twinlock.trust.keys.proofs import authority_digest, make_proof
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RoleName
from twinlock.trust.state.trusted import TrustedRepository

NAMES = (DIRECTOR, IMAGE)
ROLES = (TIMESTAMP, SNAPSHOT, TARGETS)


class Ecu:
    """State on the disk with an anchor beside it, refreshed over three Roots."""

    def __init__(self, directory: Path) -> None:
        self.world = World()
        self.path, self.anchor = directory / "state.db", directory / "anchor"
        roots = {name: self.world.repositories[name].files["1.root.json"] for name in NAMES}
        self.anchor.mkdir()
        for name, data in roots.items():
            (self.anchor / f"{name}.root.json").write_bytes(data)
        TrustedState.create(self.path, roots, limits=DEFAULT_LIMITS).close()
        for repository in self.world.repositories.values():
            repository.rotate("targets")
            repository.rotate("root")
        with self.open() as state:
            self.refresh(state)

    def open(self) -> TrustedState:
        return TrustedState.open(self.path, anchor=self.anchor, limits=DEFAULT_LIMITS)

    def refresh(self, state: TrustedState) -> None:
        for name in NAMES:
            drive(refresh_repository(state.repository(name), self.world.now), self._answer(state, name))

    def _answer(self, state: TrustedState, name: str) -> Callable[[Command], Answer]:
        def answer(command: Command) -> Answer:
            if isinstance(command, Fetch):
                return self.world.repositories[name].serve(command)
            if isinstance(command, Persist):
                state.persist(command)
                return None
            return ABSENT

        return answer

    def write(self, query: str, *values: object) -> None:
        """What anybody can do who writes the file once."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(query, values)

    def plant(self, version: int = 4) -> None:
        """A next Root with the attacker's keys for everything, signed by them alone, and files to go with it."""
        image, mallory = self.world.image, self.world.keys("mallory")
        body = {**image.bodies["root"], "version": version}
        body["keys"] = {mallory.keyid: mallory.public}
        body["roles"] = {role: {"keyids": [mallory.keyid], "threshold": 1} for role in body["roles"]}
        self.write("INSERT OR REPLACE INTO metadata VALUES ('image', 'root', ?, ?)", version, seal(body, [mallory]))
        for role in ROLES:
            data = seal(image.bodies[role], [mallory])
            self.write("UPDATE metadata SET data = ? WHERE repository = 'image' AND role = ?", data, role)
        self.write("DELETE FROM floors WHERE repository = 'image'")


@pytest.fixture
def ecu(tmp_path: Path) -> Ecu:
    return Ecu(tmp_path)


def files(trusted: TrustedRepository) -> list[bool]:
    return [file is not None for file in (trusted.timestamp, trusted.snapshot, trusted.targets)]


def test_a_planted_root_is_refused_and_discarded_and_the_next_update_succeeds(ecu: Ecu) -> None:
    ecu.plant()
    with TrustedState.open(
        ecu.path, limits=DEFAULT_LIMITS
    ) as state:  # without an anchor the newest Root is believed: what this is about
        assert state.repository(IMAGE).root.tally.signed == (ecu.world.keys("mallory").keyid,)
    with ecu.open() as state:
        trusted = state.repository(IMAGE)
        assert (trusted.root.signed.version, files(trusted)) == (3, [False] * 3)
        (refused,) = state.take_refused()
        assert isinstance(refused, ThresholdError)
        assert (refused.repository, refused.role, refused.valid) == (IMAGE, ROOT, 0)
        assert state.take_refused() == []
        assert [file.version for file in state.files(IMAGE) if file.role == ROOT] == [1, 2, 3]
        ecu.world.release()
        ecu.refresh(state)
        assert files(state.repository(IMAGE)) == [True] * 3
    with ecu.open() as state:
        assert files(state.repository(IMAGE)) == [True] * 3
        assert state.take_refused() == []


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_root_planted_within_the_chain_is_refused(ecu: Ecu, version: int) -> None:
    ecu.plant(version)
    with ecu.open() as state:
        assert state.repository(IMAGE).root.signed.version == (3 if version == 1 else version - 1)
        ecu.world.release()
        ecu.refresh(state)
        assert (state.repository(IMAGE).root.signed.version, files(state.repository(IMAGE))) == (3, [True] * 3)


def test_a_root_planted_while_the_process_runs_counts_neither_then_nor_later(ecu: Ecu) -> None:
    with ecu.open() as state:
        before = state.repository(IMAGE)
        ecu.plant()
        assert state.repository(IMAGE).root.data == before.root.data
        assert files(state.repository(IMAGE)) == [False] * 3
    with ecu.open() as state:
        assert state.repository(IMAGE).root.data == before.root.data


@pytest.mark.parametrize("role", ROLES)
def test_no_stored_proof_counts_by_itself(ecu: Ecu, role: RoleName) -> None:
    """The attacker makes the proof of a file that a stranger signed, which anybody can who knows the keys' public halves."""
    image = ecu.world.image
    stranger = ecu.world.keys("mallory").alias(image.signers[role][0].keyid)
    with ecu.open() as state:
        root = state.repository(IMAGE).root.signed
    forged = seal(image.bodies[role], [stranger])
    envelope = getattr(ecu.world.vehicle.stores["image"].wire, f"decode_{role}")(forged, "x", ecu.world.vehicle.limits)
    honest = hashlib.sha256(envelope.payload).digest()
    named = root.roles[role]
    authority = authority_digest(named.keyids, named.threshold, root.keys)
    proof = make_proof(forged, honest, authority, f"tuf/{role}")
    ecu.write("UPDATE metadata SET data = ? WHERE repository = 'image' AND role = ?", forged, role)
    ecu.write("INSERT OR REPLACE INTO proofs VALUES ('image', ?, ?)", role, proof)
    with TrustedState.open(ecu.path, limits=DEFAULT_LIMITS) as state:
        assert files(state.repository(IMAGE)) == [True] * 3  # what a proof is worth without an anchor
    with ecu.open() as state:
        assert files(state.repository(IMAGE)) == [entry != role for entry in ROLES]
        ecu.refresh(state)
        assert files(state.repository(IMAGE)) == [True] * 3


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The role names whose signatures are counted."""
    counted: list[str] = []
    genuine = signatures.verify_signatures

    def verify(*arguments: object, role_name: str, **named: object) -> object:
        counted.append(role_name)
        return genuine(*arguments, role_name=role_name, **named)  # type: ignore[arg-type]

    for module in ("engine.restore", "checks.root", "checks.timestamp", "checks.snapshot", "checks.targets"):
        monkeypatch.setattr(f"twinlock.trust.{module}.verify_signatures", verify)
    return counted


def test_each_stored_file_is_counted_once_per_process(ecu: Ecu, counts: list[str]) -> None:
    with ecu.open() as state:
        state.repository(IMAGE)
        # The chain: the anchor, Root 2, Root 3 by old and new keys; then the newest Root and its files.
        assert sorted(counts) == sorted(["root"] * 5 + ["timestamp", "snapshot", "targets"])
        counts.clear()
        state.repository(IMAGE)
        ecu.refresh(state)
        assert {role for role in counts if role != "root"} <= {"timestamp", "snapshot", "targets"}
        first = len([role for role in counts if role != "root"])
        counts.clear()
        for _ in range(2):
            ecu.refresh(state)
        assert [role for role in counts if role != "root"] == []
        assert first == 3  # those of the Director


def test_a_newer_anchor_takes_the_place_of_older_stored_roots(ecu: Ecu) -> None:
    ecu.write("DELETE FROM metadata WHERE repository = 'image' AND role = 'root' AND version > 1")
    (ecu.anchor / "image.root.json").write_bytes(ecu.world.image.files["3.root.json"])
    with ecu.open() as state:
        assert state.repository(IMAGE).root.signed.version == 3
        ecu.refresh(state)


def test_a_repository_that_the_anchor_does_not_name_is_not_believed(ecu: Ecu) -> None:
    (ecu.anchor / "image.root.json").unlink()
    with ecu.open() as state, pytest.raises(StorageError) as caught:
        state.repository(IMAGE)
    assert "no Root of the repository image" in caught.value.reason
    (ecu.anchor / "director.root.json").unlink()
    with pytest.raises(StorageError) as caught:
        ecu.open()
    assert caught.value.path == str(ecu.anchor)
