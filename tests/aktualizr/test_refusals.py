"""Every row of the message table in wire 5, and the facts of wire 0 about files that do not read."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.aktualizr.publisher import PAST, Publisher, Signed
from tests.aktualizr.trial import Trial
from tests.aktualizr.wire import SigningKey, canonical

STRANGER = SigningKey.named("TEST stranger")


def targets(change: Callable[[Signed], Any], **how: Any) -> Callable[[Publisher], None]:
    """Change the Director's Targets and sign them again."""
    return lambda publisher: publisher.director.edited("targets", change, **how)


def root(change: Callable[[Signed], Any]) -> Callable[[Publisher], None]:
    """A second Director Root, changed."""
    return lambda publisher: publisher.director.rotate("root", edit={"root": change})


def image(role: str, change: Callable[[Signed], Any]) -> Callable[[Publisher], None]:
    """Publish the Image repository again with a changed role."""
    return lambda publisher: publisher.image.publish(edit={role: change})


def signature(change: Callable[[Signed], Any]) -> Callable[[Publisher], None]:
    """Change the signature of the Director's Targets."""

    def edit(publisher: Publisher) -> None:
        envelope = json.loads(publisher.director.files["targets.json"])
        change(envelope["signatures"][0])
        publisher.director.files["targets.json"] = canonical(envelope)

    return edit


def set_to(**members: Any) -> Callable[[Signed], Any]:
    """Set members of the signed part."""
    return lambda signed: signed.update(members)


def without(name: str) -> Callable[[Publisher], None]:
    """Take a file away: ``director/targets.json``."""

    def edit(publisher: Publisher) -> None:
        repository, _, file = name.partition("/")
        del (publisher.director if repository == "director" else publisher.image).files[file]

    return edit


def delegating(signed: Signed) -> None:
    role = {"name": "acme", "keyids": [], "threshold": 1, "paths": ["*"]}
    signed["delegations"] = {"keys": {}, "roles": [role]}


def other_length(publisher: Publisher) -> None:
    publisher.director.edited("targets", lambda signed: signed["targets"]["fw-1.0.bin"].update(length=7))


def custom(**members: Any) -> Callable[[Publisher], None]:
    return targets(lambda signed: signed["targets"]["fw-1.0.bin"]["custom"].update(members))


def hexadecimal(entry: Signed) -> None:
    entry["sig"] = base64.b64decode(entry["sig"]).hex()


def unsigned_by_the_old_key(publisher: Publisher) -> None:
    publisher.director.keys["root"] = [STRANGER]
    publisher.director.publish_root()


def with_ecdsa_key(signed: Signed) -> None:
    signed["keys"]["TEST"] = {"keytype": "ecdsa", "keyval": {"public": ""}}


def threshold(number: int) -> Callable[[Signed], Any]:
    return lambda signed: signed["roles"]["targets"].update(threshold=number)


def snapshot_entry(**members: Any) -> Callable[[Publisher], None]:
    """Change what Timestamp lists."""
    return image("timestamp", lambda signed: signed["meta"]["snapshot.json"].update(members))


def targets_entry(**members: Any) -> Callable[[Publisher], None]:
    """Change what Snapshot lists for Targets."""
    return image("snapshot", lambda signed: signed["meta"]["targets.json"].update(members))


def forget(*members: str) -> Callable[[Publisher], None]:
    """Leave members out of Timestamp's entry."""
    return image("timestamp", lambda signed: [signed["meta"]["snapshot.json"].pop(name) for name in members])


UNREADABLE = "The metadata failed to parse: invalid metadata json"
WRONG_HASH = {"hashes": {"sha256": "0" * 64}}
ILLEGAL = "The role targets had an illegal signature threshold."
MISMATCH = "The target metadata in the Image and Director repos do not match."
EXPIRED = "The {} metadata was expired."
VERSION = "The version of role {} does not match the entry in Snapshot metadata."

