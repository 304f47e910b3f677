"""Images: where from, in which pieces, what is checked, and what is reported when they do not come (wire 2.4, 3)."""

from __future__ import annotations

import hashlib

import pytest

from tests.aktualizr.server import Answer
from tests.aktualizr.trial import ECU, FIRST, PRIMARY, Trial

BIG = bytes(range(256)) * 400
IMAGE = f"GET /repo/targets/{FIRST}"
CONTENT = f"content of {FIRST}".encode()
HASH = "The target's calculated hash did not match the hash in the metadata."
SIZE = "The target's size was greater than the size in the metadata."


def downloads(trial: Trial, name: str = FIRST) -> list[str]:
    """Status and range of each request for an image."""
    found = [seen for seen in trial.seen if seen.path == f"/repo/targets/{name}"]
    return [f"{seen.status} {seen.headers.get('range', '')}".strip() for seen in found]


@pytest.mark.parametrize(
    ("served", "message"), [(b"x" * len(CONTENT), HASH), (CONTENT[:-1], HASH), (CONTENT + b"x", SIZE)]
)
def test_a_wrong_image_is_tried_three_times_and_reported(trial: Trial, served: bytes, message: str) -> None:
    trial.publisher.image.images[FIRST] = served
    run = trial.once()
    assert run.said(message)
    assert len(downloads(trial)) == 3
    assert not run.installed
    assert trial.report == {
        "correlation_id": "urn:test",
        "items": [],
        "raw_report": "",
        "result": {"success": False, "code": "DOWNLOAD_FAILED", "description": "Target download failed."},
    }
    assert trial.events[0] == (
        "EcuDownloadCompleted",
        {"correlationId": "urn:test", "ecu": PRIMARY, "success": False},
    )


def test_without_a_correlation_id_a_failed_download_is_not_reported(trial: Trial) -> None:
    trial.assign(FIRST, correlation="")
    trial.answer(IMAGE, Answer(404, b""))
    assert trial.once().said("Correlation ID is blank, installation failure will not be logged")
    assert trial.report is None
    assert trial.lines[-1] == "PUT /director/manifest 200"


def test_when_one_image_of_two_is_missing_nothing_is_installed(trial: Trial) -> None:
    image = trial.publisher.image
    image.add("other.bin", b"other", ["test-hw"])
    image.publish()
    entries = {FIRST: trial.publisher.entry(FIRST, ECU), "other.bin": trial.publisher.entry("other.bin", {})}
    trial.publisher.director.assign(entries, correlation="urn:test")
    assert trial.once().installed == {PRIMARY: FIRST}


@pytest.mark.parametrize("status", [404, 503])
def test_the_image_is_there_at_the_second_try(trial: Trial, status: int) -> None:
    trial.answer(IMAGE, Answer(status, b""), Answer(200, CONTENT))
    assert trial.once().success
    assert downloads(trial) == [str(status), "200"]


def test_the_body_of_an_error_is_taken_for_the_beginning_of_the_image(trial: Trial) -> None:
    trial.answer(IMAGE, Answer(404, b"{}"))
    assert not trial.once().success
    assert downloads(trial) == ["404", "404 bytes=2-", "404 bytes=2-"]
    trial.answer(IMAGE)
    assert trial.once().success
    assert downloads(trial) == ["206 bytes=2-", "200"]


def test_an_interrupted_download_goes_on_where_it_stopped(trial: Trial) -> None:
    trial.release("big.bin", BIG)
    cut = Answer(200, BIG, cut=25000)
    rest = Answer(206, BIG[25000:], {"Content-Range": f"bytes 25000-{len(BIG) - 1}/{len(BIG)}"})
    trial.answer("GET /repo/targets/big.bin", cut, rest)
    assert trial.once().installed == {PRIMARY: "big.bin"}
    assert downloads(trial, "big.bin") == ["200", "206 bytes=25000-"]


def test_an_interrupted_download_goes_on_in_the_next_run(trial: Trial) -> None:
    trial.release("big.bin", BIG)
    trial.answer("GET /repo/targets/big.bin", Answer(200, BIG, cut=25000), Answer(503, b""))
    assert trial.once().said("Transferred a partial file")
    trial.answer("GET /repo/targets/big.bin")
    assert trial.once().success
    assert downloads(trial, "big.bin") == ["206 bytes=25000-"]


