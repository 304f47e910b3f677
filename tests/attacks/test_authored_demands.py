"""Repositories made with a demand for a post-quantum signature, and a thief who has every classical key.

Both repositories are real ones in directories; a vehicle verifies them in full.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from tests.unit.director.world import FACTORY, NOW, TestVehicle, at, content
from twinlock.director.director import Director
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import KeyKind, KeyPlan, Keyring
from twinlock.repository.store.object_names import METADATA
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, drive
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.engine.verification import full_verification
from twinlock.trust.errors.metadata import PostQuantumError
from twinlock.trust.model.ecu import Ecu
from twinlock.trust.names import DIRECTOR, IMAGE, EcuId, HardwareId, VehicleId
from twinlock.trust.state.repository_map import plain_map
from twinlock.trust.state.trusted import TrustedRepository, TrustedVehicle, Vehicle

VIN, ECU = "VIN1", "ecu-gw"
RELEASES = ("gw/1.3.bin", "gw/1.4.bin", "gw/1.5.bin")
DEMAND = KeyPlan(count=3, threshold=2, also=(KeyKind.ML_DSA_44,), post_quantum=True)
PLANS = {"root": DEMAND, "targets": DEMAND}
ML_DSA = "ml-dsa"


class Road:
    """Both repositories and a vehicle between which an attacker answers with ``forged`` files, by repository and name."""

    def __init__(self, path: Path) -> None:
        self.site = ImageRepository.create(path / "image", keys=PLANS, clock=lambda: NOW)
        for counter, name in enumerate((FACTORY, *RELEASES)):
            (path / "bytes").write_bytes(content(name))
            self.site.add_image(path / "bytes", name, hardware_ids=["gw-1"], release_counter=counter)
        self.site.publish()
        root = self.site.root_bytes(1)
        self.director = Director.create(
            path / "director", image_root=root, image_url=str(path / "image"), keys=PLANS, clock=lambda: NOW
        )
        self.car = TestVehicle(VIN, {ECU: "gw-1"})
        self.director.register(self.car.description())
        self.trusted: dict[str, TrustedRepository] = {
            DIRECTOR: bootstrap_repository(DIRECTOR, self.director.root_bytes(1)),
            IMAGE: bootstrap_repository(IMAGE, root),
        }
        self.forged: dict[tuple[str, str], bytes] = {}

    def keyring(self, repository: str) -> Keyring:
        return self.site.keyring if repository == IMAGE else self.director._keyring

    def served(self, repository: str, name: str) -> bytes | None:
        if repository == DIRECTOR:
            return self.director.metadata(VIN, name, now=NOW)
        stored = self.site.store.get(METADATA + name, max_bytes=10**8)
        return stored.data if stored else None

    def answer(self, command: Command) -> Answer:
        if not isinstance(command, Fetch):
            return None
        found = self.forged.get((command.repository, command.name)) or self.served(command.repository, command.name)
        return ABSENT if found is None else found

    def order(self, release: str) -> None:
        self.director.receive_manifest(self.car.manifest())
        self.director.assign(VIN, {ECU: release})

    def installs(self) -> list[str]:
        """One cycle, of which the vehicle keeps what it trusts; the images that it may install."""
        vehicle = Vehicle(
            vehicle=VehicleId(VIN),
            ecus={EcuId(ECU): Ecu(ecu=EcuId(ECU), hardware_id=HardwareId("gw-1"))},
            installed={EcuId(ECU): self.car.installed[ECU]},
            complete=True,
        )
        state = TrustedVehicle(map=plain_map("d", "i"), repositories=self.trusted)  # type: ignore[arg-type]
        decision = drive(full_verification(state, vehicle, at(minutes=1)), self.answer)
        self.trusted = dict(decision.repositories)  # type: ignore[arg-type]
        for image in decision.approved:
            self.car.install(ECU, image.entry.path)
        return [str(image.entry.path) for image in decision.approved]


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    road = Road(tmp_path)
    road.order(RELEASES[0])
    assert road.installs() == [RELEASES[0]], "the honest update, signed by an ML-DSA key too"
    yield road
    road.director.close()


def classical(data: bytes) -> bytes:
    """The file as honest people signed it, without what only the ML-DSA key could make."""
    body = json.loads(data)
    shorter = [entry for entry in body["signatures"] if len(entry["sig"]) < 1_000]
    assert len(shorter) == 2 < len(body["signatures"]), "the threshold of two is met by the classical keys"
    return json.dumps({**body, "signatures": shorter}).encode()


def take_over(road: Road, repository: str, role_keys: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The next Targets, Snapshot and Timestamp by a thief of all keys but the ML-DSA one; returns who signed Targets."""
    timestamp = Metadata[Timestamp].from_bytes(road.served(repository, "timestamp.json") or b"")
    number = timestamp.signed.snapshot_meta.version
    snapshot = Metadata[Snapshot].from_bytes(road.served(repository, f"{number}.snapshot.json") or b"")
    listed = snapshot.signed.meta["targets.json"].version
    targets = Metadata[Targets].from_bytes(road.served(repository, f"{listed}.targets.json") or b"")
    for metadata in (targets, snapshot, timestamp):
        metadata.signed.version += 1
    data = sign(road, repository, targets, role_keys["targets"])
    snapshot.signed.meta["targets.json"] = meta(targets.signed.version, data)
    index = sign(road, repository, snapshot, role_keys["snapshot"])
    timestamp.signed.snapshot_meta = meta(snapshot.signed.version, index)
    road.forged = {
        (repository, f"{targets.signed.version}.targets.json"): data,
        (repository, f"{snapshot.signed.version}.snapshot.json"): index,
        (repository, "timestamp.json"): sign(road, repository, timestamp, role_keys["timestamp"]),
    }
    return tuple(targets.signatures)


