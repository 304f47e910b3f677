"""A public key as a value, and keys in encodings that this engine does not know."""

from __future__ import annotations

import base64

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.trust.errors.metadata import UnusableKeyError
from twinlock.trust.keys.public_keys import load_key

KEYS = KeyPool()
# SubjectPublicKeyInfo of the made-up algorithm 1.2.3.4, and of an elliptic curve on the made-up curve 1.2.3.4.
ALGORITHM = bytes.fromhex("300b 3005 06032a0304 03020000")
CURVE = bytes.fromhex("3014 300e 06072a8648ce3d0201 06032a0304 03020000")


def pem(der: bytes) -> str:
    return f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"


def test_a_public_key_does_not_change() -> None:
    key = KEYS("a").public_key
    with pytest.raises(AttributeError, match="a public key does not change: scheme"):
        key.scheme = "other"
    assert key.scheme == "ed25519"


def test_a_public_key_is_shown_by_its_id_and_scheme() -> None:
    assert repr(KEYS("a").alias("id").public_key) == "PublicKey('id', 'ed25519')"


@pytest.mark.parametrize(
    ("keytype", "scheme"),
    [("rsa", "rsassa-pss-sha256"), ("ecdsa", "ecdsa-sha2-nistp256"), ("ml-dsa", "ml-dsa-44/1")],
)
@pytest.mark.parametrize("der", [ALGORITHM, CURVE])
def test_a_key_of_an_algorithm_that_the_library_does_not_know_is_unusable(
    keytype: str, scheme: str, der: bytes
) -> None:
    with pytest.raises(UnusableKeyError) as caught:
        load_key("k", keytype=keytype, scheme=scheme, public=pem(der))
    assert caught.value.keyid == "k"
    assert "1.2.3.4" in caught.value.reason
