"""Public keys: every type and scheme against signatures made by securesystemslib, and the weak ones refused."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, padding, rsa, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import CryptoSigner, SSlibKey

from tests.attacks.test_weak_keys import LOW_ORDER
from twinlock.trust.errors.metadata import UnusableKeyError, WeakKeyError
from twinlock.trust.keys.public_keys import SUPPORTED_SCHEMES, PublicKey, load_key

MESSAGE = b'{"a":1}'
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE: dict[str, Any] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "ecdsa-sha2-nistp256": ec.generate_private_key(ec.SECP256R1()),
    "ecdsa-sha2-nistp384": ec.generate_private_key(ec.SECP384R1()),
    **{f"rsassa-pss-sha{bits}": RSA for bits in (256, 384, 512)},
    "ml-dsa-44/1": mldsa.MLDSA44PrivateKey.generate(),
    "ml-dsa-65/1": mldsa.MLDSA65PrivateKey.generate(),
    "ml-dsa-87/1": mldsa.MLDSA87PrivateKey.generate(),
}
SCHEMES = list(PRIVATE)


def signer(scheme: str) -> CryptoSigner:
    """securesystemslib's signer of a scheme."""
    private = PRIVATE[scheme]
    return CryptoSigner(private, SSlibKey.from_crypto(private.public_key(), scheme=scheme))


def load(scheme: str) -> PublicKey:
    """The engine's key of a scheme."""
    public = signer(scheme).public_key
    return load_key(public.keyid, keytype=public.keytype, scheme=public.scheme, public=public.keyval["public"])


def pem(public: Any) -> str:
    """The PEM of a public key."""
    return str(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_genuine_signature(scheme: str) -> None:
    signature = bytes.fromhex(signer(scheme).sign(MESSAGE).signature)
    assert load(scheme).verifies(signature, MESSAGE)
    assert not load(scheme).verifies(signature, MESSAGE + b" ")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["empty", "zero", "short", "long", "flipped", "huge"])
def test_a_bad_signature_is_false_and_never_raises(scheme: str, name: str) -> None:
    good = bytes.fromhex(signer(scheme).sign(MESSAGE).signature)
    bad = {
        "empty": b"",
        "zero": bytes(len(good)),
        "short": good[:-1],
        "long": good + b"\x00",
        "flipped": bytes([good[0] ^ 1]) + good[1:],
        "huge": b"\xff" * 30_000,
    }[name]
    assert load(scheme).verifies(bad, MESSAGE) is False


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_key_as_json(scheme: str) -> None:
    assert load(scheme).as_json() == signer(scheme).public_key.to_dict()


def test_every_supported_scheme_is_tested() -> None:
    assert {scheme for _, scheme in SUPPORTED_SCHEMES} == set(SCHEMES)


@pytest.mark.parametrize("curve", ["256", "384"])
def test_the_old_way_to_write_an_ecdsa_key(curve: str) -> None:
    scheme = f"ecdsa-sha2-nistp{curve}"
    public = signer(scheme).public_key.keyval["public"]
    old = load_key("x", keytype=scheme, scheme=scheme, public=public)
    assert old.identity == load(scheme).identity


def test_one_key_is_one_identity_whatever_it_is_called() -> None:
    names = [("rsa", f"rsassa-pss-sha{bits}") for bits in (256, 384, 512)]
    spellings = [pem(RSA.public_key()), pem(RSA.public_key()).replace("\n", "\r\n"), "note\n" + pem(RSA.public_key())]
    found = {
        load_key("x", keytype=kind, scheme=scheme, public=text).identity for kind, scheme in names for text in spellings
    }
    assert len(found) == 1
    raw = PRIVATE["ed25519"].public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
    both = {load_key("x", keytype="ed25519", scheme="ed25519", public=text).identity for text in (raw, raw.upper())}
    assert len(both) == 1


def test_a_compressed_point_is_the_same_key() -> None:
    numbers = PRIVATE["ecdsa-sha2-nistp256"].public_key()
    point = numbers.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    again = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    assert (
        load_key("x", keytype="ecdsa", scheme="ecdsa-sha2-nistp256", public=pem(again)).identity
        == load("ecdsa-sha2-nistp256").identity
    )


@pytest.mark.parametrize("order", LOW_ORDER)
@pytest.mark.parametrize("sign", [0, 0x80])
def test_ed25519_points_of_low_order(order: str, sign: int) -> None:
    raw = bytearray.fromhex(LOW_ORDER[order])
    raw[31] |= sign
    with pytest.raises(WeakKeyError) as caught:
        load_key("weak", keytype="ed25519", scheme="ed25519", public=raw.hex())
    assert caught.value.keyid == "weak"


def test_a_point_of_low_order_would_let_anybody_sign() -> None:
    # What the refusal is for: with the neutral point as key, one fixed signature fits every message.
    weak = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(LOW_ORDER["order-1"]))
    weak.verify(bytes.fromhex(LOW_ORDER["order-1"]) + bytes(32), b"any message")


