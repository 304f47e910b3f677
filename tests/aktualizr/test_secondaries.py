"""Vehicles with Secondaries: updates, what breaks them, and changed sets of ECUs (wire 6, 3)."""

from __future__ import annotations

import pytest

from tests.aktualizr.client import VirtualAktualizr
from tests.aktualizr.config import Config, Secondary
from tests.aktualizr.conftest import MakeTrial
from tests.aktualizr.publisher import Delegation, Publisher, file_info
from tests.aktualizr.server import Answer, serving
from tests.aktualizr.trial import ECU, FIRST, PRIMARY, Trial

BRAKES = Secondary(serial="brakes", hardware_id="brakes-hw")
DOORS = Secondary(serial="doors", hardware_id="doors-hw")
NO_MATCH = "Targets metadata from the Director and Image repositories do not match"


@pytest.fixture
def fleet(make_trial: MakeTrial) -> Trial:
    """A vehicle of three ECUs."""
    return make_trial(secondaries=(DOORS, BRAKES))


def assign(trial: Trial, images: dict[str, Secondary | None], correlation: str = "urn:test") -> None:
    """Publish an image for each ECU (None is the Primary) and assign them together."""
    entries = {}
    for name, ecu in images.items():
        ecus = {ecu.serial: ecu.hardware_id} if ecu else ECU
        if name not in trial.publisher.image.images:
            trial.publisher.image.add(name, f"content of {name}".encode(), sorted(ecus.values()))
        entries[name] = trial.publisher.entry(name, ecus)
    trial.publisher.image.publish()
    trial.publisher.director.assign(entries, correlation=correlation)


def test_all_three_are_updated_and_reported(fleet: Trial) -> None:
    assign(fleet, {"p.bin": None, "b.bin": BRAKES, "d.bin": DOORS})
    run = fleet.once()
    assert run.success
    assert run.installed == {PRIMARY: "p.bin", "brakes": "b.bin", "doors": "d.bin"}
    before, after = (manifest["ecu_version_manifests"] for manifest in fleet.manifests)
    paths = [before[serial]["signed"]["installed_image"]["filepath"] for serial in (PRIMARY, "brakes", "doors")]
    assert paths == ["unknown", "noimage", "noimage"]
    assert after["doors"]["signed"]["installed_image"]["filepath"] == "d.bin"
    assert "report_counter" not in after["doors"]["signed"]
    assert fleet.report
    assert [item["ecu"] for item in fleet.report["items"]] == [PRIMARY, "brakes", "doors"]


def test_the_registration_names_the_primary_first(fleet: Trial) -> None:
    fleet.once()
    body = fleet.seen[0].json
    assert body["primary_ecu_serial"] == PRIMARY
    assert [(ecu["ecu_serial"], ecu["hardware_identifier"]) for ecu in body["ecus"]] == [
        (PRIMARY, "test-hw"),
        ("brakes", "brakes-hw"),
        ("doors", "doors-hw"),
    ]
    assert all(set(ecu["clientKey"]) == {"keytype", "keyval"} for ecu in body["ecus"])


def test_results_are_listed_by_serial(fleet: Trial) -> None:
    assign(fleet, {"a.bin": DOORS, "z.bin": BRAKES, "p.bin": None})
    assert fleet.once().success
    assert fleet.report
    assert [item["ecu"] for item in fleet.report["items"]] == [PRIMARY, "brakes", "doors"]


def pinned(make_trial: MakeTrial) -> Trial:
    """A vehicle with a Secondary that never saw the first Roots."""
    publisher = Publisher()
    for repository in (publisher.director, publisher.image):
        repository.rotate("root")
        repository.rotate("root")
    roots = {"director": publisher.director.files["3.root.json"], "repo": publisher.image.files["3.root.json"]}
    trial = make_trial(publisher=publisher, secondaries=(DOORS,), initial_roots=roots)
    assign(trial, {"d.bin": DOORS})
    return trial


def test_the_first_roots_are_fetched_for_a_secondary_even_where_others_are_pinned(make_trial: MakeTrial) -> None:
    trial = pinned(make_trial)
    assert trial.once().success
    assert trial.gets[-4:] == [f"/{name}/{number}.root.json" for name in ("director", "repo") for number in (1, 2)]
    assign(trial, {"d-2.bin": DOORS})
    assert trial.once().success
    assert not any(path.endswith("/1.root.json") for path in trial.gets)


def test_without_the_first_root_a_secondary_gets_nothing(make_trial: MakeTrial) -> None:
    trial = pinned(make_trial)
    del trial.publisher.director.files["1.root.json"]
    assert trial.once().said("Root metadata could not be fetched for Secondary with serial doors")
    assert trial.code == "doors-hw:INTERNAL_ERROR"


def test_one_image_for_two_ecus(fleet: Trial) -> None:
    ecus = {**ECU, "doors": "doors-hw"}
    fleet.release("shared.bin", ecus=ecus)
    assert fleet.once().installed == {PRIMARY: "shared.bin", "doors": "shared.bin"}
    assert fleet.gets.count("/repo/targets/shared.bin") == 1


def test_rotations_are_forwarded(fleet: Trial) -> None:
    assign(fleet, {"d-1.bin": DOORS})
    assert fleet.once().success
    for _ in range(2):
        fleet.publisher.director.rotate("root", "targets")
        fleet.publisher.image.rotate("root", "targets", "snapshot", "timestamp")
    assign(fleet, {"d-2.bin": DOORS})
    run = fleet.once()
    assert run.installed["doors"] == "d-2.bin"
    assert run.said("No update to install on Primary")


