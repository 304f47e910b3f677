"""TEST keys, made from their names: the same name gives the same key on every machine. Never use them for anything."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import SSlibKey

from twinlock.testing.simulator.rsa import make_rsa
from twinlock.trust.keys.public_keys import PublicKey, load_key

JSON = dict[str, Any]

SEED_PREFIX = "TEST KEY, NOT SECRET: twinlock simulator: "
DETERMINISTIC_KINDS = ("ed25519", "ecdsa-p256", "ecdsa-p384", "rsa")
KINDS = (*DETERMINISTIC_KINDS, "ml-dsa-44", "ml-dsa-65", "ml-dsa-87")


class Private(Protocol):
    """The part of a private key that signs: bytes in, raw signature out."""

    def __call__(self, message: bytes, /) -> bytes:
        """The signature over ``message``."""


@dataclass(frozen=True)
class Key:
    """One TEST key pair. ``public`` is its TUF form; ``keyid`` may be anything (see ``alias``)."""

    name: str
    keyid: str
    public: JSON
    private: Private = field(repr=False)

    @property
    def public_key(self) -> PublicKey:
        """The engine's view of the public half."""
        return load_key(
            self.keyid,
            keytype=self.public["keytype"],
            scheme=self.public["scheme"],
            public=self.public["keyval"]["public"],
        )

    def sign(self, message: bytes) -> bytes:
        """The raw signature over ``message``."""
        return self.private(message)

    def signature(self, signed: JSON) -> JSON:
        """An entry of ``signatures`` over the canonical form of ``signed``."""
        return {"keyid": self.keyid, "sig": self.sign(canonical(signed)).hex()}

    def alias(self, keyid: str) -> Key:
        """The same key material under another key id."""
        return Key(self.name, keyid, self.public, self.private)


class KeyPool:
    """Gives the key of a name, always the same one."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], Key] = {}

    def __call__(self, name: str, kind: str = "ed25519") -> Key:
        if (name, kind) not in self._made:
            self._made[name, kind] = make_key(name, kind)
        return self._made[name, kind]

    def made(self) -> list[Key]:
        """Every key that was asked for so far, by name."""
        return [self._made[entry] for entry in sorted(self._made)]


def canonical(value: JSON) -> bytes:
    """OLPC canonical JSON by securesystemslib, which shares no code with the engine's encoder."""
    return str(encode_canonical(value)).encode("utf-8")


def make_key(name: str, kind: str = "ed25519") -> Key:
    """The key of ``name``. ``kind`` is one of KINDS; ML-DSA signatures alone differ between runs."""
    seed = hashlib.sha512((SEED_PREFIX + name).encode()).digest()
    private, public = _MAKERS[kind](seed)
    described = SSlibKey.from_crypto(public)
    return Key(name, described.keyid, described.to_dict(), private)


def _make_ed25519(seed: bytes) -> tuple[Private, Any]:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(seed[:32])
    return key.sign, key.public_key()


def _make_p256(seed: bytes) -> tuple[Private, Any]:
    key = ec.derive_private_key(int.from_bytes(seed[:31], "big"), ec.SECP256R1())
    return lambda message: key.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True)), key.public_key()


def _make_p384(seed: bytes) -> tuple[Private, Any]:
    key = ec.derive_private_key(int.from_bytes(seed[:47], "big"), ec.SECP384R1())
    return lambda message: key.sign(message, ec.ECDSA(SHA384(), deterministic_signing=True)), key.public_key()


def _make_rsa(seed: bytes) -> tuple[Private, Any]:
    return make_rsa(seed)


def _make_mldsa(level: int) -> Any:
    def make(seed: bytes) -> tuple[Private, Any]:
        key = getattr(mldsa, f"MLDSA{level}PrivateKey").from_seed_bytes(seed[:32])

        def sign(message: bytes) -> bytes:
            made: bytes = key.sign(b"tuf\x01" + hashlib.sha512(message).digest())
            return made

        return sign, key.public_key()

    return make


_MAKERS: dict[str, Any] = {
    "ed25519": _make_ed25519,
    "ecdsa-p256": _make_p256,
    "ecdsa-p384": _make_p384,
    "rsa": _make_rsa,
    **{f"ml-dsa-{level}": _make_mldsa(level) for level in (44, 65, 87)},
}
