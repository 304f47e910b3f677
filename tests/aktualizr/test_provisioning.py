"""Credentials, pinned Roots and registration (wire 1.2 to 1.4, 2.2)."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests.aktualizr.authority import Authority
from tests.aktualizr.config import SharedCredentials
from tests.aktualizr.conftest import MakeTrial
from tests.aktualizr.publisher import Publisher
from tests.aktualizr.server import Answer
from tests.aktualizr.trial import Trial
from tests.aktualizr.wire import SigningKey


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_the_client_certificate_says_who_is_asking(make_trial: MakeTrial, authority: Authority) -> None:
    trial = make_trial(server_tls=authority.issue("server"), tls=authority.issue("device-7"))
    assert trial.once().success
    assert {seen.peer for seen in trial.seen} == {"device-7"}
    assert not any(b"device-7" in seen.body for seen in trial.seen)


def test_a_server_of_another_authority_is_not_spoken_to(
    make_trial: MakeTrial, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other")
    trial = make_trial(server_tls=other.issue("server"), tls=authority.issue("device"))
    assert trial.once().exit_status == 1
    assert not trial.seen


def test_pinned_roots_are_where_the_chain_starts(make_trial: MakeTrial) -> None:
    publisher = Publisher()
    publisher.director.rotate("root")
    pinned = {"director": publisher.director.files["2.root.json"], "repo": publisher.image.files["1.root.json"]}
    trial = make_trial(publisher=publisher, initial_roots=pinned)
    assert trial.once().success
    assert trial.gets[0] == "/director/3.root.json"
    assert "/repo/1.root.json" not in trial.gets


def test_metadata_of_others_is_refused_under_a_pinned_root(make_trial: MakeTrial) -> None:
    stranger = Publisher().director
    stranger.keys = {role: [SigningKey.named("TEST stranger")] for role in stranger.keys}
    stranger.versions["root"] = 0
    stranger.publish_root()
    trial = make_trial(initial_roots={"director": stranger.files["1.root.json"]})
    assert trial.once().said("Director metadata update failed: A key has an incorrect associated key ID")


def test_an_rsa_key_signs_the_manifests(make_trial: MakeTrial) -> None:
    trial = make_trial(key_type="RSA2048")
    assert trial.once().success
    assert trial.seen[0].json["ecus"][0]["clientKey"]["keytype"] == "RSA"
    manifest = next(seen.json for seen in trial.seen if seen.path == "/director/manifest")
    assert manifest["signatures"][0]["method"] == "rsassa-pss"


@pytest.mark.parametrize(
    ("status", "body", "times"),
    [
        (404, b"{}", 2),
        (400, b'{"code":"ecu_already_registered"}', 2),
        (400, b"no JSON", 2),
        (500, b"{}", 6),
    ],
)
def test_a_refused_registration_ends_the_run(trial: Trial, status: int, body: bytes, times: int) -> None:
    trial.answer("POST /director/ecus", Answer(status, body))
    run = trial.once()
    assert run.exit_status == 1
    assert run.said("Device was not able provision on-line")
    assert trial.lines == [f"POST /director/ecus {status}"] * times
    trial.answer("POST /director/ecus")
    assert trial.once().success
    trial.once()
    assert "POST /director/ecus 201" not in trial.lines


def shared(trial: Trial, authority: Authority, tmp_path: Path) -> Path:
    """Make the vehicle one that has only shared credentials."""
    archive = authority.archive(trial.served.url).rename(tmp_path / "credentials.zip")
    trial.client.configure(server="", tls=None, shared=SharedCredentials(archive), device_id="my-device")
    return archive


def test_shared_credentials_are_exchanged_for_the_devices_own(
    make_trial: MakeTrial, authority: Authority, tmp_path: Path
) -> None:
    trial = make_trial(server_tls=authority.issue("server"))
    archive = shared(trial, authority, tmp_path)
    trial.answer("POST /devices", Answer(200, authority.bundle("my-device")))
    assert trial.once().success
    first, *others = trial.seen
    assert (first.peer, first.path, first.body) == ("shared", "/devices", b'{"deviceId":"my-device","ttl":"36000"}')
    assert {seen.peer for seen in others} == {"my-device"}
    assert zipfile.ZipFile(archive).namelist() == ["autoprov.url"]
    trial.once()
    assert "POST /devices 200" not in trial.lines


def test_a_device_that_is_registered_already_asks_again(
    make_trial: MakeTrial, authority: Authority, tmp_path: Path
) -> None:
    trial = make_trial(server_tls=authority.issue("server"))
    shared(trial, authority, tmp_path)
    refusal = Answer(400, json.dumps({"code": "device_already_registered"}).encode())
    trial.answer("POST /devices", refusal, Answer(200, authority.bundle("my-device")))
    assert trial.once().success
    assert trial.lines[:3] == ["POST /devices 400", "POST /devices 200", "POST /director/ecus 201"]


def test_a_refused_device_stops(make_trial: MakeTrial, authority: Authority, tmp_path: Path) -> None:
    trial = make_trial(server_tls=authority.issue("server"))
    archive = shared(trial, authority, tmp_path)
    trial.answer("POST /devices", Answer(403))
    assert trial.once().exit_status == 1
    assert trial.lines == ["POST /devices 403"] * 2
    assert len(zipfile.ZipFile(archive).namelist()) == 2
