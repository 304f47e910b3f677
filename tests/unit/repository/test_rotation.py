"""Other keys: every role, every way, followed by a vehicle that was there before and by one fresh from the factory."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.repository.conftest import START, Acme
from tests.unit.repository.reading import Reader
from twinlock.repository.errors import MissingKeysError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.availability import Availability
from twinlock.repository.keys.keyring import KeyKind, KeyPlan, Keyring
from twinlock.repository.keys.public_keys import read_key_files
from twinlock.repository.publishing.root_ceremony import RootChanges
from twinlock.repository.publishing.root_signing import sign_root
from twinlock.repository.store.directory import DirectoryStore
from twinlock.repository.store.publication_log import LogRecord, publish_record
from twinlock.repository.workspace.state import read_state
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import ConflictError, OperatorFileError, PassphraseError, StorageError
from twinlock.trust.errors.metadata import MalformedError, ThresholdError

ROLES = ("root", "targets", "snapshot", "timestamp")


def tree(path: Path) -> dict[str, bytes]:
    """Every file below ``path``, locks and temporary files apart."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and not file.name.startswith(".")
    }


def keyids(repository: ImageRepository) -> dict[str, tuple[str, ...]]:
    return {role.name: role.keyids for role in repository.show().roles}


@pytest.mark.parametrize("role", ROLES)
def test_vehicles_follow_the_rotation_of_every_role(filled: ImageRepository, role: str) -> None:
    before = keyids(filled)
    follower = Reader(filled.store, filled.root_bytes(1))
    follower.refresh(START)
    filled.rotate(role)
    after = keyids(filled)
    assert {name for name in ROLES if before[name] != after[name]} == {role}
    assert not set(before[role]) & set(after[role])
    for reader in (follower, Reader(filled.store, filled.root_bytes(1)), Reader(filled.store, filled.root_bytes(2))):
        assert reader.find("brake/brake.bin", START).entry is not None
        assert reader.trusted.root.signed.version == 2


def test_all_roles_at_once_with_other_numbers_and_kinds(filled: ImageRepository) -> None:
    follower = Reader(filled.store, filled.root_bytes(1))
    filled.rotate(*ROLES, plan=KeyPlan(count=3, threshold=2, kind=KeyKind.ECDSA_P384))
    assert follower.find("brake/brake.bin", START).entry is not None
    assert all((role.threshold, len(role.keyids), role.held) == (2, 3, 3) for role in filled.show().roles)
    root = follower.trusted.root.signed
    assert {key.scheme for key in root.keys.values()} == {"ecdsa-sha2-nistp384"}


def test_the_root_chain_is_kept_for_ever(filled: ImageRepository) -> None:
    first = Reader(filled.store, filled.root_bytes(1))
    for _ in range(5):
        filled.rotate("root")
    assert first.refresh(START).root.signed.version == 6
    assert {f"metadata/{n}.root.json" for n in range(1, 7)} <= set(filled.store.names("metadata"))


def test_a_root_is_signed_by_the_keys_before_and_its_own(filled: ImageRepository) -> None:
    old = keyids(filled)["root"]
    filled.rotate("root")
    tally = read_state(filled.workspace).published.root.signatures
    assert set(tally) == set(old) | set(keyids(filled)["root"])


def test_revoked_keys_are_destroyed_but_those_of_root_put_aside(filled: ImageRepository) -> None:
    old = keyids(filled)
    filled.rotate("snapshot", "targets", "root")
    assert not filled.keyring.known([*old["snapshot"], *old["targets"], *old["root"]])
    retired = {path.name.split(".")[0] + path.suffix for path in filled.path.glob("keys/*/retired/*")}
    assert retired == {"snapshot.json", "targets.json", "root.json", "root.pem"}


def test_a_key_that_another_role_still_uses_is_not_retired(tmp_path: Path) -> None:
    repository = ImageRepository.create(tmp_path / "image")
    shared = repository.keyring.records("snapshot")[0]
    file = tmp_path / "next.json"
    key: dict[str, Any] = {str(shared.keyid): shared.public_json()["key"]}
    old = repository.keyring.records("timestamp")[0].keyid
    repository.prepare_root(file, RootChanges(add={"timestamp": key}, remove={"timestamp": (old,)}))
    repository.publish_root(file)
    repository.rotate("timestamp")
    assert repository.keyring.held([shared.keyid])
    assert repository.refresh(timedelta(days=400)).version == 4


@pytest.mark.parametrize("roles", [("root",), ("timestamp", "root"), ROLES])
def test_root_is_rotated_where_enough_of_its_keys_are(tmp_path: Path, roles: tuple[str, ...]) -> None:
    """One private key of 2 of 3 is on a medium elsewhere: the other two suffice, and nothing is an error of storage."""
    repository = ImageRepository.create(tmp_path / "image", keys={"root": KeyPlan(count=3, threshold=2)})
    away = repository.keyring.records("root")[0].files[1]
    away.rename(tmp_path / away.name)
    repository = ImageRepository.open(repository.path)
    assert [record.availability for record in repository.keyring.records("root")] == [
        Availability.ELSEWHERE,
        Availability.HERE,
        Availability.HERE,
    ]
    assert next(role.held for role in repository.show().roles if role.name == "root") == 2
    repository.rotate(*roles)
    root = next(role for role in repository.show().roles if role.name == "root")
    assert (root.version, root.threshold, root.held) == (2, 2, 3)


