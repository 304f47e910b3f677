"""The checks of images called one by one: agreement, a Director's orders, one ECU's entry; every field of each refusal.

The attacks (``tests/attacks``) show what the checks do together; here is what each of them says by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.world import START
from twinlock.trust.checks.director import check_director_targets, check_vehicle
from twinlock.trust.checks.image import ImageVerifier, check_entry
from twinlock.trust.checks.match import check_match, complete_entry
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import (
    CustomFieldError,
    DigestError,
    DirectorDelegationError,
    DuplicateEcuError,
    HardwareError,
    ReleaseCounterError,
    RepositoryMismatchError,
    TargetNotAcceptedError,
    UnknownEcuError,
    UnknownHashError,
    VehicleMismatchError,
)
from twinlock.trust.errors.metadata import LimitError
from twinlock.trust.keys.signatures import RoleKeys
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.delegations import DelegatedRole, Delegation, Delegations, SuccinctBins
from twinlock.trust.model.ecu import Ecu, InstalledImage
from twinlock.trust.model.targets import ImageEntry, Targets
from twinlock.trust.names import IMAGE, EcuId, HardwareId, RoleName, TargetPath, VehicleId
from twinlock.trust.policy import LAX, STRICT, Policy
from twinlock.trust.state.trusted import Vehicle

PATH, OTHER = TargetPath("brake/brake-1.bin"), TargetPath("brake/brake-2.bin")
BRAKE, GATEWAY = EcuId("ecu-brake"), EcuId("ecu-gw")
KIND, OTHER_KIND = HardwareId("brake-7"), HardwareId("brake-8")
VEHICLE = Vehicle(VehicleId("VIN1"), {BRAKE: Ecu(BRAKE, KIND)})
MANY = frozenset(HardwareId(kind) for kind in "hcfadgeb")
AGREED: dict[str, Any] = {"hardwareIds": ["brake-7"], "releaseCounter": 3}
ENTRY = ImageEntry(
    PATH,
    10,
    {"sha256": "aa", "sha512": "bb"},
    release_counter=3,
    hardware_ids=frozenset([KIND]),
    must_agree=AGREED,
    ecus={BRAKE: KIND},
)


def fields(error: type[RefusalError], call: Callable[[], object]) -> dict[str, Any]:
    """The fields of the refusal that ``call`` has to end in."""
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    return caught.value.fields()


def _nothing(name: str) -> dict[str, Any]:
    return {name: None}


# agreement


def match(policy: Policy = STRICT, **other: Any) -> None:
    """Compare the entry with one that differs in ``other``."""
    check_match(ENTRY, ENTRY._replace(**other), repository=IMAGE, policy=policy)


@pytest.mark.parametrize(
    ("other", "field", "ours", "theirs"),
    [
        ({"path": OTHER}, "filename", PATH, OTHER),
        ({"length": 11}, "length", "10", "11"),
        ({"hashes": {"sha384": "c", "x": "d"}}, "hash algorithms", "sha256, sha512", "sha384, x"),
        ({"hashes": {"x": "d", "sha384": "c"}}, "hash algorithms", "sha256, sha512", "sha384, x"),
        ({"hashes": {}}, "hash algorithms", "sha256, sha512", ""),
        ({"hashes": {"sha256": "aa", "sha512": "cc"}}, "hashes.sha512", "bb", "cc"),
        ({"hashes": {"sha512": "cc", "sha256": "dd"}}, "hashes.sha256", "aa", "dd"),
        (
            {"must_agree": {**AGREED, "releaseCounter": True}},
            "mustAgree",
            '{"hardwareIds":["brake-7"],"releaseCounter":3}',
            '{"hardwareIds":["brake-7"],"releaseCounter":true}',
        ),
        ({"release_counter": 4}, "releaseCounter", "3", "4"),
        ({"custom": {"targetFormat": "OSTREE"}}, "targetFormat", "file", "OSTREE"),
        ({"custom": {"targetFormat": "ostree"}}, "targetFormat", "file", "OSTREE"),
        (
            {"hardware_ids": MANY},
            "hardwareIds",
            "brake-7",
            "a, b, c, d, e, f, g, h",
        ),
    ],
)
@pytest.mark.parametrize("policy", [STRICT, LAX], ids=["strict", "lax"])
def test_each_difference(policy: Policy, other: dict[str, Any], field: str, ours: str, theirs: str) -> None:
    found = fields(RepositoryMismatchError, lambda: match(policy, **other))
    assert found == {"target": PATH, "repository": IMAGE, "field": field, "director": ours, "image": theirs}


@pytest.mark.parametrize("stated", [{}, {"targetFormat": "BINARY"}, {"targetFormat": "other"}, {"targetFormat": 1}])
def test_a_file_is_a_file_however_that_is_said(stated: dict[str, Any]) -> None:
    match(custom=stated)


def test_without_a_format_an_entry_of_no_length_is_a_commit() -> None:
    """So aktualizr reads it: one repository could otherwise make a pull of a commit out of the other's empty file."""
    empty = ENTRY._replace(length=0)
    commit, file = (empty._replace(custom={"targetFormat": name}) for name in ("OSTREE", "BINARY"))
    check_match(empty, commit, repository=IMAGE, policy=STRICT)
    for ours, theirs in ((empty, file), (file, empty), (commit, file)):
        found = fields(RepositoryMismatchError, lambda: check_match(ours, theirs, repository=IMAGE, policy=STRICT))  # noqa: B023
        assert found["field"] == "targetFormat"


