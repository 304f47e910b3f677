"""What the client does not check, or checks weakly: an oracle has to accept it (wire 5, last list; wire 0, 4)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.aktualizr.publisher import PAST, Delegation, Signed, file_info
from tests.aktualizr.trial import ECU, Trial
from tests.aktualizr.wire import SigningKey


def rewind(trial: Trial, role: str) -> None:
    """The next publication has version 1 of this role."""
    trial.publisher.image.versions[role] = 0


def age(trial: Trial) -> None:
    """A vehicle that has seen third versions."""
    trial.publisher.image.publish()
    trial.publisher.image.publish()
    assert trial.once().success


@pytest.mark.parametrize("versions_only", [False, True])
def test_snapshot_rollback_under_a_newer_timestamp(trial: Trial, versions_only: bool) -> None:
    trial.publisher.image.versions_only = versions_only
    age(trial)
    rewind(trial, "snapshot")
    trial.release("fw-2.0.bin")
    assert trial.once().success


def test_targets_rollback_under_a_newer_snapshot_with_hashes(trial: Trial) -> None:
    age(trial)
    rewind(trial, "targets")
    trial.release("fw-2.0.bin")
    assert trial.once().success


def test_targets_rollback_is_noticed_when_snapshot_has_no_hashes(trial: Trial) -> None:
    trial.publisher.image.versions_only = True
    age(trial)
    rewind(trial, "targets")
    trial.release("fw-2.0.bin")
    assert trial.once().said("Failed to update Image repo metadata: Rollback attempt")


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_the_same_version_with_new_content(updated: Trial, role: str) -> None:
    updated.publisher.image.versions[role] -= 1
    updated.release("fw-2.0.bin")
    assert updated.once().success


def test_without_hashes_targets_of_the_same_version_are_not_fetched_again(trial: Trial) -> None:
    trial.publisher.image.versions_only = True
    age(trial)
    trial.publisher.image.versions["targets"] -= 1
    trial.release("fw-2.0.bin")
    assert trial.once().said("No matching target in Image repo Targets metadata")
    assert "/repo/targets.json" not in trial.gets


def test_a_delegation_that_disappears_from_snapshot(updated: Trial) -> None:
    acme = Delegation("acme", ["acme/*"])
    updated.publisher.image.delegations = [acme]
    updated.release("acme/fw.bin", to=acme)
    assert updated.once().success
    updated.publisher.image.delegations = []
    updated.release("fw-2.0.bin")
    assert updated.once().success


def test_a_director_rotation_resets_the_floor(updated: Trial) -> None:
    updated.publisher.director.rotate("root")
    updated.publisher.director.versions["targets"] = 0
    updated.release("fw-2.0.bin")
    assert updated.once().success


@pytest.mark.parametrize(("correlation", "accepted"), [("urn:test", True), ("", False)])
def test_a_failed_download_with_a_correlation_id_resets_the_floor(
    updated: Trial, correlation: str, accepted: bool
) -> None:
    updated.publisher.director.versions["targets"] = 8
    updated.release("fw-2.0.bin", correlation=correlation)
    right = updated.publisher.image.images["fw-2.0.bin"]
    updated.publisher.image.images["fw-2.0.bin"] = b"wrong"
    assert not updated.once().success
    updated.publisher.image.images["fw-2.0.bin"] = right
    updated.publisher.director.versions["targets"] = 1
    updated.assign("fw-2.0.bin")
    assert updated.once().success is accepted


def test_an_expired_first_root_is_fine_when_the_second_is_not(trial: Trial) -> None:
    director = trial.publisher.director
    signed = json.loads(director.files["1.root.json"])["signed"]
    director.put("root", {**signed, "expires": PAST}, name="1.root.json")
    assert trial.once().said("The root metadata was expired.")
    director.rotate("root")
    assert trial.once().success


def test_the_first_root_may_hold_another_version(trial: Trial) -> None:
    director = trial.publisher.director
    director.rotate("root")
    director.files["1.root.json"] = director.files["2.root.json"]
    assert trial.once().success
    assert trial.gets[:2] == ["/director/1.root.json", "/director/3.root.json"]


def test_the_listed_length_of_targets_is_ignored(updated: Trial) -> None:
    updated.release("fw-2.0.bin")
    edit: Callable[[Signed], Any] = lambda signed: signed["meta"]["targets.json"].update(length=3)  # noqa: E731
    updated.publisher.image.publish(edit={"snapshot": edit})
    assert updated.once().success


@pytest.mark.parametrize("role", ["root", "targets"])
def test_unknown_members_are_ignored(trial: Trial, role: str) -> None:
    extra = {"spec_version": "1.0", "issued": "2026-01-01T00:00:00Z", "x": {"ü": [-1, None, True]}}
    director = trial.publisher.director
    if role == "root":
        director.rotate("root", edit={"root": lambda signed: signed.update(extra)})
    else:
        director.edited("targets", lambda signed: signed.update(extra))
    assert trial.once().success


def test_white_space_and_order_do_not_matter_when_timestamp_allows_the_length(trial: Trial) -> None:
    longer: Callable[[Signed], Any] = lambda signed: signed["meta"]["snapshot.json"].update(length=5000)  # noqa: E731
    trial.publisher.image.publish(edit={"timestamp": longer})
    for repository in (trial.publisher.director, trial.publisher.image):
        for name, document in repository.files.items():
            repository.files[name] = json.dumps(json.loads(document), indent=1).encode() + b"\n"
    assert trial.once().success


def test_key_ids_are_not_recomputed(trial: Trial) -> None:
    director = trial.publisher.director
    [old] = director.keys["targets"]

    def rename(signed: Signed) -> None:
        signed["keys"]["any text"] = signed["keys"].pop(old.keyid)
        signed["roles"]["targets"]["keyids"] = ["any text"]

    director.rotate(edit={"root": rename})
    envelope = json.loads(director.files["targets.json"])
    envelope["signatures"][0]["keyid"] = "any text"
    director.files["targets.json"] = json.dumps(envelope).encode()
    assert trial.once().success


@pytest.mark.parametrize("kind", ["RSA2048", "RSA3072"])
def test_rsa_keys_sign_metadata(trial: Trial, kind: str) -> None:
    trial.publisher.director.keys["targets"] = [SigningKey.generate(kind)]
    trial.publisher.director.publish_root()
    trial.assign("fw-1.0.bin")
    assert trial.once().success


def test_a_threshold_counts_keys(trial: Trial) -> None:
    director = trial.publisher.director
    director.keys["targets"] += [SigningKey.named("TEST second")]
    director.publish_root()
    assert trial.once().said("The targets metadata had an unmet threshold.")
    trial.assign("fw-1.0.bin")
    assert trial.once().success


def test_targets_without_ecus_are_ignored(trial: Trial) -> None:
    entry = trial.publisher.entry("fw-1.0.bin", ECU)
    loose = {**file_info(b"x"), "custom": {"targetFormat": "BINARY"}}
    trial.publisher.director.assign({"fw-1.0.bin": entry, "loose.bin": loose})
    assert trial.once().success


def test_hashes_may_be_upper_case_and_unknown_ones_are_ignored(trial: Trial) -> None:
    def change(signed: Signed) -> None:
        hashes = signed["targets"]["fw-1.0.bin"]["hashes"]
        hashes.update(sha256=hashes["sha256"].upper(), md5="00")

    trial.publisher.director.edited("targets", change)
    assert trial.once().success
