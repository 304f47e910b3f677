"""Every request in order: the table of wire 2.1, its later runs, and what may fail harmlessly (wire 2.2)."""

from __future__ import annotations

import pytest

from tests.aktualizr.client import VirtualAktualizr
from tests.aktualizr.config import Config
from tests.aktualizr.conftest import MakeTrial
from tests.aktualizr.publisher import Publisher
from tests.aktualizr.server import Answer, serving
from tests.aktualizr.trial import ECU, FIRST, PRIMARY, Trial

FIRST_RUN = [
    "",
    "POST /director/ecus 201",
    "PUT /system_info 404",
    "PUT /core/installed 404",
    "PUT /system_info/network 404",
    "POST /system_info/config 404",
    "PUT /system_info/network 404",
    "PUT /director/manifest 200",
    "GET /director/1.root.json 200",
    "GET /director/2.root.json 404",
    "GET /director/targets.json 200",
    "GET /repo/1.root.json 200",
    "GET /repo/2.root.json 404",
    "GET /repo/timestamp.json 200",
    "GET /repo/snapshot.json 200",
    "GET /repo/targets.json 200",
    "POST /events 404",
    "GET /repo/targets/fw-1.0.bin 200",
    "POST /events 404",
    "POST /events 404",
    "POST /events 404",
    "PUT /director/manifest 200",
    "",
][1:-1]

METADATA = [
    "GET /repo/2.root.json 404",
    "GET /repo/timestamp.json 200",
    "GET /repo/snapshot.json 200",
    "GET /repo/targets.json 200",
]
CHECK = ["PUT /director/manifest 200", "GET /director/2.root.json 404", "GET /director/targets.json 200"]


def required(lines: list[str]) -> list[str]:
    """The table without its optional rows."""
    return [line for line in lines if not any(name in line for name in ("system_info", "core", "events"))]


def test_the_first_run_is_the_table_line_by_line() -> None:
    publisher = Publisher()
    publisher.release(FIRST, b"image", ECU, correlation="urn:1")
    with serving(publisher) as served:
        run = VirtualAktualizr(Config(server=served.url)).once()
        assert run.success
        assert run.paths == served.lines == FIRST_RUN


def test_the_first_run_of_either_client_is_the_table(trial: Trial) -> None:
    run = trial.once()
    assert run.success
    assert run.installed == {PRIMARY: FIRST}
    assert trial.lines == required(FIRST_RUN)


def test_with_nothing_new_the_image_repository_is_not_asked(updated: Trial) -> None:
    run = updated.once()
    assert updated.lines == CHECK
    assert run.said("No new updates found in Uptane metadata.")
    assert not run.success


def test_the_next_update_asks_for_new_roots_only(updated: Trial) -> None:
    updated.release("fw-2.0.bin")
    assert updated.once().installed == {PRIMARY: "fw-2.0.bin"}
    image = "GET /repo/targets/fw-2.0.bin 200"
    assert updated.lines == [*CHECK, *METADATA, image, "PUT /director/manifest 200"]


def test_snapshot_and_targets_are_not_fetched_again_while_they_are_current(updated: Trial) -> None:
    updated.publisher.image.add("fw-2.0.bin", b"two", ["test-hw"])
    updated.publisher.image.add("fw-3.0.bin", b"three", ["test-hw"])
    updated.publisher.image.publish()
    updated.assign("fw-2.0.bin")
    assert updated.once().success
    updated.assign("fw-3.0.bin")
    assert updated.once().success
    image = "GET /repo/targets/fw-3.0.bin 200"
    assert updated.lines == [*CHECK, *METADATA[:2], image, "PUT /director/manifest 200"]


def test_after_a_failed_check_there_is_one_more_manifest(updated: Trial) -> None:
    del updated.publisher.director.files["targets.json"]
    run = updated.once()
    assert run.said("Failed to fetch role targets in director repository.")
    assert updated.lines == [*CHECK[:2], "GET /director/targets.json 404", "PUT /director/manifest 200"]
    assert updated.report is None
    assert run.exit_status == 0


def test_every_request_looks_like_the_clients(trial: Trial) -> None:
    trial.once()
    for seen in trial.seen:
        assert seen.headers["user-agent"].startswith("Aktualizr/")
        assert seen.headers["accept"] == "*/*"
        assert seen.headers.keys() <= {"host", "user-agent", "accept", "content-type", "content-length"}
        kind = "application/json" if seen.method in {"PUT", "POST"} else None
        assert seen.headers.get("content-type") == kind


def test_device_data_is_sent_until_it_is_taken(make_trial: MakeTrial) -> None:
    trial = make_trial(report_network=True, report_config=True)
    trial.served.telemetry = 200
    trial.once()
    data = [str(seen) for seen in trial.seen if seen.path.startswith(("/system_info", "/core"))]
    assert data == [line.replace("404", "200") for line in FIRST_RUN[1:5]]
    config = next(seen for seen in trial.seen if seen.path == "/system_info/config")
    assert config.headers["content-type"] == "application/toml"
    trial.once()
    assert not [seen for seen in trial.seen if seen.path.startswith(("/system_info", "/core"))]


def test_events_tell_of_each_step(trial: Trial) -> None:
    trial.served.telemetry = 200
    trial.once()
    about = {"correlationId": "urn:test", "ecu": PRIMARY}
    assert trial.events == [
        ("EcuDownloadCompleted", {**about, "success": True}),
        ("EcuDownloadStarted", about),
        ("EcuInstallationCompleted", {**about, "success": True}),
        ("EcuInstallationStarted", about),
    ]


