"""RSA TEST keys and PSS signatures that come out the same on every machine: primes and salts are made from a seed.

Libraries draw both at random. Here the salt is a digest of the seed and the message; a verifier sees no difference. Never
use this for anything but vectors.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

BITS = 2048
EXPONENT = 65537
_SALT = 32
_SMALL = tuple(number for number in range(3, 2_000, 2) if all(number % other for other in range(3, number, 2)))
_BASES = _SMALL[:12]


@functools.lru_cache(maxsize=16)
def make_rsa(seed: bytes) -> tuple[Callable[[bytes], bytes], Any]:
    """The key of ``seed``: what signs by RSASSA-PSS with SHA-256 and a salt of 32 bytes, and the public key."""
    p, q = _prime(seed + b"p"), _prime(seed + b"q")
    private, inverse = pow(EXPONENT, -1, math.lcm(p - 1, q - 1)), pow(q, -1, p)
    public = rsa.RSAPublicNumbers(EXPONENT, p * q).public_key()

    def sign(message: bytes) -> bytes:
        salt = hashlib.sha256(seed + b"salt" + message).digest()
        encoded = int.from_bytes(_encode(message, salt), "big")
        in_p, in_q = pow(encoded, private % (p - 1), p), pow(encoded, private % (q - 1), q)
        return (in_q + q * ((in_p - in_q) * inverse % p)).to_bytes(BITS // 8, "big")

    return sign, public


def _encode(message: bytes, salt: bytes) -> bytes:
    """EMSA-PSS-ENCODE of RFC 8017 9.1.1, for a modulus of ``BITS`` bits."""
    length = BITS // 8
    digest = hashlib.sha256(bytes(8) + hashlib.sha256(message).digest() + salt).digest()
    block = bytes(length - len(salt) - len(digest) - 2) + b"\x01" + salt
    masked = bytearray(one ^ other for one, other in zip(block, _mask(digest, len(block)), strict=True))
    masked[0] &= 0x7F
    return bytes(masked) + digest + b"\xbc"


def _mask(seed: bytes, length: int) -> bytes:
    """MGF1 with SHA-256 (RFC 8017 B.2.1)."""
    blocks = (hashlib.sha256(seed + count.to_bytes(4, "big")).digest() for count in range(-(-length // 32)))
    return b"".join(blocks)[:length]


def _prime(seed: bytes) -> int:
    """The first prime from a number made of ``seed`` on, so large that two of them make a modulus of ``BITS`` bits."""
    half = BITS // 2
    drawn = int.from_bytes(hashlib.shake_256(seed).digest(half // 8), "big")
    candidate = drawn | 3 << half - 2 | 1
    while not _is_prime(candidate):
        candidate += 2
    return candidate


def _is_prime(number: int) -> bool:
    """Miller-Rabin with fixed bases: for a number made from a digest, and not by an attacker who knows the bases."""
    if any(number % small == 0 for small in _SMALL) or math.gcd(number - 1, EXPONENT) != 1:
        return False
    twos = (number - 1 & 1 - number).bit_length() - 1
    return all(_passes(number, base, twos) for base in _BASES)


def _passes(number: int, base: int, twos: int) -> bool:
    power = pow(base, number - 1 >> twos, number)
    if power in (1, number - 1):
        return True
    for _ in range(twos - 1):
        power = power * power % number
        if power == number - 1:
            return True
    return False
