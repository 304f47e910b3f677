"""Members that files of both profiles have, read from plain JSON without a file around them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.keys.signatures import RoleKeys, Signature
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.delegations import DelegatedRole, Delegation, Delegations, SuccinctBins
from twinlock.trust.model.root import Root
from twinlock.trust.model.targets import Targets
from twinlock.trust.names import EcuId, HardwareId, KeyId, RoleName, VehicleId
from twinlock.trust.wire.aktualizr import decode as aktualizr_decode
from twinlock.trust.wire.aktualizr import targets as aktualizr_targets
from twinlock.trust.wire.json.cursor import Node
from twinlock.trust.wire.json.parser import LocatedMembers
from twinlock.trust.wire.tuf import members as tuf_members
from twinlock.trust.wire.tuf import metadata as tuf_metadata
from twinlock.trust.wire.tuf import targets as tuf_targets

K = KeyId("k")
EXPIRES = datetime(2030, 1, 2, tzinfo=UTC)
COMMON = {"version": 1, "expires": "2030-01-02T00:00:00Z"}
SIGNERS = {"keyids": ["k"], "threshold": 2}
CUSTOM = {
    "vehicleIdentifier": "VIN-1",
    "correlationId": "urn:x:1",
    "acknowledged": {"ecu-1": 0},
    "acknowledgedReports": {"ecu-1": "1e" * 32},
    "resets": {"ecu-2": "0f" * 16},
}
VIN = VehicleId("VIN-1")


def node(value: Any) -> Node:
    return Node(value, "here", "$")


def refused(read: Callable[[], object]) -> tuple[str, str, str]:
    with pytest.raises(MalformedError) as caught:
        read()
    fields = caught.value.fields()
    return fields["what"], fields["json_path"], fields["reason"]


@pytest.mark.parametrize(
    ("read", "kind"), [(tuf_metadata._root, "root"), (aktualizr_decode._root, "Root")], ids=["tuf", "aktualizr"]
)
def test_a_root(read: Callable[..., Root], kind: str) -> None:
    roles = dict.fromkeys(("root", "timestamp", "snapshot", "targets"), SIGNERS)
    custom = {"postQuantum": ["root", "targets"], "timeSource": SIGNERS}
    body = {**COMMON, "_type": kind, "keys": {"bad": 1}, "roles": roles, "custom": custom}
    assert read(node(body), DEFAULT_LIMITS) == Root(
        version=1,
        expires=EXPIRES,
        issued=None,
        keys={},
        roles={RoleName(role): RoleKeys((K,), 2, role in ("root", "targets")) for role in roles},
        time_source=RoleKeys((K,), 2),
        written_type=kind,
        unusable={KeyId("bad"): "an object is required"},
    )


KEYS = {"keys": {"bad": 1}}
ENTRY = {"paths": ["*"], "terminating": True}
ACME = DelegatedRole(RoleName("acme"), RoleKeys((K,), 2))
NONE_YET = Delegations({}, unusable={KeyId("bad"): "an object is required"})
BY_FORM: tuple[tuple[Any, Delegations | None], ...] = (
    (None, None),
    (
        KEYS | {"roles": [{"name": "acme", **SIGNERS, **ENTRY}]},
        NONE_YET._replace(entries=(Delegation((ACME,), terminating=True, paths=("*",)),)),
    ),
    (
        KEYS
        | {"prioritized_delegations": [{"roles": [{"name": "acme", **SIGNERS}], "min_roles_in_agreement": 1, **ENTRY}]},
        NONE_YET._replace(entries=(Delegation((ACME,), terminating=True, paths=("*",)),)),
    ),
    (
        KEYS | {"succinct_roles": {"bit_length": 4, "name_prefix": "bin", **SIGNERS}},
        NONE_YET._replace(bins=SuccinctBins(RoleKeys((K,), 2), 4, "bin")),
    ),
)


def _targets(delegations: Any) -> Node:
    located = LocatedMembers({}, "{}", "here", "$.targets")
    return node({**COMMON, "targets": located, "custom": CUSTOM, "delegations": delegations})


def test_targets_of_a_director() -> None:
    for delegations, expected in BY_FORM:
        assert tuf_targets.decode_targets(_targets(delegations), DEFAULT_LIMITS) == Targets(
            version=1,
            expires=EXPIRES,
            issued=None,
            images={},
            delegations=expected,
            vehicle=VIN,
            correlation_id="urn:x:1",
            acknowledged={EcuId("ecu-1"): 0},
            acknowledged_reports={EcuId("ecu-1"): "1e" * 32},
            resets={EcuId("ecu-2"): "0f" * 16},
        )


def test_targets_of_a_director_in_the_other_profile() -> None:
    for delegations, expected in ((None, None), ({}, None), (KEYS | {"roles": []}, NONE_YET)):
        found = aktualizr_targets.decode_targets(_targets(delegations), DEFAULT_LIMITS)
        assert found == Targets(1, EXPIRES, None, {}, expected, VIN, "urn:x:1")


@pytest.mark.parametrize("name", ["root", "TARGETS", "Snapshot", "timestamp"])
def test_the_name_of_a_top_level_role_is_no_name_of_a_delegated_one(name: str) -> None:
    expected = ("here", "$", f"{name!r} is a top-level role")
    assert refused(lambda: tuf_targets.decode_role_name(node(name))) == expected
    assert tuf_targets.decode_role_name(node(name + "s")) == name + "s"


def test_a_delegation_has_patterns_or_prefixes() -> None:
    roles = (DelegatedRole(RoleName("acme"), RoleKeys((K,), 1)),)

    def read(**members: Any) -> Delegation:
        return tuf_targets._delegation(node({"terminating": False, **members}), roles, DEFAULT_LIMITS)

    assert read(paths=["a", "b"]) == Delegation(roles, terminating=False, paths=("a", "b"))
    assert read(path_hash_prefixes=["0"]) == Delegation(roles, terminating=False, path_hash_prefixes=("0",))
    expected = ("here", "$", "exactly one of paths and path_hash_prefixes is required")
    for members in ({}, {"paths": ["a"], "path_hash_prefixes": ["0"]}, {"paths": None}):
        assert refused(lambda: read(**members)) == expected  # noqa: B023  # called at once


def test_a_delegation_of_the_other_profile() -> None:
    def read(**members: Any) -> Delegation:
        return aktualizr_targets._delegation(node({"name": "acme", **SIGNERS, **members}), DEFAULT_LIMITS)

    roles = (DelegatedRole(RoleName("acme"), RoleKeys((K,), 2)),)
    assert read() == Delegation(roles, terminating=False, paths=(), crossing=True)
    assert read(paths=["a/*"], terminating=True, hardwareIds=["hw"]) == Delegation(
        roles, terminating=True, paths=("a/*",), hardware_ids=frozenset({HardwareId("hw")}), crossing=True
    )


def test_a_key_id_signs_once() -> None:
    one, other = {"keyid": "k", "sig": "00"}, {"keyid": "l", "sig": "00"}
    found = tuf_members.decode_signatures(node([one, 1, other]), DEFAULT_LIMITS)
    assert found == (Signature(K, b"\x00"), Signature(KeyId("l"), b"\x00"))
    expected = ("here", "$", "two signatures have the same key id")
    assert refused(lambda: tuf_members.decode_signatures(node([one, one]), DEFAULT_LIMITS)) == expected