def _low_order_points() -> set[int]:
    """The y-coordinates of all points whose order divides 8, by arithmetic on edwards25519 itself."""
    p = 2**255 - 19
    d = -121665 * pow(121666, -1, p) % p

    def add(one: tuple[int, int], two: tuple[int, int]) -> tuple[int, int]:
        (x1, y1), (x2, y2) = one, two
        k = d * x1 * x2 * y1 * y2 % p
        return (x1 * y2 + x2 * y1) * pow(1 + k, -1, p) % p, (y1 * y2 + x1 * x2) * pow(1 - k, -1, p) % p

    def root(square: int) -> int | None:
        x = pow(square, (p + 3) // 8, p)
        x = x if x * x % p == square % p else x * pow(2, (p - 1) // 4, p) % p
        return x if x * x % p == square % p else None

    # Any point times the order of the large subgroup has an order that divides 8.
    large = 2**252 + 27742317777372353535851937790883648493
    found = set()
    for y in range(2, 60):
        x = root((y * y - 1) * pow(d * y * y + 1, -1, p))
        if x is None:
            continue
        result, power, left = (0, 1), (x, y), large
        while left:
            result = add(result, power) if left & 1 else result
            power, left = add(power, power), left >> 1
        found.add(result[1])
    return found


def test_the_table_of_low_order_points_is_complete() -> None:
    points = _low_order_points()
    assert len(points) == 5
    for y in points:
        with pytest.raises(WeakKeyError):
            load_key("x", keytype="ed25519", scheme="ed25519", public=y.to_bytes(32, "little").hex())


@pytest.mark.parametrize("extra", range(19))
def test_ed25519_points_that_are_not_encoded_canonically(extra: int) -> None:
    raw = (2**255 - 19 + extra).to_bytes(32, "little").hex()
    with pytest.raises(WeakKeyError):
        load_key("x", keytype="ed25519", scheme="ed25519", public=raw)


# A key of 1024 bits that openssl made; the cryptography library makes none so short.
TEST_RSA_1024 = """-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDc8s1IRwPUW1PK0ca+BWtUlPrn
NN0y9mBjKA9tmo/J58yG5n5iXwAfW//Iltp+x7vlloZSVSZowSykuYHbK/722yUS
OZbKsl3Oreux34nuqRwPpJZCqk91ooBtcRJmLYldLU7yla855iqkm871fHzfukAn
fjcZD9y17+6/HrTQOQIDAQAB
-----END PUBLIC KEY-----
"""


@pytest.mark.parametrize("bits", [1024, 2047])
def test_short_rsa_keys(bits: int) -> None:
    if bits == 1024:
        text = TEST_RSA_1024
    else:
        numbers = rsa.RSAPublicNumbers(65537, (1 << 2046) | RSA.public_key().public_numbers().n >> 2 | 1)
        text = pem(numbers.public_key())
    with pytest.raises(WeakKeyError):
        load_key("x", keytype="rsa", scheme="rsassa-pss-sha256", public=text)


def test_huge_rsa_keys_never_raise_in_use() -> None:
    numbers = rsa.RSAPublicNumbers(65537, (1 << 16_500) | 1)
    try:
        key = load_key("x", keytype="rsa", scheme="rsassa-pss-sha256", public=pem(numbers.public_key()))
    except WeakKeyError:
        return
    assert key.verifies(b"\x01" * 2063, MESSAGE) is False


@pytest.mark.parametrize(
    ("keytype", "scheme", "public"),
    [
        ("ed25519", "ed25519", ""),
        ("ed25519", "ed25519", "00" * 31),
        ("ed25519", "ed25519", "00" * 33),
        ("ed25519", "ed25519", "zz" * 32),
        ("ed25519", "ed25519", " " + "11" * 31 + " "),
        ("ed25519", "ed25519", "\u0661" * 64),
        ("ed25519", "ecdsa-sha2-nistp256", "11" * 32),
        ("rsa", "ed25519", "11" * 32),
        ("rsa", "rsassa-pss-sha1", pem(RSA.public_key())),
        ("rsa", "rsa-pkcs1v15-sha256", pem(RSA.public_key())),
        ("rsa", "rsassa-pss-sha256", "not a PEM"),
        ("rsa", "rsassa-pss-sha256", pem(PRIVATE["ecdsa-sha2-nistp256"].public_key())),
        ("ecdsa", "ecdsa-sha2-nistp256", pem(RSA.public_key())),
        ("ecdsa", "ecdsa-sha2-nistp256", pem(PRIVATE["ecdsa-sha2-nistp384"].public_key())),
        ("ecdsa", "ecdsa-sha2-nistp384", pem(PRIVATE["ecdsa-sha2-nistp256"].public_key())),
        ("ecdsa", "ecdsa-sha2-nistp256", pem(ec.generate_private_key(ec.SECP256K1()).public_key())),
        ("ecdsa", "ecdsa-sha2-nistp256", pem(dsa.generate_private_key(1024).public_key())),
        ("ecdsa", "ecdsa-sha2-nistp256", "\ud800"),
        ("ml-dsa", "ml-dsa-44/1", pem(PRIVATE["ml-dsa-65/1"].public_key())),
        ("ml-dsa", "ml-dsa-44/2", pem(PRIVATE["ml-dsa-44/1"].public_key())),
        ("ml-dsa", "ml-dsa-44", pem(PRIVATE["ml-dsa-44/1"].public_key())),
        ("ed448", "ed448", pem(ed448.Ed448PrivateKey.generate().public_key())),
        ("x25519", "x25519", pem(x25519.X25519PrivateKey.generate().public_key())),
        ("", "", ""),
    ],
)
def test_keys_that_cannot_be_used(keytype: str, scheme: str, public: str) -> None:
    with pytest.raises(UnusableKeyError) as caught:
        load_key("x", keytype=keytype, scheme=scheme, public=public)
    assert str(caught.value).isprintable()


def test_a_private_key_is_no_public_key() -> None:
    from cryptography.hazmat.primitives.serialization import NoEncryption, PrivateFormat

    text = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(UnusableKeyError):
        load_key("x", keytype="rsa", scheme="rsassa-pss-sha256", public=text)


def test_another_padding_is_no_signature() -> None:
    signature = RSA.sign(MESSAGE, padding.PKCS1v15(), SHA256())
    assert not load("rsassa-pss-sha256").verifies(signature, MESSAGE)
