"""Which times and which key material a new floor holds."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import NamedTuple

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.world import START
from twinlock.trust.keys.signatures import Envelope, RoleKeys, Signature, verify_signatures
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, KeyId, RoleName
from twinlock.trust.state.floors import Floor, ahead_of, establish

KEY, OTHER = KeyPool()("a"), KeyPool()("b")
PUBLIC = {KEY.public_key.keyid: KEY.public_key}
SECOND = timedelta(seconds=1)
ACME = RoleName("acme")


class Signed(NamedTuple):
    """As much of a signed file as a floor asks for."""

    version: int = 2
    expires: datetime = START
    issued: datetime | None = START


def established(
    role: RoleName, *, issued: datetime | None = START, ceiling: datetime | None = None, **floors: Floor
) -> Floor:
    """The floor of ``role`` by a file that one key signed, where there are ``floors`` already."""
    signatures = (Signature(KeyId(KEY.keyid), KEY.sign(b"payload")),)
    envelope = Envelope(Signed(issued=issued), b"payload", signatures, b"file")
    role_keys = RoleKeys((KEY.public_key.keyid,), 1)
    verified = verify_signatures(envelope, PUBLIC, role_keys, repository=IMAGE, role_name=role)
    known = {RoleName(name): floor for name, floor in floors.items()}
    return establish(known, role, verified, keys=PUBLIC, root=1, ceiling=ceiling)


def material(key: object = KEY) -> frozenset[bytes]:
    assert isinstance(key, type(KEY))
    return frozenset([hashlib.sha256(key.public_key.identity).digest()])


@pytest.mark.parametrize(
    ("issued", "ceiling", "proven"),
    [
        (START, None, START),
        (START, START - SECOND, START - SECOND),
        (START, START, START),
        (START, START + SECOND, START),
        (None, START, None),
        (None, None, None),
    ],
)
@pytest.mark.parametrize("role", [ROOT, TIMESTAMP, SNAPSHOT, TARGETS])
def test_a_top_level_file_proves_its_time_up_to_the_ceiling(
    role: RoleName, issued: datetime | None, ceiling: datetime | None, proven: datetime | None
) -> None:
    assert established(role, issued=issued, ceiling=ceiling).issued == proven


def test_a_delegated_file_proves_no_time() -> None:
    assert established(ACME).issued is None
    assert established(ACME, ceiling=START).issued is None


def test_only_floors_beyond_the_ceiling_are_ahead_of_it() -> None:
    floors = {
        TIMESTAMP: established(TIMESTAMP),
        SNAPSHOT: established(SNAPSHOT, issued=START + SECOND),
        TARGETS: established(TARGETS, issued=None),
    }
    assert ahead_of(floors, START) == {SNAPSHOT: floors[SNAPSHOT]}
    assert ahead_of(floors, START - SECOND) == {role: floors[role] for role in (TIMESTAMP, SNAPSHOT)}
    assert ahead_of(floors, START + SECOND) == {}


def test_the_keys_of_the_index_are_part_of_every_floor_that_it_led_to() -> None:
    timestamp = Floor(1, b"t", 1, {TIMESTAMP: material(OTHER)})
    snapshot = Floor(1, b"s", 1, {TIMESTAMP: material(OTHER), SNAPSHOT: material(OTHER)})
    # A Timestamp comes before the Snapshot: what signed an earlier Snapshot says nothing about it.
    found = established(TIMESTAMP, timestamp=timestamp, snapshot=snapshot)
    assert found.material == {TIMESTAMP: material()}
    found = established(SNAPSHOT, timestamp=timestamp, snapshot=snapshot)
    assert found.material == {TIMESTAMP: material(OTHER), SNAPSHOT: material()}
    for role in (TARGETS, ACME):
        found = established(role, timestamp=timestamp, snapshot=snapshot)
        assert found.material == {TIMESTAMP: material(OTHER), SNAPSHOT: material(OTHER), role: material()}
    assert established(ROOT, timestamp=timestamp, snapshot=snapshot).material == {}
