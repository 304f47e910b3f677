"""Whose time an attestation proves: known keys, unknown ones, keys that left; and where a malformed one is wrong."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from twinlock.testing.simulator.keys import Key, canonical
from twinlock.testing.simulator.world import World
from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.errors.reports import AttestationError, AttestationKeyError
from twinlock.trust.keys.signatures import RoleKeys
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.root import Root
from twinlock.trust.names import KeyId
from twinlock.trust.wire.tuf.attestation import (
    Attestation,
    check_attestation,
    check_attested_floor,
    key_material,
    stated_nonces,
)

WORLD = World()
SOURCE, SECOND, STRANGER = WORLD.director.time_key(), WORLD.keys("source-2"), WORLD.keys("stranger")
SIGNED = {"_type": "time-attestation", "nonces": ["0a", "ff"], "time": "2030-01-01T00:00:00Z"}
ROOT = WORLD.vehicle.stores["director"].restore("director").root.signed
PROVEN = Attestation(WORLD.now, frozenset([key_material(SOURCE.public_key)]))


def root(*keys: Key, threshold: int = 1, gone: tuple[str, ...] = ()) -> Root:
    """The Director's Root with these keys of the time source; ``gone`` are key ids without a usable key."""
    ids = (*(KeyId(key.keyid) for key in keys), *map(KeyId, gone))
    usable = {KeyId(key.keyid): key.public_key for key in keys}
    return ROOT._replace(keys=usable, time_source=RoleKeys(ids, threshold))


def attestation(*signers: Key, bad: tuple[Key, ...] = (), **other: Any) -> bytes:
    entries = [key.signature(SIGNED | other) for key in signers]
    entries += [{"keyid": key.keyid, "sig": "00" * 64} for key in bad]
    return canonical({"signatures": entries, "signed": SIGNED | other})


def refused(data: bytes, under: Root) -> type[AttestationError]:
    with pytest.raises(AttestationError) as caught:
        check_attestation(data, under, nonce=None)
    return type(caught.value)


def test_only_keys_that_root_does_not_name_may_be_newer_than_it() -> None:
    known = root(SOURCE, SECOND, threshold=2)
    assert refused(attestation(STRANGER), known) is AttestationKeyError
    assert refused(attestation(), known) is AttestationError
    assert refused(attestation(STRANGER, bad=(SOURCE,)), known) is AttestationError
    assert refused(attestation(STRANGER, SOURCE), known) is AttestationError
    assert refused(attestation(SOURCE), known) is AttestationError
    assert refused(attestation(bad=(SOURCE,)), known) is AttestationError
    assert check_attestation(attestation(SOURCE, SECOND), known, nonce="0a").time == WORLD.now


def test_a_time_stands_while_the_keys_that_signed_it_do() -> None:
    both = PROVEN._replace(signers=PROVEN.signers | {key_material(SECOND.public_key)})
    assert PROVEN.stands(root(SOURCE)) is True
    assert PROVEN.stands(root(SOURCE, SECOND, gone=("unusable",))) is True
    assert PROVEN.stands(root(SOURCE.alias("other"))) is True
    assert PROVEN.stands(root(SECOND, gone=(SOURCE.keyid,))) is False
    assert PROVEN.stands(root(SOURCE, SECOND, threshold=2)) is False
    assert both.stands(root(SOURCE, SECOND, threshold=2)) is True
    assert both.stands(root(SOURCE)) is False
    assert PROVEN.stands(ROOT._replace(time_source=None)) is False


def test_an_earlier_time_is_refused_while_the_last_one_stands() -> None:
    earlier = PROVEN._replace(time=PROVEN.time - timedelta(seconds=1))
    with pytest.raises(AttestationError) as caught:
        check_attested_floor(earlier, PROVEN, root(SOURCE))
    assert caught.value.reason == "its time 2029-12-31T23:59:59Z is before 2030-01-01T00:00:00Z"
    check_attested_floor(PROVEN, PROVEN, root(SOURCE))
    check_attested_floor(earlier, None, root(SOURCE))
    check_attested_floor(earlier, PROVEN, root(SECOND))


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"nonces": None}, "$.signed.nonces"),
        ({"nonces": [1]}, "$.signed.nonces[0]"),
    ],
)
def test_malformed_nonces_are_named_before_and_after_verification(change: dict[str, Any], place: str) -> None:
    data = attestation(SOURCE, **change)
    for read in (
        lambda: stated_nonces(data, DEFAULT_LIMITS),
        lambda: check_attestation(data, root(SOURCE), nonce=None),
    ):
        with pytest.raises(MalformedError) as caught:
            read()
        assert (caught.value.what, caught.value.json_path) == ("time attestation", place)


def test_what_is_no_attestation_is_refused_by_its_type() -> None:
    with pytest.raises(MalformedError) as caught:
        check_attestation(attestation(SOURCE, _type="timestamp"), root(SOURCE), nonce=None)
    assert (caught.value.what, caught.value.json_path) == ("time attestation", "$.signed._type")


def test_both_readers_keep_the_bounds() -> None:
    data = attestation(SOURCE)
    assert stated_nonces(data, DEFAULT_LIMITS) == ["0a", "ff"]
    for limits in (
        DEFAULT_LIMITS._replace(signatures_bytes=10),
        DEFAULT_LIMITS._replace(attestation_bytes=len(data) - 1),
    ):
        with pytest.raises(LimitError) as caught:
            stated_nonces(data, limits)
        assert caught.value.what.startswith("time attestation")
        with pytest.raises(LimitError):
            check_attestation(data, root(SOURCE), nonce=None, limits=limits)
    with pytest.raises(MalformedError) as malformed:
        stated_nonces(b"{", DEFAULT_LIMITS)
    assert malformed.value.what == "time attestation"
    assert json.loads(data)["signed"] == SIGNED