@pytest.mark.parametrize("status", [500, 413])
def test_events_that_cannot_be_delivered_harm_nothing(trial: Trial, status: int) -> None:
    trial.answer("POST /events", Answer(status))
    assert trial.once().success


def test_events_are_kept_while_the_server_fails() -> None:
    publisher = Publisher()
    publisher.release(FIRST, b"image", ECU)
    with serving(publisher) as served:
        client = VirtualAktualizr(Config(server=served.url))
        served.answers["POST /events"] = [Answer(500)]
        client.once()
        assert len(client.storage.events) == 4
        served.answers["POST /events"] = [Answer(413), Answer(200)]
        publisher.release("fw-2.0.bin", b"next", ECU)
        client.once()
    batches = [len(seen.json) for seen in served.sent("POST /events")]
    assert batches[:12] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    assert batches[12:] == [5, 2, 2, 1, 1, 1, 1]
    assert not client.storage.events


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_refused_manifest_does_not_stop_the_update(trial: Trial, status: int) -> None:
    trial.answer("PUT /director/manifest", Answer(status))
    run = trial.once()
    assert run.success
    assert run.said("Put manifest request failed")
    times = 3 if status == 500 else 1
    assert trial.lines[1 : 1 + times] == [f"PUT /director/manifest {status}"] * times


def test_a_result_is_reported_until_a_manifest_is_accepted(trial: Trial) -> None:
    trial.answer("PUT /director/manifest", Answer(404))
    trial.once()
    trial.answer("PUT /director/manifest")
    trial.once()
    assert trial.code == "OK"
    assert [manifest["ecu_version_manifests"][PRIMARY]["signed"]["report_counter"] for manifest in trial.manifests] == [
        "3"
    ]
    trial.once()
    assert trial.report is None


def test_the_manifest_is_that_of_the_document(updated: Trial) -> None:
    last = updated.manifests[-1]
    assert last.keys() == {"primary_ecu_serial", "ecu_version_manifests", "installation_report"}
    signed = last["ecu_version_manifests"][PRIMARY]["signed"]
    sha256 = updated.publisher.image.targets[FIRST]["hashes"]["sha256"]
    assert signed == {
        "attacks_detected": "",
        "ecu_serial": PRIMARY,
        "installed_image": {"filepath": FIRST, "fileinfo": {"hashes": {"sha256": sha256}, "length": 21}},
        "previous_timeserver_time": "1970-01-01T00:00:00Z",
        "timeserver_time": "1970-01-01T00:00:00Z",
        "report_counter": "2",
    }
    assert last["installation_report"] == {
        "content_type": "application/vnd.com.here.otac.installationReport.v1",
        "report": {
            "correlation_id": "urn:test",
            "items": [
                {
                    "ecu": PRIMARY,
                    "result": {"success": True, "code": "OK", "description": "Installing package was successful"},
                }
            ],
            "raw_report": "Installation succesful",
            "result": {"success": True, "code": "OK", "description": "Device has been successfully installed"},
        },
    }


def test_nothing_is_asked_until_a_pending_reboot(make_trial: MakeTrial) -> None:
    trial = make_trial(fake_need_reboot=True)
    run = trial.once()
    assert run.said('got AllInstallsComplete event with status: "NEED_COMPLETION":21')
    assert trial.lines == required(FIRST_RUN)[:-1]
    assert trial.once().said("An update is pending. Skipping check for update")
    assert trial.lines == []
    trial.client.reboot()
    assert trial.once().installed == {PRIMARY: FIRST}
    assert trial.lines == ["PUT /director/manifest 200", *CHECK]
    assert trial.manifests[0]["installation_report"]["report"]["result"]["code"] == "OK"
    assert trial.report is None


def test_without_a_device_gateway_the_update_still_works(make_trial: MakeTrial) -> None:
    trial = make_trial()
    url = trial.served.url
    trial.client.configure(server="", director_server=f"{url}/director", repo_server=f"{url}/repo")
    assert trial.once().success
    assert trial.lines == required(FIRST_RUN)
    assert len(trial.seen) == len(trial.lines)


def test_base_urls_are_plain_prefixes() -> None:
    publisher = Publisher()
    with serving(publisher) as served:
        run = VirtualAktualizr(Config(server=f"{served.url}/serial/x")).once()
    assert run.paths[:2] == ["POST /serial/x/director/ecus 404"] * 2


def test_a_server_that_answers_errors_is_asked_three_times(updated: Trial) -> None:
    updated.answer("GET /director/targets.json", Answer(503))
    updated.once()
    assert updated.lines[2:] == ["GET /director/targets.json 503"] * 3 + ["PUT /director/manifest 200"]


def test_an_error_for_the_next_root_ends_the_chain(updated: Trial) -> None:
    updated.answer("GET /director/2.root.json", Answer(503))
    assert updated.once().said("No new updates found in Uptane metadata.")
    assert updated.lines[1:4] == ["GET /director/2.root.json 503"] * 3


def test_redirects_are_followed(trial: Trial) -> None:
    files = trial.publisher.director.files
    files["elsewhere.json"] = files["targets.json"]
    trial.answer("GET /director/targets.json", Answer(302, b"", {"Location": "/director/elsewhere.json"}))
    assert trial.once().success


def test_redirects_in_a_circle_end(trial: Trial) -> None:
    trial.answer("GET /director/targets.json", Answer(302, b"", {"Location": "/director/targets.json"}))
    assert trial.once().said("Failed to fetch role targets in director repository.")
    assert trial.gets.count("/director/targets.json") == 3 * 11
