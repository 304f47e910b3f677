"""Orders of OSTree commits and hosted images: who is given one, what the order carries, and what never follows it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tuf.api.metadata import TargetFile

from tests.unit.director.aktualizr_vehicle import AktualizrVehicle, image
from tests.unit.director.world import ImageSite, TestVehicle, at
from twinlock.director.director import Director
from twinlock.director.errors.vehicles import HostedImageError
from twinlock.director.model.records import NOTHING, ORDERED
from twinlock.trust.errors.images import TargetFormatError, UnsupportedFormatError

VIN, VAN = "VIN1", "VIN7"
TREE, COMMIT = "gw/rootfs-2", "28" * 32
HOSTED, URI = "gw/hosted-2.bin", "https://cdn.example.org/hosted-2.bin"


def list_commit(site: ImageSite, path: str = TREE, *, length: int = 0, stated: str = "OSTREE", **custom: Any) -> None:
    agreed = {"hardwareIds": ["gw-1"], "releaseCounter": 20}
    own = {"mustAgree": agreed, "targetFormat": stated, **custom}
    site.images[path] = TargetFile(length, {"sha256": COMMIT}, path, {"custom": own})
    site.publish()


def list_hosted(site: ImageSite) -> None:
    site.add(HOSTED, hardware=["gw-1"], counter=20, uri=URI)
    site.publish()


def targets(director: Director, vin: str, minutes: float = 0) -> Any:
    data = director.metadata(vin, "targets.json", now=at(minutes=minutes))
    assert data is not None
    return json.loads(data)["signed"]["targets"]


def test_a_commit_is_ordered_to_a_vehicle_that_runs_aktualizr(
    site: ImageSite, wired: Director, van: AktualizrVehicle
) -> None:
    author: dict[str, Any] = {
        "name": "rootfs",
        "version": "2",
        "uri": "https://example.org/",
        "encrypted": True,
        "note": "x",
    }
    list_commit(site, **author)
    assert wired.assign(VAN, {"gw-7": TREE}).outcome == ORDERED
    assert targets(wired, VAN)[TREE] == {
        "length": 0,
        "hashes": {"sha256": COMMIT},
        "custom": {
            "ecuIdentifiers": {"gw-7": {"hardwareId": "gw-1"}},
            "mustAgree": {"hardwareIds": ["gw-1"], "releaseCounter": 20},
            "targetFormat": "OSTREE",
        },
    }


def test_its_report_confirms_the_order(site: ImageSite, wired: Director, van: AktualizrVehicle) -> None:
    list_commit(site)
    wired.assign(VAN, {"gw-7": TREE})
    assert TREE in targets(wired, VAN)
    van.installed["gw-7"] = {"filepath": TREE, "fileinfo": {"hashes": {"sha256": COMMIT}, "length": 0}}
    wired.receive_manifest(van.manifest(), vehicle=VAN, now=at(minutes=1))
    assert wired.explain(VAN).outcome == NOTHING


def test_our_own_client_is_never_ordered_one(site: ImageSite, fleet: Director) -> None:
    list_commit(site)
    before = targets(fleet, VIN)
    with pytest.raises(UnsupportedFormatError) as caught:
        fleet.assign(VIN, {"ecu-gw": TREE})
    assert caught.value.fields() == {
        "ecu": "ecu-gw",
        "target": TREE,
        "target_format": "OSTREE",
        "supported": ("file",),
    }
    assert targets(fleet, VIN) == before == {}
    assert fleet.assign(VIN, {"ecu-gw": "gw/1.4.bin"}).outcome == ORDERED


def test_a_dependency_never_moves_our_own_client_to_one(site: ImageSite, fleet: Director) -> None:
    """The newest gateway is a commit; what needs a gateway gets the newest file of it."""
    list_commit(site, name="gateway", version="2.0")
    plan = fleet.assign(VIN, {"ecu-brake": "brake/2.0.bin"})
    assert {order.path for order in plan.orders} == {"brake/2.0.bin", "gw/1.4.bin"}


@pytest.mark.parametrize("runs", ["a file", "a commit"])
def test_a_dependency_never_changes_the_format_of_what_an_ecu_runs(
    site: ImageSite, wired: Director, van: AktualizrVehicle, runs: str
) -> None:
    """Whether a client could change over is not known, so only an operator's assignment does that."""
    list_commit(site, "gw/rootfs-1", name="gateway", version="1.3")
    site.images[TREE] = TargetFile(
        0, {"sha256": "29" * 32}, TREE, {"custom": dict(site.images["gw/rootfs-1"].custom or {})}
    )
    site.images[TREE].unrecognized_fields["custom"] |= {"version": "2.0"}
    site.publish()
    commit = {"filepath": "gw/rootfs-1", "fileinfo": {"hashes": {"sha256": COMMIT}, "length": 0}}
    van.installed["gw-7"] = image("gw/1.3.bin") if runs == "a file" else commit
    wired.receive_manifest(van.manifest(), vehicle=VAN, now=at(minutes=1))
    plan = wired.assign(VAN, {"brake-7": "brake/2.0.bin"})
    expected = "gw/1.4.bin" if runs == "a file" else TREE
    assert {order.path for order in plan.orders} == {"brake/2.0.bin", expected}


@pytest.mark.parametrize(("length", "stated"), [(0, "BINARY"), (41, "OSTREE")])
def test_entries_that_are_neither_are_ordered_to_nobody(
    site: ImageSite, wired: Director, van: AktualizrVehicle, length: int, stated: str
) -> None:
    list_commit(site, length=length, stated=stated)
    with pytest.raises(TargetFormatError) as caught:
        wired.assign(VAN, {"gw-7": TREE})
    assert caught.value.target == TREE


def test_a_hosted_image_is_ordered_without_its_address(site: ImageSite, wired: Director, van: AktualizrVehicle) -> None:
    """That client reads the address in the Image repository's Targets, which the Director's keys cannot change."""
    list_hosted(site)
    assert wired.assign(VAN, {"gw-7": HOSTED}).outcome == ORDERED
    assert set(targets(wired, VAN)[HOSTED]["custom"]) == {"ecuIdentifiers", "mustAgree", "targetFormat"}


def test_a_vehicle_that_asks_the_image_repository_alone_is_ordered_no_hosted_image(
    site: ImageSite, fleet: Director
) -> None:
    list_hosted(site)
    with pytest.raises(HostedImageError) as caught:
        fleet.assign(VIN, {"ecu-gw": HOSTED})
    assert caught.value.fields() == {"ecu": "ecu-gw", "target": HOSTED, "uri": URI}


def test_what_a_file_states_is_copied_as_one_of_two_values(site: ImageSite, fleet: Director, car: TestVehicle) -> None:
    site.add("gw/1.5.bin", hardware=["gw-1"], counter=15, targetFormat="raw")
    site.publish()
    fleet.assign(VIN, {"ecu-gw": "gw/1.5.bin"})
    assert targets(fleet, VIN)["gw/1.5.bin"]["custom"]["targetFormat"] == "BINARY"
