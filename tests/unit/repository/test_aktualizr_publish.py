"""Publishing for aktualizr too: the same content twice, both forms judged by the trust engine, as one step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.repository.conftest import FIRMWARE, START, HandClock
from tests.unit.repository.reading import AktualizrReader, Reader
from tests.unit.repository.test_publish import tree
from twinlock.repository.errors import StoreTamperedError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import KeyKind, KeyPlan
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.names import TargetPath
from twinlock.trust.wire.aktualizr import form


def add(repository: ImageRepository, path: Path, name: str, content: bytes, **options: Any) -> None:
    path.write_bytes(content)
    repository.add_image(path, name, hardware_ids=["hw-7"], release_counter=3, **options)


@pytest.fixture
def both(filled: ImageRepository) -> ImageRepository:
    """A repository with one image, published for aktualizr too; TUF's numbers are ahead of the profile's Root."""
    filled.publish_for_aktualizr()
    return filled


def signed(repository: ImageRepository, name: str) -> dict[str, Any]:
    stored = repository.store.get(name, max_bytes=10**7)
    assert stored is not None
    content: dict[str, Any] = json.loads(stored.data)["signed"]
    return content


def test_a_new_repository_publishes_both_from_the_beginning(tmp_path: Path, clock: HandClock) -> None:
    repository = ImageRepository.create(tmp_path / "image", wires=["aktualizr"], clock=clock)
    add(repository, tmp_path / "a", "a-1.bin", b"one")
    publication = repository.publish()
    assert publication.files == (
        "2.snapshot.json",
        "2.targets.json",
        "aktualizr/2.snapshot.json",
        "aktualizr/2.targets.json",
        "aktualizr/2.timestamp.json",
        "timestamp.json",
    )
    reader = AktualizrReader(repository.store)
    entry = reader.find("a-1.bin", START, "hw-7").entry
    other = Reader(repository.store, repository.root_bytes(1)).find("a-1.bin", START, "hw-7").entry
    assert entry is not None
    assert other is not None
    # What strict checks ask for is in both forms.
    assert entry.must_agree == other.must_agree == {"hardwareIds": ["hw-7"], "releaseCounter": 3}
    assert (entry.release_counter, entry.hardware_ids, entry.hashes) == (3, other.hardware_ids, other.hashes)
    assert reader.trusted.root.signed.issued == START


def test_files_are_canonical_and_indexes_are_as_the_client_wants_them(both: ImageRepository) -> None:
    files = {name: data for name, data in tree(both).items() if name.startswith("aktualizr/") and "/names/" not in name}
    assert len(files) == 4
    types = {"root": "Root", "targets": "Targets", "snapshot": "Snapshot", "timestamp": "Timestamp"}
    for name, data in files.items():
        assert data == form.encode_canonical(json.loads(data))
        body = json.loads(data)["signed"]
        assert body["_type"] == types[name.split(".")[1]]
        assert len(body["expires"]) == len("2026-03-02T12:00:00Z")
        assert body["expires"].endswith("Z")
    assert signed(both, "aktualizr/2.snapshot.json")["meta"] == {"targets.json": {"version": 2}}
    listed = signed(both, "aktualizr/3.timestamp.json")["meta"]["snapshot.json"]
    assert sorted(listed) == ["hashes", "length", "version"]
    assert listed["length"] == len(files["aktualizr/2.snapshot.json"])
    entry = signed(both, "aktualizr/2.targets.json")["targets"]["brake/brake.bin"]["custom"]
    assert entry["hardwareIds"] == ["hw-7"]
    assert entry["targetFormat"] == "BINARY"
    assert "ecuIdentifiers" not in entry


def test_turning_it_on_later_begins_a_chain_of_its_own(filled: ImageRepository) -> None:
    filled.rotate("root")
    before = tree(filled)
    publication = filled.publish_for_aktualizr()
    assert publication.files == (
        "aktualizr/1.root.json",
        "aktualizr/2.snapshot.json",
        "aktualizr/2.targets.json",
        "aktualizr/4.timestamp.json",
        "timestamp.json",
    )
    after = tree(filled)
    assert {name: after[name] for name in before if not name.endswith("timestamp.json")} == {
        name: before[name] for name in before if not name.endswith("timestamp.json")
    }
    assert AktualizrReader(filled.store).find("brake/brake.bin", START).entry is not None
    filled.rotate("root")
    assert signed(filled, "aktualizr/2.root.json")["version"] == 2
    assert signed(filled, "metadata/3.root.json")["version"] == 3
    assert not filled.publish_for_aktualizr().changed


def test_what_is_staged_is_published_with_it(filled: ImageRepository, tmp_path: Path) -> None:
    add(filled, tmp_path / "a", "a-1.bin", b"one")
    filled.publish_for_aktualizr()
    assert AktualizrReader(filled.store).find("a-1.bin", START).entry is not None
    assert filled.status().staged_images == ()


def test_off_means_that_nothing_of_it_is_there(filled: ImageRepository) -> None:
    config = json.loads((filled.path / "config.json").read_bytes())
    assert config["format"] == 1
    assert sorted(config) == ["format", "keys", "kind", "store", "validity"]
    assert not [name for name in tree(filled) if name.startswith("aktualizr")]


@pytest.mark.parametrize(
    "roles", [("root",), ("targets",), ("snapshot",), ("timestamp",), ("root", "targets", "snapshot", "timestamp")]
)
def test_rotating_keys_leads_both_kinds_of_vehicles_on(both: ImageRepository, roles: tuple[str, ...]) -> None:
    followed = AktualizrReader(both.store)
    followed.refresh(START)
    both.rotate(*roles)
    for reader in (followed, AktualizrReader(both.store), Reader(both.store, both.root_bytes(1))):
        assert reader.find("brake/brake.bin", START).entry is not None
    assert followed.trusted.root.signed.version == 2
    assert signed(both, "aktualizr/1.root.json")["version"] == 1


def test_renewing_timestamp_alone_lists_the_snapshot_that_stands(both: ImageRepository, clock: HandClock) -> None:
    followed = AktualizrReader(both.store)
    followed.refresh(START)
    clock.turn(hours=20)
    assert both.refresh().files == ("aktualizr/4.timestamp.json", "timestamp.json")
    trusted = followed.refresh(clock())
    assert trusted.timestamp is not None
    assert trusted.timestamp.signed.version == 4
    clock.turn(days=5)
    assert "aktualizr/3.snapshot.json" in both.refresh().files
    assert followed.find("brake/brake.bin", clock()).entry is not None


@pytest.mark.parametrize("kind", [KeyKind.ECDSA_P256, KeyKind.ML_DSA_44])
@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_keys_that_the_client_cannot_read_are_refused_before_they_are_made(
    both: ImageRepository, tmp_path: Path, role: str, kind: KeyKind
) -> None:
    before, keys = tree(both), both.keyring.records()
    with pytest.raises(ProfileError) as caught:
        both.rotate(role, plan=KeyPlan(kind=kind))
    assert (caught.value.what, caught.value.profile) == (role, "aktualizr")
    with pytest.raises(ProfileError):
        ImageRepository.create(tmp_path / "new", wires=["aktualizr"], keys={role: KeyPlan(kind=kind)})
    assert not (tmp_path / "new").exists()
    assert (tree(both), both.keyring.records()) == (before, keys)


@pytest.mark.parametrize("kind", [KeyKind.ECDSA_P256, KeyKind.ML_DSA_44])
def test_root_keys_may_be_of_any_kind_since_the_profile_has_its_own(
    tmp_path: Path, clock: HandClock, kind: KeyKind
) -> None:
    plan = KeyPlan(count=2, threshold=2, kind=kind)
    repository = ImageRepository.create(tmp_path / "a", wires=["aktualizr"], keys={"root": plan}, clock=clock)
    later = ImageRepository.create(tmp_path / "b", keys={"root": plan}, clock=clock)
    later.publish_for_aktualizr()
    for each in (repository, later):
        each.rotate("root", plan=plan)
        root = signed(each, "aktualizr/2.root.json")
        assert root["roles"]["root"]["threshold"] == 2
        assert {key["keytype"] for key in root["keys"].values()} == {"ED25519"}
        AktualizrReader(each.store).refresh(START)


def test_turning_it_on_with_such_a_key_names_it_and_changes_nothing(tmp_path: Path, clock: HandClock) -> None:
    repository = ImageRepository.create(
        tmp_path / "image", keys={"snapshot": KeyPlan(kind=KeyKind.ECDSA_P256)}, clock=clock
    )
    before = tree(repository)
    with pytest.raises(ProfileError) as caught:
        repository.publish_for_aktualizr()
    assert "ecdsa" in caught.value.reason
    assert tree(repository) == before
    assert not repository.workspace.read_wires().aktualizr
    repository.rotate("snapshot", plan=KeyPlan(kind=KeyKind.RSA_PSS))
    repository.publish_for_aktualizr()
    AktualizrReader(repository.store).refresh(START)


def test_a_name_never_comes_back_with_other_bytes(both: ImageRepository, tmp_path: Path) -> None:
    path = tmp_path / "other.bin"
    for remove in (False, True):
        if remove:
            both.remove_image("brake/brake.bin")
            both.publish()
            both = ImageRepository.open(both.path, clock=both.workspace.clock)
        with pytest.raises(ProfileError) as caught:
            add(both, path, "brake/brake.bin", b"other", replace=not remove)
        assert caught.value.what == "brake/brake.bin"
        assert "put a version into the name" in caught.value.reason
        assert both.status().staged_images == ()
    add(both, path, "brake/brake.bin", FIRMWARE)  # the bytes that it always stood for
    both.publish()
    assert AktualizrReader(both.store).find("brake/brake.bin", START).entry is not None


def test_another_description_of_the_same_bytes_is_no_other_content(both: ImageRepository, image_file: Path) -> None:
    both.add_image(image_file, "brake/brake.bin", hardware_ids=["hw-7", "hw-8"], release_counter=4, replace=True)
    both.publish()
    entry = AktualizrReader(both.store).find("brake/brake.bin", START, "hw-8").entry
    assert entry is not None
    assert entry.release_counter == 4


def test_a_name_that_gets_other_bytes_between_staging_and_publishing(both: ImageRepository, tmp_path: Path) -> None:
    """Two people stage the same new name; what is published first holds."""
    add(both, tmp_path / "a", "a-1.bin", b"one")
    draft = (both.path / "draft.json").read_bytes()
    both.publish()
    both.remove_image("a-1.bin")
    both.publish()
    entry = json.loads(draft)
    listed = entry["roles"]["targets"]["images"]["a-1.bin"]
    listed["hashes"], listed["length"] = {"sha256": "0" * 64}, 5
    (both.path / "draft.json").write_text(json.dumps(entry))
    before = tree(both)
    with pytest.raises(ProfileError):
        both.publish()
    assert tree(both) == before


@pytest.mark.parametrize("file", ["3.timestamp", "2.snapshot", "2.targets"])
def test_a_file_of_the_profile_that_is_not_ours_is_noticed_before_it_is_built_on(
    both: ImageRepository, file: str
) -> None:
    path = both.path / "public" / "aktualizr" / f"{file}.json"
    path.write_bytes(path.read_bytes().replace(b'"version":', b'"version":1'))
    with pytest.raises(StoreTamperedError):
        both.rotate("targets")


def test_a_publication_in_the_profile_that_is_gone_is_not_passed_over(both: ImageRepository) -> None:
    """A file that is missing is put back from the record of its publication; without that, nobody goes on."""
    lost = both.path / "public" / "aktualizr" / "3.timestamp.json"
    lost.unlink()
    both.publish()
    assert lost.exists()
    lost.unlink()
    (both.path / "public" / "publications" / "3.json").unlink()
    with pytest.raises(UsageError) as caught:
        both.rotate("targets")
    assert "image wire" in caught.value.reason


def test_too_large_for_the_client_is_refused_before_anything_is_signed(
    both: ImageRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(form.MAX_BYTES, "targets", 1_000)
    add(both, tmp_path / "a", "a-1.bin", b"one")
    before = tree(both)
    with pytest.raises(ProfileError) as caught:
        both.publish()
    assert caught.value.what == "targets"
    assert tree(both) == before
    assert both.status().staged_images == ("a-1.bin",)


def test_every_image_is_found_by_its_name_for_ever(both: ImageRepository, tmp_path: Path) -> None:
    add(both, tmp_path / "a", "a b/ü-1.bin", b"one")
    both.publish()
    both.remove_image("a b/ü-1.bin")
    both.publish()
    reader = AktualizrReader(both.store)
    assert reader.find(TargetPath("a b/ü-1.bin"), START).entry is None
    found = reader.resolver.image("a b/ü-1.bin")
    assert found is not None
    stored = both.store.get(found, max_bytes=100)
    assert stored is not None
    assert stored.data == b"one"
