"""Each guarantee that a verification went without, named by the one value that lacks it; and keys that cannot be used."""

from __future__ import annotations

from typing import TypeVar

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.world import START, World
from twinlock.trust.checks.context import Context
from twinlock.trust.engine.commands import Notice
from twinlock.trust.engine.guarantees import (
    NO_DIRECTOR_INDEX,
    NO_HARDWARE_IDS,
    NO_MUST_AGREE,
    NO_RELEASE_COUNTER,
    NO_SNAPSHOT_HASHES,
    NO_VEHICLE,
    NO_VERSIONED_NAMES,
    missing_guarantees,
)
from twinlock.trust.engine.unusable_keys import note_delegated_keys, note_root_keys
from twinlock.trust.errors.metadata import KeyLeftOutError
from twinlock.trust.keys.signatures import Envelope, RoleKeys, Signature, Verified, verify_signatures
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.delegations import DelegatedRole, Delegation, Delegations, SuccinctBins
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import IMAGE, ROOT, TARGETS, TIMESTAMP, HardwareId, KeyId, RoleName, TargetPath
from twinlock.trust.policy import STRICT
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.tuf.metadata import TUF

CONTEXT = Context(repository=IMAGE, now=START, limits=DEFAULT_LIMITS, wire=TUF, policy=STRICT)
ENTRY = ImageEntry(
    TargetPath("a.img"),
    1,
    {"sha256": "11"},
    release_counter=1,
    hardware_ids=frozenset({HardwareId("hw")}),
    must_agree={"releaseCounter": 1},
)
T = TypeVar("T")
GOOD = KeyPool()("good").alias("good")
USABLE = {KeyId("good"): GOOD.public_key}


@pytest.fixture(scope="module")
def whole() -> dict[str, TrustedRepository]:
    """Both repositories after an update that lacked nothing."""
    world = World()
    world.vehicle.update()
    return {name: world.vehicle.stores[name].restore(name) for name in ("director", "image")}


def stated(signed: T) -> Verified[T]:
    """A verified file that says ``signed``."""
    key = KeyId("good")
    envelope = Envelope(signed, b"payload", (Signature(key, GOOD.sign(b"payload")),), b"file")
    return verify_signatures(envelope, USABLE, RoleKeys((key,), 1), repository=IMAGE, role_name=TARGETS)


def without_index(trusted: TrustedRepository) -> TrustedRepository:
    signed = trusted.root.signed
    roles = {role: keys for role, keys in signed.roles.items() if role != TIMESTAMP}
    return trusted._replace(root=stated(signed._replace(roles=roles)))


def without_hashes(trusted: TrustedRepository) -> TrustedRepository:
    assert trusted.timestamp is not None
    signed = trusted.timestamp.signed
    return trusted._replace(timestamp=stated(signed._replace(snapshot=signed.snapshot._replace(hashes={}))))


def without_versions(trusted: TrustedRepository) -> TrustedRepository:
    return trusted._replace(root=stated(trusted.root.signed._replace(consistent_snapshot=False)))


def without_vehicle(trusted: TrustedRepository) -> TrustedRepository:
    assert trusted.targets is not None
    return trusted._replace(targets=stated(trusted.targets.signed._replace(vehicle=None)))


def test_each_guarantee_that_is_missing_is_named_alone(whole: dict[str, TrustedRepository]) -> None:
    director, image = whole["director"], whole["image"]
    assert missing_guarantees(director, [image], [ENTRY]) == ()
    assert missing_guarantees(director._replace(timestamp=None, snapshot=None, targets=None), (), ()) == ()
    assert missing_guarantees(without_index(director), [image], [ENTRY]) == (NO_DIRECTOR_INDEX,)
    assert missing_guarantees(without_vehicle(director), [image], [ENTRY]) == (NO_VEHICLE,)
    for director_changed, image_changed in ((without_hashes, None), (None, without_hashes)):
        one = director if director_changed is None else director_changed(director)
        other = image if image_changed is None else image_changed(image)
        assert missing_guarantees(one, [other], [ENTRY]) == (NO_SNAPSHOT_HASHES,)
    assert missing_guarantees(director, [without_versions(image)], ()) == (NO_VERSIONED_NAMES,)
    assert missing_guarantees(without_versions(director), [image], ()) == (NO_VERSIONED_NAMES,)