def test_a_server_without_ranges_is_asked_from_the_beginning(trial: Trial) -> None:
    trial.served.ranges = False
    trial.release("big.bin", BIG)
    trial.answer("GET /repo/targets/big.bin", Answer(200, BIG, cut=25000), Answer(200, BIG))
    run = trial.once()
    assert run.success
    assert run.said("The image server doesn't support byte range requests")
    assert downloads(trial, "big.bin") == ["200", "200 bytes=25000-", "200"]


def test_an_image_that_is_there_is_not_downloaded_again(trial: Trial) -> None:
    trial.once()
    trial.release("fw-2.0.bin")
    trial.once()
    trial.assign(FIRST)
    run = trial.once()
    assert run.success
    assert run.said("Image already downloaded; skipping download")
    assert downloads(trial) == []


def test_the_same_content_under_another_name_is_downloaded_again(trial: Trial) -> None:
    trial.once()
    trial.release("copy.bin", CONTENT)
    assert trial.once().success
    assert downloads(trial, "copy.bin") == ["200"]


@pytest.mark.parametrize(
    ("at_director", "at_image", "path"),
    [
        ("/one", "", "/one"),
        ("", "/two", "/two"),
        ("/one", "/two", "/one"),
        ("https://example.com/", "", f"/repo/targets/{FIRST}"),
        ("https://example.com/", "/two", "/two"),
    ],
)
def test_the_uri_of_the_director_comes_first(trial: Trial, at_director: str, at_image: str, path: str) -> None:
    for name in ("/one", "/two"):
        trial.answer(f"GET {name}", Answer(200, CONTENT))
    if at_image:
        trial.publisher.image.targets[FIRST]["custom"]["uri"] = trial.served.url + at_image
        trial.publisher.image.publish()
    uri = at_director if at_director.startswith("https") else trial.served.url + at_director
    trial.assign(FIRST, **({"uri": uri} if at_director else {}))
    assert trial.once().success
    assert trial.gets[-1] == path


def test_redirected_images_are_followed(trial: Trial) -> None:
    trial.answer(IMAGE, Answer(302, b"", {"Location": "/elsewhere"}))
    trial.answer("GET /elsewhere", Answer(200, CONTENT))
    assert trial.once().success


def test_file_names_are_percent_encoded(trial: Trial) -> None:
    trial.release("dir a/fü+1?~.bin")
    assert trial.once().success
    assert trial.gets[-1] == "/repo/targets/dir%20a/f%C3%BC%2B1%3F~.bin"


def test_sha512_alone_is_installed_and_reported_as_nothing(trial: Trial) -> None:
    hashes = {"sha512": hashlib.sha512(CONTENT).hexdigest()}
    trial.publisher.image.targets[FIRST]["hashes"] = hashes
    trial.publisher.image.publish()
    trial.publisher.director.assign({FIRST: {**trial.publisher.entry(FIRST, ECU), "hashes": hashes}})
    assert trial.once().success
    signed = trial.manifests[-1]["ecu_version_manifests"][PRIMARY]["signed"]
    assert signed["installed_image"]["fileinfo"]["hashes"] == {"sha256": ""}


def test_only_sha256_is_checked_where_it_is_listed(trial: Trial) -> None:
    wrong = {**trial.publisher.image.targets[FIRST]["hashes"], "sha512": "0" * 128}
    trial.publisher.image.targets[FIRST]["hashes"] = wrong
    trial.publisher.image.publish()
    trial.publisher.director.assign({FIRST: {**trial.publisher.entry(FIRST, ECU), "hashes": wrong}})
    assert trial.once().success


@pytest.mark.parametrize(
    ("target_format", "installed"), [("BINARY", True), ("other", True), ("OSTREE", False), ("", False)]
)
def test_an_empty_image_needs_a_format(trial: Trial, target_format: str, installed: bool) -> None:
    image = trial.publisher.image
    image.add("empty.bin", b"", ["test-hw"])
    custom = {"targetFormat": target_format} if target_format else {}
    image.targets["empty.bin"]["custom"] = {"hardwareIds": ["test-hw"], **custom}
    image.publish()
    entry = trial.publisher.entry("empty.bin", ECU)
    del entry["custom"]["targetFormat"]
    entry["custom"].update(custom)
    trial.publisher.director.assign({"empty.bin": entry}, correlation="urn:test")
    assert trial.once().success is installed
    assert downloads(trial, "empty.bin") == []
    assert trial.code == ("OK" if installed else "DOWNLOAD_FAILED")
