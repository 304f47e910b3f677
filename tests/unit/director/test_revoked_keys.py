"""Revoked keys leave the live ones whatever a crash cut off: the next command retires what nothing published names."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from twinlock.director.director import Director
from twinlock.director.model.settings import Settings
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import KeyKind, KeyPlan, Keyring
from twinlock.repository.publishing.root_ceremony import RootChanges


class Party:
    """A repository that publishes in both profiles, the kind of which is a parameter."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.kind, self.path, self.before = kind, directory / "here", directory / "before"
        if kind == "image":
            ImageRepository.create(self.path, wires=("aktualizr",))
        else:
            site = ImageRepository.create(directory / "site")
            both, root = Settings(wires=("tuf", "aktualizr")), site.root_bytes(1)
            Director.create(self.path, image_root=root, image_url=str(site.path), settings=both).close()
        shutil.copytree(self.path / "keys", self.before)

    def rotate(self, *roles: str) -> None:
        if self.kind == "image":
            ImageRepository.open(self.path).rotate(*roles)
            return
        with Director.open(self.path) as director:
            director.rotate(*roles)

    def prepare(self, target: Path) -> None:
        """Prepare the next Root with the same keys, all of which are here: it is complete."""
        if self.kind == "image":
            ImageRepository.open(self.path).prepare_root(target, RootChanges())
            return
        with Director.open(self.path) as director:
            director.prepare_root(target, {})

    def publish(self, prepared: Path) -> None:
        if self.kind == "image":
            ImageRepository.open(self.path).publish_root(prepared)
            return
        with Director.open(self.path) as director:
            director.publish_root(prepared)

    def root_version(self) -> int:
        if self.kind == "image":
            data = ImageRepository.open(self.path).root_bytes()
        else:
            with Director.open(self.path) as director:
                data = director.root_bytes()
        return int(json.loads(data)["signed"]["version"])

    def open(self) -> None:
        if self.kind == "image":
            ImageRepository.open(self.path).publish()  # the next command that writes, though nothing is staged
            return
        Director.open(self.path).close()

    def cut_off(self) -> None:
        """What a process that is killed between publishing and retiring leaves: the old keys are beside the new ones."""
        for path in self.before.glob("*/*.*"):
            shutil.copy(path, self.path / "keys" / path.parent.name / path.name)
        for retired in (self.path / "keys").glob("*/retired"):
            shutil.rmtree(retired)

    def private_keys(self, folder: str = "*") -> set[str]:
        return {path.name for path in (self.path / "keys").glob(f"{folder}/*.pem")}


@pytest.fixture(params=["image", "director"])
def party(request: pytest.FixtureRequest, tmp_path: Path) -> Party:
    return Party(request.param, tmp_path)


def test_what_a_crash_left_is_retired_by_the_next_command(party: Party) -> None:
    party.rotate("root", "timestamp", "snapshot")
    live, aside = party.private_keys(), party.private_keys("*/retired")
    assert {name.partition(".")[0] for name in aside} == {"root", "aktualizr-root"}
    party.cut_off()
    assert party.private_keys() > live
    party.open()
    assert party.private_keys() == live
    left = party.private_keys("*/retired") - aside
    assert aside <= party.private_keys("*/retired"), "old Root keys are kept for stranded vehicles"
    assert bool(left) is (party.kind == "image"), (
        "only verified files destroy keys, and old ones in a store are not verified"
    )


def test_a_false_old_root_in_the_store_destroys_no_key(tmp_path: Path) -> None:
    """Who can write to the web directory names a key there that its holder has brought for the next ceremony."""
    party = Party("image", tmp_path)
    party.rotate("timestamp")
    (spare,) = Keyring(offline=party.path / "keys/offline").generate("timestamp")
    secret = next(path for path in spare.files if path.suffix == ".pem").read_bytes()
    old = party.path / "public/metadata/1.root.json"
    root = json.loads(old.read_bytes())
    root["signed"]["roles"]["timestamp"]["keyids"] = [spare.keyid]
    old.write_text(json.dumps(root))
    party.open()
    assert secret in [path.read_bytes() for path in (party.path / "keys").rglob("*.pem")]


def test_keys_that_one_rotation_left_are_found_after_later_ones(party: Party) -> None:
    """The medium with the offline keys was away meanwhile."""
    party.rotate("timestamp")
    party.rotate("root")
    party.rotate("timestamp", "snapshot")
    live = party.private_keys()
    party.cut_off()
    party.open()
    assert party.private_keys() == live


def test_a_key_that_no_root_has_named_yet_is_left_alone(party: Party) -> None:
    """Its holder has brought it for the next ceremony."""
    Keyring(offline=party.path / "keys/offline").generate("root")
    before = party.private_keys()
    party.rotate("timestamp")
    party.open()
    assert {name for name in before if not name.startswith("timestamp")} <= party.private_keys()


def test_keys_that_a_prepared_root_names_again_are_left_alone(tmp_path: Path) -> None:
    party = Party("image", tmp_path)
    old = next((party.path / "keys/online").glob("timestamp.*.json"))
    party.rotate("timestamp")
    key = Keyring(offline=party.before / "online").records("timestamp")[0]
    repository = ImageRepository.open(party.path)
    changes = RootChanges(add={"timestamp": {key.keyid: key.public_json()["key"]}})
    repository.prepare_root(tmp_path / "next.json", changes)
    party.cut_off()
    party.open()
    assert old.exists()
    repository.publish_root(tmp_path / "next.json")
    assert old.exists()


