"""Public keys by type and scheme, and the verification of one signature.

A key that cannot be used is refused as a key; the file that names it is judged by the keys that remain
(``signatures.py`` counts them).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

from twinlock.trust.errors.metadata import UnusableKeyError, WeakKeyError
from twinlock.trust.names import KeyId


class Signer(Protocol):
    """Something that holds a private key: an ECU's identity, a time source. The engine only calls it to sign."""

    @property
    def public_key(self) -> PublicKey:
        """The public half."""

    def sign(self, message: bytes) -> bytes:
        """The raw signature over ``message`` in the scheme of ``public_key``."""


Verifier = Callable[[bytes, bytes], bool]
"""Whether a signature is over a message, for one key. Never raises."""

_Loaded = tuple[bytes, Verifier]


class PublicKey:
    """One public key. ``identity`` is equal for equal key material, whatever key id or scheme it goes by.

    ``public`` is as on the wire: hexadecimal for ed25519, PEM for the others.
    """

    __slots__ = ("_verify", "identity", "keyid", "keytype", "public", "scheme")

    _verify: Verifier
    identity: bytes
    keyid: KeyId
    keytype: str
    public: str
    scheme: str

    def __init__(self, keyid: KeyId, *, keytype: str, scheme: str, public: str, loaded: tuple[bytes, Verifier]) -> None:
        """Only ``load_key`` makes these: it knows what to refuse."""
        values = (loaded[1], loaded[0], keyid, keytype, public, scheme)
        for name, value in zip(self.__slots__, values, strict=True):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a public key does not change: {name}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PublicKey):
            return NotImplemented
        return (self.keyid, self.scheme, self.identity) == (other.keyid, other.scheme, other.identity)

    def __hash__(self) -> int:
        return hash((self.keyid, self.scheme, self.identity))

    def __repr__(self) -> str:
        return f"PublicKey({self.keyid!r}, {self.scheme!r})"

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether ``signature`` is this key's over ``message``. Never raises."""
        return self._verify(signature, message)

    @property
    def is_post_quantum(self) -> bool:
        """Whether its signatures withstand a quantum computer."""
        return is_post_quantum(self.keytype)

    def as_json(self) -> dict[str, Any]:
        """The key as TUF 1.0.34 4.2 writes it."""
        return {"keytype": self.keytype, "scheme": self.scheme, "keyval": {"public": self.public}}


def is_post_quantum(keytype: str) -> bool:
    """Whether signatures by keys of this type withstand a quantum computer."""
    return keytype == _POST_QUANTUM


@lru_cache(maxsize=512)
def load_key(keyid: str, *, keytype: str, scheme: str, public: str) -> PublicKey:
    """Decode a public key and refuse a weak one.

    Keys that were admitted are remembered, since Root after Root names the same ones; refusals are not.
    Raises: UnusableKeyError for an unknown type or scheme and for a value in another encoding; WeakKeyError (one of
    them) for a point of low order and for a short RSA key.
    """
    loader = _LOADERS.get((keytype, scheme))
    if loader is None:
        raise UnusableKeyError(keyid=keyid, reason=f"key type {keytype!r} with scheme {scheme!r} is not supported")
    try:
        loaded = loader(public)
    except (ValueError, TypeError, AttributeError) as error:
        raise UnusableKeyError(keyid=keyid, reason=f"the value cannot be read as {keytype}: {error}") from None
    except _Weak as weak:
        raise WeakKeyError(keyid=keyid, reason=str(weak)) from None
    return PublicKey(KeyId(keyid), keytype=keytype, scheme=scheme, public=public, loaded=loaded)


class _Weak(Exception):
    """Raised by a loader for readable key material that must not be used."""


# y-coordinates of the points of order 1, 2, 4 and 8 on edwards25519 (sign bit cleared). With such a key one signature
# fits many messages. See RFC 8032 5.1 and the table in libsodium's ge25519_has_small_order.
_P = 2**255 - 19
_LOW_ORDER_Y = frozenset(
    [
        0,
        1,
        _P - 1,
        2707385501144840649318225287225658788936804267575313519463743609750303402022,
        55188659117513257062467267217118295137698188065244968500265048394206261417927,
    ],
)
_MIN_RSA_BITS = 2048


