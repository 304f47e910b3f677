"""Delegations of the ``tuf`` profile: demands for post-quantum signatures, bins, and where each refusal points."""

from __future__ import annotations

from typing import Any

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.world import START
from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.delegations import Delegations
from twinlock.trust.names import TargetPath
from twinlock.trust.wire.tuf.metadata import TUF

KEYS = KeyPool()
KEY = KEYS("delegated")


def role(name: str) -> dict[str, Any]:
    return {"name": name, "keyids": [KEY.keyid], "threshold": 1}


def delegated(**members: Any) -> dict[str, Any]:
    return {"keys": {KEY.keyid: KEY.public}, **members}


def plain(*names: str) -> dict[str, Any]:
    return delegated(roles=[role(name) | {"paths": ["*"], "terminating": False} for name in names])


def several(*names: str, needed: int = 1) -> dict[str, Any]:
    entry = {"paths": ["*"], "terminating": False, "min_roles_in_agreement": needed, "roles": [*map(role, names)]}
    return delegated(roles=[], prioritized_delegations=[entry])


def bins(bits: int = 4, prefix: str = "bin") -> dict[str, Any]:
    return delegated(succinct_roles={"keyids": [KEY.keyid], "threshold": 1, "bit_length": bits, "name_prefix": prefix})


def read(delegations: dict[str, Any], **custom: Any) -> Delegations:
    """The delegations of Targets that hold these."""
    image = RepositorySimulator("image", KEYS, lambda: START)
    image.bodies["targets"]["delegations"] = delegations
    if custom:
        image.bodies["targets"]["custom"] = custom
    found = TUF.decode_targets(image.put("targets"), "image/targets", DEFAULT_LIMITS).signed.delegations
    assert found is not None
    return found


def refused(delegations: dict[str, Any], **custom: Any) -> str:
    with pytest.raises(MalformedError) as caught:
        read(delegations, **custom)
    assert caught.value.what == "image/targets"
    return caught.value.json_path


def demands(found: Delegations) -> dict[str, bool]:
    return {role.name: role.signers.post_quantum for entry in found.entries for role in entry.roles}


@pytest.mark.parametrize("delegations", [plain("acme", "other"), several("acme", "other")])
def test_a_post_quantum_demand_is_on_the_roles_that_it_names(delegations: dict[str, Any]) -> None:
    assert demands(read(delegations)) == {"acme": False, "other": False}
    assert demands(read(delegations, postQuantum=["other"])) == {"acme": False, "other": True}
    assert demands(read(delegations, postQuantum=["acme", "other"])) == {"acme": True, "other": True}
    assert refused(delegations, postQuantum=["bin"]) == "$.signed.custom.postQuantum"


def test_of_several_unknown_roles_the_first_by_name_is_named() -> None:
    names = [f"role-{number:02}" for number in range(40)]
    with pytest.raises(MalformedError) as caught:
        read(plain("acme"), postQuantum=["acme", *reversed(names)])
    assert caught.value.reason == "the file names no role 'role-00'"


def test_a_post_quantum_demand_on_bins_names_their_prefix() -> None:
    for custom, demanded in (({}, False), ({"postQuantum": ["bin"]}, True), ({"postQuantum": []}, False)):
        found = read(bins(), **custom).bins
        assert found is not None
        assert (found.name_prefix, found.bit_length, found.signers.post_quantum) == ("bin", 4, demanded)
        assert (found.signers.keyids, found.signers.threshold) == ((KEY.keyid,), 1)
    assert refused(bins(), postQuantum=["acme"]) == "$.signed.custom.postQuantum"


def test_several_roles_are_refused_where_they_are_wrong() -> None:
    place = "$.signed.delegations.prioritized_delegations[0]"
    assert refused(several("acme", "acme")) == f"{place}.roles"
    assert refused(several()) == f"{place}.roles"
    assert refused(several("acme", "other", needed=3)) == f"{place}.min_roles_in_agreement"
    assert read(several("acme", "other", needed=2)).entries[0].min_roles_in_agreement == 2


def test_the_number_of_bins_has_a_bound() -> None:
    for bits in (1, 32):
        found = read(bins(bits)).bins
        assert found is not None
        assert found.bit_length == bits
    for bits in (0, 33):
        assert refused(bins(bits)) == "$.signed.delegations.succinct_roles.bit_length"


def test_a_prefix_of_bins_is_text_in_normal_form_and_of_a_sane_size() -> None:
    for prefix in ("a\u0308", "x" * 5000):
        assert refused(bins(prefix=prefix)) == "$.signed.delegations.succinct_roles.name_prefix"


@pytest.mark.parametrize(("name", "value"), [("releaseCounter", 1), ("hardwareIds", ["hw"])])
def test_what_is_stated_twice_is_refused_beside_the_agreed_section(name: str, value: object) -> None:
    image = RepositorySimulator("image", KEYS, lambda: START)
    custom: dict[str, Any] = {"mustAgree": {name: value}, name: value}
    image.add_image("a.img", b"image", **custom)
    targets = TUF.decode_targets(image.put("targets"), "image/targets", DEFAULT_LIMITS).signed
    with pytest.raises(MalformedError) as caught:
        targets.images[TargetPath("a.img")]
    assert caught.value.json_path == f"$.signed.targets['a.img'].custom.{name}"
