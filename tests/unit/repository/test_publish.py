"""Publishing: what is signed, what is refused before anything is signed, and that a refusal changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.repository.conftest import START, HandClock
from tests.unit.repository.reading import Reader
from twinlock.repository.authoring.entries import Component
from twinlock.repository.errors import MissingKeysError, StoreTamperedError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import KeyKind, KeyPlan
from twinlock.repository.store.image_files import FileDigest, store_image
from twinlock.repository.store.interface import ObjectStore
from twinlock.repository.store.publication_log import LogRecord, publish_record
from twinlock.repository.workspace.validity import Periods
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import ConflictError, NewerStateError, StorageError
from twinlock.trust.errors.metadata import ExpiredError, UnsafePathError


def tree(repository: ImageRepository) -> dict[str, bytes]:
    """Everything in the store but its lock."""
    root = repository.path / "public"
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name != ".lock"}


def test_a_vehicle_finds_the_image_with_everything_that_was_said_of_it(
    repository: ImageRepository, image_file: Path
) -> None:
    component = Component(name="brake", version="2.0", dependencies={"gateway": ">=1.4"}, conflicts={"adas": "<3"})
    repository.add_image(
        image_file, "brake/brake.bin", hardware_ids=["hw-7", "hw-8"], release_counter=3, component=component
    )
    publication = repository.publish()
    entry = Reader(repository.store, repository.root_bytes(1)).find("brake/brake.bin", START, "hw-7").entry
    assert entry is not None
    data = image_file.read_bytes()
    assert publication.version == 2
    assert publication.files == ("2.snapshot.json", "2.targets.json", "timestamp.json")
    assert entry.length == len(data)
    assert entry.hashes == {"sha256": hashlib.sha256(data).hexdigest(), "sha512": hashlib.sha512(data).hexdigest()}
    assert entry.release_counter == 3
    assert sorted(entry.hardware_ids or ()) == ["hw-7", "hw-8"]
    assert entry.must_agree == {"hardwareIds": ["hw-7", "hw-8"], "releaseCounter": 3}
    assert entry.custom["name"] == "brake"
    assert entry.custom["version"] == "2.0"
    assert entry.custom["dependencies"] == {"gateway": ">=1.4"}
    assert entry.custom["conflicts"] == {"adas": "<3"}


def test_the_bytes_are_in_the_store_under_every_digest(filled: ImageRepository, image_file: Path) -> None:
    data = image_file.read_bytes()
    for algorithm in ("sha256", "sha512"):
        stored = filled.store.get(
            f"targets/brake/{hashlib.new(algorithm, data).hexdigest()}.brake.bin", max_bytes=10**6
        )
        assert stored is not None
        assert stored.data == data


def test_every_file_says_when_it_was_issued_and_expires_by_its_period(tmp_path: Path, clock: HandClock) -> None:
    periods = Periods(
        root=timedelta(days=9), targets=timedelta(days=8), snapshot=timedelta(days=7), timestamp=timedelta(hours=6)
    )
    repository = ImageRepository.create(tmp_path / "image", clock=clock, periods=periods)
    trusted = Reader(repository.store, repository.root_bytes()).refresh(START)
    assert trusted.timestamp and trusted.snapshot and trusted.targets
    for verified, valid in (
        (trusted.root, periods.root),
        (trusted.timestamp, periods.timestamp),
        (trusted.snapshot, periods.snapshot),
        (trusted.targets, periods.targets),
    ):
        assert verified.signed.issued == START
        assert verified.signed.expires == START + valid


def test_each_role_has_keys_of_its_own_and_the_planned_threshold(tmp_path: Path) -> None:
    plans = {"root": KeyPlan(count=3, threshold=2), "targets": KeyPlan(count=2, threshold=2, kind=KeyKind.ECDSA_P256)}
    repository = ImageRepository.create(tmp_path / "image", keys=plans)
    roles = {role.name: role for role in repository.show().roles}
    keyids = [keyid for role in roles.values() for keyid in role.keyids]
    assert len(keyids) == len(set(keyids)) == 7
    assert {name: (role.threshold, len(role.keyids)) for name, role in roles.items()} == {
        "root": (2, 3),
        "targets": (2, 2),
        "snapshot": (1, 1),
        "timestamp": (1, 1),
    }
    offline = {record.role for record in repository.keyring.records() if record.place == repository.keyring.offline}
    assert offline == {"root", "targets"}


def test_publishing_nothing_changes_nothing(filled: ImageRepository) -> None:
    before = tree(filled)
    publication = filled.publish()
    assert not publication.changed
    assert tree(filled) == before


def test_what_is_only_staged_is_not_published(repository: ImageRepository, image_file: Path) -> None:
    repository.add_image(image_file, "a.bin", hardware_ids=["hw-7"], release_counter=1)
    reader = Reader(repository.store, repository.root_bytes())
    assert reader.find("a.bin", START).entry is None
    assert ImageRepository.open(repository.path).status().staged_images == ("a.bin",)


def test_a_removed_image_is_no_longer_listed_and_its_bytes_stay(filled: ImageRepository, image_file: Path) -> None:
    reader = Reader(filled.store, filled.root_bytes())
    assert reader.find("brake/brake.bin", START).entry is not None
    filled.remove_image("brake/brake.bin")
    filled.publish()
    assert reader.find("brake/brake.bin", START).entry is None
    assert any(name.endswith(".brake.bin") for name in filled.store.names("targets"))
    with pytest.raises(UsageError):
        filled.remove_image("brake/brake.bin")


def test_a_listed_name_takes_other_bytes_only_by_replace(filled: ImageRepository, tmp_path: Path) -> None:
    newer = tmp_path / "newer.bin"
    newer.write_bytes(b"newer")
    with pytest.raises(UsageError):
        filled.add_image(newer, "brake/brake.bin", hardware_ids=["hw-7"], release_counter=4)
    filled.add_image(newer, "brake/brake.bin", hardware_ids=["hw-7"], release_counter=4, replace=True)
    filled.publish()
    entry = Reader(filled.store, filled.root_bytes()).find("brake/brake.bin", START).entry
    assert entry is not None
    assert entry.length == 5


def test_a_release_counter_never_falls(filled: ImageRepository, tmp_path: Path) -> None:
    older = tmp_path / "older.bin"
    older.write_bytes(b"older")
    with pytest.raises(UsageError, match="release counter"):
        filled.add_image(older, "brake/brake.bin", hardware_ids=["hw-7"], release_counter=2, replace=True)
    assert filled.status().staged_images == ()


def test_a_staged_edit_counts_when_the_next_one_is_judged(repository: ImageRepository, image_file: Path) -> None:
    repository.add_image(image_file, "a.bin", hardware_ids=["hw-7"], release_counter=5)
    with pytest.raises(UsageError):
        repository.add_image(image_file, "a.bin", hardware_ids=["hw-7"], release_counter=4, replace=True)
    with pytest.raises(UsageError):
        repository.add_image(image_file, "b.bin", hardware_ids=["hw-7"], release_counter=1, replace=True)


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/etc/passwd",
        "a\\b",
        "a\0b",
        "x" * 4096,
        "con",
        "dir/aux.bin",
        "a/",
        "e\u0301.bin",
        "C:x",
        "a?b",
        "x" * 127,
    ],
)
def test_hostile_names_are_refused_before_a_byte_is_stored(
    repository: ImageRepository, image_file: Path, name: str
) -> None:
    before = tree(repository)
    with pytest.raises(UnsafePathError):
        repository.add_image(image_file, name, hardware_ids=["hw-7"], release_counter=1)
    assert tree(repository) == before


def test_the_longest_name_that_is_admitted_can_be_stored(repository: ImageRepository, image_file: Path) -> None:
    repository.add_image(image_file, "x" * 126, hardware_ids=["hw-7"], release_counter=1)
    assert repository.publish().changed


@pytest.mark.parametrize("hardware", [[], [""], ["a/b"], ["x" * 129]])
def test_hardware_ids_are_required_and_checked(
    repository: ImageRepository, image_file: Path, hardware: list[str]
) -> None:
    with pytest.raises((UsageError, UnsafePathError)):
        repository.add_image(image_file, "a.bin", hardware_ids=hardware, release_counter=1)


@pytest.mark.parametrize("counter", [-1, 2**63])
def test_release_counters_out_of_range_are_refused(repository: ImageRepository, image_file: Path, counter: int) -> None:
    with pytest.raises(UsageError):
        repository.add_image(image_file, "a.bin", hardware_ids=["hw-7"], release_counter=counter)


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": "-"},
        {"version": ""},
        {"dependencies": {"gateway": "1.4 or so"}},
        {"conflicts": {"adas": "=>3"}},
        {"dependencies": {"": ">1"}},
        {"dependencies": {"brake": ">1"}},
        {"name": "../brake"},
    ],
)
def test_what_says_nothing_of_a_component_is_refused(wrong: dict[str, object]) -> None:
    fields: dict[str, object] = {"name": "brake", "version": "1.0", **wrong}
    with pytest.raises((UsageError, UnsafePathError)):
        Component(**fields)  # type: ignore[arg-type]


def test_a_missing_or_empty_file_is_refused(repository: ImageRepository, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    for source in (tmp_path / "missing", empty, tmp_path):
        with pytest.raises(UsageError):
            repository.add_image(source, "a.bin", hardware_ids=["hw-7"], release_counter=1)


def test_a_file_that_changes_while_it_is_added_is_refused(
    repository: ImageRepository, image_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change_first(store: ObjectStore, source: Path, path: str, measured: FileDigest) -> None:
        image_file.write_bytes(b"something else")
        store_image(store, source, path, measured)

    monkeypatch.setattr("twinlock.repository.authoring.image_sources.store_image", change_first)
    with pytest.raises(UsageError, match="changed while"):
        repository.add_image(image_file, "a.bin", hardware_ids=["hw-7"], release_counter=1)
    assert not list(repository.store.names("targets"))
    assert repository.status().staged_images == ()


def test_an_image_whose_bytes_were_damaged_in_the_store_is_not_published(
    repository: ImageRepository, image_file: Path
) -> None:
    repository.add_image(image_file, "a.bin", hardware_ids=["hw-7"], release_counter=1)
    for name in repository.store.names("targets"):
        path = repository.path / "public" / name
        os.truncate(path, 10)
    before = tree(repository)
    with pytest.raises(StoreTamperedError):
        repository.publish()
    assert tree(repository) == before
    assert repository.status().staged_images == ("a.bin",)


def test_adding_again_mends_damaged_bytes_under_the_same_digest(repository: ImageRepository, image_file: Path) -> None:
    repository.add_image(image_file, "a.bin", hardware_ids=["hw-7"], release_counter=1)
    for name in repository.store.names("targets"):
        (repository.path / "public" / name).write_bytes(b"x" * image_file.stat().st_size)
    repository.add_image(image_file, "a.bin", hardware_ids=["hw-7"], release_counter=1)
    found = {(repository.path / "public" / name).read_bytes() for name in repository.store.names("targets")}
    assert found == {image_file.read_bytes()}


def test_the_engine_refuses_what_would_be_expired_on_arrival_and_nothing_is_published(
    repository: ImageRepository, image_file: Path, clock: HandClock
) -> None:
    repository.add_image(image_file, "a.bin", hardware_ids=["hw-7"], release_counter=1)
    clock.turn(days=400)  # Root has run out, and publishing an image does not renew it
    before = tree(repository)
    with pytest.raises(ExpiredError) as caught:
        repository.publish()
    assert (caught.value.role, caught.value.version) == ("root", 1)
    assert tree(repository) == before
    assert repository.refresh().changed
    assert repository.publish().changed


def test_of_two_publishers_one_is_told_and_repeats(
    filled: ImageRepository, image_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ImageRepository.open(filled.path, clock=filled.workspace.clock)
    filled.add_image(image_file, "mine.bin", hardware_ids=["hw-7"], release_counter=1)

    def after_another(store: ObjectStore, record: LogRecord) -> None:
        monkeypatch.undo()
        other.rotate("timestamp")
        publish_record(store, record)

    monkeypatch.setattr("twinlock.repository.publishing.publish.publish_record", after_another)
    with pytest.raises(ConflictError) as caught:
        filled.publish()
    assert caught.value.what == "the repository"
    reader = Reader(filled.store, filled.root_bytes(1))
    assert reader.find("mine.bin", START).entry is None
    assert filled.status().staged_images == ("mine.bin",)
    assert filled.publish().version == 4
    assert reader.find("mine.bin", START).entry is not None


def test_an_edit_made_while_publishing_stays_staged(
    filled: ImageRepository, image_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.add_image(image_file, "first.bin", hardware_ids=["hw-7"], release_counter=1)

    def edit_meanwhile(store: ObjectStore, record: LogRecord) -> None:
        publish_record(store, record)
        filled.add_image(image_file, "second.bin", hardware_ids=["hw-7"], release_counter=1)
        filled.add_image(image_file, "first.bin", hardware_ids=["hw-7"], release_counter=2, replace=True)

    monkeypatch.setattr("twinlock.repository.publishing.publish.publish_record", edit_meanwhile)
    filled.publish()
    assert sorted(filled.status().staged_images) == ["first.bin", "second.bin"]
    filled.publish()
    entry = Reader(filled.store, filled.root_bytes(1)).find("first.bin", START).entry
    assert entry is not None
    assert entry.release_counter == 2


def test_missing_keys_are_named(filled: ImageRepository, image_file: Path) -> None:
    filled.add_image(image_file, "a.bin", hardware_ids=["hw-7"], release_counter=1)
    away = filled.path / "away"
    filled.keyring.offline.rename(away)
    held = ImageRepository.open(filled.path, clock=filled.workspace.clock)
    with pytest.raises(MissingKeysError) as caught:
        held.publish()
    assert (caught.value.role, caught.value.required, caught.value.held) == ("targets", 1, 0)
    away.rename(filled.keyring.offline)
    assert held.publish().changed


def test_creating_twice_is_refused(filled: ImageRepository) -> None:
    with pytest.raises(UsageError):
        ImageRepository.create(filled.path)
    assert ImageRepository.open(filled.path).show().publication == 2


def test_creating_in_a_directory_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError):
        ImageRepository.create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_opening_what_is_none_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        ImageRepository.open(tmp_path / "nowhere")
    with pytest.raises(UsageError):
        ImageRepository.open(tmp_path)


@pytest.mark.parametrize("file", ["config.json", "draft.json"])
def test_state_of_a_newer_version_is_left_alone(filled: ImageRepository, file: str) -> None:
    path = filled.path / file
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "format": 9}))
    content = path.read_bytes()
    with pytest.raises(NewerStateError) as caught:
        ImageRepository.open(filled.path).status()
    assert (caught.value.found, caught.value.supported) == (9, 2 if file == "config.json" else 1)
    assert path.read_bytes() == content


@pytest.mark.parametrize("file", ["config.json", "draft.json"])
@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": "x"}'])
def test_damaged_state_is_told_with_its_path(filled: ImageRepository, file: str, text: str) -> None:
    (filled.path / file).write_text(text)
    with pytest.raises(StorageError) as caught:
        ImageRepository.open(filled.path).status()
    assert caught.value.path.endswith(file)


def test_every_published_root_can_be_had(filled: ImageRepository) -> None:
    filled.rotate("root")
    assert json.loads(filled.root_bytes())["signed"]["version"] == 2
    assert json.loads(filled.root_bytes(1))["signed"]["version"] == 1
    with pytest.raises(UsageError):
        filled.root_bytes(3)