DIRECTOR: dict[str, tuple[Callable[[Publisher], None], str]] = {
    "wrong type": (targets(set_to(_type="Snapshot")), "Metadata type snapshot does not match expected role targets"),
    "lower case": (targets(set_to(_type="targets")), "The metadata failed to parse: invalid targets.json"),
    "one stranger": (targets(set_to(), keys=[STRANGER]), "A key has an incorrect associated key ID"),
    "hex": (signature(hexadecimal), "A key has an incorrect associated key ID"),
    "no signature": (targets(set_to(), keys=[]), "The targets metadata had an unmet threshold."),
    "two strangers": (
        targets(set_to(), keys=[STRANGER, SigningKey.named("TEST other stranger")]),
        "The targets metadata had an unmet threshold.",
    ),
    "twice the same": (
        lambda publisher: publisher.director.edited("targets", set_to(), keys=publisher.director.keys["targets"] * 2),
        "The role targets had non-unique signatures.",
    ),
    "no method": (signature(lambda entry: entry.pop("method")), "Unsupported sign method: "),
    "expired": (targets(set_to(expires=PAST)), EXPIRED.format("targets")),
    "time zone": (
        targets(set_to(expires="2036-01-01T00:00:00+00:00")),
        "The metadata failed to parse: invalid timestamp",
    ),
    "fraction": (targets(set_to(expires="2036-01-01T00:00:00.0Z")), "The metadata failed to parse: invalid timestamp"),
    "delegations": (targets(delegating), "The targets metadata failed to parse: Found unexpected delegation."),
    "ECU twice": (
        targets(lambda signed: signed["targets"].update(other=signed["targets"]["fw-1.0.bin"])),
        "The targets metadata failed to parse: Found repeated ECU ID.",
    ),
    "unknown ECU": (
        custom(ecuIdentifiers={"nobody": {"hardwareId": "test-hw"}}),
        "The target had an ECU ID that did not match the client's configured ECU ID.",
    ),
    "wrong hardware": (
        custom(ecuIdentifiers={"test-primary-0001": {"hardwareId": "other"}}),
        "The target had a hardware ID that did not match the client's configured hardware ID.",
    ),
    "no JSON": (lambda publisher: publisher.director.files.update({"targets.json": b"<html>"}), UNREADABLE),
    "empty object": (lambda publisher: publisher.director.files.update({"targets.json": b"{}"}), UNREADABLE),
    "not there": (
        without("director/targets.json"),
        "Failed to fetch role targets in director repository.",
    ),
}

ROOT: dict[str, tuple[Callable[[Publisher], None], str]] = {
    "expired": (root(set_to(expires=PAST)), EXPIRED.format("root")),
    "not by the old key": (unsigned_by_the_old_key, "A key has an incorrect associated key ID"),
    "other version": (root(set_to(version=5)), "Version in Root metadata does not match its expected value."),
    "the first again": (
        lambda publisher: publisher.director.files.update({"2.root.json": publisher.director.files["1.root.json"]}),
        "Version in Root metadata does not match its expected value.",
    ),
    "not a Root": (lambda publisher: publisher.director.files.update({"2.root.json": b"<html>"}), UNREADABLE),
    "ECDSA": (root(with_ecdsa_key), "Unsupported key type: ecdsa"),
    "threshold 0": (root(threshold(0)), ILLEGAL),
    "threshold 1001": (root(threshold(1001)), "root.json contains a role that requires too many signatures"),
    "threshold 1000": (root(threshold(1000)), "The targets metadata had an unmet threshold."),
    "no Targets role": (root(lambda signed: signed["roles"].pop("targets")), "Invalid signature threshold"),
}

IMAGE: dict[str, tuple[Callable[[Publisher], None], str]] = {
    "expired Timestamp": (image("timestamp", set_to(expires=PAST)), EXPIRED.format("timestamp")),
    "expired Snapshot": (image("snapshot", set_to(expires=PAST)), EXPIRED.format("snapshot")),
    "expired Targets": (image("targets", set_to(expires=PAST)), EXPIRED.format("targets")),
    "expired Root": (
        lambda publisher: publisher.image.rotate("root", edit={"root": set_to(expires=PAST)}),
        EXPIRED.format("root"),
    ),
    "lower-case Timestamp": (image("timestamp", set_to(_type="timestamp")), "invalid timestamp.json"),
    "lower-case Snapshot": (image("snapshot", set_to(_type="snapshot")), "invalid snapshot.json"),
    "lower-case Targets": (image("targets", set_to(_type="targets")), "invalid targets.json"),
    "Snapshot hash": (snapshot_entry(**WRONG_HASH), "Snapshot metadata hash verification failed"),
    "Snapshot with no hash": (snapshot_entry(hashes={}), "Snapshot metadata hash verification failed"),
    "Snapshot version": (snapshot_entry(version=77), VERSION.format("snapshot")),
    "Timestamp without hashes": (forget("hashes"), "invalid timestamp.json"),
    "Timestamp without length": (forget("length"), "invalid timestamp.json"),
    "Timestamp without version": (forget("version"), "invalid timestamp.json"),
    "Targets hash": (targets_entry(**WRONG_HASH), "Snapshot hash mismatch for targets metadata"),
    "Targets version": (targets_entry(version=77), VERSION.format("targets")),
    "Targets not listed": (
        image("snapshot", lambda signed: signed["meta"].pop("targets.json")),
        VERSION.format("targets"),
    ),
    "no Timestamp": (
        without("repo/timestamp.json"),
        "Failed to fetch role timestamp in image repository.",
    ),
    "no Snapshot": (
        without("repo/snapshot.json"),
        "Failed to fetch role snapshot in image repository.",
    ),
    "no Targets": (
        without("repo/targets.json"),
        "Failed to fetch role targets in image repository.",
    ),
}


