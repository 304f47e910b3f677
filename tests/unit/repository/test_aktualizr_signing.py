"""Files of the ``aktualizr`` profile are signed by the keys that there are, and judged here by nothing of ours."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from twinlock.repository.aktualizr.signing import sign_aktualizr
from twinlock.repository.errors import MissingKeysError
from twinlock.repository.keys.keyring import KeyKind, Keyring
from twinlock.repository.signing.sign import SigningAuthority
from twinlock.trust.errors.local import ProfileError

SIGNED = {"_type": "Targets", "version": 1, "expires": "2030-01-01T00:00:00Z", "targets": {"ü\n": {}}}
LIMIT = 65_536


@pytest.fixture
def keys(tmp_path: Path) -> Keyring:
    return Keyring(offline=tmp_path / "keys")


def authority(keys: Keyring, *kinds: KeyKind, threshold: int = 1) -> SigningAuthority:
    records = [record for kind in kinds for record in keys.generate("targets", kind=kind)]
    return SigningAuthority({record.keyid: record.authoring_key for record in records}, threshold)


def canonical(value: Any) -> bytes:
    """The form that the client makes of what it parsed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def test_the_file_is_its_own_canonical_form_and_each_signature_is_over_that_of_signed(keys: Keyring) -> None:
    both = authority(keys, KeyKind.ED25519, KeyKind.RSA_PSS, threshold=2)
    data = sign_aktualizr("targets", SIGNED, [both], keys, max_bytes=LIMIT)
    body = json.loads(data)
    assert canonical(body) == data
    assert body["signed"] == SIGNED
    message = canonical(SIGNED)
    methods = {}
    for entry in body["signatures"]:
        key, value = both.keys[entry["keyid"]], base64.b64decode(entry["sig"], validate=True)
        methods[key.keytype] = entry["method"]
        if key.keytype == "ed25519":
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.keyval["public"])).verify(value, message)
        else:
            public = load_pem_public_key(key.keyval["public"].encode())
            assert isinstance(public, rsa.RSAPublicKey)
            public.verify(value, message, padding.PSS(padding.MGF1(SHA256()), padding.PSS.AUTO), SHA256())
    assert methods == {"ed25519": "ed25519", "rsa": "rsassa-pss-sha256"}


def test_a_key_of_two_authorities_signs_once(keys: Keyring) -> None:
    one = authority(keys, KeyKind.ED25519)
    data = sign_aktualizr("root", SIGNED, [one, one], keys, max_bytes=LIMIT, also=one)
    assert [entry["keyid"] for entry in json.loads(data)["signatures"]] == list(one.keyids)


def test_each_authority_has_to_reach_its_threshold(keys: Keyring, tmp_path: Path) -> None:
    here, elsewhere = authority(keys, KeyKind.ED25519), authority(Keyring(offline=tmp_path / "far"), KeyKind.ED25519)
    with pytest.raises(MissingKeysError) as caught:
        sign_aktualizr("root", SIGNED, [here, elsewhere], keys, max_bytes=LIMIT)
    assert (caught.value.held, caught.value.keyids) == (0, elsewhere.keyids)


def test_a_key_that_the_client_cannot_read_is_refused_by_name(keys: Keyring) -> None:
    bad = authority(keys, KeyKind.ED25519, KeyKind.ECDSA_P256)
    with pytest.raises(ProfileError) as caught:
        sign_aktualizr("targets", SIGNED, [bad], keys, max_bytes=LIMIT)
    assert (caught.value.profile, caught.value.what) == ("aktualizr", bad.keyids[1])


def test_keys_that_may_sign_too_do_so_if_the_client_can_read_them(keys: Keyring) -> None:
    needed, welcome = authority(keys, KeyKind.ED25519), authority(keys, KeyKind.ED25519, KeyKind.ECDSA_P256)
    data = sign_aktualizr("targets", SIGNED, [needed], keys, max_bytes=LIMIT, also=welcome)
    assert [entry["keyid"] for entry in json.loads(data)["signatures"]] == [needed.keyids[0], welcome.keyids[0]]


@pytest.mark.parametrize("slack", [0, -1])
def test_a_file_of_just_the_size_that_the_client_reads_is_signed(keys: Keyring, slack: int) -> None:
    one = authority(keys, KeyKind.ED25519)
    size = len(sign_aktualizr("targets", SIGNED, [one], keys, max_bytes=LIMIT))
    if slack == 0:
        assert len(sign_aktualizr("targets", SIGNED, [one], keys, max_bytes=size)) == size
        return
    with pytest.raises(ProfileError) as caught:
        sign_aktualizr("targets", SIGNED, [one], keys, max_bytes=size + slack)
    assert str(size) in caught.value.reason


def test_content_with_two_canonical_forms_is_refused(keys: Keyring) -> None:
    with pytest.raises(ProfileError):
        sign_aktualizr("targets", {**SIGNED, "x": "\x7f"}, [authority(keys, KeyKind.ED25519)], keys, max_bytes=LIMIT)
