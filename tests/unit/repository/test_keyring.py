"""The keyring: every kind of key signs what the engine accepts; files are private; passphrases are honoured."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from twinlock.repository.keys.keyring import KeyKind, KeyPlan, Keyring, Passphrase
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import ConflictError, NewerStateError, PassphraseError, StorageError
from twinlock.trust.errors.metadata import UnsafePathError


def ring(path: Path, passphrase: Passphrase = None) -> Keyring:
    return Keyring(offline=path / "offline", online=path / "online", online_roles={"timestamp"}, passphrase=passphrase)


@pytest.mark.parametrize("kind", list(KeyKind))
@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_a_key_of_every_kind_is_stored_opened_again_and_signs(
    tmp_path: Path, kind: KeyKind, passphrase: str | None
) -> None:
    made = ring(tmp_path, passphrase).generate("root", kind=kind)[0]
    signer = ring(tmp_path, passphrase).raw_signer(made.keyid)
    signature = signer.sign(b"message")
    assert signer.public_key.verifies(signature, b"message")
    assert not signer.public_key.verifies(signature, b"another message")
    assert made.public_key.identity == signer.public_key.identity


def test_keys_lie_in_their_places_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    keys.generate("root", count=2)
    keys.generate("timestamp")
    assert len(list((tmp_path / "offline").glob("root.*.pem"))) == 2
    assert len(list((tmp_path / "online").glob("timestamp.*.pem"))) == 1
    for place in ("offline", "online"):
        assert stat.S_IMODE((tmp_path / place).stat().st_mode) == 0o700
        for path in (tmp_path / place).iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_passphrase_means_that_no_private_key_is_readable_on_disk(tmp_path: Path) -> None:
    ring(tmp_path, "secret").generate("root")
    pem = next((tmp_path / "offline").glob("*.pem")).read_bytes()
    assert pem.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")


@pytest.mark.parametrize("wrong", ["other", None, b"bytes", lambda: "asked"])
def test_a_wrong_or_missing_passphrase_is_told_with_the_file(tmp_path: Path, wrong: Passphrase) -> None:
    record = ring(tmp_path, "secret").generate("root")[0]
    with pytest.raises(PassphraseError) as caught:
        ring(tmp_path, wrong).signers([record.keyid])
    assert caught.value.path.endswith(".pem")


def test_a_passphrase_is_asked_for_only_when_a_key_needs_it(tmp_path: Path) -> None:
    def ask() -> str:
        raise AssertionError("nobody should be asked")

    record = ring(tmp_path).generate("root")[0]
    keys = ring(tmp_path, ask)
    beside = keys.generate("root")[0]
    assert len(keys.signers([record.keyid, beside.keyid])) == 2


def test_the_first_key_of_all_is_encrypted_with_the_passphrase_that_was_asked_for(tmp_path: Path) -> None:
    record = ring(tmp_path, lambda: "secret").generate("root")[0]
    with pytest.raises(PassphraseError):
        ring(tmp_path).signers([record.keyid])


def test_new_keys_beside_encrypted_ones_are_encrypted_with_the_passphrase_that_was_asked_for(tmp_path: Path) -> None:
    ring(tmp_path, "secret").generate("root")
    record = ring(tmp_path, lambda: "secret").generate("root")[0]
    with pytest.raises(PassphraseError):
        ring(tmp_path).signers([record.keyid])


def test_an_empty_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        ring(tmp_path, "").generate("root")


def test_only_keys_that_are_held_sign(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    first, second = keys.generate("root", count=2)
    for path in second.files:
        path.unlink()
    assert [signer.public_key.keyid for signer in ring(tmp_path).signers([first.keyid, second.keyid])] == [first.keyid]
    with pytest.raises(UsageError):
        ring(tmp_path).raw_signer(second.keyid)


def test_retired_keys_are_put_aside_and_sign_no_more(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    record = keys.generate("root")[0]
    keys.signers([record.keyid])
    keys.retire([record.keyid])
    assert keys.signers([record.keyid]) == ()
    assert keys.records() == ()
    assert sorted(path.suffix for path in (tmp_path / "offline" / "retired").iterdir()) == [".json", ".pem"]


def test_a_private_key_that_belongs_to_another_public_key_is_refused(tmp_path: Path) -> None:
    first, second = ring(tmp_path).generate("root", count=2)
    first.files[1].write_bytes(second.files[1].read_bytes())
    with pytest.raises(StorageError) as caught:
        ring(tmp_path).signers([first.keyid])
    assert caught.value.operation == "use"


def test_a_damaged_key_is_no_matter_of_passphrase(tmp_path: Path) -> None:
    record = ring(tmp_path).generate("root")[0]
    record.files[1].write_bytes(b"-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----\n")
    with pytest.raises(StorageError) as caught:
        ring(tmp_path).signers([record.keyid])
    assert caught.value.operation == "read"


def test_a_record_of_a_newer_version_is_told_as_that(tmp_path: Path) -> None:
    record = ring(tmp_path).generate("root")[0]
    body = json.loads(record.files[0].read_bytes())
    record.files[0].write_text(json.dumps({**body, "format": 2}))
    with pytest.raises(NewerStateError) as caught:
        ring(tmp_path).records()
    assert (caught.value.found, caught.value.supported) == (2, 1)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 1}', "\x00"])
def test_a_damaged_record_is_told_with_its_path(tmp_path: Path, text: str) -> None:
    record = ring(tmp_path).generate("root")[0]
    record.files[0].write_text(text)
    with pytest.raises(StorageError) as caught:
        ring(tmp_path).records()
    assert caught.value.path == str(record.files[0])


def test_a_record_cannot_point_out_of_its_directory(tmp_path: Path) -> None:
    record = ring(tmp_path).generate("root")[0]
    body = json.loads(record.files[0].read_bytes())
    (tmp_path / "other.pem").write_bytes(record.files[1].read_bytes())
    record.files[0].write_text(json.dumps({**body, "signer": "pem:../other.pem"}))
    with pytest.raises(StorageError):
        ring(tmp_path).signers([record.keyid])


def test_a_role_name_becomes_a_safe_file_name(tmp_path: Path) -> None:
    record = ring(tmp_path).generate("../evil")[0]
    assert record.files[0].parent == tmp_path / "offline"
    assert ring(tmp_path).records("../evil")[0].keyid == record.keyid
    with pytest.raises(UnsafePathError):
        ring(tmp_path).generate("a\nb")


@pytest.mark.parametrize(("count", "threshold"), [(1, 2), (0, 0), (2, 0)])
def test_a_plan_that_cannot_be_met_is_refused(count: int, threshold: int) -> None:
    with pytest.raises(UsageError):
        KeyPlan(count=count, threshold=threshold)


def test_a_key_that_goes_is_off_the_disk_before_anything_else_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A removal that is not flushed is undone by a power cut, and the revoked key is back among the live ones."""
    keys, flushed = ring(tmp_path), dict[str, set[str]]()

    def flush(directory: Path) -> None:
        flushed[directory.name] = {path.name for path in directory.iterdir() if path.is_file()}

    aside, gone = keys.generate("root", count=2)
    monkeypatch.setattr("twinlock.repository.keys.keyring.flush_directory", flush)
    keys.retire([aside.keyid])
    assert flushed["retired"] == {path.name for path in aside.files}
    assert flushed["offline"] == {path.name for path in gone.files}
    keys.retire([gone.keyid], destroy=True)
    assert flushed["offline"] == set()
    assert flushed["retired"] == {*(path.name for path in aside.files), gone.files[0].name}


def test_new_keys_go_while_their_record_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, records = ring(tmp_path), list[int]()

    def flush(directory: Path) -> None:
        if not list(directory.glob("*.pem")):
            records.append(len(list(directory.glob(".new-keys-*"))))

    with pytest.raises(ConflictError), keys.new_keys() as new:
        new.generate("root", kind=KeyKind.ED25519)
        with new.leaving():
            monkeypatch.setattr("twinlock.repository.keys.keyring.flush_directory", flush)
            raise ConflictError(what="the repository", reason="another was first")
    assert records[0] == 1
    assert not list((tmp_path / "offline").iterdir())
