"""Signed time: forged, replayed, answered to somebody else, or said by another role."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from tests.simulator.keys import Key, canonical
from tests.simulator.world import World
from twinlock.trust.attestation import MAX_NONCES, check_attestation, sign_attestation
from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.errors.reports import AttestationError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.root import Root

WORLD = World()
SOURCE = WORLD.director.time_key()
NOW = WORLD.now
NONCE = "0123456789abcdef"


def _root(name: str = "director") -> Root:
    return WORLD.vehicle.stores[name].restore(name).root.signed


def _signed(nonces: tuple[str, ...] = (NONCE,), signer: Key = SOURCE, time: datetime = NOW) -> bytes:
    return sign_attestation(time, nonces, signer)


def test_a_genuine_answer() -> None:
    assert check_attestation(_signed(), _root(), nonce=NONCE) == NOW
    assert check_attestation(_signed(("ff", NONCE)), _root(), nonce=NONCE) == NOW
    assert check_attestation(_signed(()), _root(), nonce=None) == NOW


@pytest.mark.parametrize("nonces", [(), ("ff",), (NONCE.upper(),), (NONCE[:-1],), (NONCE + "00",)])
def test_an_answer_to_somebody_else(nonces: tuple[str, ...]) -> None:
    with pytest.raises(AttestationError) as caught:
        check_attestation(_signed(nonces), _root(), nonce=NONCE)
    assert "nonce" in caught.value.reason


def test_an_answer_from_the_past() -> None:
    later = NOW + timedelta(seconds=1)
    with pytest.raises(AttestationError) as caught:
        check_attestation(_signed(), _root(), nonce=NONCE, trusted=later)
    assert "before" in caught.value.reason
    assert check_attestation(_signed(), _root(), nonce=NONCE, trusted=NOW) == NOW


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
