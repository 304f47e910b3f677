"""Canonical form, key ids and signatures (wire 0, 3, 4)."""

from __future__ import annotations

import hashlib

import pytest

from tests.aktualizr.wire import PublicKey, SigningKey, canonical, envelope, native_keyid


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": [True, None]}, b'{"a":[true,null],"b":1}'),
        ("line\nline", rb'"line\nline"'),
        ("ü€", rb'"\u00fc\u20ac"'),
        ("\U0001f511", rb'"\ud83d\udd11"'),
        ("\x7f", b'"\x7f"'),
        ("\\u007f", rb'"\\u007f"'),
    ],
)
def test_the_canonical_form_is_ascii_and_not_olpc(value: object, expected: bytes) -> None:
    assert canonical(value) == expected


def test_a_key_id_is_the_hash_of_a_canonical_string_without_the_last_newlines() -> None:
    pem = "-----BEGIN PUBLIC KEY-----\nAA\n-----END PUBLIC KEY-----"
    quoted = b'"' + pem.replace("\n", "\\n").encode() + b'"'
    assert native_keyid(pem + "\n\n") == hashlib.sha256(quoted).hexdigest()


@pytest.mark.parametrize(("kind", "method"), [("ED25519", "ed25519"), ("RSA2048", "rsassa-pss")])
def test_a_signature_is_verified_and_a_changed_one_is_not(kind: str, method: str) -> None:
    key = SigningKey.generate(kind)
    made = envelope({"ü": "\n"}, key)["signatures"][0]
    public = PublicKey(key.keytype, key.public)
    assert (made["keyid"], made["method"]) == (native_keyid(key.public), method)
    assert public.verifies(made["sig"], canonical({"ü": "\n"}))
    assert not public.verifies(made["sig"], canonical({"ü": ""}))


@pytest.mark.parametrize("sig", ["", "not base64!", "00" * 64])
def test_what_is_no_signature_counts_for_nothing(sig: str) -> None:
    key = SigningKey.named("TEST")
    assert not PublicKey("ed25519", key.public.lower()).verifies(sig, b"")


def test_short_rsa_keys_are_not_used() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = SigningKey(rsa.generate_private_key(public_exponent=65537, key_size=1024))
    assert not PublicKey("RSA", key.public).verifies(key.sign(b"")["sig"], b"")
