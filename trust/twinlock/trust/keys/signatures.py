"""The one place where signatures are counted: by distinct public key, for every signed file.

``Verified`` is made here and nowhere else. A function that takes a ``Verified[T]`` cannot be handed something whose
signatures were not counted: that is a type error, and its constructor refuses every other module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, NamedTuple, Never, TypeVar, final

from twinlock.trust.errors.metadata import PostQuantumError, ThresholdError
from twinlock.trust.keys.proofs import authority_digest, make_proof, read_proof
from twinlock.trust.keys.public_keys import PublicKey
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import KeyId

T = TypeVar("T")


class Signature(NamedTuple):
    """One signature as a file carries it; ``value`` is raw bytes."""

    keyid: KeyId
    value: bytes


class RoleKeys(NamedTuple):
    """Who may sign something, and how many of them have to. ``threshold`` is at least 1.

    ``post_quantum`` demands that at least one of those who sign does so with a post-quantum key.
    """

    keyids: tuple[KeyId, ...]
    threshold: int
    post_quantum: bool = False


class SignatureTally(NamedTuple):
    """What a count found: key ids by outcome. ``valid`` counts distinct public keys and may be below ``len(signed)``.

    ``unusable`` are key ids of the role without a key that this engine can use. ``lacks_post_quantum``: the role demands
    a post-quantum signature and none is valid.
    """

    valid: int
    required: int
    signed: tuple[KeyId, ...]
    invalid: tuple[KeyId, ...]
    missing: tuple[KeyId, ...]
    unknown: tuple[KeyId, ...]
    unusable: tuple[KeyId, ...] = ()
    lacks_post_quantum: bool = False

    @property
    def met(self) -> bool:
        """Whether enough distinct keys signed, a post-quantum one among them where that is demanded."""
        return self.valid >= self.required and not self.lacks_post_quantum


class Envelope(NamedTuple, Generic[T]):
    """A decoded, *unverified* file: the object, the exact bytes it was parsed from, and what claims to have signed them.

    ``payload`` is the received ``signed`` member, byte for byte. ``canonical`` computes the canonical form of the same
    object, for publishers that sign one form and serve another; None where the received form is the only one.
    ``failures`` is how many signatures by keys of the role may fail before the others are taken for invalid too. ``bare``
    composes the file without anything that is neither signed nor a signature; None where there is nothing else.
    """

    signed: T
    payload: bytes
    signatures: tuple[Signature, ...]
    data: bytes
    canonical: Callable[[], bytes] | None = None
    failures: int = DEFAULT_LIMITS.failed_verifications
    bare: Callable[[], bytes] | None = None


_COUNTED = object()  # private to this module: it shows that the maker of a ``Verified`` counted the signatures


@final
class Verified(Generic[T]):
    """A file whose threshold was met. ``data`` is the whole file as it is to be stored.

    ``content`` is the SHA-256 of the bytes that were signed: equal for equal content, whatever surrounds it.
    Only ``verify_signatures``, ``recall`` and ``reduce_to_signed`` make one. It never changes, is equal to no tuple, and
    is neither copied nor pickled: a value read from elsewhere has to be verified again.
    """

    __slots__ = ("content", "data", "signed", "tally")

    signed: T
    data: bytes
    tally: SignatureTally
    content: bytes

    def __init__(self, counted: object, signed: T, data: bytes, tally: SignatureTally, content: bytes) -> None:
        """Raises: TypeError outside this module."""
        if counted is not _COUNTED:
            raise TypeError("a Verified is made by counting signatures: call verify_signatures")
        keep = object.__setattr__
        keep(self, "signed", signed)
        keep(self, "data", data)
        keep(self, "tally", tally)
        keep(self, "content", content)

    def __setattr__(self, name: str, _value: object) -> None:
        raise AttributeError(f"{name} of a Verified cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{name} of a Verified cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Verified):
            return NotImplemented
        return (self.content, self.data, self.tally, self.signed) == (
            other.content,
            other.data,
            other.tally,
            other.signed,
        )

    __hash__: None = None  # type: ignore[assignment]  # it holds mappings

    def __repr__(self) -> str:
        return f"Verified(signed={self.signed!r}, tally={self.tally!r}, content={self.content.hex()})"

    def __reduce_ex__(self, _protocol: object) -> Never:
        raise TypeError("a Verified is neither copied nor pickled: verify its file again")


def count_signers(
    payload: bytes,
    signatures: Iterable[Signature],
    keys: Mapping[KeyId, PublicKey],
    role: RoleKeys,
    *,
    failures: int = DEFAULT_LIMITS.failed_verifications,
) -> SignatureTally:
    """Count the distinct public keys of ``role`` that signed ``payload``.

    One key under two key ids counts once; a key id that appears twice is tried for each of its signatures and counts
    once. A key id of ``role`` that is not in ``keys`` counts for nothing. After ``failures`` invalid signatures
    the rest count as invalid untested, so that a file with many false ones costs little.
    Source: Uptane 2.1.0 5.4.4.3 step 2.3 ("unique keys"); TUF 1.0.34 4.2.1.
    """
    failed = 0

    def is_valid(key: PublicKey, signature: bytes) -> bool:
        nonlocal failed
        if failed >= failures:
            return False
        valid = key.verifies(signature, payload)
        failed += not valid
        return valid

    return _count(signatures, keys, role, is_valid)


def _count(
    signatures: Iterable[Signature],
    keys: Mapping[KeyId, PublicKey],
    role: RoleKeys,
    is_valid: Callable[[PublicKey, bytes], bool],
) -> SignatureTally:
    wanted = {keyid: keys[keyid] for keyid in role.keyids if keyid in keys}
    unusable = tuple(dict.fromkeys(keyid for keyid in role.keyids if keyid not in keys))
    good: dict[KeyId, bytes] = {}
    tried: dict[KeyId, None] = {}
    unknown: dict[KeyId, None] = {}
    for signature in signatures:
        key = wanted.get(signature.keyid)
        if key is None:
            if signature.keyid not in unusable:
                unknown[signature.keyid] = None
        elif signature.keyid not in good:
            tried[signature.keyid] = None
            if is_valid(key, signature.value):
                good[signature.keyid] = key.identity
    return SignatureTally(
        valid=len(set(good.values())),
        required=role.threshold,
        signed=tuple(good),
        invalid=tuple(keyid for keyid in tried if keyid not in good),
        missing=tuple(keyid for keyid in wanted if keyid not in tried),
        unknown=tuple(unknown),
        unusable=unusable,
        lacks_post_quantum=role.post_quantum and not any(wanted[keyid].is_post_quantum for keyid in good),
    )


def verify_signatures(
    envelope: Envelope[T],
    keys: Mapping[KeyId, PublicKey],
    role: RoleKeys,
    *,
    repository: str,
    role_name: str,
) -> Verified[T]:
    """Turn an envelope into a ``Verified`` if a threshold of ``role`` signed it.

    The received bytes are tried first. Only if they fall short is the canonical form of the same object tried, once.
    Raises: ThresholdError with the better of the two tallies; PostQuantumError where only that signature is missing.
    """
    payload = envelope.payload
    tally = count_signers(payload, envelope.signatures, keys, role, failures=envelope.failures)
    if not tally.met and envelope.canonical is not None:
        canonical = envelope.canonical()
        if canonical != payload:
            again = count_signers(canonical, envelope.signatures, keys, role, failures=envelope.failures)
            if (again.met, again.valid) > (tally.met, tally.valid):
                tally, payload = again, canonical
    if tally.valid >= tally.required and tally.lacks_post_quantum:
        raise PostQuantumError(repository=repository, role=role_name, signed=tally.signed)
    if not tally.met:
        raise ThresholdError(
            repository=repository,
            role=role_name,
            valid=tally.valid,
            required=tally.required,
            signed=tally.signed,
            invalid=tally.invalid,
            missing=tally.missing,
            unknown=tally.unknown,
            unusable=tally.unusable,
        )
    return Verified(_COUNTED, envelope.signed, envelope.data, tally, hashlib.sha256(payload).digest())


def prove(verified: Verified[T], keys: Mapping[KeyId, PublicKey], role: RoleKeys, *, subject: str) -> bytes | None:
    """A proof to store with the file of ``verified``, for ``recall``; None if any signature by a key of ``role`` is bad.

    ``keys`` and ``role`` are those under which it was verified; ``subject`` is the wire profile and the role.
    """
    if verified.tally.invalid:
        return None
    authority = authority_digest(role.keyids, role.threshold, keys)
    return make_proof(verified.data, verified.content, authority, subject)


def recall(
    envelope: Envelope[T],
    keys: Mapping[KeyId, PublicKey],
    role: RoleKeys,
    *,
    subject: str,
    proof: bytes | None,
) -> Verified[T] | None:
    """The file as verified, if ``proof`` was made of exactly these bytes, keys and threshold; None: count the signatures.

    Such a proof shows that every signature by a key of ``role`` on the file is valid, so only that need not be computed
    again: whether distinct keys reach the threshold is counted as always. A proof of anything else proves nothing here,
    whatever it was made of: other bytes, other keys, another delegator's.
    """
    content = read_proof(proof, envelope.data, authority_digest(role.keyids, role.threshold, keys), subject)
    if content is None:
        return None
    tally = _count(envelope.signatures, keys, role, lambda _key, _signature: True)
    return Verified(_COUNTED, envelope.signed, envelope.data, tally, content) if tally.met else None


def reduce_to_signed(verified: Verified[T], envelope: Envelope[T]) -> Verified[T]:
    """``verified`` with the bytes that ``envelope``, from which it was made, composes of what is signed alone.

    Raises: ValueError for the envelope of another file, or one that composes none.
    """
    if envelope.signed is not verified.signed or envelope.bare is None:
        raise ValueError("this envelope is not that of the verified file, or cannot be reduced")
    return Verified(_COUNTED, verified.signed, envelope.bare(), verified.tally, verified.content)
