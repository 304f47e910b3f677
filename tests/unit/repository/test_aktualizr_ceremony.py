"""A Root whose keys are in several places, in a repository that publishes for aktualizr too: one file, both forms."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from securesystemslib.signer import SSlibKey

from tests.unit.repository.conftest import START, HandClock
from tests.unit.repository.reading import AktualizrReader, Reader
from tests.unit.repository.test_publish import tree
from twinlock.repository.errors import MissingKeysError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import KeyKind, KeyPlan, Keyring
from twinlock.repository.publishing.root_ceremony import RootChanges
from twinlock.repository.publishing.root_signing import sign_root
from twinlock.repository.signing.sign import SigningAuthority
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.errors.metadata import ThresholdError

ROTATION = RootChanges(rotate={"root": KeyPlan(count=2, threshold=2)})


@pytest.fixture
def apart(tmp_path: Path, clock: HandClock) -> ImageRepository:
    """Each Root chain needs two keys, one of which is on a medium of its own. Ours is ahead of the profile's by one."""
    repository = ImageRepository.create(tmp_path / "image", keys={"root": KeyPlan(count=2, threshold=2)}, clock=clock)
    repository.rotate("timestamp")
    repository.publish_for_aktualizr()
    medium = tmp_path / "medium"
    medium.mkdir()
    for purpose in ("root", "aktualizr-root"):
        for path in repository.keyring.records(purpose)[0].files:
            shutil.move(path, medium / path.name)
    return ImageRepository.open(repository.path, clock=clock)


def test_it_travels_with_both_forms_and_is_published_as_two_files(apart: ImageRepository, tmp_path: Path) -> None:
    followed = AktualizrReader(apart.store)
    followed.refresh(START)
    travelling = tmp_path / "next.json"
    view = apart.prepare_root(travelling, ROTATION)
    assert view.missing == 1
    with pytest.raises(ThresholdError):
        apart.publish_root(travelling)
    medium = Keyring(offline=tmp_path / "medium")
    assert sign_root(travelling, medium, previous=apart.root_bytes()).missing == 0
    carried = json.loads(travelling.read_bytes())
    theirs = {entry["keyid"] for entry in carried["aktualizr"]["signatures"]}
    assert len(theirs) == len(carried["signatures"]) == 4
    assert not theirs & {entry["keyid"] for entry in carried["signatures"]}
    files = apart.publish_root(travelling).files
    assert {"3.root.json", "aktualizr/2.root.json"} <= set(files)
    published = json.loads(apart.root_bytes())
    assert sorted(published) == ["signatures", "signed"]
    for reader in (followed, AktualizrReader(apart.store)):
        assert reader.refresh(START).root.signed.version == 2
    assert Reader(apart.store, apart.root_bytes(1)).refresh(START).root.signed.version == 3


def test_a_false_signature_takes_no_holders_place(apart: ImageRepository, tmp_path: Path) -> None:
    """Anyone who carries the file can write into it; the holder's own signature replaces what does not verify."""
    travelling = tmp_path / "next.json"
    apart.prepare_root(travelling, ROTATION)
    medium = Keyring(offline=tmp_path / "medium")
    body = json.loads(travelling.read_bytes())
    for record in medium.records():
        body["signatures"].append({"keyid": record.keyid, "sig": "00" * 64})
        body["aktualizr"]["signatures"].append({"keyid": record.keyid, "method": "ed25519", "sig": "AAAA"})
    travelling.write_text(json.dumps(body))
    with pytest.raises(ThresholdError):
        apart.publish_root(travelling)
    assert sign_root(travelling, medium, previous=apart.root_bytes()).missing == 0
    assert apart.publish_root(travelling).changed


def test_a_root_without_the_other_form_is_not_published(apart: ImageRepository, tmp_path: Path) -> None:
    travelling = tmp_path / "next.json"
    apart.prepare_root(travelling, ROTATION)
    sign_root(travelling, Keyring(offline=tmp_path / "medium"), previous=apart.root_bytes())
    body = json.loads(travelling.read_bytes())
    del body["aktualizr"]
    travelling.write_text(json.dumps(body))
    before = tree(apart)
    with pytest.raises(ProfileError) as caught:
        apart.publish_root(travelling)
    assert caught.value.what == "root"
    assert tree(apart) == before


