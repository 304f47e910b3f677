"""Canonical form, key ids and signatures of the aktualizr wire (wire 0 facts 2 to 4, 3, and Keys in 4).

Belongs here: bytes and keys. Does not belong here: what a role means (``metadata``) or needs (``verification``).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

METHODS = ("ed25519", "rsassa-pss", "rsassa-pss-sha256")
RSA_BITS = (2048, 3072, 4096)

_DEL = re.compile(r"\\\\|\\u007f")


def canonical(value: object) -> bytes:
    """The bytes that are signed and hashed: sorted, compact, ASCII only, but DEL as it is (wire 0 fact 3)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return _DEL.sub(lambda found: found[0] if found[0] == r"\\" else "\x7f", text).encode("ascii")


def native_keyid(public: str) -> str:
    """The key id the client gives its own keys (wire 3). Ids in metadata are never recomputed (wire 4)."""
    return hashlib.sha256(canonical(public.rstrip("\n"))).hexdigest()


@dataclass(frozen=True)
class PublicKey:
    """A key as metadata lists it: ``keytype`` as written, ``public`` hex for ED25519 and PEM for RSA."""

    keytype: str
    public: str

    def verifies(self, sig: str, message: bytes) -> bool:
        """Whether base64 ``sig`` is this key's over ``message``. What cannot be read is no signature (wire 0 fact 2)."""
        try:
            raw = base64.b64decode(sig)
            if self.keytype.lower() == "ed25519":
                ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public)).verify(raw, message)
                return True
            return self._verifies_rsa(raw, message)
        except (InvalidSignature, ValueError, binascii.Error):
            return False

    def _verifies_rsa(self, raw: bytes, message: bytes) -> bool:
        """RSASSA-PSS with SHA-256, any salt length, keys of 2048, 3072 or 4096 bits (wire 4, wire 0 fact 10)."""
        key = serialization.load_pem_public_key(self.public.encode())
        if not isinstance(key, rsa.RSAPublicKey) or key.key_size not in RSA_BITS:
            return False
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.AUTO)
        key.verify(raw, message, pss, hashes.SHA256())
        return True


@dataclass(frozen=True)
class SigningKey:
    """A private key of a device or of the test publisher, with the public half as the wire writes it."""

    private: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

    @classmethod
    def generate(cls, key_type: str) -> SigningKey:
        """A new key; ``key_type`` as in ``uptane.key_type``: ED25519, RSA2048, RSA3072 or RSA4096 (wire 1.1)."""
        if key_type == "ED25519":
            return cls(ed25519.Ed25519PrivateKey.generate())
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=int(key_type.removeprefix("RSA"))))

    @classmethod
    def named(cls, name: str) -> SigningKey:
        """The same ED25519 key for the same name, every time: a TEST key."""
        return cls(ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest()))

    @property
    def public(self) -> str:
        """Hex in upper case, as the client writes it, or PEM with a newline at its end (wire 3)."""
        key = self.private.public_key()
        if isinstance(key, ed25519.Ed25519PublicKey):
            return key.public_bytes_raw().hex().upper()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return key.public_bytes(serialization.Encoding.PEM, form).decode()

    @property
    def keytype(self) -> str:
        """``ED25519`` or ``RSA``."""
        return "ED25519" if isinstance(self.private, ed25519.Ed25519PrivateKey) else "RSA"

    @property
    def keyid(self) -> str:
        """The native id of this key."""
        return native_keyid(self.public)

    @property
    def key(self) -> dict[str, Any]:
        """The key as it stands in metadata and in the registration of ECUs."""
        return {"keytype": self.keytype, "keyval": {"public": self.public}}

    def sign(self, message: bytes) -> dict[str, str]:
        """One entry of ``signatures`` (wire 3)."""
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            method, raw = "ed25519", self.private.sign(message)
        else:
            pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
            method, raw = "rsassa-pss", self.private.sign(message, pss, hashes.SHA256())
        return {"keyid": self.keyid, "method": method, "sig": base64.b64encode(raw).decode()}


def envelope(signed: dict[str, Any], *keys: SigningKey) -> dict[str, Any]:
    """``signed`` with the signatures of ``keys``."""
    return {"signatures": [key.sign(canonical(signed)) for key in keys], "signed": signed}
