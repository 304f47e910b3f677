"""Signatures that fail up to a bound, a demand for a post-quantum one, and which of two forms counts."""

from __future__ import annotations

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.trust.errors.metadata import PostQuantumError, ThresholdError
from twinlock.trust.keys.signatures import (
    Envelope,
    RoleKeys,
    Signature,
    SignatureTally,
    Verified,
    count_signers,
    verify_signatures,
)
from twinlock.trust.names import KeyId

POOL = KeyPool()
KEYS = {name: POOL(name, "ml-dsa-44" if name == "q" else "ed25519") for name in "abcq"}
IDS = {name: KeyId(key.keyid) for name, key in KEYS.items()}
PUBLIC = {IDS[name]: key.public_key for name, key in KEYS.items()}
MESSAGE, CANONICAL = b"message", b"canonical"


def signature(name: str, message: bytes = MESSAGE) -> Signature:
    return Signature(IDS[name], KEYS[name].sign(message))


def bad(name: str) -> Signature:
    return Signature(IDS[name], b"\x00" * 64)


def envelope(*signatures: Signature, failures: int = 8, canonical: bytes | None = None) -> Envelope[str]:
    form = None if canonical is None else lambda: canonical
    return Envelope("object", MESSAGE, signatures, b"file", form, failures)


def verify(found: Envelope[str], names: str, threshold: int = 1, *, post_quantum: bool = False) -> Verified[str]:
    role = RoleKeys(tuple(IDS[name] for name in names), threshold, post_quantum)
    return verify_signatures(found, PUBLIC, role, repository="image", role_name="targets")


@pytest.mark.parametrize(("failed", "valid"), [(0, 1), (1, 1), (2, 0), (3, 0)])
def test_after_so_many_that_fail_the_rest_is_invalid_unseen(failed: int, valid: int) -> None:
    signatures = [*[bad("a")] * failed, signature("b")]
    tally = count_signers(MESSAGE, signatures, PUBLIC, RoleKeys((IDS["a"], IDS["b"]), 1), failures=2)
    assert tally.valid == valid
    assert tally.invalid == ((IDS["a"],) if failed else ()) + (() if valid else (IDS["b"],))


def test_signatures_that_hold_and_those_of_strangers_are_no_failures() -> None:
    signatures = [signature("a"), signature("b"), Signature(KeyId("stranger"), b"x"), bad("c"), signature("c")]
    role = RoleKeys((IDS["a"], IDS["b"], IDS["c"]), 3)
    assert count_signers(MESSAGE, signatures, PUBLIC, role, failures=2).valid == 3


@pytest.mark.parametrize("form", [MESSAGE, CANONICAL])
def test_the_bound_is_that_of_the_envelope_in_either_form(form: bytes) -> None:
    signatures = (bad("a"), bad("a"), signature("b", form))
    assert verify(envelope(*signatures, failures=3, canonical=CANONICAL), "ab").signed == "object"
    with pytest.raises(ThresholdError) as caught:
        verify(envelope(*signatures, failures=2, canonical=CANONICAL), "ab")
    assert (caught.value.valid, caught.value.invalid) == (0, (IDS["a"], IDS["b"]))


def test_a_form_that_is_met_counts_before_one_with_some_signers() -> None:
    signatures = [*map(signature, "ab"), *(signature(name, CANONICAL) for name in "abc")]
    tally = verify(envelope(*signatures, canonical=CANONICAL), "abc", 3).tally
    assert (tally.valid, set(tally.signed)) == (3, {IDS["a"], IDS["b"], IDS["c"]})
    # More signers are fewer than a post-quantum one where that is demanded.
    signatures = [*map(signature, "ab"), signature("q", CANONICAL)]
    tally = verify(envelope(*signatures, canonical=CANONICAL), "abq", 1, post_quantum=True).tally
    assert tally.signed == (IDS["q"],)


@pytest.mark.parametrize(
    ("signers", "post_quantum", "lacks", "met"),
    [
        ("ab", False, False, True),
        ("ab", True, True, False),
        ("aq", True, False, True),
        ("qa", True, False, True),
        ("q", True, False, False),
        ("a", True, True, False),
        ("aq", False, False, True),
    ],
)
def test_a_demand_for_a_post_quantum_signature_is_met_by_one_of_several(
    signers: str, post_quantum: bool, lacks: bool, met: bool
) -> None:
    role = RoleKeys(tuple(IDS.values()), 2, post_quantum)
    tally = count_signers(MESSAGE, [*map(signature, signers)], PUBLIC, role)
    assert (tally.lacks_post_quantum, tally.met) == (lacks, met)


def test_a_post_quantum_signature_is_named_as_missing_where_only_that_is() -> None:
    for signers in ("ab", "abc"):
        with pytest.raises(PostQuantumError) as caught:
            verify(envelope(*map(signature, signers)), "abcq", 2, post_quantum=True)
        found = caught.value.fields()
        assert found == {"repository": "image", "role": "targets", "signed": tuple(IDS[name] for name in signers)}
    with pytest.raises(ThresholdError) as below:
        verify(envelope(signature("a")), "abcq", 2, post_quantum=True)
    assert (below.value.valid, below.value.required) == (1, 2)
    with pytest.raises(ThresholdError):
        verify(envelope(signature("q")), "abcq", 2, post_quantum=True)


def test_a_tally_is_met_by_enough_signers_and_a_post_quantum_one_where_demanded() -> None:
    tally = SignatureTally(2, 2, (), (), (), ())
    assert tally.met
    assert tally._replace(valid=3).met
    assert not tally._replace(valid=1).met
    assert not tally._replace(lacks_post_quantum=True).met