def test_nobody_signs_two_forms_that_differ(apart: ImageRepository, tmp_path: Path) -> None:
    travelling = tmp_path / "next.json"
    apart.prepare_root(travelling, ROTATION)
    body = json.loads(travelling.read_bytes())
    body["aktualizr"]["signed"]["roles"]["targets"]["threshold"] = 7
    travelling.write_text(json.dumps(body))
    with pytest.raises(ProfileError):
        sign_root(travelling, Keyring(offline=tmp_path / "medium"), previous=apart.root_bytes())
    body["aktualizr"] = "nothing"
    travelling.write_text(json.dumps(body))
    with pytest.raises(UsageError):
        sign_root(travelling, Keyring(offline=tmp_path / "medium"), previous=apart.root_bytes())


def test_a_signature_in_one_form_only_still_lacks_one(apart: ImageRepository, tmp_path: Path) -> None:
    """As a version signs that knows nothing of the other form."""
    travelling = tmp_path / "next.json"
    apart.prepare_root(travelling, ROTATION)
    medium = Keyring(offline=tmp_path / "medium")
    sign_root(travelling, medium, previous=apart.root_bytes())
    body = json.loads(travelling.read_bytes())
    theirs = medium.records("aktualizr-root")[0].keyid
    signatures = body["aktualizr"]["signatures"]
    body["aktualizr"]["signatures"] = [entry for entry in signatures if entry["keyid"] != theirs]
    travelling.write_text(json.dumps(body))
    view = sign_root(travelling, apart.keyring)
    assert view.missing == 1


def test_keys_that_the_client_cannot_read_are_refused_before_they_are_made(
    apart: ImageRepository, tmp_path: Path
) -> None:
    held = apart.keyring.records()
    with pytest.raises(ProfileError):
        apart.prepare_root(tmp_path / "next.json", RootChanges(rotate={"targets": KeyPlan(kind=KeyKind.ECDSA_P256)}))
    public = Keyring(offline=tmp_path / "others").generate("root", kind=KeyKind.ECDSA_P256)[0].public_json()
    for role in ("targets", "aktualizr-root"):
        added = RootChanges(add={role: {public["keyid"]: public["key"]}})
        with pytest.raises(ProfileError):
            apart.prepare_root(tmp_path / "next.json", added)
    assert apart.keyring.records() == held
    assert not (tmp_path / "next.json").exists()


def test_a_false_signature_in_the_other_form_is_not_counted(apart: ImageRepository, tmp_path: Path) -> None:
    travelling = tmp_path / "next.json"
    apart.prepare_root(travelling, ROTATION)
    medium = Keyring(offline=tmp_path / "medium")
    assert sign_root(travelling, medium).missing == 0
    body = json.loads(travelling.read_bytes())
    theirs = medium.records("aktualizr-root")[0].keyid
    for entry in body["aktualizr"]["signatures"]:
        entry.update({"sig": "AAAA"} if entry["keyid"] == theirs else {})
    travelling.write_text(json.dumps(body))
    view = sign_root(travelling, apart.keyring)
    assert view.missing == 1
    assert theirs not in view.signed


def test_one_key_under_two_ids_counts_once(tmp_path: Path) -> None:
    key = Keyring(offline=tmp_path).generate("root")[0].authoring_key
    again = SSlibKey("another id", key.keytype, key.scheme, key.keyval)
    both = SigningAuthority({key.keyid: key, again.keyid: again}, 2)
    assert both.count(both.keyids) == 1
    assert not both.is_met_by(both.keyids)
    with pytest.raises(MissingKeysError) as caught:
        both.check_held("root", both.keyids)
    assert (caught.value.required, caught.value.held) == (2, 1)
