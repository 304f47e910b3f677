"""Random histories of a publisher, followed by both clients: they ask, say and report the same.

Where AKTUALIZR does not name the real binary, the virtual one follows a few of them alone. A history that ends in a difference is replayed by its
seed. Belongs here: comparing the clients. Does not belong here: what is right; the other tests know that.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.aktualizr.clients import CLIENTS
from tests.aktualizr.config import Config, Secondary
from tests.aktualizr.publisher import PAST, Delegation, Publisher, Signed
from tests.aktualizr.result import Run
from tests.aktualizr.server import serving
from tests.aktualizr.trial import PRIMARY, Trial

SECONDARIES = (Secondary(serial="brakes", hardware_id="brakes-hw"), Secondary(serial="doors", hardware_id="doors-hw"))
HARDWARE = {PRIMARY: "test-hw", "brakes": "brakes-hw", "doors": "doors-hw"}
SEEDS = range(int(os.environ.get("AKTUALIZR_SEEDS", "12")))
RUNS = 6

# What only one of them logs, or in another place: threads, settings, and signatures that it checks twice.
OWN_WORDS = ("GET ", "Signed by unknown", "Server does not support", "Rotating", "Requested", "Updating", "Device ID")
EVENTS = ("got PutManifest", "got InstallStarted", "got InstallTarget", "got DownloadTarget", "Installing package")


@dataclass
class History:
    """A publisher in random hands."""

    publisher: Publisher
    random: random.Random
    images: list[tuple[str, str]] = field(default_factory=list)
    """File name and the ECU it is for."""

    def __post_init__(self) -> None:
        self.delegations = [Delegation("acme", ["acme/*", "*.d"]), Delegation("other", ["acme/*", "*"])]
        self.inner = Delegation("inner", ["acme/*"], terminating=True)
        self.publisher.image.publish()

    def step(self) -> str:
        """Do one thing, and say what."""
        steps: list[Callable[[], None]] = [
            *[self.release] * 5,
            *[self.assign] * 3,
            self.assign_several,
            self.withdraw,
            self.rotate_director,
            self.rotate_image,
            self.rewind_director,
            self.rewind_image,
            self.toggle_hashes,
            self.redelegate,
            self.expire,
            self.spoil_image,
            self.unlist,
        ]
        step = self.random.choice(steps)
        step()
        return step.__name__

    def correlation(self) -> str:
        return self.random.choice(["", "urn:one", "urn:two"])

    def release(self) -> None:
        to = self.random.choice([None, None, *self.delegations, self.inner])
        ecu = self.random.choice([PRIMARY, PRIMARY, *HARDWARE])
        name = f"{'acme/' if to else ''}{self.random.choice('abz')}{len(self.images)}.bin"
        self.publisher.image.add(name, name.encode() * 9, [HARDWARE[ecu]], to=to)
        self.publisher.image.publish()
        self.images.append((name, ecu))
        self.publisher.assign(name, {ecu: HARDWARE[ecu]}, correlation=self.correlation())

    def assign(self) -> None:
        if self.images:
            name, ecu = self.random.choice(self.images)
            self.publisher.assign(name, {ecu: HARDWARE[ecu]}, correlation=self.correlation())

    def assign_several(self) -> None:
        chosen = {ecu: name for name, ecu in self.random.sample(self.images, min(3, len(self.images)))}
        entries = {name: self.publisher.entry(name, {ecu: HARDWARE[ecu]}) for ecu, name in chosen.items()}
        self.publisher.director.assign(entries, correlation=self.correlation())

    def withdraw(self) -> None:
        self.publisher.director.assign({})

    def rotate_director(self) -> None:
        self.publisher.director.rotate(*self.random.choice([("root",), ("targets",), ("root", "targets")]))

    def rotate_image(self) -> None:
        self.publisher.image.rotate(*self.random.sample(["root", "targets", "snapshot", "timestamp"], 2))
        self.publisher.image.publish()

    def rewind_director(self) -> None:
        versions = self.publisher.director.versions
        versions["targets"] = max(0, versions["targets"] - self.random.randrange(4))

    def rewind_image(self) -> None:
        versions, role = self.publisher.image.versions, self.random.choice(["targets", "snapshot", "timestamp", "acme"])
        versions[role] = max(0, versions.get(role, 0) - self.random.randrange(4))

    def toggle_hashes(self) -> None:
        self.publisher.image.versions_only ^= True

    def redelegate(self) -> None:
        self.delegations[0].delegations = self.random.choice([[], [self.inner]])
        self.publisher.image.delegations = self.random.sample(self.delegations, self.random.randrange(3))
        self.publisher.image.publish()

    def expire(self) -> None:
        role = self.random.choice(["timestamp", "snapshot", "targets", "acme", "director"])
        edit: Callable[[Signed], Any] = lambda signed: signed.update(expires=PAST)  # noqa: E731
        if role == "director":
            self.publisher.director.edited("targets", edit)
        else:
            self.publisher.image.publish(edit={role: edit})

    def spoil_image(self) -> None:
        if self.images:
            name = self.images[-1][0]
            image = self.publisher.image.images
            image[name] = self.random.choice([b"x", image[name] + b"y", name.encode() * 9])

    def unlist(self) -> None:
        edit: Callable[[Signed], Any] = lambda signed: signed["meta"].popitem()  # noqa: E731
        self.publisher.image.publish(edit={"snapshot": edit})


def outcome(trial: Trial, run: Run) -> dict[str, Any]:
    """Everything about a run that both clients should agree on."""
    start = next((n for n, line in enumerate(run.messages) if line.startswith("got SendDeviceData")), 0)
    words = [line.replace(trial.served.url, "") for line in run.messages[start:]]
    return {
        "requests": trial.lines,
        "messages": [line for line in words if not line.startswith(OWN_WORDS + EVENTS)],
        "events": trial.events,
        "installed": run.installed,
        "success": run.success,
        "reports": [manifest.get("installation_report") for manifest in trial.manifests],
        "images": [
            {serial: report["signed"] for serial, report in manifest["ecu_version_manifests"].items()}
            for manifest in trial.manifests
        ],
    }


def follow(seed: int, folder: Path) -> None:
    """One history, told to all clients; the first difference fails."""
    chance = random.Random(seed)
    history, done = History(Publisher(), chance), []
    secondaries = SECONDARIES[: chance.randrange(3)]
    with serving(history.publisher) as served:
        config = Config(server=served.url, secondaries=secondaries, report_network=False, report_config=False)
        trials = {kind: Trial(history.publisher, served, make(config, folder)) for kind, make in CLIENTS.items()}
        for _ in range(RUNS):
            done += [history.step() for _ in range(chance.randrange(1, 4))]
            seen = {kind: outcome(trial, trial.once()) for kind, trial in trials.items()}
            assert set(seen["virtual"]["installed"].values()) <= {name for name, _ in history.images}
            assert seen["virtual"] == seen.get("real", seen["virtual"]), done


if "real" in CLIENTS:

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", SEEDS)
    def test_both_clients_follow_a_history_alike(seed: int, tmp_path: Path) -> None:
        follow(seed, tmp_path)


@pytest.mark.parametrize("seed", range(3))
def test_a_history_installs_only_what_was_published(seed: int, tmp_path: Path) -> None:
    follow(seed, tmp_path)