def test_each_entry_is_looked_at_and_all_names_come_in_order(whole: dict[str, TrustedRepository]) -> None:
    director, image = whole["director"], whole["image"]
    for name, entry in (
        (NO_HARDWARE_IDS, ENTRY._replace(hardware_ids=None)),
        (NO_RELEASE_COUNTER, ENTRY._replace(release_counter=None)),
        (NO_MUST_AGREE, ENTRY._replace(must_agree=None)),
    ):
        assert missing_guarantees(director, [image], [ENTRY, entry]) == (name,)
    bare = ENTRY._replace(hardware_ids=None, release_counter=None, must_agree=None)
    found = missing_guarantees(
        without_index(without_vehicle(director)), [without_hashes(without_versions(image))], [bare]
    )
    assert found == (
        NO_DIRECTOR_INDEX,
        NO_VEHICLE,
        NO_SNAPSHOT_HASHES,
        NO_VERSIONED_NAMES,
        NO_HARDWARE_IDS,
        NO_RELEASE_COUNTER,
        NO_MUST_AGREE,
    )


# keys that cannot be used


def noted(notices: object) -> list[dict[str, object]]:
    """The fields of what is noticed."""
    found = list(notices)  # type: ignore[call-overload]
    assert all(isinstance(notice, Notice) and isinstance(notice.error, KeyLeftOutError) for notice in found)
    return [notice.error.fields() for notice in found]


def left_out(role: str, keyid: str, reason: str) -> dict[str, object]:
    return {"repository": IMAGE, "role": role, "keyid": keyid, "reason": reason}


def test_keys_of_a_root_that_a_role_or_the_time_source_names(whole: dict[str, TrustedRepository]) -> None:
    unusable = {KeyId("old"): "weak", KeyId("clock"): "unknown", KeyId("idle"): "named by no role"}
    root = whole["image"].root.signed._replace(
        roles={TARGETS: RoleKeys((KeyId("good"), KeyId("old")), 1), ROOT: RoleKeys((KeyId("old"),), 1)},
        unusable=unusable,
    )
    assert noted(note_root_keys(root, CONTEXT)) == [left_out(ROOT, "old", "weak")]
    timed = root._replace(time_source=RoleKeys((KeyId("clock"),), 1))
    assert noted(note_root_keys(timed, CONTEXT)) == [left_out(ROOT, "old", "weak"), left_out(ROOT, "clock", "unknown")]


def test_keys_of_delegations_and_of_bins(whole: dict[str, TrustedRepository]) -> None:
    assert whole["image"].targets is not None
    targets, acme = whole["image"].targets.signed, RoleName("acme")
    unusable = {KeyId("old"): "weak", KeyId("bin"): "unknown", KeyId("idle"): "named by no role"}
    entry = Delegation(
        (DelegatedRole(acme, RoleKeys((KeyId("good"), KeyId("old")), 1)),), terminating=False, paths=("*",)
    )
    delegations = Delegations(keys=USABLE, entries=(entry,), bins=None, unusable=unusable)
    assert noted(note_delegated_keys(targets._replace(delegations=None), acme, CONTEXT)) == []
    assert noted(note_delegated_keys(targets._replace(delegations=delegations), acme, CONTEXT)) == [
        left_out("acme", "old", "weak")
    ]
    bins = SuccinctBins(RoleKeys((KeyId("bin"),), 1), 1, "bin")
    both = delegations._replace(bins=bins)
    assert noted(note_delegated_keys(targets._replace(delegations=both), acme, CONTEXT)) == [
        left_out("acme", "old", "weak"),
        left_out("acme", "bin", "unknown"),
    ]
    sound = both._replace(unusable={})
    assert noted(note_delegated_keys(targets._replace(delegations=sound), acme, CONTEXT)) == []


def test_so_many_keys_are_noted_and_so_much_of_each(whole: dict[str, TrustedRepository]) -> None:
    ids = [KeyId(f"{number}" + "k" * 200) for number in range(10)]
    root = whole["image"].root.signed._replace(
        roles={TARGETS: RoleKeys(tuple(ids), 1)}, unusable=dict.fromkeys(ids, "r" * 300)
    )
    assert noted(note_root_keys(root, CONTEXT)) == [left_out(ROOT, keyid[:128], "r" * 200) for keyid in ids[:8]]