def test_a_user_who_may_not_retire_them_still_opens_it(party: Party, caplog: pytest.LogCaptureFixture) -> None:
    party.rotate("root")
    live = party.private_keys()
    party.cut_off()
    (party.path / "keys/offline/retired").write_text("in the way of the directory")
    party.open()
    assert "revoked keys are still " in caplog.text
    (party.path / "keys/offline/retired").unlink()
    party.open()
    assert party.private_keys() == live


def test_an_activation_that_was_cut_off_is_repeated(tmp_path: Path) -> None:
    """Which keys its profile names is not known before that."""
    repository = ImageRepository.create(tmp_path / "here")
    repository.keyring.generate("aktualizr-root")
    repository.workspace.set_wires(repository.workspace.read_wires().with_aktualizr(root_offset=0))
    repository = ImageRepository.open(tmp_path / "here")
    assert repository.publish_for_aktualizr().changed


def test_an_unreadable_old_root_hinders_no_command(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    party = Party("image", tmp_path)
    party.rotate("timestamp")
    party.cut_off()
    (party.path / "public/metadata/1.root.json").write_text("{}")
    repository = ImageRepository.open(party.path)
    repository.publish()
    assert "not readable" in caplog.text
    assert repository.root_bytes(2)


def test_the_keys_of_a_delegated_role(tmp_path: Path) -> None:
    repository = ImageRepository.create(tmp_path / "here")
    records = repository.keyring.generate("parts")
    (tmp_path / "parts.pub.json").write_text(json.dumps(records[0].public_json()))
    repository.delegate("parts", keys=[tmp_path / "parts.pub.json"], paths=["parts/*"])
    repository.publish()
    shutil.copytree(repository.path / "keys", tmp_path / "before")
    repository.rotate("parts", plan=KeyPlan())
    live = {path.name for path in (repository.path / "keys").glob("*/*.pem")}
    for path in (tmp_path / "before/offline").glob("parts.*"):
        shutil.copy(path, repository.path / "keys/offline")
    repository = ImageRepository.open(repository.path)
    repository.publish()
    assert {path.name for path in (repository.path / "keys").glob("*/*.pem")} == live
    repository.undelegate("parts")
    repository.publish()
    ImageRepository.open(repository.path).publish()
    assert {path.name for path in (repository.path / "keys").glob("*/*.pem")} == live, (
        "who is delegated to again has its key"
    )


def test_new_keys_that_a_crash_left_before_they_were_published_are_deleted(party: Party) -> None:
    before = {path.name for path in (party.path / "keys").rglob("*")}
    pid = os.fork()
    if pid == 0:
        with _keyring(party).new_keys() as new:
            new.generate("root", kind=KeyKind.ED25519)
            with new.leaving():
                os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert {path.name for path in (party.path / "keys").rglob("*")} > before
    party.open()
    assert {path.name for path in (party.path / "keys").rglob("*")} == before


def test_new_keys_of_a_process_that_lives_are_left_alone(party: Party) -> None:
    with _keyring(party).new_keys() as new:
        new.generate("root", kind=KeyKind.ED25519)
        with new.leaving():
            during = party.private_keys()
            party.open()
            assert party.private_keys() == during
    party.open()
    assert party.private_keys() == during


def test_published_keys_stay_though_their_record_was_left(party: Party) -> None:
    party.rotate("timestamp")
    live = party.private_keys()
    files = {record.keyid: [file.name for file in record.files] for record in _keyring(party).records()}
    (party.path / "keys/online/.new-keys-0").write_text(json.dumps(files))
    (party.path / "keys/online/.new-keys-1").write_text(json.dumps(files)[:20])  # cut off before a key was written
    party.open()
    assert party.private_keys() == live
    assert not list((party.path / "keys").rglob(".new-keys-*"))


def _keyring(party: Party) -> Keyring:
    return Keyring(offline=party.path / "keys/offline", online=party.path / "keys/online")


def test_a_rotation_that_is_published_is_not_reported_as_failed(party: Party, caplog: pytest.LogCaptureFixture) -> None:
    """Its operator would rotate a second time. What could not be moved is named, and the next command moves it."""
    aside = party.path / "keys/online/retired"
    aside.touch()  # a file where the directory of retired keys belongs
    live = set(aside.parent.glob("*.json"))
    party.rotate("timestamp")
    (line,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert party.root_version() == 2
    assert live < set(aside.parent.glob("*.json")), "the record of the old key could not be moved"
    assert line.startswith("the publication is in force, but revoked keys are still among the live ones; `twinlock ")
    assert "cannot move" in line
    aside.unlink()
    party.open()
    assert len(set(aside.parent.glob("*.json"))) == len(live)


def test_a_prepared_root_that_is_published_is_not_reported_as_failed(
    party: Party, caplog: pytest.LogCaptureFixture
) -> None:
    target = party.path.parent / "next.json"
    party.prepare(target)
    kept = party.path / "prepared-root-keys.json"
    kept.unlink()
    kept.mkdir()  # cannot be deleted as a file
    party.publish(target)
    (line,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert party.root_version() == 2
    assert f"the file of the prepared Root is still kept; `twinlock {party.kind} root publish` deletes it" in line
    kept.rmdir()
    party.publish(target)
    assert not (party.path / "prepared-root.json").exists()
    assert party.root_version() == 2