def _load_ed25519(public: str) -> _Loaded:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    raw = bytes.fromhex(public)
    if len(raw) != 32 or len(public) != 64:
        raise ValueError("an ed25519 key is 64 hexadecimal digits")
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    if y >= _P:
        raise _Weak("the point is not encoded canonically")
    if y in _LOW_ORDER_Y:
        raise _Weak("the point has low order, so anyone could sign")
    key = Ed25519PublicKey.from_public_bytes(raw)

    def verify(signature: bytes, message: bytes) -> bool:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return b"ed25519:" + raw, verify


def _load_pem(public: str) -> tuple[bytes, Any]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    try:
        key = load_pem_public_key(public.encode())
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from None
    return b"spki:" + key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), key


def _load_ecdsa(curve_name: str, hash_name: str) -> Callable[[str], _Loaded]:
    def load(public: str) -> _Loaded:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        identity, key = _load_pem(public)
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != curve_name:
            raise ValueError(f"this is not an ECDSA key on {curve_name}")
        algorithm = ec.ECDSA(getattr(hashes, hash_name)())

        def verify(signature: bytes, message: bytes) -> bool:
            try:
                key.verify(signature, message, algorithm)
            except InvalidSignature:
                return False
            return True

        return identity, verify

    return load


def _load_rsa(hash_name: str, *, pss: bool) -> Callable[[str], _Loaded]:
    def load(public: str) -> _Loaded:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding, rsa

        identity, key = _load_pem(public)
        if not isinstance(key, rsa.RSAPublicKey):
            raise ValueError("this is not an RSA key")
        if key.key_size < _MIN_RSA_BITS:
            raise _Weak(f"RSA keys need {_MIN_RSA_BITS} bits, this one has {key.key_size}")
        algorithm = getattr(hashes, hash_name)()
        scheme: padding.AsymmetricPadding = padding.PKCS1v15()
        if pss:
            scheme = padding.PSS(mgf=padding.MGF1(algorithm), salt_length=padding.PSS.AUTO)

        def verify(signature: bytes, message: bytes) -> bool:
            try:
                key.verify(signature, message, scheme, algorithm)
            except InvalidSignature:
                return False
            return True

        return identity, verify

    return load


def _load_mldsa(class_name: str) -> Callable[[str], _Loaded]:
    def load(public: str) -> _Loaded:
        import hashlib

        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import mldsa

        identity, key = _load_pem(public)
        if not isinstance(key, getattr(mldsa, class_name)):
            raise ValueError(f"this is not an {class_name}")

        def verify(signature: bytes, message: bytes) -> bool:
            # TAP 21: what is signed is the domain "tuf", a version byte, and the SHA-512 of the payload.
            try:
                key.verify(signature, b"tuf\x01" + hashlib.sha512(message).digest())
            except InvalidSignature:
                return False
            return True

        return identity, verify

    return load


_POST_QUANTUM = "ml-dsa"
_LOADERS: dict[tuple[str, str], Callable[[str], _Loaded]] = {
    ("ed25519", "ed25519"): _load_ed25519,
    ("ecdsa", "ecdsa-sha2-nistp256"): _load_ecdsa("secp256r1", "SHA256"),
    ("ecdsa", "ecdsa-sha2-nistp384"): _load_ecdsa("secp384r1", "SHA384"),
    # The two key types below are an old way to write the two above; published repositories still hold them.
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"): _load_ecdsa("secp256r1", "SHA256"),
    ("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"): _load_ecdsa("secp384r1", "SHA384"),
    **{("rsa", f"rsassa-pss-sha{bits}"): _load_rsa(f"SHA{bits}", pss=True) for bits in (256, 384, 512)},
    **{(_POST_QUANTUM, f"ml-dsa-{level}/1"): _load_mldsa(f"MLDSA{level}PublicKey") for level in (44, 65, 87)},
}

SUPPORTED_SCHEMES = tuple(_LOADERS)