def assert_refused(trial: Trial, message: str, prefix: str) -> None:
    """The message, nothing installed, no report, and one manifest more."""
    run = trial.once()
    assert any(line.startswith(prefix) and line.endswith(message) for line in run.messages), run.messages
    assert not run.installed
    assert trial.report is None
    assert len(trial.manifests) == 2
    assert run.exit_status == 0


@pytest.mark.parametrize("case", DIRECTOR)
def test_director_targets(trial: Trial, case: str) -> None:
    spoil, message = DIRECTOR[case]
    spoil(trial.publisher)
    prefix = "Inconsistency between Director metadata" if "ID" in message[15:30] else "Director metadata update failed"
    assert_refused(trial, message, prefix)
    assert not any(path.startswith("/repo") for path in trial.gets)


@pytest.mark.parametrize("case", ROOT)
def test_director_root(trial: Trial, case: str) -> None:
    spoil, message = ROOT[case]
    spoil(trial.publisher)
    assert_refused(trial, message, "Director metadata update failed")


@pytest.mark.parametrize("case", IMAGE)
def test_image_repository(trial: Trial, case: str) -> None:
    spoil, message = IMAGE[case]
    spoil(trial.publisher)
    assert_refused(trial, message, "Failed to update Image repo metadata")


MISMATCHES: dict[str, Callable[[Publisher], None]] = {
    "length": other_length,
    "hash": targets(lambda signed: signed["targets"]["fw-1.0.bin"]["hashes"].update(sha256="0" * 64)),
    "no hash in common": targets(lambda signed: signed["targets"]["fw-1.0.bin"].update(hashes={"sha512": "0" * 128})),
    "hardwareIds at the Director": custom(hardwareIds=["test-hw"]),
    "ecuIdentifiers at the Image repository": image(
        "targets",
        lambda signed: signed["targets"]["fw-1.0.bin"]["custom"].update(ecuIdentifiers={"x": {"hardwareId": "y"}}),
    ),
    "other hardware": image(
        "targets", lambda signed: signed["targets"]["fw-1.0.bin"]["custom"].update(hardwareIds=["other"])
    ),
    "not there": image("targets", lambda signed: signed["targets"].clear()),
}


@pytest.mark.parametrize("case", MISMATCHES)
def test_a_mismatch_between_the_repositories_is_reported(trial: Trial, case: str) -> None:
    MISMATCHES[case](trial.publisher)
    run = trial.once()
    assert run.said("No matching target in Image repo Targets metadata for Target(fw-1.0.bin")
    assert run.said(MISMATCH)
    assert not run.installed
    assert trial.report == {
        "correlation_id": "urn:test",
        "items": [],
        "raw_report": "",
        "result": {"success": False, "code": "VERIFICATION_FAILED", "description": "Metadata verification failed."},
    }


def test_a_mismatch_without_a_correlation_id_is_not_reported(trial: Trial) -> None:
    trial.assign("fw-1.0.bin", correlation="")
    other_length(trial.publisher)
    run = trial.once()
    assert run.said(MISMATCH)
    assert run.said("Correlation ID is blank, installation failure will not be logged")
    assert trial.report is None


def test_a_file_name_never_comes_back_with_other_content(updated: Trial) -> None:
    updated.release("fw-1.0.bin", b"other content")
    run = updated.once()
    assert run.said("Director Target filename fw-1.0.bin matches currently installed version, but content differs.")
    assert updated.report is None


def test_director_rollback(updated: Trial) -> None:
    targets(set_to(version=0))(updated.publisher)
    assert updated.once().said("Director metadata update failed: Rollback attempt")
    assert updated.report is None


def test_timestamp_rollback(updated: Trial) -> None:
    updated.release("fw-2.0.bin")
    updated.publisher.image.publish(edit={"timestamp": set_to(version=0)})
    run = updated.once()
    assert run.said("Failed to update Image repo metadata: Rollback attempt")


def test_a_lower_case_root_is_tolerated(trial: Trial) -> None:
    root(set_to(_type="root"))(trial.publisher)
    assert trial.once().success


def test_the_first_root_may_be_missing_at_neither_repository(trial: Trial) -> None:
    kept = trial.publisher.director.files.pop("1.root.json")
    assert trial.once().said("Failed to fetch role root in director repository.")
    trial.publisher.director.files["1.root.json"] = kept
    del trial.publisher.image.files["1.root.json"]
    assert trial.once().said("Failed to fetch role root in image repository.")
