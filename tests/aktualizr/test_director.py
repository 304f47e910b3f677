"""What a Director must plan for (wire 6), and rotations (wire 5, item 1)."""

from __future__ import annotations

from tests.aktualizr.publisher import FAR, PAST
from tests.aktualizr.server import Answer
from tests.aktualizr.trial import ECU, FIRST, PRIMARY, Trial

BOTH = ("root", "targets", "snapshot", "timestamp")


def test_the_same_version_with_new_content_installs_nothing_until_a_bump(updated: Trial) -> None:
    updated.publisher.image.add("fw-2.0.bin", b"two", ["test-hw"])
    updated.publisher.image.publish()
    entry = updated.publisher.entry("fw-2.0.bin", ECU)
    updated.publisher.director.edited("targets", lambda signed: signed.update(targets={"fw-2.0.bin": entry}))
    run = updated.once()
    assert run.said("1 new update found in both Director and Image repo metadata.")
    assert run.said("No new updates found while rechecking stored Director Targets metadata")
    assert run.said("Nothing to download")
    assert not run.success
    assert len(updated.manifests) == 1
    updated.assign("fw-2.0.bin")
    assert updated.once().success


def test_the_same_version_with_new_content_before_the_first_is_installed(trial: Trial) -> None:
    trial.answer(f"GET /repo/targets/{FIRST}", Answer(404, b""))
    trial.assign(FIRST, correlation="")
    trial.once()
    trial.publisher.image.add("fw-2.0.bin", b"two", ["test-hw"])
    trial.publisher.image.publish()
    entry = trial.publisher.entry("fw-2.0.bin", ECU)
    trial.publisher.director.edited("targets", lambda signed: signed.update(targets={"fw-2.0.bin": entry}))
    assert trial.once().said("No matching target in Director Targets metadata for Target(fw-2.0.bin")
    assert trial.report is None


def test_an_assignment_that_was_stored_expired_needs_a_bump(trial: Trial) -> None:
    trial.publisher.director.edited("targets", lambda signed: signed.update(expires=PAST))
    assert trial.once().said("The targets metadata was expired.")
    trial.publisher.director.edited("targets", lambda signed: signed.update(expires=FAR))
    run = trial.once()
    assert run.said("Aborting; invalid Uptane metadata in storage.")
    assert trial.code == "INTERNAL_ERROR"
    assert trial.once().success


def withdraw(trial: Trial, correlation: str) -> None:
    """An assignment whose download fails, then empty Targets, then the image is repaired."""
    trial.release("fw-2.0.bin", correlation=correlation)
    trial.answer("GET /repo/targets/fw-2.0.bin", Answer(404, b""))
    assert not trial.once().success
    trial.publisher.director.assign({})
    trial.answer("GET /repo/targets/fw-2.0.bin")


def test_empty_targets_do_not_cancel(updated: Trial) -> None:
    withdraw(updated, "")
    assert updated.once().installed == {PRIMARY: "fw-2.0.bin"}


def test_with_a_correlation_id_the_failed_assignment_is_gone(updated: Trial) -> None:
    withdraw(updated, "urn:2")
    assert updated.once().said("No new updates found in Uptane metadata.")


def test_a_withdrawal_republishes_what_is_installed(updated: Trial) -> None:
    withdraw(updated, "")
    updated.assign(FIRST)
    assert updated.once().said("No new updates found in Uptane metadata.")


def test_an_empty_list_is_a_floor_only_before_the_first_full_one(trial: Trial) -> None:
    trial.publisher.director.versions["targets"] = 4
    trial.publisher.director.assign({})
    trial.once()
    trial.publisher.director.versions["targets"] = 2
    trial.assign(FIRST)
    assert trial.once().said("Rollback attempt")
    trial.publisher.director.versions["targets"] = 5
    trial.assign(FIRST)
    assert trial.once().success
    trial.publisher.director.versions["targets"] = 8
    trial.publisher.director.assign({})
    trial.once()
    trial.publisher.director.versions["targets"] = 6
    trial.release("fw-2.0.bin")
    assert trial.once().success


def test_what_is_installed_already_is_no_update(updated: Trial) -> None:
    updated.assign(FIRST, correlation="urn:other")
    assert updated.once().said("No new updates found in Uptane metadata.")
    assert not any(path.startswith("/repo") for path in updated.gets)
    assert updated.report is None


def test_an_older_image_is_installed_when_the_director_says_so(updated: Trial) -> None:
    updated.release("fw-2.0.bin")
    updated.once()
    updated.assign(FIRST)
    assert updated.once().installed == {PRIMARY: FIRST}


def test_every_key_of_both_repositories_is_rotated(updated: Trial) -> None:
    updated.publisher.director.rotate("root", "targets")
    updated.publisher.image.rotate(*BOTH)
    updated.release("fw-2.0.bin")
    assert updated.once().success
    assert updated.lines[1:3] == ["GET /director/2.root.json 200", "GET /director/3.root.json 404"]


def test_several_rotations_are_followed_at_once(updated: Trial) -> None:
    for _ in range(3):
        updated.publisher.director.rotate("root", "targets")
        updated.publisher.image.rotate(*BOTH)
    updated.release("fw-2.0.bin")
    assert updated.once().success
    roots = [f"/director/{number}.root.json" for number in (2, 3, 4, 5)]
    assert updated.gets[:4] == roots
    updated.once()
    assert updated.gets[0] == "/director/5.root.json"


def test_a_fresh_vehicle_starts_at_the_first_root(trial: Trial) -> None:
    for _ in range(2):
        trial.publisher.director.rotate("root", "targets")
        trial.publisher.image.rotate(*BOTH)
    trial.release(FIRST)
    assert trial.once().success
    assert trial.gets[:4] == [f"/director/{number}.root.json" for number in (1, 2, 3, 4)]


def test_roots_that_were_verified_are_kept_when_the_next_is_refused(updated: Trial) -> None:
    director = updated.publisher.director
    director.rotate("root")
    director.files["3.root.json"] = director.files["2.root.json"]
    assert updated.once().said("Version in Root metadata does not match its expected value.")
    del director.files["3.root.json"]
    updated.once()
    assert updated.gets[0] == "/director/3.root.json"
