"""Which tally a refusal shows when a file is judged in two forms: the one received, and the canonical one."""

from __future__ import annotations

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.trust.errors.metadata import ThresholdError
from twinlock.trust.keys.signatures import Envelope, RoleKeys, Signature, SignatureTally, verify_signatures
from twinlock.trust.names import KeyId

KEYS = KeyPool()
NAMES = ("a", "b")
IDS = {name: KeyId(KEYS(name).keyid) for name in NAMES}
PUBLIC = {IDS[name]: KEYS(name).public_key for name in NAMES}
RECEIVED, CANONICAL = b"received", b"canonical"


def refusal(*signed: tuple[str, bytes]) -> ThresholdError:
    """The refusal of a file that both keys have to sign; ``signed`` is who signed which form."""
    signatures = tuple(Signature(IDS[name], KEYS(name).sign(form)) for name, form in signed)
    envelope = Envelope("object", RECEIVED, signatures, b"file", lambda: CANONICAL)
    role = RoleKeys(tuple(IDS.values()), 2)
    with pytest.raises(ThresholdError) as caught:
        verify_signatures(envelope, PUBLIC, role, repository="image", role_name="targets")
    return caught.value


def test_the_better_of_the_two() -> None:
    for form in (RECEIVED, CANONICAL):
        found = refusal(("a", form))
        assert (found.repository, found.role) == ("image", "targets")
        assert (found.valid, found.required, found.signed) == (1, 2, (IDS["a"],))
        assert (found.invalid, found.missing, found.unknown) == ((), (IDS["b"],), ())


def test_the_received_form_when_both_are_as_good() -> None:
    found = refusal(("a", RECEIVED), ("b", CANONICAL))
    assert (found.valid, found.signed, found.invalid) == (1, (IDS["a"],), (IDS["b"],))
    assert found.missing == ()


def test_forms_are_never_added_up() -> None:
    assert refusal(("b", RECEIVED), ("a", CANONICAL)).valid == 1


def test_what_was_counted_comes_with_what_was_verified() -> None:
    signatures = (Signature(IDS["a"], KEYS("a").sign(CANONICAL)), Signature(IDS["b"], b"x"))
    envelope = Envelope("object", RECEIVED, signatures, b"file", lambda: CANONICAL)
    role = RoleKeys(tuple(IDS.values()), 1)
    verified = verify_signatures(envelope, PUBLIC, role, repository="image", role_name="targets")
    assert (verified.signed, verified.data) == ("object", b"file")
    assert verified.tally == SignatureTally(1, 1, (IDS["a"],), (IDS["b"],), (), ())
