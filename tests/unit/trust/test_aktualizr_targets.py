"""Targets of the ``aktualizr`` profile with every member that they may have: the whole value read, and what is written."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.keys.signatures import RoleKeys
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.delegations import DelegatedRole, Delegation, Delegations
from twinlock.trust.model.targets import ImageEntry, Targets
from twinlock.trust.names import EcuId, HardwareId, KeyId, RoleName, TargetPath
from twinlock.trust.wire.aktualizr import encode
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.json.cursor import MAX_INTEGER

KEY = KeyPool()("any")
K = KeyId("k")
WRITTEN = {"keytype": "ED25519", "keyval": {"public": KEY.public["keyval"]["public"]}}
ISSUED, EXPIRES = datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 1, 2, tzinfo=UTC)
BODY = {"_type": "Targets", "version": 1, "issued": "2030-01-01T00:00:00Z", "expires": "2030-01-02T00:00:00Z"}
DIGEST = "ab" * 32
ENTRY = {"length": 0, "hashes": {"sha256": DIGEST}}


def read(limits: Limits = DEFAULT_LIMITS, **members: Any) -> Targets:
    """What Targets with these members are read as."""
    data = json.dumps({"signatures": [], "signed": {**BODY, "targets": {}, **members}}).encode()
    return AKTUALIZR.decode_targets(data, "here", limits).signed


def entry(**custom: Any) -> ImageEntry:
    return read(targets={"a": ENTRY | {"custom": custom}}).images[TargetPath("a")]


def refused(**members: Any) -> tuple[str, str, str]:
    with pytest.raises(MalformedError) as caught:
        dict(read(**members).images)
    fields = caught.value.fields()
    return fields["what"], fields["json_path"], fields["reason"]


def hardware(*ids: str) -> frozenset[HardwareId]:
    return frozenset(map(HardwareId, ids))


@pytest.mark.parametrize("delegations", [None, {}])
def test_targets(delegations: Any) -> None:
    found = read(custom={"vehicleIdentifier": "VIN-1", "correlationId": "urn:x:1"}, delegations=delegations)
    expected = Targets(1, EXPIRES, ISSUED, found.images, None, found.vehicle, correlation_id="urn:x:1")
    assert found == expected
    assert (found.vehicle, len(found.images)) == ("VIN-1", 0)


def test_an_entry() -> None:
    agreed = {"releaseCounter": 0, "hardwareIds": ["hw-1"]}
    custom = {
        "mustAgree": agreed,
        "hardwareIds": ["hw-1"],
        "ecuIdentifiers": {"ecu-1": {"hardwareId": "hw-1"}},
        "uri": "https://a.example/",
        "more": [1],
    }
    assert entry(**custom) == ImageEntry(
        path=TargetPath("a"),
        length=0,
        hashes={"sha256": DIGEST},
        release_counter=0,
        hardware_ids=hardware("hw-1"),
        must_agree=agreed,
        ecus={EcuId("ecu-1"): HardwareId("hw-1")},
        download_url="https://a.example/",
        custom=custom,
    )
    assert entry() == ImageEntry(TargetPath("a"), 0, {"sha256": DIGEST})
    expected = ("here", "$.signed.targets['a'].length", f"an integer from 0 to {MAX_INTEGER} is required")
    assert refused(targets={"a": ENTRY | {"length": -1}}) == expected


@pytest.mark.parametrize("uri", [None, "", "https://example.com/"])
def test_an_entry_without_an_address(uri: str | None) -> None:
    assert entry(uri=uri).download_url is None


@pytest.mark.parametrize(
    ("custom", "counter"),
    [
        ({"releaseCounter": 0}, 0),
        ({"releaseCounter": 3, "mustAgree": {}}, 3),
        ({"releaseCounter": 3, "mustAgree": {"releaseCounter": 2}}, 2),
        ({"mustAgree": {"hardwareIds": ["hw-1"]}}, None),
    ],
)
def test_release_counters(custom: dict[str, Any], counter: int | None) -> None:
    assert entry(**custom).release_counter == counter


@pytest.mark.parametrize("agreed", [True, False])
def test_a_release_counter_is_not_below_zero(agreed: bool) -> None:
    custom = {"mustAgree": {"releaseCounter": -1}} if agreed else {"releaseCounter": -1}
    place = f"$.signed.targets['a'].custom.{'mustAgree.' if agreed else ''}releaseCounter"
    expected = ("here", place, f"an integer from 0 to {MAX_INTEGER} is required")
    assert refused(targets={"a": ENTRY | {"custom": custom}}) == expected


@pytest.mark.parametrize(
    ("custom", "ids"),
    [
        ({"hardwareIds": ["hw-1", "hw-2"]}, hardware("hw-1", "hw-2")),
        ({"mustAgree": {"hardwareIds": ["hw-1"]}}, hardware("hw-1")),
        ({"hardwareIds": ["b", "a"], "mustAgree": {"hardwareIds": ["a", "b"]}}, hardware("a", "b")),
        ({"hardwareIds": []}, hardware()),
        ({"mustAgree": {}}, None),
    ],
)
def test_hardware_ids(custom: dict[str, Any], ids: frozenset[HardwareId] | None) -> None:
    assert entry(**custom).hardware_ids == ids


def test_hardware_ids_are_the_same_in_both_places() -> None:
    custom = {"hardwareIds": ["a"], "mustAgree": {"hardwareIds": ["a", "b"]}}
    expected = ("here", "$.signed.targets['a'].custom.hardwareIds", "mustAgree states other hardware")
    assert refused(targets={"a": ENTRY | {"custom": custom}}) == expected


# delegations

ROLE: dict[str, Any] = {"name": "acme", "keyids": ["k"], "threshold": 2, "paths": ["a/*"]}


def role(name: str, *, post_quantum: bool = False) -> DelegatedRole:
    return DelegatedRole(RoleName(name), RoleKeys((K,), 2, post_quantum))


def delegated(*entries: dict[str, Any], limits: Limits = DEFAULT_LIMITS, **custom: Any) -> Delegations:
    keys = {"k": WRITTEN, "bad": {**WRITTEN, "keytype": "new"}}
    found = read(limits, delegations={"keys": keys, "roles": entries}, custom=custom).delegations
    assert found is not None
    return found


def test_delegations() -> None:
    other = {"name": "other", "keyids": ["k"], "threshold": 2, "terminating": True, "hardwareIds": ["hw-1", "hw-2"]}
    found = delegated(ROLE, other, postQuantum=["other"])
    first = Delegation((role("acme"),), terminating=False, paths=("a/*",), crossing=True)
    second = Delegation(
        (role("other", post_quantum=True),),
        terminating=True,
        paths=(),
        hardware_ids=hardware("hw-1", "hw-2"),
        crossing=True,
    )
    unusable = {KeyId("bad"): "key type 'new' is neither RSA nor ED25519"}
    assert found == Delegations({K: KEY.alias("k").public_key}, (first, second), unusable=unusable)


@pytest.mark.parametrize(("terminating", "expected"), [(None, False), (False, False), (True, True)])
def test_whether_a_delegation_ends_the_search(terminating: bool | None, expected: bool) -> None:
    (found,) = delegated(ROLE | {"terminating": terminating}).entries
    assert found.terminating is expected


def test_demands_and_restrictions_have_bounds() -> None:
    limits = DEFAULT_LIMITS._replace(delegations_per_role=1)
    for name in ("postQuantum", "delegatedHardware"):
        with pytest.raises(LimitError) as caught:
            delegated(ROLE, limits=limits, **{name: ["acme", "acme"]})
        what = f"here: items of $.signed.custom.{name}"
        assert caught.value.fields() == {"what": what, "value": 2, "limit": 1}


@pytest.mark.parametrize("pattern", ["a\\*", "[^a]", "x[[:alpha:]]"])
def test_a_pattern_that_means_more_than_one_thing(pattern: str) -> None:
    reason = "a backslash, a class of characters or a set that excludes by ^ has more than one meaning"
    delegations = {"keys": {}, "roles": [ROLE | {"paths": ["*", pattern]}]}
    assert refused(delegations=delegations) == ("here", "$.signed.delegations.roles[0].paths[1]", reason)


def test_a_key_id_that_is_no_text() -> None:
    found = read(delegations={"keys": {"k": WRITTEN, "e\u0301": WRITTEN}, "roles": []}).delegations
    assert found is not None
    assert list(found.keys) == ["k"]
    assert found.unusable == {"e\u0301": "the string is not in Unicode normal form C"}


# written as a translation

PLAIN = {"_type": "targets", "version": 1, "expires": "2030-01-02T00:00:00Z", "issued": "2030-01-01T00:00:00Z"}


def test_an_order_is_translated_whole() -> None:
    custom = {"vehicleIdentifier": "VIN-1", "correlationId": "urn:x:1"}
    kept = {"ecuIdentifiers": {"e": {}}, "mustAgree": {"releaseCounter": 1}, "targetFormat": "OSTREE"}
    order = {"length": 7, "hashes": {"sha256": DIGEST, "sha384": ""}, "custom": {**kept, "downloadUrl": "u", "x": 1}}
    assert encode.translate_director_targets({**PLAIN, "custom": custom, "targets": {"a": order}}) == {
        **PLAIN,
        "_type": "Targets",
        "custom": custom,
        "targets": {"a": {"length": 7, "hashes": {"sha256": DIGEST}, "custom": {**kept, "uri": "u"}}},
    }


def test_an_image_without_custom_fields_states_no_hardware() -> None:
    with pytest.raises(ProfileError) as caught:
        encode.translate_targets("targets", {**PLAIN, "targets": {"a": ENTRY}})
    reason = "it states no hardware ids, and this client installs no image without"
    assert caught.value.fields() == {"profile": "aktualizr", "what": "a", "reason": reason}


def test_delegations_to_nobody_are_translated() -> None:
    found = encode.translate_targets("targets", {**PLAIN, "targets": {}, "delegations": {"keys": {"k": KEY.public}}})
    assert found == {**PLAIN, "_type": "Targets", "targets": {}, "delegations": {"keys": {"k": WRITTEN}, "roles": []}}


def test_the_greatest_threshold() -> None:
    def targets(threshold: int) -> dict[str, Any]:
        delegations = {"keys": {}, "roles": [ROLE | {"threshold": threshold}]}
        return encode.translate_targets("targets", {**PLAIN, "targets": {}, "delegations": delegations})

    def root(threshold: int) -> dict[str, Any]:
        return encode.translate_root({**PLAIN, "keys": {}, "roles": {"acme": {"keyids": [], "threshold": threshold}}})

    assert targets(1_000)["delegations"]["roles"][0]["threshold"] == 1_000
    assert root(1_000)["roles"]["acme"]["threshold"] == 1_000
    for make in (targets, root):
        with pytest.raises(ProfileError) as caught:
            make(1_001)
        reason = "a threshold above 1000 is not allowed"
        assert caught.value.fields() == {"profile": "aktualizr", "what": "acme", "reason": reason}
