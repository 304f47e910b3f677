"""What a refused key says, and which keys are equal."""

from __future__ import annotations

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.trust.errors.base import Attack
from twinlock.trust.errors.metadata import UnusableKeyError
from twinlock.trust.keys.public_keys import load_key

KEYS = KeyPool()
ED25519 = KEYS("a").public["keyval"]["public"]
LENGTH = "the value cannot be read as ed25519: an ed25519 key is 64 hexadecimal digits"
TYPES = {"ed25519": "ed25519", "ecdsa": "ecdsa-sha2-nistp256", "rsa": "rsassa-pss-sha256", "ml-dsa": "ml-dsa-44/1"}


def refused(keytype: str, scheme: str, public: str) -> str:
    with pytest.raises(UnusableKeyError) as caught:
        load_key("k", keytype=keytype, scheme=scheme, public=public)
    # A key that is merely unknown here, or written in another encoding, is neither weak nor an attack.
    assert (type(caught.value), caught.value.attack) == (UnusableKeyError, Attack.NONE)
    assert caught.value.keyid == "k"
    return caught.value.reason


@pytest.mark.parametrize(
    "public",
    [
        "",
        ED25519[:-2],
        ED25519 + "00",
        f"{ED25519[:2]} {ED25519[2:]}",  # the right bytes
        f"{ED25519[:2]}  {ED25519[4:]}",  # the right number of characters
    ],
)
def test_the_length_of_an_ed25519_key(public: str) -> None:
    assert refused("ed25519", "ed25519", public) == LENGTH


def test_a_type_or_scheme_that_nobody_here_knows() -> None:
    assert refused("ed25519", "x", ED25519) == "key type 'ed25519' with scheme 'x' is not supported"
    assert refused("x", "ed25519", ED25519) == "key type 'x' with scheme 'ed25519' is not supported"


@pytest.mark.parametrize(
    ("keytype", "is_none"),
    [
        ("ecdsa", "this is not an ECDSA key on secp256r1"),
        ("rsa", "this is not an RSA key"),
        ("ml-dsa", "this is not an MLDSA44PublicKey"),
    ],
)
def test_a_key_of_another_type(keytype: str, is_none: str) -> None:
    for kind in ("ecdsa-p256", "ecdsa-p384", "rsa", "ml-dsa-44", "ml-dsa-65"):
        key = KEYS("a", kind).public
        if key["scheme"] != TYPES[keytype]:
            expected = f"the value cannot be read as {keytype}: {is_none}"
            assert refused(keytype, TYPES[keytype], key["keyval"]["public"]) == expected


def test_what_is_no_key_at_all() -> None:
    for keytype, scheme in TYPES.items():
        for public in ("", "x", "-----BEGIN PUBLIC KEY-----", "\u00e4", "\x00"):
            assert refused(keytype, scheme, public).startswith(f"the value cannot be read as {keytype}: ")


def test_keys_are_equal_by_id_scheme_and_material() -> None:
    key = KEYS("a").public_key
    again = load_key.__wrapped__(key.keyid, keytype=key.keytype, scheme=key.scheme, public=key.public)
    assert again is not key
    assert again == key
    assert hash(again) == hash(key)
    others = [KEYS("a").alias("other").public_key, KEYS("b").alias(key.keyid).public_key, key.keyid, None]
    assert [key == other for other in others] == [False] * 4
    assert [key != other for other in others] == [True] * 4
    public = KEYS("r", "rsa").public["keyval"]["public"]
    one, two = (load_key("k", keytype="rsa", scheme=f"rsassa-pss-sha{bits}", public=public) for bits in (256, 512))
    assert one != two
    assert one.identity == two.identity
    assert KEYS("a").alias("other").public_key.identity == key.identity


def test_the_material_of_each_type_has_its_own_prefix() -> None:
    assert KEYS("a").public_key.identity == b"ed25519:" + bytes.fromhex(ED25519)
    for kind in ("ecdsa-p256", "rsa", "ml-dsa-44"):
        assert KEYS("a", kind).public_key.identity.startswith(b"spki:0")