def test_the_first_of_several_wrong_hashes_is_named() -> None:
    listed = ENTRY._replace(hashes={"sha256": "00", **dict.fromkeys("hcfadgeb", "0")})
    offered = ENTRY._replace(hashes={**dict.fromkeys("gbhcfade", "1"), "sha256": "00"})
    found = fields(RepositoryMismatchError, lambda: check_match(listed, offered, repository=IMAGE, policy=STRICT))
    assert found["field"] == "hashes.a"


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"hashes": {"sha256": "aa"}},
        {"hashes": {"sha512": "bb", "x": "cc"}},
        {"ecus": {}, "download_url": "https://a", "custom": {"x": 1}},
        {"must_agree": {"releaseCounter": 3, "hardwareIds": ["brake-7"]}},
    ],
)
def test_what_may_differ(other: dict[str, Any]) -> None:
    match(**other)


@pytest.mark.parametrize(
    ("name", "field"),
    [("must_agree", "mustAgree"), ("release_counter", "releaseCounter"), ("hardware_ids", "hardwareIds")],
)
def test_what_a_strict_policy_wants_of_both(name: str, field: str) -> None:
    without = ENTRY._replace(**_nothing(name))
    for ours, theirs, repository in ((without, ENTRY, "director"), (ENTRY, without, "image")):
        found = fields(CustomFieldError, lambda: check_match(ours, theirs, repository=IMAGE, policy=STRICT))  # noqa: B023
        assert found == {"target": PATH, "repository": repository, "field": field}


@pytest.mark.parametrize("name", ["release_counter", "hardware_ids"])
def test_a_lax_policy_compares_a_field_that_both_state(name: str) -> None:
    without = ENTRY._replace(**_nothing(name))
    check_match(ENTRY, without, repository=IMAGE, policy=LAX)
    check_match(without, ENTRY, repository=IMAGE, policy=LAX)
    check_match(without, without, repository=IMAGE, policy=LAX)


def test_a_section_that_one_side_leaves_out_is_a_difference_under_any_policy() -> None:
    without = ENTRY._replace(must_agree=None)
    found = fields(RepositoryMismatchError, lambda: match(LAX, must_agree=None))
    assert (found["field"], found["image"]) == ("mustAgree", "(none)")
    found = fields(RepositoryMismatchError, lambda: check_match(without, ENTRY, repository=IMAGE, policy=LAX))
    assert (found["field"], found["director"]) == ("mustAgree", "(none)")
    check_match(without, without, repository=IMAGE, policy=LAX)


# a Director's orders


def orders(*entries: ImageEntry, vehicle: str | None = "VIN1", delegations: Delegations | None = None) -> Targets:
    return Targets(
        1,
        START,
        START,
        {entry.path: entry for entry in entries},
        delegations=delegations,
        vehicle=None if vehicle is None else VehicleId(vehicle),
    )


