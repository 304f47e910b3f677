"""Counting signers: by distinct public key, for every order and combination of signatures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlock.testing.simulator.keys import KeyPool
from twinlock.trust.errors.metadata import ThresholdError
from twinlock.trust.keys.signatures import Envelope, RoleKeys, Signature, count_signers, verify_signatures
from twinlock.trust.names import KeyId

KEYS = KeyPool()
MESSAGE = b"message"
NAMES = ["a", "b", "c", "d"]
# Every key under two ids, and the ids of one key that the role does not name.
ALIASES = {f"{name}{number}": KEYS(name).alias(f"{name}{number}") for name in NAMES for number in (1, 2)}
PUBLIC = {KeyId(keyid): key.public_key for keyid, key in ALIASES.items()}
ROLE_IDS = tuple(KeyId(keyid) for keyid in ALIASES if not keyid.startswith("d"))


@st.composite
def signature_lists(draw: st.DrawFn) -> list[tuple[Signature, str | None]]:
    """Signatures, each with the name of the key that really made it over the message (None: a bad one)."""
    found = []
    for keyid in draw(st.lists(st.sampled_from([*ALIASES, "unknown"]), max_size=8)):
        good = draw(st.booleans()) and keyid != "unknown"
        value = (
            ALIASES[keyid].sign(MESSAGE) if good else draw(st.sampled_from([b"", b"x" * 64, KEYS("a").sign(b"other")]))
        )
        found.append((Signature(KeyId(keyid), value), keyid[0] if good else None))
    return found


@given(signature_lists(), st.integers(1, 4))
def test_the_count_is_the_number_of_distinct_keys_of_the_role(
    signatures: list[tuple[Signature, str | None]], threshold: int
) -> None:
    tally = count_signers(MESSAGE, [entry for entry, _ in signatures], PUBLIC, RoleKeys(ROLE_IDS, threshold))
    expected = {maker for entry, maker in signatures if maker is not None and entry.keyid in ROLE_IDS}
    assert tally.valid == len(expected)
    assert tally.met == (len(expected) >= threshold)
    assert tally.required == threshold
    named = {entry.keyid for entry, _ in signatures}
    assert {*tally.signed, *tally.invalid} == named & set(ROLE_IDS)
    assert set(tally.missing) == set(ROLE_IDS) - named
    assert set(tally.unknown) == named - set(ROLE_IDS)
    assert not set(tally.signed) & set(tally.invalid)


def _envelope(payload: bytes, canonical: bytes | None, *signed: tuple[str, bytes]) -> Envelope[str]:
    signatures = tuple(Signature(KeyId(keyid), ALIASES[keyid].sign(message)) for keyid, message in signed)
    return Envelope("object", payload, signatures, b"file", None if canonical is None else lambda: canonical)


def _verify(envelope: Envelope[str], threshold: int) -> object:
    role = RoleKeys(ROLE_IDS, threshold)
    return verify_signatures(envelope, PUBLIC, role, repository="image", role_name="targets").signed


def test_the_received_bytes_or_their_canonical_form_but_never_a_mixture() -> None:
    assert _verify(_envelope(b"as received", None, ("a1", b"as received")), 1) == "object"
    assert _verify(_envelope(b"as received", b"canonical", ("a1", b"canonical")), 1) == "object"
    mixed = _envelope(b"as received", b"canonical", ("a1", b"as received"), ("b1", b"canonical"))
    with pytest.raises(ThresholdError) as caught:
        _verify(mixed, 2)
    assert (caught.value.valid, caught.value.required) == (1, 2)


def test_a_refusal_says_who_did_what() -> None:
    envelope = _envelope(b"m", None, ("a1", b"m"), ("b1", b"other"), ("d1", b"m"))
    with pytest.raises(ThresholdError) as caught:
        _verify(envelope, 2)
    error = caught.value
    assert (error.repository, error.role, error.valid, error.required) == ("image", "targets", 1, 2)
    assert (error.signed, error.invalid, error.unknown) == (("a1",), ("b1",), ("d1",))
    assert set(error.missing) == {"a2", "b2", "c1", "c2"}


def test_the_canonical_form_is_computed_only_when_the_received_bytes_fall_short() -> None:
    def never() -> bytes:
        raise AssertionError("computed")

    signature = Signature(KeyId("a1"), ALIASES["a1"].sign(b"m"))
    assert _verify(Envelope("object", b"m", (signature,), b"file", never), 1) == "object"


def test_a_role_without_keys_is_met_by_nobody() -> None:
    tally = count_signers(MESSAGE, [Signature(KeyId("a1"), ALIASES["a1"].sign(MESSAGE))], PUBLIC, RoleKeys((), 1))
    assert (tally.valid, tally.met, tally.unknown) == (0, False, ("a1",))


def test_a_key_id_without_a_key_counts_for_nothing() -> None:
    role = RoleKeys((KeyId("a1"), KeyId("gone")), 1)
    tally = count_signers(MESSAGE, [Signature(KeyId("gone"), b"x")], PUBLIC, role)
    assert (tally.met, tally.missing, tally.unusable, tally.unknown) == (False, ("a1",), ("gone",), ())
