"""Bounds before work: what a supplier hands over costs little until it has been judged, and a way back is named."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from securesystemslib.signer import SSlibKey
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, TargetFile, Targets

from tests.unit.repository.conftest import START, Acme
from tests.unit.repository.test_accept import refused, resign
from twinlock.repository.errors import OutboxImageError, VersionJumpError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.store import image_files
from twinlock.repository.store.interface import StoredObject
from twinlock.repository.suppliers import outbox
from twinlock.repository.suppliers.outbox import Outbox
from twinlock.repository.suppliers.review import MAX_VERSION_JUMP, MAX_WAYS
from twinlock.trust.errors.base import Attack, UsageError
from twinlock.trust.errors.metadata import LimitError, UnsafePathError


@pytest.fixture
def expecting(filled: ImageRepository, acme: Acme) -> ImageRepository:
    filled.delegate("acme", keys=[acme.place.public_key_file], paths=["acme/*"], hardware_ids=["hw-9"])
    return filled


def honest(repository: ImageRepository, acme: Acme) -> None:
    """The supplier's honest file is accepted and published."""
    assert repository.accept(acme.outbox) == ("acme",)
    repository.publish()


@pytest.mark.parametrize("version", [2**63 - 1, 2 + MAX_VERSION_JUMP])
def test_a_version_that_leaves_no_other_above_it(expecting: ImageRepository, acme: Acme, version: int) -> None:
    acme.sign()
    honest(expecting, acme)
    good = (acme.outbox / "metadata" / "acme.json").read_bytes()
    resign(acme, lambda targets: setattr(targets, "version", version))
    error = refused(expecting, acme.outbox, VersionJumpError)
    assert (error.role, error.offered, error.known, error.limit) == ("acme", version, 1, MAX_VERSION_JUMP)
    assert "--above" in error.hint
    (acme.outbox / "metadata" / "acme.json").write_bytes(good)
    assert acme.sign("acme/lidar-2.bin") == 2
    honest(expecting, acme)


def test_a_sparse_image_is_judged_by_its_length_first(
    expecting: ImageRepository, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme.sign()
    stored = next(path for path in (acme.outbox / "targets").rglob("*") if path.is_file())
    good = stored.read_bytes()
    os.truncate(stored, 5 << 30)

    def never(*_: object) -> None:
        raise AssertionError("bytes were read that nobody signed")

    with monkeypatch.context() as patched:
        patched.setattr(image_files, "hash_stream", never)
        assert "5368709120 bytes" in refused(expecting, acme.outbox, OutboxImageError).reason
    os.truncate(stored, 0)
    stored.write_bytes(good)
    honest(expecting, acme)


def test_files_that_nobody_delegated_are_counted_and_never_read(
    expecting: ImageRepository, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme.sign()
    for number in range(40):
        with (acme.outbox / "metadata" / f"r{number:02}.json").open("wb") as file:
            file.truncate(60_000_000)
    read: list[str] = []
    get = Outbox.get

    def noted(self: Outbox, name: str, *, max_bytes: int) -> StoredObject | None:
        read.append(name)
        return get(self, name, max_bytes=max_bytes)

    monkeypatch.setattr(Outbox, "get", noted)
    reason = refused(expecting, acme.outbox, UsageError).reason
    assert "r00, r01, r02, r03, r04 and 35 more;" in reason
    assert {name for name in read if name.startswith("metadata/")} == {"metadata/acme.json"}
    for number in range(40):
        (acme.outbox / "metadata" / f"r{number:02}.json").unlink()
    honest(expecting, acme)


def test_the_names_in_an_outbox_are_bounded(
    expecting: ImageRepository, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme.sign()
    monkeypatch.setattr(outbox, "MAX_OUTBOX_ROLES", 1)
    (acme.outbox / "metadata" / "more.json").touch()
    assert refused(expecting, acme.outbox, LimitError).limit == 1
    (acme.outbox / "metadata" / "more.json").unlink()
    honest(expecting, acme)


def test_the_bytes_of_delegated_files_are_bounded(
    expecting: ImageRepository, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme.sign()
    with monkeypatch.context() as patched:
        patched.setattr(outbox, "MAX_OUTBOX_BYTES", 10)
        assert refused(expecting, acme.outbox, LimitError).limit == 10
    honest(expecting, acme)


@pytest.mark.parametrize("place", ["metadata", "targets"])
@pytest.mark.parametrize("kind", ["a symbolic link", "a pipe", "a socket", "a directory"])
def test_what_is_not_a_regular_file_is_refused_by_name(
    expecting: ImageRepository, acme: Acme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, kind: str
) -> None:
    acme.sign()
    path = next(path for path in (acme.outbox / place).rglob("*") if path.is_file())
    kept = path.rename(tmp_path / "kept")
    monkeypatch.chdir(path.parent)
    if kind == "a symbolic link":
        path.symlink_to(kept)
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("short")  # the kernel takes no long name here
        Path("short").rename(path)
    else:
        path.mkdir()
    error = refused(expecting, acme.outbox, UnsafePathError)
    assert (error.attack, error.path) == (Attack.TRAVERSAL, path.relative_to(acme.outbox).as_posix())
    assert kind in error.reason
    if kind == "a directory":
        path.rmdir()
    else:
        path.unlink()
    kept.rename(path)
    honest(expecting, acme)


def test_a_maze_of_delegations_is_bounded(expecting: ImageRepository, acme: Acme) -> None:
    """Twenty levels of two roles, each delegating to both of the next: a million ways, of which few are walked."""
    acme.sign()
    key = acme.place.keyring.records()[0].authoring_key
    resign(acme, lambda targets: setattr(targets, "delegations", _both(key, 0)))
    for level in range(20):
        for side in "ab":
            signed = Targets(version=1, expires=START.replace(year=START.year + 1), delegations=_both(key, level + 1))
            if level == 19:
                signed.delegations = None
                signed.targets["acme/x.bin"] = TargetFile(
                    1,
                    {"sha256": "0" * 64},
                    "acme/x.bin",
                    {"custom": {"mustAgree": {"hardwareIds": ["hw-9"], "releaseCounter": 1}}},
                )
            metadata = Metadata(signed)
            for signer in acme.place.keyring.signers([key.keyid]):
                metadata.sign(signer)
            (acme.outbox / "metadata" / f"l{level}{side}.json").write_bytes(metadata.to_bytes())
    error = refused(expecting, acme.outbox, LimitError)
    assert error.limit == MAX_WAYS


def _both(key: SSlibKey, level: int) -> Delegations:
    names = [f"l{level}{side}" for side in "ab"]
    return Delegations(
        {key.keyid: key},
        {name: DelegatedRole(name, [key.keyid], 1, terminating=False, paths=["acme/*"]) for name in names},
    )