def test_a_delegated_image_and_a_secondary_do_not_go_together(fleet: Trial) -> None:
    acme = Delegation("acme", ["acme/*"])
    fleet.publisher.image.delegations = [acme]
    fleet.publisher.image.add("acme/p.bin", b"delegated", ["test-hw"], to=acme)
    assign(fleet, {"acme/p.bin": None, "d.bin": DOORS})
    run = fleet.once()
    assert run.said(f'Sending metadata to doors failed: "VERIFICATION_FAILED":3 {NO_MATCH}')
    assert not run.installed
    assert fleet.report == {
        "correlation_id": "urn:test",
        "items": [],
        "raw_report": "Sending metadata to one or more ECUs failed",
        "result": {
            "success": False,
            "code": "doors-hw:VERIFICATION_FAILED",
            "description": "Sending metadata to one or more ECUs failed",
        },
    }
    reports = fleet.manifests[-1]["ecu_version_manifests"]
    assert {serial: report["signed"]["attacks_detected"] for serial, report in reports.items()} == {
        PRIMARY: "",
        "brakes": "",
        "doors": NO_MATCH,
    }
    assign(fleet, {"acme/p.bin": None})
    assert fleet.once().installed == {PRIMARY: "acme/p.bin"}


def test_every_target_has_to_match_for_a_secondary(fleet: Trial) -> None:
    fleet.publisher.image.add("d.bin", b"doors", ["doors-hw"])
    fleet.publisher.image.publish()
    loose = {**file_info(b"loose"), "custom": {"targetFormat": "BINARY"}}
    entry = fleet.publisher.entry("d.bin", {"doors": "doors-hw"})
    fleet.publisher.director.assign({"d.bin": entry, "loose.bin": loose}, correlation="urn:test")
    assert fleet.once().said(NO_MATCH)
    assert fleet.code == "doors-hw:VERIFICATION_FAILED"


def test_a_missing_image_of_a_secondary_keeps_the_primary_back(fleet: Trial) -> None:
    assign(fleet, {"p.bin": None, "d.bin": DOORS})
    fleet.answer("GET /repo/targets/d.bin", Answer(404, b""))
    run = fleet.once()
    assert run.said("Only 1 of 2 were successfully downloaded.")
    assert not run.installed
    assert fleet.code == "DOWNLOAD_FAILED"


def test_a_removed_ecu_fails_until_newer_targets_that_are_not_empty(fleet: Trial) -> None:
    assign(fleet, {"b.bin": BRAKES, "d.bin": DOORS})
    assert fleet.once().success
    fleet.client.configure(secondaries=(DOORS,))
    run = fleet.once()
    assert run.said("Unknown ECU ID in Director Targets metadata: brakes")
    assert fleet.lines[0] == "POST /director/ecus 201"
    assert [ecu["ecu_serial"] for ecu in fleet.seen[0].json["ecus"]] == [PRIMARY, "doors"]
    fleet.publisher.director.assign({})
    assert fleet.once().said("Unknown ECU ID in Director Targets metadata: brakes")
    assert fleet.lines[0] == "PUT /director/manifest 200"
    assign(fleet, {"d.bin": DOORS})
    assert fleet.once().said("No new updates found in Uptane metadata.")


def test_an_added_ecu_is_registered_with_all_others(trial: Trial) -> None:
    trial.once()
    trial.client.configure(secondaries=(DOORS,))
    assign(trial, {FIRST: None, "d.bin": DOORS})
    assert trial.once().installed == {PRIMARY: FIRST, "doors": "d.bin"}
    assert len(trial.seen[0].json["ecus"]) == 2


@pytest.mark.parametrize("change", [{"hardware_id": "new-hw"}, {"primary_serial": "new-serial"}])
def test_another_primary_is_registered_again(updated: Trial, change: dict[str, str]) -> None:
    updated.client.configure(**change)
    updated.once()
    assert updated.lines[0] == "POST /director/ecus 201"


def virtual(*secondaries: Secondary, install_result: str = "OK") -> tuple[Publisher, Config]:
    """What only the simulated client can do: failing installations and IP Secondaries."""
    publisher = Publisher()
    publisher.image.add("p.bin", b"primary", ["test-hw"])
    publisher.image.add("d.bin", b"doors", ["doors-hw"])
    publisher.image.publish()
    entries = {
        "p.bin": publisher.entry("p.bin", ECU),
        "d.bin": publisher.entry("d.bin", {"doors": "doors-hw"}),
    }
    publisher.director.assign(entries, correlation="urn:test")
    return publisher, Config(secondaries=secondaries, install_result=install_result)


def test_failed_installations_are_reported_by_hardware() -> None:
    failing = Secondary(serial="doors", hardware_id="doors-hw", install_result="INSTALL_FAILED")
    publisher, config = virtual(failing, install_result="INSTALL_FAILED")
    with serving(publisher) as served:
        client = VirtualAktualizr(config)
        client.configure(server=served.url)
        run = client.once()
        assert run.installs == {PRIMARY: "INSTALL_FAILED", "doors": "INSTALL_FAILED"}
        assert not run.installed
        assert run.report
        assert run.report["result"]["code"] == "test-hw:INSTALL_FAILED|doors-hw:INSTALL_FAILED"
        client.configure(install_result="OK", secondaries=(DOORS,))
        assert client.once().installed == {PRIMARY: "p.bin", "doors": "d.bin"}


def test_an_ip_secondary_has_an_unknown_image_at_first() -> None:
    publisher, config = virtual(Secondary(serial="doors", hardware_id="doors-hw", kind="ip"))
    with serving(publisher) as served:
        client = VirtualAktualizr(config)
        client.configure(server=served.url)
        run = client.once()
    first = run.manifests[0]["ecu_version_manifests"]["doors"]["signed"]
    assert first["installed_image"]["filepath"] == "unknown"
    assert run.success
