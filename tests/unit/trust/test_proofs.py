"""A proof stands in for signatures that were counted before: over these bytes, by these keys, and over nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.trust.keys.proofs import authority_digest, make_proof
from twinlock.trust.keys.public_keys import PublicKey
from twinlock.trust.keys.signatures import (
    Envelope,
    RoleKeys,
    Signature,
    SignatureTally,
    Verified,
    prove,
    recall,
    verify_signatures,
)
from twinlock.trust.names import KeyId

KEYS = KeyPool()
A, B, C = (KeyId(KEYS(name).keyid) for name in "abc")
PUBLIC: Mapping[KeyId, PublicKey] = {KeyId(KEYS(name).keyid): KEYS(name).public_key for name in "abc"}
ROLE = RoleKeys((A, B), 2)
SUBJECT = "tuf/targets"
PAYLOAD, FILE = b"payload", b"the whole file"
CONTENT = hashlib.sha256(PAYLOAD).digest()


def signed(*names: str, garbled: str = "") -> Envelope[str]:
    """A file signed by these keys, those in ``garbled`` over something else."""
    signatures = tuple(
        Signature(KeyId(KEYS(name).keyid), KEYS(name).sign(b"else" if name in garbled else PAYLOAD)) for name in names
    )
    return Envelope("object", PAYLOAD, signatures, FILE)


def verify(envelope: Envelope[str], role: RoleKeys = ROLE) -> Verified[str]:
    return verify_signatures(envelope, PUBLIC, role, repository="image", role_name="targets")


def forged(data: bytes = FILE, role: RoleKeys = ROLE, keys: Mapping[KeyId, PublicKey] = PUBLIC) -> bytes:
    """What nobody but the owner of the state can put there: a proof of something that was never counted."""
    return make_proof(data, CONTENT, authority_digest(role.keyids, role.threshold, keys), SUBJECT)


def recalled(proof: bytes | None, envelope: Envelope[str] | None = None) -> Verified[str] | None:
    # Its signatures are garbled, so that whatever comes back does so because of the proof.
    return recall(envelope or signed("a", "b", garbled="ab"), PUBLIC, ROLE, subject=SUBJECT, proof=proof)


def test_what_was_verified_is_recalled_as_it_was() -> None:
    for envelope in (signed("a", "b"), signed("b", "c", "a")):
        verified = verify(envelope)
        proof = prove(verified, PUBLIC, ROLE, subject=SUBJECT)
        assert proof == forged()
        assert recall(envelope, PUBLIC, ROLE, subject=SUBJECT, proof=proof) == verified


def test_a_proof_is_believed_by_itself() -> None:
    # So whoever can write the state can make a vehicle believe in a file; docs/threat-model.md says so.
    found = recalled(forged())
    assert found is not None
    assert (found.signed, found.data, found.content) == ("object", FILE, CONTENT)
    assert found.tally == SignatureTally(2, 2, (A, B), (), (), ())


@pytest.mark.parametrize(
    "proof",
    [
        None,
        b"",
        b"\x00" * 32,
        forged()[:-1],
        forged() + b"\x00",
        forged(data=FILE + b" "),
        forged(data=PAYLOAD),
        forged(role=RoleKeys((A, B), 1)),
        forged(role=RoleKeys((A, B), 3)),
        forged(role=RoleKeys((A,), 2)),
        forged(role=RoleKeys((B, A), 2)),
        forged(role=RoleKeys((A, C), 2)),
        forged(role=RoleKeys((A, B, C), 2)),
        forged(keys={A: PUBLIC[A]}),
        forged(keys={A: PUBLIC[A], B: PUBLIC[C]}),
        forged(keys={A: PUBLIC[B], B: PUBLIC[A]}),
        make_proof(FILE, CONTENT, authority_digest(ROLE.keyids, 2, PUBLIC), "tuf/snapshot"),
        make_proof(FILE, CONTENT, authority_digest(ROLE.keyids, 2, PUBLIC), "aktualizr/targets"),
        authority_digest(ROLE.keyids, 2, PUBLIC),
        forged()[:32],
        forged()[:32] + hashlib.sha256(b"other content").digest(),
    ],
)
def test_a_proof_of_anything_else_proves_nothing(proof: bytes | None) -> None:
    assert recalled(proof) is None


def test_the_threshold_of_distinct_keys_is_counted_as_ever() -> None:
    assert recalled(forged(), signed("a")) is None
    assert recalled(forged(), signed("a", "c")) is None
    assert recalled(forged(), signed("a", "a")) is None
    assert recalled(forged(), signed()) is None
    alias = KeyId("another id of a")
    role, keys = RoleKeys((A, alias), 2), {A: PUBLIC[A], alias: KEYS("a").alias(alias).public_key}
    twice = Envelope("object", PAYLOAD, (Signature(A, b""), Signature(alias, b"")), FILE)
    assert recall(twice, keys, role, subject=SUBJECT, proof=forged(role=role, keys=keys)) is None


def test_a_file_with_a_bad_signature_gets_no_proof_though_the_threshold_is_met() -> None:
    role = RoleKeys((A, B), 1)
    verified = verify(signed("a", "b", garbled="b"), role)
    assert verified.tally.met
    assert prove(verified, PUBLIC, role, subject=SUBJECT) is None


def test_one_key_under_another_scheme_or_type_is_another_authority() -> None:
    key, other = KEYS("k", "ecdsa-p256"), KEYS("k", "rsa")
    one = key.public_key
    digests = {
        authority_digest([KeyId("k")], 1, {KeyId("k"): public})
        for public in (
            one,
            other.public_key,
            PublicKey(
                KeyId("k"), keytype="ecdsa", scheme="x", public=one.public, loaded=(one.identity, lambda _s, _m: True)
            ),
        )
    }
    assert len(digests) == 3
    # How the key is called among the keys counts, not what it calls itself.
    assert authority_digest([KeyId("k")], 1, {KeyId("k"): key.alias("z").public_key}) in digests


def test_a_key_that_is_missing_is_no_other_key() -> None:
    names = (KeyId("k"), KeyId("l"), KeyId(""))
    assert len({authority_digest(keyids, 1, {}) for keyids in (names, names[:2], names[:1], (), names[::-1])}) == 5
    assert authority_digest(names, 1, {}) != authority_digest(names, 1, {KeyId("l"): PUBLIC[A]})


def _listed(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(str(len(part)).encode() + b":" + part for part in parts)).digest()


def test_the_digests_to_the_byte() -> None:
    a, scheme = PUBLIC[A], b"ed25519"
    authority = _listed(b"twinlock authority 1", b"12", A.encode(), scheme, a.identity, b"gone", b"", b"")
    assert authority_digest([A, KeyId("gone")], 12, PUBLIC) == authority
    whole = hashlib.sha256(FILE).digest()
    proof = _listed(b"twinlock proof 2", b"tuf/targets", authority, whole, CONTENT) + CONTENT
    assert make_proof(FILE, CONTENT, authority, SUBJECT) == proof


def test_no_two_lists_of_parts_are_the_same_bytes() -> None:
    authority = b"x" * 32
    assert make_proof(FILE, CONTENT, authority, "tuf/a") != make_proof(FILE, CONTENT, b"a" + authority, "tuf/")
    assert authority_digest([KeyId("ab"), KeyId("c")], 1, {}) != authority_digest([KeyId("a"), KeyId("bc")], 1, {})
    assert authority_digest([], 11, {}) != authority_digest([KeyId("1")], 1, {})