def check(
    targets: Targets, vehicle: Vehicle = VEHICLE, policy: Policy = STRICT, limits: Limits = DEFAULT_LIMITS
) -> None:
    check_director_targets(targets, vehicle, policy=policy, limits=limits)


def test_orders_for_this_vehicle() -> None:
    check(orders())
    check(orders(ENTRY))


def test_a_director_that_delegates_in_any_form() -> None:
    key = KeyPool()("director-a")
    signers = RoleKeys((key.public_key.keyid,), 1)
    roles = [DelegatedRole(RoleName(name), signers) for name in "abc"]
    entries = (Delegation(tuple(roles[:2]), terminating=False), Delegation((roles[2],), terminating=False))
    for delegations, named in (
        (Delegations({}), ()),
        (Delegations({}, entries), ("a", "b", "c")),
        (Delegations({}, bins=SuccinctBins(signers, 4, "bin")), ("bin",)),
        (Delegations({}, entries, SuccinctBins(signers, 4, "bin")), ("a", "b", "c", "bin")),
    ):
        found = fields(DirectorDelegationError, lambda: check(orders(delegations=delegations)))  # noqa: B023
        assert found == {"roles": named}


def test_whose_vehicle() -> None:
    found = fields(VehicleMismatchError, lambda: check(orders(vehicle="VIN2")))
    assert found == {"offered": "VIN2", "expected": "VIN1"}
    found = fields(VehicleMismatchError, lambda: check(orders(vehicle="VIN2"), policy=LAX))
    assert found == {"offered": "VIN2", "expected": "VIN1"}
    found = fields(VehicleMismatchError, lambda: check(orders(vehicle=None)))
    assert found == {"offered": "(none named)", "expected": "VIN1"}
    check(orders(vehicle=None), policy=LAX)


def test_whose_vehicle_in_files_that_need_not_say() -> None:
    check_vehicle(None, VehicleId("VIN1"), required=False)
    check_vehicle(VehicleId("VIN1"), VehicleId("VIN1"), required=False)
    check_vehicle(VehicleId("VIN2"), None, required=True)
    with pytest.raises(VehicleMismatchError):
        check_vehicle(VehicleId("VIN2"), VehicleId("VIN1"), required=False)


def test_no_more_images_than_a_vehicle_has_ecus() -> None:
    known = {BRAKE: Ecu(BRAKE, KIND), GATEWAY: Ecu(GATEWAY, KIND)}
    two = orders(ENTRY, ENTRY._replace(path=OTHER, ecus={GATEWAY: KIND}))
    check(two, VEHICLE._replace(ecus=known), limits=DEFAULT_LIMITS._replace(ecus=2))
    found = fields(LimitError, lambda: check(two, limits=DEFAULT_LIMITS._replace(ecus=1)))
    assert (found["value"], found["limit"]) == (2, 1)


def test_an_image_for_no_ecu() -> None:
    found = fields(CustomFieldError, lambda: check(orders(ENTRY._replace(ecus={}))))
    assert found == {"target": PATH, "repository": "director", "field": "ecuIdentifiers"}


def test_one_ecu_twice() -> None:
    found = fields(DuplicateEcuError, lambda: check(orders(ENTRY, ENTRY._replace(path=OTHER))))
    assert found == {"ecu": BRAKE, "first": PATH, "second": OTHER}


def test_an_ecu_that_is_not_known() -> None:
    stranger = orders(ENTRY._replace(ecus={GATEWAY: None, BRAKE: OTHER_KIND}))
    found = fields(UnknownEcuError, lambda: check(stranger))
    assert found == {"vehicle": "VIN1", "ecu": GATEWAY}
    # A Secondary passes over the stranger, and still looks at what is for itself.
    with pytest.raises(HardwareError):
        check(stranger, VEHICLE._replace(complete=False))


