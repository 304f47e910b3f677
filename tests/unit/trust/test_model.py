"""The read model by itself: what a delegation covers, whose keys a Root names, and how a verification is driven."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, Steps, drive
from twinlock.trust.keys.signatures import RoleKeys
from twinlock.trust.model.delegations import DelegatedRole, Delegation
from twinlock.trust.model.root import Root
from twinlock.trust.names import IMAGE, ROOT, TARGETS, HardwareId, KeyId, RoleName, TargetPath
from twinlock.trust.wire.json.olpc import encode_canonical

KEYS = KeyPool()
PATH = TargetPath("brake/1.bin")
ROLE = DelegatedRole(RoleName("acme"), RoleKeys((), 1))


def delegation(
    paths: tuple[str, ...] | None = None,
    prefixes: tuple[str, ...] | None = None,
    hardware: frozenset[HardwareId] | None = None,
) -> Delegation:
    return Delegation(roles=(ROLE,), terminating=False, paths=paths, path_hash_prefixes=prefixes, hardware_ids=hardware)


def test_one_pattern_that_fits_is_enough() -> None:
    assert delegation(paths=("adas/*", "brake/*")).covers(PATH, None) is True
    assert delegation(paths=("brake/*", "adas/*")).covers(PATH, None) is True
    assert delegation(paths=("adas/*", "brake/?")).covers(PATH, None) is False
    assert delegation(paths=()).covers(PATH, None) is False
    assert delegation().covers(PATH, None) is False
    assert delegation()._replace(crossing=True).covers(PATH, None) is False


def test_one_prefix_that_fits_is_enough() -> None:
    digest = hashlib.sha256(PATH.encode()).hexdigest()
    other = "0" if digest[0] != "0" else "1"
    assert delegation(prefixes=(other, digest[:2])).covers(PATH, None) is True
    assert delegation(prefixes=(digest[:2], other)).covers(PATH, None) is True
    assert delegation(prefixes=(other,)).covers(PATH, None) is False


def test_other_hardware_is_never_covered() -> None:
    found = delegation(paths=("*/*",), hardware=frozenset({HardwareId("a"), HardwareId("b")}))
    assert found.covers(PATH, HardwareId("a")) is True
    assert found.covers(PATH, HardwareId("c")) is False
    assert found.covers(PATH, None) is True


def test_the_material_of_keys_that_are_there() -> None:
    keyid, time = KeyId(KEYS("a").keyid), datetime(2030, 1, 1, tzinfo=UTC)
    public = KEYS("a").public_key
    root = Root(1, time, None, {keyid: public}, {ROOT: RoleKeys((keyid, KeyId("missing")), 1)})
    assert root.signers(ROOT) == {public.identity}
    assert root.signers(TARGETS) == frozenset()


def test_a_verification_that_its_driver_ends_is_closed_at_once() -> None:
    closed = []

    def steps() -> Steps[None]:
        try:
            yield Fetch(IMAGE, ROOT, 1, "1.root.json", 1)
        finally:
            closed.append(True)

    def broken(_command: Command) -> Answer:
        raise ConnectionError

    running = steps()
    with pytest.raises(ConnectionError):
        drive(running, broken)
    assert closed == [True]
    assert drive(steps(), lambda _command: ABSENT) is None


def test_a_float_anywhere_has_no_canonical_form() -> None:
    for value in (1.5, [1.5], (1.5,), {"a": (1, [1.5])}, {"a": {"b": 1.5}}):
        with pytest.raises(ValueError, match="floats"):
            encode_canonical(value)
