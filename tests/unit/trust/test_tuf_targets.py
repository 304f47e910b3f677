"""Targets of the ``tuf`` profile with every member that they may have: the whole value that they are read as."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.keys.signatures import RoleKeys
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.delegations import DelegatedRole, Delegation, Delegations, SuccinctBins
from twinlock.trust.model.targets import ImageEntry, Targets
from twinlock.trust.names import EcuId, HardwareId, KeyId, RoleName, TargetPath
from twinlock.trust.wire.json.cursor import MAX_INTEGER, Node
from twinlock.trust.wire.tuf.metadata import TUF
from twinlock.trust.wire.tuf.uptane_fields import custom_of

KEY = KeyPool()("any")
K = KeyId("k")
ISSUED, EXPIRES = datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 1, 2, tzinfo=UTC)
BODY = {"_type": "targets", "version": 1, "issued": "2030-01-01T00:00:00Z", "expires": "2030-01-02T00:00:00Z"}
DIGEST = "ab" * 32
ENTRY = {"length": 0, "hashes": {"sha256": DIGEST}}
SIGNERS = {"keyids": ["k"], "threshold": 2}


def read(limits: Limits = DEFAULT_LIMITS, **members: Any) -> Targets:
    """What Targets with these members are read as; ``...`` leaves a member out."""
    signed = {name: value for name, value in {**BODY, "targets": {}, **members}.items() if value is not ...}
    data = json.dumps({"signatures": [], "signed": signed}).encode()
    return TUF.decode_targets(data, "here", limits).signed


def refused(**members: Any) -> tuple[str, str, str]:
    with pytest.raises(MalformedError) as caught:
        dict(read(**members).images)
    fields = caught.value.fields()
    return fields["what"], fields["json_path"], fields["reason"]


def test_targets_without_the_members_that_they_may_lack() -> None:
    found = read(issued=...)
    assert found == Targets(1, EXPIRES, None, images=found.images)
    assert len(found.images) == 0
    assert [*found[4:]] == [None, None, None, {}, {}, {}]


def test_what_a_director_states() -> None:
    nonce, report = "0f" * 16, "1e" * 32
    custom = {
        "vehicleIdentifier": "VIN-1",
        "correlationId": "urn:x:1",
        "acknowledged": {"ecu-1": 0, "ecu-2": 9},
        "acknowledgedReports": {"ecu-1": report},
        "resets": {"ecu-2": nonce},
    }
    found = read(custom=custom)
    assert found == Targets(
        version=1,
        expires=EXPIRES,
        issued=ISSUED,
        images=found.images,
        delegations=None,
        vehicle=found.vehicle,
        correlation_id="urn:x:1",
        acknowledged={EcuId("ecu-1"): 0, EcuId("ecu-2"): 9},
        acknowledged_reports={EcuId("ecu-1"): report},
        resets={EcuId("ecu-2"): nonce},
    )
    assert found.vehicle == "VIN-1"


@pytest.mark.parametrize("name", ["acknowledged", "acknowledgedReports", "resets"])
def test_what_a_director_states_by_ecu_has_bounds(name: str) -> None:
    with pytest.raises(LimitError) as caught:
        read(DEFAULT_LIMITS._replace(ecus=1), custom={name: {"a": 1, "b": 1}})
    assert caught.value.fields() == {"what": f"here: members of $.signed.custom.{name}", "value": 2, "limit": 1}
    reason = "not an identifier: an identifier holds no slash or backslash"
    assert refused(custom={name: {"a/b": 1}}) == ("here", f"$.signed.custom.{name}.a/b", reason)


def test_a_counter_that_is_acknowledged_is_not_below_zero() -> None:
    expected = ("here", "$.signed.custom.acknowledged.a", f"an integer from 0 to {MAX_INTEGER} is required")
    assert refused(custom={"acknowledged": {"a": -1}}) == expected


def test_an_entry() -> None:
    agreed = {"releaseCounter": 0, "hardwareIds": ["hw-1", "hw-2"]}
    custom = {
        "mustAgree": agreed,
        "ecuIdentifiers": {"ecu-1": {"hardwareId": "hw-1"}, "ecu-2": {}},
        "downloadUrl": "https://a.example/",
        "more": [1],
    }
    found = read(targets={"a/b.bin": ENTRY | {"custom": custom}, "c": ENTRY}).images
    assert found[TargetPath("a/b.bin")] == ImageEntry(
        path=TargetPath("a/b.bin"),
        length=0,
        hashes={"sha256": DIGEST},
        release_counter=0,
        hardware_ids=frozenset({HardwareId("hw-1"), HardwareId("hw-2")}),
        must_agree=agreed,
        ecus={EcuId("ecu-1"): HardwareId("hw-1"), EcuId("ecu-2"): None},
        download_url="https://a.example/",
        custom=custom,
    )
    assert found[TargetPath("c")] == ImageEntry(TargetPath("c"), 0, {"sha256": DIGEST})


def test_a_length_is_not_below_zero() -> None:
    expected = ("here", "$.signed.targets['a'].length", f"an integer from 0 to {MAX_INTEGER} is required")
    assert refused(targets={"a": ENTRY | {"length": -1}}) == expected


def test_the_name_of_an_ecu_in_an_entry() -> None:
    place = "$.signed.targets['a'].custom.ecuIdentifiers.b/c"
    reason = "not an identifier: an identifier holds no slash or backslash"
    assert refused(targets={"a": ENTRY | {"custom": {"ecuIdentifiers": {"b/c": {}}}}}) == ("here", place, reason)


def test_custom_fields_have_their_place_even_where_there_are_none() -> None:
    assert custom_of(Node({}, "here", "$.x")) == (Node({}, "here", "$.x.custom"), None)


# delegations

PLAIN = {"name": "acme", **SIGNERS, "terminating": True, "paths": ["a/*", "b"], "hardwareIds": ["hw-1"]}
HASHED = {"name": "other", **SIGNERS, "terminating": False, "path_hash_prefixes": ["0", "ff"]}
BAD_KEY = {"keytype": "new", "scheme": "new", "keyval": {"public": ""}}


def delegated(**members: Any) -> dict[str, Any]:
    return {"keys": {"k": KEY.public, "bad": BAD_KEY}, **members}


def role(name: str, *, post_quantum: bool = False) -> DelegatedRole:
    return DelegatedRole(RoleName(name), RoleKeys((K,), 2, post_quantum))


def hardware(*ids: str) -> frozenset[HardwareId]:
    return frozenset(map(HardwareId, ids))


def test_delegations() -> None:
    restrictions = [{"roles": ["acme"]}, {"roles": ["other"], "hardwareIds": ["hw-2"]}]
    custom = {"postQuantum": ["other"], "delegatedHardware": restrictions}
    found = read(delegations=delegated(roles=[PLAIN, HASHED]), custom=custom).delegations
    assert found is not None
    first = Delegation((role("acme"),), terminating=True, paths=("a/*", "b"), hardware_ids=hardware("hw-1"))
    second = Delegation(
        (role("other", post_quantum=True),),
        terminating=False,
        path_hash_prefixes=("0", "ff"),
        hardware_ids=hardware("hw-2"),
    )
    keys = {K: KEY.alias("k").public_key}
    assert found == Delegations(keys, (first, second), unusable=found.unusable)
    assert list(found.unusable) == ["bad"]


@pytest.mark.parametrize("roles", [..., [], None])
def test_delegations_to_several_roles(roles: Any) -> None:
    entry = {"roles": [{"name": name, **SIGNERS} for name in ("a", "b")], "min_roles_in_agreement": 2}
    entry |= {"terminating": False, "paths": ["*"]}
    members = delegated(roles=roles, prioritized_delegations=[entry])
    found = read(delegations={name: value for name, value in members.items() if value is not ...}).delegations
    assert found is not None
    expected = Delegation((role("a"), role("b")), terminating=False, paths=("*",), min_roles_in_agreement=2)
    assert found.entries == (expected,)


def test_bins() -> None:
    bins = {**SIGNERS, "bit_length": 4, "name_prefix": "bin"}
    found = read(delegations=delegated(succinct_roles=bins), custom={"postQuantum": ["bin"]}).delegations
    assert found is not None
    assert found.bins == SuccinctBins(RoleKeys((K,), 2, post_quantum=True), 4, "bin")
    assert found.entries == ()


@pytest.mark.parametrize("name", ["root", "TARGETS", "Snapshot", "timestamp"])
def test_a_delegated_role_has_no_name_of_a_top_level_role(name: str) -> None:
    expected = ("here", "$.signed.delegations.roles[0].name", f"{name!r} is a top-level role")
    assert refused(delegations=delegated(roles=[PLAIN | {"name": name}])) == expected


@pytest.mark.parametrize(
    "entry", [PLAIN | {"path_hash_prefixes": ["0"]}, PLAIN | {"paths": None}, HASHED | {"paths": []}]
)
def test_a_delegation_has_patterns_or_prefixes(entry: Any) -> None:
    expected = ("here", "$.signed.delegations.roles[0]", "exactly one of paths and path_hash_prefixes is required")
    assert refused(delegations=delegated(roles=[entry])) == expected


@pytest.mark.parametrize(("entry", "member"), [(PLAIN, "paths"), (HASHED, "path_hash_prefixes")])
def test_patterns_and_prefixes_have_bounds(entry: dict[str, Any], member: str) -> None:
    with pytest.raises(LimitError) as caught:
        read(DEFAULT_LIMITS._replace(name_patterns=1), delegations=delegated(roles=[entry]))
    what = f"here: items of $.signed.delegations.roles[0].{member}"
    assert caught.value.fields() == {"what": what, "value": 2, "limit": 1}


def test_the_hardware_of_delegations_has_bounds() -> None:
    """One item for each delegation, of which there may be as many."""
    limits = DEFAULT_LIMITS._replace(delegations_per_role=1)
    custom = {"delegatedHardware": [{"roles": ["acme"]}] * 2}
    with pytest.raises(LimitError) as caught:
        read(limits, delegations=delegated(roles=[PLAIN]), custom=custom)
    what = "here: items of $.signed.custom.delegatedHardware"
    assert caught.value.fields() == {"what": what, "value": 2, "limit": 1}


# what every file has


def test_times_and_version() -> None:
    reason = "it was issued after its own expiry"
    assert refused(issued="2030-01-02T00:00:01Z") == ("here", "$.signed.issued", reason)
    assert read(issued=BODY["expires"]).issued == EXPIRES
    expected = ("here", "$.signed.version", f"an integer from 1 to {MAX_INTEGER} is required")
    assert refused(version=0) == expected


def test_a_key_has_the_id_that_it_is_listed_under() -> None:
    strange = "e\u0301"
    keys = {"k": KEY.public, strange: KEY.public, "x" * 65_537: KEY.public}
    found = read(delegations={"keys": keys, "roles": []}).delegations
    assert found is not None
    assert {keyid: key.keyid for keyid, key in found.keys.items()} == {"k": "k"}
    assert found.unusable == {
        strange: "the string is not in Unicode normal form C",
        "x" * 65_537: "the string is too long",
    }