def sign(road: Road, repository: str, metadata: Metadata, keyids: tuple[str, ...]) -> bytes:  # type: ignore[type-arg]
    metadata.signatures.clear()
    for signer in road.keyring(repository).signers(keyids):
        if signer.public_key.keytype != ML_DSA:
            metadata.sign(signer, append=True)
    return metadata.to_bytes()


def meta(version: int, data: bytes) -> MetaFile:
    return MetaFile(version, len(data), {"sha256": hashlib.sha256(data).hexdigest()})


def root_keys(road: Road, repository: str) -> dict[str, tuple[str, ...]]:
    root = Metadata[Root].from_bytes(road.director.root_bytes() if repository == DIRECTOR else road.site.root_bytes())
    return {role: tuple(found.keyids) for role, found in root.signed.roles.items()}


@pytest.mark.parametrize("repository", [DIRECTOR, IMAGE])
def test_targets_by_every_classical_key(road: Road, repository: str) -> None:
    road.order(RELEASES[1])
    before = road.trusted
    signed = take_over(road, repository, root_keys(road, repository))
    assert len(signed) == 2
    with pytest.raises(PostQuantumError) as caught:
        road.installs()
    assert (caught.value.repository, caught.value.role, caught.value.signed) == (repository, "targets", signed)
    assert caught.value.attack.value == "arbitrary-software"
    assert road.trusted is before
    assert road.car.installed[ECU].path == RELEASES[0]
    road.forged = {}
    assert road.installs() == [RELEASES[1]]


@pytest.mark.parametrize("repository", [DIRECTOR, IMAGE])
def test_a_root_by_every_classical_key(road: Road, repository: str) -> None:
    road.director.rotate("timestamp") if repository == DIRECTOR else road.site.rotate("timestamp")
    road.order(RELEASES[2])
    honest = road.served(repository, "2.root.json")
    assert honest is not None
    road.forged = {(repository, "2.root.json"): classical(honest)}
    with pytest.raises(PostQuantumError) as caught:
        road.installs()
    assert (caught.value.repository, caught.value.role) == (repository, "root")
    assert road.trusted[repository].root.signed.version == 1
    assert road.car.installed[ECU].path == RELEASES[0]
    road.forged = {}
    assert road.installs() == [RELEASES[2]]