@pytest.mark.parametrize("damage", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_absent_never_covers_damaged(tmp_path: Path, damage: bytes) -> None:
    repository = ImageRepository.create(tmp_path / "image", keys={"root": KeyPlan(count=3, threshold=2)})
    repository.keyring.records("root")[0].files[1].write_bytes(damage)
    before = tree(repository.path)
    with pytest.raises(StorageError) as caught:
        ImageRepository.open(repository.path).rotate("root")
    assert caught.value.operation == "read"
    assert tree(repository.path) == before


def test_absent_never_covers_what_the_passphrase_does_not_open(tmp_path: Path) -> None:
    path = tmp_path / "image"
    ImageRepository.create(path, keys={"root": KeyPlan(count=2, threshold=1)}, passphrase="TEST right")
    other = Keyring(offline=tmp_path / "other", passphrase="TEST other").generate("root")[0]
    repository = ImageRepository.open(path, passphrase="TEST right")
    repository.keyring.records("root")[0].files[1].write_bytes(other.files[1].read_bytes())
    before = tree(path)
    with pytest.raises(PassphraseError):
        ImageRepository.open(path, passphrase="TEST right").rotate("root")
    assert tree(path) == before


def test_a_lost_key_signs_nothing_though_its_file_turns_up(filled: ImageRepository) -> None:
    root = filled.keyring.records("root")[0]
    assert filled.keyring.mark(root.keyid, lost=True).availability is Availability.LOST
    before = tree(filled.path)
    with pytest.raises(MissingKeysError) as caught:
        ImageRepository.open(filled.path).rotate("timestamp")
    assert (caught.value.role, caught.value.required, caught.value.held) == ("root", 1, 0)
    assert tree(filled.path) == before
    filled.keyring.mark(root.keyid, lost=False)
    ImageRepository.open(filled.path, clock=filled.workspace.clock).rotate("timestamp")
    with pytest.raises(UsageError):
        filled.keyring.mark("00" * 32, lost=True)


@pytest.mark.parametrize("fails", ["verify", "conflict"])
def test_new_keys_go_if_nothing_that_names_them_left(
    filled: ImageRepository, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    before = tree(filled.path)

    def refuse(*_: object, **__: object) -> None:
        raise ConflictError(what="the repository", reason="somebody else was first")

    name = "profiles.verify_candidate" if fails == "verify" else "publish.publish_record"
    monkeypatch.setattr(f"twinlock.repository.publishing.{name}", refuse)
    with pytest.raises(ConflictError):
        filled.rotate(*ROLES)
    assert tree(filled.path) == before
    monkeypatch.undo()
    assert filled.rotate(*ROLES).version == 3


def test_new_keys_stay_if_something_may_have_left(filled: ImageRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(store: DirectoryStore, record: LogRecord) -> None:
        publish_record(store, record)
        raise StorageError(path="x", operation="write", reason="the disk died after the decision")

    monkeypatch.setattr("twinlock.repository.publishing.publish.publish_record", die)
    with pytest.raises(StorageError):
        filled.rotate("timestamp")
    monkeypatch.undo()
    again = ImageRepository.open(filled.path, clock=filled.workspace.clock)
    timestamp = next(role for role in again.show().roles if role.name == "timestamp")
    assert timestamp.held == 1
    assert again.refresh(timedelta(days=400)).changed


def test_after_a_rotation_the_old_keys_are_worth_nothing(filled: ImageRepository, tmp_path: Path) -> None:
    """What the old timestamp key signs later, no vehicle that saw the rotation takes."""
    reader = Reader(filled.store, filled.root_bytes(1))
    old = (filled.path / "public/metadata/timestamp.json").read_bytes()
    filled.rotate("timestamp")
    reader.refresh(START)
    (filled.path / "public/metadata/timestamp.json").write_bytes(old)
    with pytest.raises(ThresholdError) as caught:
        reader.refresh(START)
    assert caught.value.role == "timestamp"


def test_a_rotation_without_the_old_root_keys_is_refused_and_changes_nothing(filled: ImageRepository) -> None:
    before = keyids(filled)
    filled.keyring.offline.rename(filled.path / "away")
    with pytest.raises(MissingKeysError) as caught:
        ImageRepository.open(filled.path, clock=lambda: START).rotate("timestamp")
    assert caught.value.role == "root"
    (filled.keyring.offline).rmdir() if filled.keyring.offline.exists() else None
    (filled.path / "away").rename(filled.keyring.offline)
    assert keyids(ImageRepository.open(filled.path)) == before


@pytest.mark.parametrize("roles", [(), ("nobody",), ("acme",)])
def test_roles_that_cannot_be_rotated_here(filled: ImageRepository, acme: Acme, roles: tuple[str, ...]) -> None:
    acme.sign()
    filled.delegate("acme", keys=[acme.place.public_key_file], paths=["acme/*"])
    filled.accept(acme.outbox)
    filled.publish()
    with pytest.raises(UsageError):
        filled.rotate(*roles)


def test_a_delegated_role_whose_keys_are_held_here_is_rotated_like_others(
    filled: ImageRepository, tmp_path: Path
) -> None:
    record = filled.keyring.generate("plant-2")[0]
    public = tmp_path / "plant-2.json"
    public.write_text(__import__("json").dumps(record.public_json()))
    filled.delegate("plant-2", keys=[public], paths=["plant-2/*"])
    filled.publish()
    reader = Reader(filled.store, filled.root_bytes(1))
    reader.refresh(START)
    before = keyids(filled)["plant-2"]
    publication = filled.rotate("plant-2")
    assert publication.files == ("2.plant-2.json", "4.snapshot.json", "4.targets.json", "timestamp.json")
    assert keyids(filled)["plant-2"] != before
    reader.find("plant-2/x.bin", START)


# Root keys in different places.


@pytest.fixture
def shared(tmp_path: Path) -> tuple[ImageRepository, Path]:
    """A repository whose root needs 2 of 2 keys, one of which lies in another place."""
    repository = ImageRepository.create(tmp_path / "image", keys={"root": KeyPlan(count=2, threshold=2)})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in repository.keyring.records("root")[1].files:
        path.rename(elsewhere / path.name)
    return ImageRepository.open(repository.path), elsewhere


def test_root_is_signed_in_two_places(shared: tuple[ImageRepository, Path], tmp_path: Path) -> None:
    repository, elsewhere = shared
    file = tmp_path / "next.json"
    before = tree(repository.path)
    with pytest.raises(MissingKeysError):
        repository.rotate("timestamp")
    assert tree(repository.path) == before, "no key was made for a Root that cannot be signed"
    view = repository.prepare_root(file, RootChanges(rotate={"timestamp": KeyPlan()}))
    assert (view.version, view.missing) == (2, 1)
    with pytest.raises(ThresholdError):
        repository.publish_root(file)
    view = sign_root(file, Keyring(offline=elsewhere))
    assert view.missing == 0
    publication = repository.publish_root(file)
    assert publication.files == ("2.root.json", "timestamp.json")
    reader = Reader(repository.store, repository.root_bytes(1))
    from datetime import UTC, datetime

    reader.refresh(datetime.now(UTC))
    assert reader.trusted.root.signed.version == 2
    assert not repository.publish_root(file).changed, "it is published already"


def test_a_key_is_added_and_one_removed(shared: tuple[ImageRepository, Path], tmp_path: Path) -> None:
    repository, elsewhere = shared
    gone = Keyring(offline=elsewhere).records()[0]
    third = Keyring(offline=tmp_path / "third").generate("root")[0]
    public = tmp_path / "third.json"
    public.write_text(__import__("json").dumps(third.public_json()))
    file = tmp_path / "next.json"
    changes = RootChanges(add={"root": read_key_files([public])}, remove={"root": (gone.keyid,)})
    assert repository.prepare_root(file, changes).missing == 1
    previous = repository.root_bytes()
    assert sign_root(file, Keyring(offline=elsewhere), previous=previous).missing == 1  # the old threshold is met
    assert sign_root(file, Keyring(offline=tmp_path / "third"), previous=previous).missing == 0
    repository.publish_root(file)
    assert set(keyids(repository)["root"]) == {third.keyid, repository.keyring.records("root")[0].keyid}


@pytest.mark.parametrize(
    "changes",
    [
        RootChanges(thresholds={"root": 3}),
        RootChanges(thresholds={"snapshot": 0}),
        RootChanges(thresholds={"acme": 1}),
        RootChanges(remove={"targets": ("00" * 32,)}),
        RootChanges(rotate={"acme": KeyPlan()}),
    ],
)
def test_changes_that_make_no_sense(shared: tuple[ImageRepository, Path], tmp_path: Path, changes: RootChanges) -> None:
    with pytest.raises(UsageError):
        shared[0].prepare_root(tmp_path / "next.json", changes)
    assert not (tmp_path / "next.json").exists()


def test_a_signer_signs_nothing_that_it_cannot_read_as_root(filled: ImageRepository, tmp_path: Path) -> None:
    file = tmp_path / "next.json"
    targets = (filled.path / "public/metadata/2.targets.json").read_bytes()
    for data in (b"", b"{}", targets):
        file.write_bytes(data)
        with pytest.raises(MalformedError):
            sign_root(file, filled.keyring)
        assert file.read_bytes() == data
    with pytest.raises(OperatorFileError):
        sign_root(tmp_path / "missing.json", filled.keyring)
