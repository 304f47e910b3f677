"""Members of files of the ``aktualizr`` profile, read from plain JSON without a file around them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.keys.signatures import RoleKeys
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.base import FileInfo
from twinlock.trust.model.delegations import DelegatedRole, Delegation, Delegations
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.model.timestamp import Timestamp
from twinlock.trust.names import HardwareId, KeyId, RoleName, TargetPath, VehicleId
from twinlock.trust.wire.aktualizr import decode, members, targets
from twinlock.trust.wire.json.cursor import MAX_INTEGER, Node

K = KeyId("k")
KEY = KeyPool()("any").alias("k")
WRITTEN = {"keytype": "ED25519", "keyval": {"public": KEY.public["keyval"]["public"]}}
DIGEST = "ab" * 32


def node(value: Any) -> Node:
    return Node(value, "here", "$")


def refused(read: Callable[[], object]) -> tuple[str, str, str]:
    with pytest.raises(MalformedError) as caught:
        read()
    fields = caught.value.fields()
    return fields["what"], fields["json_path"], fields["reason"]


def test_a_timestamp() -> None:
    def read(version: int, length: int) -> Timestamp:
        listed = {"version": version, "length": length, "hashes": {"sha256": DIGEST}}
        body = {"version": 1, "expires": "2030-01-02T00:00:00Z", "meta": {"snapshot.json": listed}}
        return decode._timestamp(node(body | {"custom": {"vehicleIdentifier": "VIN-1"}}), DEFAULT_LIMITS)

    expires, snapshot = datetime(2030, 1, 2, tzinfo=UTC), FileInfo(1, 0, {"sha256": DIGEST})
    assert read(1, 0) == Timestamp(1, expires, None, snapshot, VehicleId("VIN-1"))
    for version, length, member, least in ((0, 0, "version", 1), (1, -1, "length", 0)):
        place, reason = f"$.meta.snapshot.json.{member}", f"an integer from {least} to {MAX_INTEGER} is required"
        assert refused(lambda: read(version, length)) == ("here", place, reason)  # noqa: B023  # called at once


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{", "not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b'"\x7f"', "no canonical form: the character U+007F has two canonical forms"),
    ],
)
def test_what_has_no_canonical_form(data: bytes, reason: str) -> None:
    assert refused(lambda: decode._canonical(data, "here")) == ("here", "$", reason)


def test_the_canonical_form_of_a_text() -> None:
    assert decode._canonical(b'{ "b": "\xc3\xa9", "a": [] }', "here") == b'{"a":[],"b":"\\u00e9"}'


def test_a_key_and_its_id() -> None:
    assert members._decode_key(K, node(WRITTEN)) == KEY.public_key
    for strange, reason in (
        ("e\u0301", "the string is not in Unicode normal form C"),
        ("x" * 65_537, "the string is too long"),
    ):
        read = lambda: members._decode_key(KeyId(strange), node(WRITTEN))  # noqa: B023, E731  # called at once
        assert refused(read) == ("here", "$", reason)


def test_an_entry_and_its_release_counter() -> None:
    def read(**custom: Any) -> ImageEntry:
        return targets._entry("a", node({"length": 0, "hashes": {"sha256": DIGEST}, "custom": custom}), DEFAULT_LIMITS)

    agreed = {"hardwareIds": ["hw"], "releaseCounter": 7}
    hardware = frozenset({HardwareId("hw")})
    expected = ImageEntry(TargetPath("a"), 0, {"sha256": DIGEST}, 7, hardware, agreed, {}, "u", {})
    custom = {"uri": "u", "releaseCounter": 1, "mustAgree": agreed}
    assert read(**custom) == expected._replace(custom=custom)
    assert read(releaseCounter=0).release_counter == 0
    assert read(mustAgree={}, releaseCounter=5).release_counter == 5
    assert read(mustAgree={}).release_counter is None
    reason = f"an integer from 0 to {MAX_INTEGER} is required"
    assert refused(lambda: read(releaseCounter=-1)) == ("here", "$.custom.releaseCounter", reason)
    place = "$.custom.mustAgree.releaseCounter"
    assert refused(lambda: read(mustAgree={"releaseCounter": -1})) == ("here", place, reason)


def test_delegations() -> None:
    entry = {"name": "acme", "keyids": ["k"], "threshold": 1, "paths": ["a"]}
    delegations = {"keys": {"k": WRITTEN, "bad": 1}, "roles": [entry]}

    def read(limits: Limits = DEFAULT_LIMITS, **custom: Any) -> Delegations:
        return targets._delegations(node({"delegations": delegations, "custom": custom}), limits)

    role = DelegatedRole(RoleName("acme"), RoleKeys((K,), 1, post_quantum=True))
    delegation = Delegation((role,), terminating=False, paths=("a",), crossing=True)
    unusable = {KeyId("bad"): "an object is required"}
    assert read(postQuantum=["acme"]) == Delegations({K: KEY.public_key}, (delegation,), unusable=unusable)
    with pytest.raises(LimitError) as caught:
        read(DEFAULT_LIMITS._replace(delegations_per_role=1), postQuantum=["acme", "acme"])
    assert caught.value.fields() == {"what": "here: items of $.custom.postQuantum", "value": 2, "limit": 1}


@pytest.mark.parametrize("pattern", ["a\\*", "[^a]", "x[[:alpha:]]"])
def test_patterns_have_one_meaning(pattern: str) -> None:
    reason = "a backslash, a class of characters or a set that excludes by ^ has more than one meaning"
    assert targets._pattern(node("[!a]*")) == "[!a]*"
    assert refused(lambda: targets._pattern(node(pattern))) == ("here", "$", reason)
