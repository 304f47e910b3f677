"""How large each file may be (wire 2.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.aktualizr.publisher import Delegation, Publisher, Signed
from tests.aktualizr.trial import Trial
from tests.aktualizr.verification import IMAGE_TARGETS_LIMIT, ROOT_LIMIT


def pad(limit: int, more: int) -> Callable[[Signed], Any]:
    """Make a file of one role ``more`` bytes longer or shorter than ``limit``, roughly."""
    return lambda signed: signed.update(pad="x" * (limit + more))


def root(publisher: Publisher, more: int) -> None:
    publisher.director.rotate(edit={"root": pad(ROOT_LIMIT, more)})


def director_targets(publisher: Publisher, more: int) -> None:
    publisher.director.edited("targets", pad(ROOT_LIMIT, more))


def timestamp(publisher: Publisher, more: int) -> None:
    publisher.image.publish(edit={"timestamp": pad(ROOT_LIMIT, more)})


def image_targets(publisher: Publisher, more: int) -> None:
    publisher.image.publish(edit={"targets": pad(IMAGE_TARGETS_LIMIT, more)})


def exact(publisher: Publisher, size: int) -> None:
    """The Director's Targets in exactly ``size`` bytes."""
    publisher.director.edited("targets", lambda signed: signed.update(pad=""))
    missing = size - len(publisher.director.files["targets.json"])
    publisher.director.edited("targets", lambda signed: signed.update(pad="x" * missing))
    assert len(publisher.director.files["targets.json"]) == size


FILES = {
    "GET /director/targets.json": director_targets,
    "GET /repo/timestamp.json": timestamp,
    "GET /repo/targets.json": image_targets,
}


@pytest.mark.parametrize("line", FILES)
def test_a_file_below_its_limit_is_read(trial: Trial, line: str) -> None:
    FILES[line](trial.publisher, -3000)
    assert trial.once().success


@pytest.mark.parametrize("line", FILES)
def test_a_file_above_its_limit_is_fetched_three_times_in_vain(trial: Trial, line: str) -> None:
    FILES[line](trial.publisher, 1)
    run = trial.once()
    assert run.said("Failed to fetch role")
    assert not run.success
    assert trial.lines.count(f"{line} 200") == 3


def test_the_limit_is_the_last_size_that_is_read(trial: Trial) -> None:
    exact(trial.publisher, ROOT_LIMIT)
    assert trial.once().success
    exact(trial.publisher, ROOT_LIMIT + 1)
    assert trial.once().said("Failed to fetch role targets in director repository.")


def test_a_root_above_its_limit_ends_the_chain(trial: Trial) -> None:
    root(trial.publisher, 1)
    assert trial.once().success
    assert trial.lines.count("GET /director/2.root.json 200") == 3


@pytest.mark.parametrize(("length", "accepted"), [(0, True), (100000, True), (10, False)])
def test_the_limit_of_snapshot_is_what_timestamp_says(trial: Trial, length: int, accepted: bool) -> None:
    edit: Callable[[Signed], Any] = lambda signed: signed["meta"]["snapshot.json"].update(length=length)  # noqa: E731
    trial.publisher.image.publish(edit={"timestamp": edit})
    run = trial.once()
    assert run.success is accepted
    assert run.said("Failed to fetch role snapshot in image repository.") is not accepted


@pytest.mark.parametrize(("more", "accepted"), [(-3000, True), (1, False)])
def test_the_limit_of_a_delegation_is_that_of_targets(trial: Trial, more: int, accepted: bool) -> None:
    acme = Delegation("acme", ["*"])
    trial.publisher.image.delegations = [acme]
    trial.release("acme/fw.bin", to=acme)
    trial.publisher.image.publish(edit={"acme": pad(IMAGE_TARGETS_LIMIT, more)})
    assert trial.once().success is accepted
