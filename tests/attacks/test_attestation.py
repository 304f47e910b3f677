"""Signed time: forged, replayed, answered to somebody else, or said by another role."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from twinlock.testing.simulator.keys import Key, canonical
from twinlock.testing.simulator.world import World
from twinlock.trust.errors.base import Attack
from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.errors.reports import AttestationError
from twinlock.trust.keys.signatures import RoleKeys
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.root import Root
from twinlock.trust.names import KeyId
from twinlock.trust.wire.tuf.attestation import MAX_NONCES, check_attestation, check_attested_floor, sign_attestation

WORLD = World()
SOURCE = WORLD.director.time_key()
NOW = WORLD.now
NONCE = "0123456789abcdef"


def _root(name: str = "director") -> Root:
    return WORLD.vehicle.stores[name].restore(name).root.signed


def _signed(nonces: tuple[str, ...] = (NONCE,), signer: Key = SOURCE, time: datetime = NOW) -> bytes:
    return sign_attestation(time, nonces, signer)


def test_a_genuine_answer() -> None:
    assert check_attestation(_signed(), _root(), nonce=NONCE).time == NOW
    assert check_attestation(_signed(("ff", NONCE)), _root(), nonce=NONCE).time == NOW
    assert check_attestation(_signed(()), _root(), nonce=None).time == NOW


@pytest.mark.parametrize("nonces", [(), ("ff",), (NONCE.upper(),), (NONCE[:-1],), (NONCE + "00",)])
def test_an_answer_to_somebody_else(nonces: tuple[str, ...]) -> None:
    with pytest.raises(AttestationError) as caught:
        check_attestation(_signed(nonces), _root(), nonce=NONCE)
    assert "nonce" in caught.value.reason


def test_an_answer_from_the_past() -> None:
    last, root = check_attestation(_signed(), _root(), nonce=NONCE), _root()
    check_attested_floor(check_attestation(_signed(), root, nonce=NONCE), last, root)
    earlier = check_attestation(_signed(time=NOW - timedelta(seconds=1)), root, nonce=NONCE)
    with pytest.raises(AttestationError) as caught:
        check_attested_floor(earlier, last, root)
    assert caught.value.attack is Attack.FREEZE
    assert "before" in caught.value.reason


def _source(*keys: Key, threshold: int = 1) -> Root:
    root = _root()
    named = {KeyId(key.keyid): key.public_key for key in keys}
    return root._replace(keys={**root.keys, **named}, time_source=RoleKeys(tuple(named), threshold))


def test_the_floor_falls_with_the_material_that_established_it_and_with_nothing_else() -> None:
    """A renamed or an added key lowers nothing (I3); a removed key or a threshold beyond what signed does."""
    other = WORLD.keys("second time source")
    last = check_attestation(_signed(), _root(), nonce=NONCE)
    assert last.stands(_source(SOURCE))
    assert last.stands(_source(SOURCE, other))
    assert last.stands(_source(other, SOURCE.alias("dd" * 32)))
    assert not last.stands(_source(other))
    assert not last.stands(_source(SOURCE, other, threshold=2))
    assert not last.stands(_root("image"))
    renamed = SOURCE.alias("dd" * 32)
    with pytest.raises(AttestationError):
        check_attested_floor(
            check_attestation(_signed(signer=renamed, time=NOW - timedelta(days=15)), _source(renamed), nonce=NONCE),
            last,
            _source(renamed),
        )


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_the_key_of_another_role(role: str) -> None:
    with pytest.raises(AttestationError):
        check_attestation(_signed(signer=WORLD.director.key(role)), _root(), nonce=NONCE)


@pytest.mark.parametrize("signer", [WORLD.keys("mallory"), WORLD.keys("mallory").alias(SOURCE.keyid)])
def test_a_stranger(signer: Key) -> None:
    with pytest.raises(AttestationError):
        check_attestation(_signed(signer=signer), _root(), nonce=NONCE)


def test_a_root_that_names_no_time_source() -> None:
    with pytest.raises(AttestationError) as caught:
        check_attestation(_signed(), _root("image"), nonce=NONCE)
    assert "no time source" in caught.value.reason


@pytest.mark.parametrize("change", [{"time": "2031-01-01T00:00:00Z"}, {"nonces": [NONCE, "ff"]}, {"x": 1}])
def test_an_altered_answer(change: dict[str, object]) -> None:
    document = json.loads(_signed())
    document["signed"] |= change
    with pytest.raises(AttestationError):
        check_attestation(canonical(document), _root(), nonce=NONCE)


def test_no_signature() -> None:
    document = json.loads(_signed()) | {"signatures": []}
    with pytest.raises(AttestationError):
        check_attestation(canonical(document), _root(), nonce=NONCE)


def test_metadata_is_no_answer_even_when_the_time_key_signed_it() -> None:
    body = WORLD.director.bodies["timestamp"] | {"time": "2030-01-01T00:00:00Z", "nonces": [NONCE]}
    data = canonical({"signatures": [SOURCE.signature(body)], "signed": body})
    with pytest.raises(MalformedError) as caught:
        check_attestation(data, _root(), nonce=NONCE)
    assert caught.value.json_path == "$.signed._type"


def test_more_than_the_bounds() -> None:
    with pytest.raises(LimitError):
        check_attestation(_signed() + b" " * DEFAULT_LIMITS.attestation_bytes, _root(), nonce=NONCE)
    many = tuple(f"{number:04x}" for number in range(MAX_NONCES + 1))
    with pytest.raises(LimitError) as caught:
        check_attestation(_signed(many), _root(), nonce=many[0])
    assert caught.value.limit == MAX_NONCES


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{}", b'{"signed": {}}', b"\xff", b"{" * 100_000])
def test_nonsense(data: bytes) -> None:
    with pytest.raises((MalformedError, LimitError)):
        check_attestation(data, _root(), nonce=NONCE)
