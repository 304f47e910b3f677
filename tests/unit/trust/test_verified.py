"""A ``Verified`` comes from counted signatures alone, never changes, and is not passed off as another."""

from __future__ import annotations

import copy
import hashlib
import pickle
from collections.abc import Callable
from unittest.mock import ANY

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.trust.keys.signatures import (
    Envelope,
    RoleKeys,
    Signature,
    SignatureTally,
    Verified,
    reduce_to_signed,
    verify_signatures,
)
from twinlock.trust.names import IMAGE, TARGETS, KeyId

KEY = KeyPool()("a")
KEYID = KeyId(KEY.keyid)
TALLY = SignatureTally(1, 1, (KEYID,), (), (), ())


def envelope(payload: bytes = b"payload", data: bytes = b"file", bare: bytes | None = b"bare") -> Envelope[str]:
    signature = Signature(KEYID, KEY.sign(payload))
    return Envelope(f"object of {payload!r}", payload, (signature,), data, bare=None if bare is None else lambda: bare)


def verify(file: Envelope[str]) -> Verified[str]:
    keys = {KEYID: KEY.public_key}
    return verify_signatures(file, keys, RoleKeys((KEYID,), 1), repository=IMAGE, role_name=TARGETS)


@pytest.mark.parametrize("counted", [None, True, object(), "counted"], ids=["none", "true", "object", "text"])
def test_no_other_module_makes_one(counted: object) -> None:
    with pytest.raises(TypeError, match="verify_signatures"):
        Verified(counted, "object", b"file", TALLY, b"content")
    with pytest.raises(TypeError):
        Verified("object", b"file", TALLY, b"content")  # type: ignore[call-arg]


def test_one_that_was_made_is_not_made_into_another() -> None:
    verified = verify(envelope())
    with pytest.raises(TypeError, match="verify_signatures"):
        verified.__init__(None, "other", b"other", TALLY, b"content")
    for name in ("signed", "data", "tally", "content", "note"):
        with pytest.raises(AttributeError) as unset:
            setattr(verified, name, b"other")
        assert str(unset.value) == f"{name} of a Verified cannot be set"
    for name in ("signed", "data", "tally", "content"):
        with pytest.raises(AttributeError) as undeleted:
            delattr(verified, name)
        assert str(undeleted.value) == f"{name} of a Verified cannot be deleted"
    assert not hasattr(verified, "__dict__")
    assert not hasattr(verified, "_replace")
    assert not hasattr(verified, "__replace__")
    assert (verified.data, verified.tally) == (b"file", TALLY)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps], ids=lambda found: found.__name__)
def test_it_is_neither_copied_nor_pickled(duplicate: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="neither copied nor pickled"):
        duplicate(verify(envelope()))


def test_it_equals_another_of_the_same_file_and_no_tuple() -> None:
    verified = verify(envelope())
    assert verified == verify(envelope())
    assert verified not in (verify(envelope(b"other")), verify(envelope(data=b"other")))
    values = (verified.signed, verified.data, verified.tally, verified.content)
    assert verified != values
    assert values != verified
    # Another kind of value may have an opinion of its own.
    assert verified.__eq__(values) is NotImplemented
    assert verified == ANY


def test_it_shows_all_but_the_file_itself() -> None:
    content = hashlib.sha256(b"payload").hexdigest()
    shown = f"Verified(signed=\"object of b'payload'\", tally={TALLY!r}, content={content})"
    assert repr(verify(envelope())) == shown


def test_it_is_reduced_to_what_its_own_envelope_composes() -> None:
    file = envelope()
    verified = verify(file)
    reduced = reduce_to_signed(verified, file)
    assert (reduced.data, reduced.content, reduced.tally) == (b"bare", verified.content, verified.tally)
    assert reduced.signed is verified.signed
    for other in (envelope(b"other"), file._replace(bare=None)):
        with pytest.raises(ValueError, match="envelope"):
            reduce_to_signed(verified, other)
