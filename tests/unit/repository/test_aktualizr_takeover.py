"""Taking over a repository that another tool made: deployed devices, and new ones, accept what comes next."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.repository.conftest import START, HandClock
from tests.unit.repository.foreign_repository import Foreign, ForeignKey
from tests.unit.repository.reading import AktualizrReader, Reader
from tests.unit.repository.test_publish import tree
from twinlock.repository.errors import MissingKeysError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.importing.plan import Takeover
from twinlock.repository.importing.run import foresee
from twinlock.repository.model.import_findings import (
    NO_BYTES,
    NO_COUNTER,
    NO_TERMS,
    NO_VERSION,
    NOT_FOR_PROFILE,
    OSTREE,
    OTHER_BYTES,
    ImportFindings,
)
from twinlock.repository.model.views import TakeoverView
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, drive
from twinlock.trust.engine.delegation import find_image
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.base import TwinlockError, UsageError
from twinlock.trust.errors.local import ProfileError, StorageError
from twinlock.trust.errors.metadata import MissingMetadataError, MixAndMatchError, ThresholdError
from twinlock.trust.names import IMAGE, TargetPath
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR

IMAGES = ("fw-1.0.bin", "acme/fw-2.0.bin")


@pytest.fixture
def foreign(tmp_path: Path) -> Foreign:
    found = Foreign(tmp_path / "theirs")
    found.add("fw-1.0.bin", b"one", version=1, name="fw")
    found.add("acme/fw-2.0.bin", b"two", role="acme", uri="https://example.com/")
    return found.write()


def deployed(foreign: Foreign) -> TrustedRepository:
    """A device that has followed the old repository, with everything stored."""

    def answer(command: Command) -> Answer:
        if not isinstance(command, Fetch):
            return None
        path = foreign.repo / command.name
        return path.read_bytes() if path.exists() else ABSENT

    start = bootstrap_repository(IMAGE, (foreign.repo / "1.root.json").read_bytes(), wire=AKTUALIZR)
    state = drive(refresh_repository(start, START), answer)
    for path in IMAGES:
        found = drive(find_image(state, TargetPath(path), None, START), answer)
        assert found.entry is not None
        state = found.trusted
    assert state.delegated
    return state


def take_over(foreign: Foreign, path: Path, clock: HandClock, **options: Any) -> tuple[ImageRepository, TakeoverView]:
    wanted = Takeover(source=foreign.repo, keys=foreign.keys, **options)
    return ImageRepository.take_over(path, wanted, clock=clock)


@pytest.mark.parametrize("kind", ["ED25519", "RSA"])
def test_deployed_and_new_devices_accept_what_comes_next(tmp_path: Path, clock: HandClock, kind: str) -> None:
    foreign = Foreign(tmp_path / "theirs", kind=kind)
    foreign.add("fw-1.0.bin", b"one", version=1, name="fw")
    foreign.add("acme/fw-2.0.bin", b"two", role="acme")
    foreign.write()
    before = deployed(foreign)
    repository, view = take_over(foreign, tmp_path / "image", clock, release_counter=5)
    assert view.versions == {"root": 2, "timestamp": 8, "targets": 4, "acme": 3}
    assert (view.publication, view.roots, view.images, view.expired, view.dropped) == (8, 2, 2, (), ())
    followed, fresh = AktualizrReader(repository.store), AktualizrReader(repository.store)
    followed.trusted = before
    for path in IMAGES:
        for reader in (followed, fresh, Reader(repository.store, repository.root_bytes(2))):
            entry = reader.find(path, START, "hw-7").entry
            assert entry is not None
            assert entry.must_agree == {"hardwareIds": ["hw-7"], "releaseCounter": 5}
    assert followed.asked[0] == "3.root.json"
    assert followed.trusted.targets is not None
    assert followed.trusted.targets.signed.version == 4
    # And it goes on: what we publish later, with other keys too.
    repository.rotate("root", "targets", "snapshot", "timestamp", "acme")
    for reader in (followed, AktualizrReader(repository.store), Reader(repository.store, repository.root_bytes(2))):
        assert reader.find("acme/fw-2.0.bin", START).entry is not None
    assert followed.trusted.root.signed.version == 3


def test_patterns_of_the_old_repository_are_judged_by_its_own_rule(tmp_path: Path, clock: HandClock) -> None:
    """There ``acme/*`` fits ``acme/sub/fw-3.0.bin``, so the same right is written here as a list that fits it too."""
    foreign = Foreign(tmp_path / "theirs")
    foreign.add("acme/sub/fw-3.0.bin", b"three", role="acme")
    foreign.write()
    repository, _ = take_over(foreign, tmp_path / "image", clock)
    for reader in (AktualizrReader(repository.store), Reader(repository.store, repository.root_bytes(2))):
        assert reader.find("acme/sub/fw-3.0.bin", START, "hw-7").entry is not None


def test_every_root_is_kept_byte_for_byte_and_its_key_ids_too_but_for_root(
    foreign: Foreign, tmp_path: Path, clock: HandClock
) -> None:
    repository, _ = take_over(foreign, tmp_path / "image", clock)
    reader = AktualizrReader(repository.store)
    for name in ("1.root.json", "2.root.json"):
        assert reader.file(repository.store, name) == (foreign.repo / name).read_bytes()
    assert reader.file(repository.store, "3.root.json") is None
    ours = json.loads(repository.root_bytes())["signed"]
    assert ours["version"] == 2
    assert ours["roles"]["targets"]["keyids"] == [foreign.signers["targets"].keyid]
    # Root keys of its own, so that no Root of the tuf chain is one of the chain that deployed devices follow.
    assert not set(ours["roles"]["root"]["keyids"]) & {foreign.signers["root"].keyid, foreign.old_root.keyid}


def test_any_text_is_a_key_id(tmp_path: Path, clock: HandClock) -> None:
    names = {
        "root": "our root key: ü/1",
        "targets": "../targets",
        "snapshot": "s" * 300,
        "acme": "k",
        "old-root": "old",
    }
    foreign = Foreign(tmp_path / "theirs", names=names)
    foreign.add("fw-1.0.bin", b"one")
    foreign.write()
    repository, _ = take_over(foreign, tmp_path / "image", clock)
    repository.rotate("root", "snapshot")
    for reader in (AktualizrReader(repository.store), Reader(repository.store, repository.root_bytes(2))):
        assert reader.find("fw-1.0.bin", START).entry is not None


def test_what_custom_said_is_kept_as_far_as_it_means_the_same_here(
    foreign: Foreign, tmp_path: Path, clock: HandClock
) -> None:
    foreign.add("b.bin", b"three", uri="https://images.example.org/b.bin", note={"any": [1, "ü"]})
    foreign.write(keys=False)
    repository, _ = take_over(foreign, tmp_path / "image", clock)
    reader = AktualizrReader(repository.store)
    entry = reader.find("b.bin", START).entry
    assert entry is not None
    assert entry.download_url == "https://images.example.org/b.bin"
    assert entry.custom["note"] == {"any": [1, "ü"]}
    first = reader.find("fw-1.0.bin", START).entry
    assert first is not None
    assert first.custom["version"] == 1
    assert isinstance(first.custom["name"], str)


def test_expired_files_are_taken_over_and_told(tmp_path: Path, clock: HandClock) -> None:
    old = "2029-01-01T00:00:00Z"
    foreign = Foreign(tmp_path / "theirs", expires={"root": old, "timestamp": old, "acme": old})
    foreign.add("fw-1.0.bin", b"one")
    foreign.write()
    repository, view = take_over(foreign, tmp_path / "image", clock)
    assert view.expired == ("root", "timestamp", "acme")
    assert view.versions["root"] == 3  # a new one, since no device accepts the old one any more
    assert AktualizrReader(repository.store).find("fw-1.0.bin", START).entry is not None


def test_a_root_that_is_about_to_expire_is_followed_by_a_new_one(tmp_path: Path, clock: HandClock) -> None:
    soon = (START + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    foreign = Foreign(tmp_path / "theirs", expires={"root": soon}).write()
    _, view = take_over(foreign, tmp_path / "image", clock)
    assert (view.versions["root"], view.expired) == (3, ())


@pytest.mark.parametrize("form", ["seed", "pem", "flat", "json"])
def test_keys_in_other_forms(tmp_path: Path, clock: HandClock, form: str) -> None:
    foreign = Foreign(tmp_path / "theirs").write(keys=False)
    for role, key in foreign.signers.items():
        if form == "seed":
            key.write(foreign.keys / role, seed_only=True)
            continue
        if form == "json":
            private = key.private.private_bytes_raw().hex() if key.kind == "ED25519" else key.private_pem
            foreign.keys.mkdir(exist_ok=True)
            secret = {"keytype": key.kind, "keyval": {"private": private, "public": key.public}}
            (foreign.keys / f"{role}.sec").write_text(json.dumps(secret))
            (foreign.keys / f"{role}.pub").write_text(json.dumps(key.json))
            continue
        place = foreign.keys / role / "private.key" if form == "pem" else foreign.keys / f"any-{role}.pem"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(key.private_pem)
    repository, _ = take_over(foreign, tmp_path / "image", clock)
    AktualizrReader(repository.store).refresh(START)


def test_an_rsa_key_in_json(tmp_path: Path, clock: HandClock) -> None:
    foreign = Foreign(tmp_path / "theirs", "RSA").write(keys=False)
    foreign.keys.mkdir()
    for role, key in foreign.signers.items():
        secret = {"keytype": "RSA", "keyval": {"private": key.private_pem, "public": key.public}}
        (foreign.keys / f"{role}.sec").write_text(json.dumps(secret))
    _, view = take_over(foreign, tmp_path / "image", clock)
    assert view.images == 0


def refused(foreign: Foreign, path: Path, error: type[TwinlockError], **options: Any) -> TwinlockError:
    with pytest.raises(error) as caught:
        take_over(foreign, path, HandClock(), **options)
    assert not path.exists()
    return caught.value


def test_a_delegated_role_without_its_keys_is_named(foreign: Foreign, tmp_path: Path, clock: HandClock) -> None:
    shutil.rmtree(foreign.keys / "acme")
    error = refused(foreign, tmp_path / "image", UsageError)
    assert "--drop-delegation acme" in str(error)
    before = deployed(foreign)
    repository, view = take_over(foreign, tmp_path / "image", clock, without=frozenset({"acme"}))
    assert view.dropped == ("acme",)
    followed = AktualizrReader(repository.store)
    followed.trusted = before
    assert followed.find("acme/fw-2.0.bin", START).entry is None
    assert followed.find("fw-1.0.bin", START).entry is not None
    assert followed.resolver.image("acme/fw-2.0.bin") is not None  # vehicles may still follow old Targets
    repository.rotate("snapshot", "timestamp")
    assert followed.find("fw-1.0.bin", START).entry is not None


def test_the_file_of_a_role_that_is_dropped_may_be_missing(foreign: Foreign, tmp_path: Path, clock: HandClock) -> None:
    (foreign.repo / "delegations/acme.json").unlink()
    refused(foreign, tmp_path / "image", MissingMetadataError)
    _, view = take_over(foreign, tmp_path / "image", clock, without=frozenset({"acme"}))
    assert view.dropped == ("acme",)


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_a_key_that_is_missing_is_named_before_anything_is_written(foreign: Foreign, tmp_path: Path, role: str) -> None:
    shutil.rmtree(foreign.keys / role)
    error = refused(foreign, tmp_path / "image", MissingKeysError)
    assert isinstance(error, MissingKeysError)
    assert (error.role, error.held, error.required) == (role, 0, 1)


@pytest.mark.parametrize(
    ("content", "finding"), [(b"two", OTHER_BYTES), (b"longer than that", OTHER_BYTES), (None, NO_BYTES)]
)
def test_images_are_compared_with_their_entries(
    foreign: Foreign, tmp_path: Path, clock: HandClock, content: bytes | None, finding: str
) -> None:
    place = foreign.repo / "targets/fw-1.0.bin"
    place.unlink()
    if content is not None:
        place.write_bytes(content)
    assert_left_out(foreign, tmp_path / "image", clock, "fw-1.0.bin", finding)


@pytest.mark.parametrize(
    ("content", "custom", "finding"),
    [
        (b"", {"targetFormat": "BINARY"}, NO_BYTES),
        (b"odd", {"targetFormat": "ostree"}, OSTREE),
        (b"odd", {"hardwareIds": []}, NOT_FOR_PROFILE),
    ],
)
def test_entries_that_we_could_not_publish_do_not_end_the_import(
    foreign: Foreign, tmp_path: Path, clock: HandClock, content: bytes, custom: dict[str, Any], finding: str
) -> None:
    foreign.add("odd.bin", content, **custom)
    foreign.write(keys=False)
    assert_left_out(foreign, tmp_path / "image", clock, "odd.bin", finding)


def assert_left_out(foreign: Foreign, path: Path, clock: HandClock, name: str, finding: str) -> None:
    """The import names the entry before it writes anything, leaves it out, and takes over all others."""
    told: list[ImportFindings] = []

    def tell(findings: ImportFindings) -> None:
        assert not path.exists()
        told.append(findings)

    wanted = Takeover(source=foreign.repo, keys=foreign.keys)
    forecast = foresee(wanted, now=START)
    assert not path.exists()
    repository, view = ImageRepository.take_over(path, wanted, clock=clock, tell=tell)
    assert [(item.role, item.target, item.code) for item in view.left_out] == [("targets", name, finding)]
    assert forecast == told[0]
    assert forecast.left_out == view.left_out
    others = set(foreign.images["targets"]) | set(foreign.images["acme"])
    assert {image.path for image in repository.show().images} == others - {name}
    AktualizrReader(repository.store).refresh(START)
    Reader(repository.store, repository.root_bytes(2)).refresh(START)


def test_what_will_not_work_later_is_told_before(foreign: Foreign, tmp_path: Path) -> None:
    foreign.add("a.bin", b"a", version={"major": 1}, releaseCounter=3)
    foreign.add("b.bin", b"b", dependencies=["gateway"], conflicts={"adas": "whatever"})
    foreign.write(keys=False)
    findings = foresee(Takeover(source=foreign.repo, keys=foreign.keys, release_counter=5), now=START)
    told = {(item.target, item.code) for item in findings.warnings}
    assert {("a.bin", NO_VERSION), ("b.bin", NO_TERMS), ("b.bin", NO_COUNTER), ("fw-1.0.bin", NO_COUNTER)} <= told
    assert [item.target for item in findings.warnings if item.code == NO_TERMS] == ["b.bin", "b.bin"]
    assert findings.left_out == ()
    assert not (tmp_path / "image").exists()


def test_what_a_vehicle_would_refuse_is_refused(foreign: Foreign, tmp_path: Path) -> None:
    files = {path: path.read_bytes() for path in foreign.repo.glob("*.json")}

    def changed(name: str, old: bytes, new: bytes, error: type[TwinlockError]) -> None:
        path = foreign.repo / name
        path.write_bytes(files[path].replace(old, new))
        refused(foreign, tmp_path / "image", error)
        path.write_bytes(files[path])

    changed("2.root.json", b'"version" : 2', b'"version" : 3', ThresholdError)
    changed("timestamp.json", b'"version":7', b'"version":8', ThresholdError)
    changed("snapshot.json", b'"version":4', b'"version":5', MixAndMatchError)
    changed("targets.json", b"fw-1.0.bin", b"fw-1.1.bin", MixAndMatchError)
    (foreign.repo / "1.root.json").unlink()
    refused(foreign, tmp_path / "image", UsageError)


def test_key_files_that_are_none(foreign: Foreign, tmp_path: Path) -> None:
    (foreign.keys / "root" / "private.key").write_text("zz")
    refused(foreign, tmp_path / "image", StorageError)
    other = ForeignKey()
    (foreign.keys / "root" / "private.key").write_text(other.private.private_bytes_raw().hex() + "00" * 32)
    refused(foreign, tmp_path / "image", StorageError)
    shutil.rmtree(foreign.keys)
    refused(foreign, tmp_path / "image", UsageError)
    foreign.keys.mkdir()
    refused(foreign, tmp_path / "image", UsageError)


def test_a_directory_in_use_is_left_alone(foreign: Foreign, filled: ImageRepository, clock: HandClock) -> None:
    before = tree(filled)
    with pytest.raises(UsageError):
        take_over(foreign, filled.path, clock)
    assert tree(filled) == before
    (filled.path.parent / "full").mkdir()
    (filled.path.parent / "full" / "file").touch()
    with pytest.raises(UsageError):
        take_over(foreign, filled.path.parent / "full", clock)


def test_an_import_that_is_done_is_not_done_again(foreign: Foreign, tmp_path: Path, clock: HandClock) -> None:
    repository, _ = take_over(foreign, tmp_path / "image", clock)
    before = tree(repository)
    with pytest.raises(UsageError):
        take_over(foreign, tmp_path / "image", clock)
    assert tree(repository) == before


def test_progress_tells_every_byte_twice(foreign: Foreign, tmp_path: Path, clock: HandClock) -> None:
    steps: list[int] = []
    wanted = Takeover(source=foreign.repo, keys=foreign.keys)
    ImageRepository.take_over(tmp_path / "image", wanted, clock=clock, progress=steps.append)
    assert sum(steps) == 2 * len(b"one" + b"two")


def test_a_name_of_the_old_repository_stays_taken(foreign: Foreign, tmp_path: Path, clock: HandClock) -> None:
    repository, _ = take_over(foreign, tmp_path / "image", clock)
    source = tmp_path / "other"
    source.write_bytes(b"other")
    with pytest.raises(ProfileError):
        repository.add_image(source, "fw-1.0.bin", hardware_ids=["hw-7"], release_counter=1, replace=True)