def test_the_hardware_that_an_order_names() -> None:
    found = fields(HardwareError, lambda: check(orders(ENTRY._replace(ecus={BRAKE: OTHER_KIND})), policy=LAX))
    assert found == {"ecu": BRAKE, "target": PATH, "listed": (OTHER_KIND,), "actual": KIND}
    unnamed = orders(ENTRY._replace(ecus={BRAKE: None}))
    found = fields(CustomFieldError, lambda: check(unnamed))
    assert found == {"target": PATH, "repository": "director", "field": "hardwareId"}
    check(unnamed, policy=LAX)


# one ECU's entry


def test_every_field_of_an_entry_s_refusal() -> None:
    ecu = Ecu(BRAKE, OTHER_KIND)
    found = fields(HardwareError, lambda: check_entry(ENTRY, ecu, None))
    assert found == {"ecu": BRAKE, "target": PATH, "listed": (KIND,), "actual": OTHER_KIND}
    found = fields(CustomFieldError, lambda: check_entry(ENTRY._replace(hardware_ids=None), ecu, None))
    assert found == {"target": PATH, "repository": "director", "field": "hardwareIds"}
    found = fields(HardwareError, lambda: check_entry(ENTRY._replace(hardware_ids=MANY), ecu, None))
    assert found["listed"] == tuple("abcdefgh")
    ecu = Ecu(BRAKE, KIND, ("gateway/*", "x"))
    found = fields(TargetNotAcceptedError, lambda: check_entry(ENTRY, ecu, None))
    assert found == {"ecu": BRAKE, "target": PATH, "accepted": ("gateway/*", "x")}
    ecu = Ecu(BRAKE, KIND, ("gateway/*", "brake/*"))
    check_entry(ENTRY, ecu, None)
    found = fields(CustomFieldError, lambda: check_entry(ENTRY._replace(release_counter=None), ecu, None))
    assert found == {"target": PATH, "repository": "director", "field": "releaseCounter"}
    installed = InstalledImage(PATH, 1, {}, release_counter=4)
    found = fields(ReleaseCounterError, lambda: check_entry(ENTRY, ecu, installed))
    assert found == {"ecu": BRAKE, "target": PATH, "offered": 3, "installed": 4}


def test_an_entry_needs_one_hash_of_a_known_algorithm() -> None:
    ecu = Ecu(BRAKE, KIND)
    unknown = ENTRY._replace(hashes={"md5": "00", "crc32": "11"})
    found = fields(UnknownHashError, lambda: check_entry(unknown, ecu, None))
    assert found == {"target": PATH, "algorithm": "crc32, md5"}
    check_entry(ENTRY._replace(hashes={"md5": "00", "sha512": "bb"}), ecu, None)


def test_every_field_of_a_digest_s_refusal() -> None:
    unknown = ENTRY._replace(hashes={"md5": "00"})
    found = fields(UnknownHashError, lambda: ImageVerifier(unknown))
    assert found == {"target": PATH, "algorithm": "md5"}
    verifier = ImageVerifier(ENTRY._replace(length=0, hashes={"sha256": "00"}))
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    found = fields(DigestError, verifier.finish)
    assert found == {"target": PATH, "algorithm": "sha256", "listed": "00", "computed": empty}


ADDRESSED = ImageEntry(
    path=TargetPath("a.img"),
    length=4,
    hashes={"sha256": "11"},
    release_counter=7,
    hardware_ids=frozenset({HardwareId("hw-a")}),
    download_url="https://images.example/a.img",
)


def test_a_silent_director_is_completed_by_what_the_other_states() -> None:
    silent = ImageEntry(path=ADDRESSED.path, length=4, hashes=ADDRESSED.hashes)
    assert complete_entry(silent, ADDRESSED, with_address=True) == ADDRESSED
    assert complete_entry(silent, ADDRESSED, with_address=False) == ADDRESSED._replace(download_url=None)
    assert complete_entry(silent, silent, with_address=True) == silent


@pytest.mark.parametrize("with_address", [True, False])
def test_what_a_director_states_stands(with_address: bool) -> None:
    stated = ADDRESSED._replace(
        release_counter=0, hardware_ids=frozenset(), download_url="https://director.example/a.img"
    )
    assert complete_entry(stated, ADDRESSED, with_address=with_address) == stated
