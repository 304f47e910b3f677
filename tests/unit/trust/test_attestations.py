"""Time attestations to the byte, and what their refusals say."""

from __future__ import annotations

import json

import pytest

from twinlock.testing.simulator.keys import canonical
from twinlock.testing.simulator.world import World
from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.errors.reports import AttestationError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.root import Root
from twinlock.trust.wire.tuf.attestation import check_attestation, sign_attestation

WORLD = World()
SOURCE = WORLD.director.time_key()
DATA = sign_attestation(WORLD.now, ("ff", "0a"), SOURCE)


def _root() -> Root:
    return WORLD.vehicle.stores["director"].restore("director").root.signed


def malformed(data: bytes) -> tuple[str, str]:
    with pytest.raises(MalformedError) as caught:
        check_attestation(data, _root(), nonce=None)
    return caught.value.what, caught.value.json_path


def test_the_bytes() -> None:
    signed = {"_type": "time-attestation", "nonces": ["0a", "ff"], "time": "2030-01-01T00:00:00Z"}
    data = sign_attestation(WORLD.now, ("ff", "0a"), SOURCE)
    assert data == canonical({"signatures": [SOURCE.signature(signed)], "signed": signed})


def test_one_that_is_laid_out_for_people_counts_too() -> None:
    assert check_attestation(json.dumps(json.loads(DATA), indent=1).encode(), _root(), nonce="0a").time == WORLD.now


def test_where_it_is_malformed() -> None:
    what = "time attestation"
    assert malformed(b"{") == (what, "$")
    document = json.loads(DATA)
    assert malformed(canonical(document | {"signed": {}})) == (what, "$.signed")
    assert malformed(canonical(document | {"signatures": {}})) == (what, "$.signatures")
    with pytest.raises(LimitError) as caught:
        check_attestation(DATA, _root(), nonce=None, limits=DEFAULT_LIMITS._replace(attestation_bytes=1))
    assert caught.value.what == "time attestation in bytes"


def test_whose_threshold_was_not_met() -> None:
    unsigned = canonical(json.loads(DATA) | {"signatures": []})
    with pytest.raises(AttestationError) as caught:
        check_attestation(unsigned, _root(), nonce=None)
    assert "director" in caught.value.reason
    assert "timeSource" in caught.value.reason


def test_it_answers_the_question_that_was_asked() -> None:
    """The client looks for the question first; whoever else uses the engine has this check alone."""
    assert check_attestation(DATA, _root(), nonce="ff").time == WORLD.now
    with pytest.raises(AttestationError) as caught:
        check_attestation(DATA, _root(), nonce="0b")
    assert caught.value.reason == "the attestation does not answer the nonce that was sent"
