"""The ECU's own key: made once, private, and named as securesystemslib names it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import SSlibKey

from twinlock.client.ecu.identity import KEY_TYPES, create_identity, load_identity
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import StorageError


@pytest.mark.parametrize("keytype", KEY_TYPES)
def test_a_key_survives_a_restart_and_signs(tmp_path: Path, keytype: str) -> None:
    made = create_identity(tmp_path / "key.pem", keytype)
    loaded = load_identity(tmp_path / "key.pem")
    assert loaded.public_key.identity == made.public_key.identity
    assert made.public_key.verifies(loaded.sign(b"report"), b"report")
    assert not made.public_key.verifies(loaded.sign(b"report"), b"other")


@pytest.mark.parametrize("keytype", KEY_TYPES)
def test_the_key_id_is_securesystemslibs(tmp_path: Path, keytype: str) -> None:
    made = create_identity(tmp_path / "key.pem", keytype)
    private = load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    expected = SSlibKey.from_crypto(private.public_key())
    assert made.public_key.keyid == expected.keyid
    assert made.public_key.as_json() == expected.to_dict()


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    create_identity(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with pytest.raises(StorageError) as refused:
        load_identity(path)
    assert "chmod 600" in refused.value.reason


def test_an_existing_key_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    create_identity(path)
    before = path.read_bytes()
    with pytest.raises(StorageError):
        create_identity(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["key.pem"]


@pytest.mark.parametrize(
    "content", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_what_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(StorageError) as refused:
        load_identity(path)
    assert refused.value.path == str(path)


def test_an_unknown_key_type_is_the_callers_fault(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        create_identity(tmp_path / "key.pem", "dsa")
    assert not list(tmp_path.iterdir())
