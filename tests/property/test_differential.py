"""python-tuf as an independent judge: what it accepts and refuses, we accept and refuse, or a rule below says why not.

Hypothesis publishes, rotates, turns the clock and attacks one repository in any order. After each step both clients
refresh from their own stores, and their verdicts and trusted versions are compared. ``docs/oracle.md`` explains every
rule of ``EXPLAINED`` to people; a disagreement that no rule covers fails the test.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.ngclient import FetcherInterface, Updater

from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.repository import RepositorySimulator, wire_time
from twinlock.testing.simulator.vehicle import Store
from twinlock.trust.engine.commands import Answer, Command, Fetch, Notice, Persist, drive
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.metadata import EquivocationError, MalformedError, MissingMetadataError, MixAndMatchError
from twinlock.trust.policy import LAX

ROLES = ("root", "timestamp", "snapshot", "targets")
BELOW_ROOT = ROLES[1:]


class Net(FetcherInterface):
    """python-tuf's view of the simulated repository."""

    def __init__(self, repository: RepositorySimulator) -> None:
        self.repository = repository

    def _fetch(self, url: str) -> Iterator[bytes]:
        data = self.repository.files.get(url.rsplit("/", 1)[1])
        if data is None:
            raise DownloadHTTPError("not there", 404)
        yield data


@dataclass
class Judgement:
    """What one client made of one step: its verdict, why, and the versions it trusts now."""

    accepted: bool
    why: Exception | None
    versions: dict[str, int]


@dataclass
class Case:
    """One repository, both clients with their stores, and the time."""

    folder: Path
    now: datetime = datetime(2030, 1, 1, tzinfo=UTC)
    store: Store = field(default_factory=Store)
    notices: list[RefusalError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.repository = RepositorySimulator("image", KeyPool(), lambda: self.now, with_delegations=False)
        self.first_root = self.repository.files["1.root.json"]
        self.store.roots[1] = self.first_root

    def ours(self) -> Judgement:
        """Refresh with the engine."""
        why = None
        try:
            drive(refresh_repository(self.store.restore("image"), self.now, policy=LAX), self._answer)
        except RefusalError as error:
            why = error
        files = {**self.store.files, "root": self.store.roots[max(self.store.roots)]}
        return Judgement(why is None, why, {role: _version(data) for role, data in files.items()})

    def theirs(self) -> Judgement:
        """Refresh with python-tuf."""
        why: Exception | None = None
        try:
            updater = Updater(
                str(self.folder), "https://image.test/", fetcher=Net(self.repository), bootstrap=self._root()
            )
            updater._trusted_set.reference_time = self.now  # its clock cannot be set from outside
            updater.refresh()
        except (RepositoryError, DownloadError) as error:
            why = error
        files = {role: self.folder / f"{role}.json" for role in ROLES}
        return Judgement(
            why is None, why, {role: _version(path.read_bytes()) for role, path in files.items() if path.exists()}
        )

    def _root(self) -> bytes:
        path = self.folder / "root.json"
        return path.read_bytes() if path.exists() else self.first_root

    def _answer(self, command: Command) -> Answer:
        if isinstance(command, Fetch):
            return self.repository.serve(command)
        if isinstance(command, Persist):
            self.store.apply(command)
        elif isinstance(command, Notice):
            self.notices.append(command.error)
        return None


def _version(data: bytes) -> int:
    version: int = json.loads(data)["signed"]["version"]
    return version


Step = Callable[[Case], object]


def _publish(case: Case) -> None:
    case.repository.publish("targets")


def _poll(case: Case) -> None:
    case.repository.refresh_timestamp()


def _rotate(role: str) -> Step:
    def step(case: Case) -> None:
        number = case.repository.bodies["root"]["version"] + 1
        case.repository.rotate(role, number)

    return step


def _wait(days: float) -> Step:
    def step(case: Case) -> None:
        case.now += timedelta(days=days)

    return step


def _rewind(role: str) -> Step:
    def step(case: Case) -> None:
        if len(case.repository.history[role]) > 1:
            case.repository.rewind(role)

    return step


def _drop(role: str) -> Step:
    def step(case: Case) -> None:
        case.repository.files.pop(case.repository.current(role), None)

    return step


def _wrong_key(role: str) -> Step:
    def step(case: Case) -> None:
        case.repository.put(role, signers=[case.repository.key("stranger")])

    return step


def _unsigned_change(role: str) -> Step:
    def step(case: Case) -> None:
        if case.repository.current(role) in case.repository.files:
            case.repository.deform(role, lambda envelope: envelope["signed"].update(version=99))

    return step


def _signed(role: str, change: Callable[[dict[str, object]], object]) -> Step:
    """The keys of the role sign a body that was changed; the roles above list it."""

    def step(case: Case) -> None:
        repository = case.repository
        change(repository.bodies[role])
        if role == "root":
            repository.put("root")
            return
        repository.put(role)
        repository.index(role)
        if role == "targets":
            repository.reindex("targets")
        elif role == "snapshot":
            repository.put("timestamp")

    return step


def _set(**members: object) -> Callable[[dict[str, object]], object]:
    return lambda body: body.update(members)


def _recover(case: Case) -> None:
    """Rotate the Snapshot keys and start counting anew, as after a fast-forward attack."""
    for role in ("timestamp", "snapshot"):
        case.repository.bodies[role]["version"] = 0
    _rotate("snapshot")(case)


LONG_AGO = wire_time(datetime(2029, 1, 1, tzinfo=UTC))
FAR_OFF = wire_time(datetime(2099, 1, 1, tzinfo=UTC))
STEPS: dict[str, Step] = {
    "recover from fast-forward": _recover,
    "publish": _publish,
    "poll": _poll,
    "wait an hour": _wait(1 / 24),
    "wait two days": _wait(2),
    "wait a year": _wait(370),
    **{f"rotate {role}": _rotate(role) for role in ROLES},
    **{f"rewind {role}": _rewind(role) for role in ROLES},
    **{f"drop {role}": _drop(role) for role in ROLES},
    **{f"{role} by a stranger": _wrong_key(role) for role in ROLES},
    **{f"{role} changed unsigned": _unsigned_change(role) for role in ROLES},
    **{f"{role} expired": _signed(role, _set(issued=LONG_AGO, expires=LONG_AGO)) for role in BELOW_ROOT},
    **{f"{role} of another type": _signed(role, _set(_type="mirrors")) for role in BELOW_ROOT},
    **{f"{role} without expiry": _signed(role, lambda body: body.pop("expires", None)) for role in BELOW_ROOT},
    **{f"{role} with a new member": _signed(role, _set(novelty=["kept"])) for role in BELOW_ROOT},
    **{f"{role} at version 1": _signed(role, _set(version=1)) for role in BELOW_ROOT},
    **{f"{role} issued after its expiry": _signed(role, _set(issued=FAR_OFF)) for role in BELOW_ROOT},
    "snapshot without targets": _signed("snapshot", _set(meta={})),
    "targets of version 2.0": _signed("targets", _set(spec_version="2.0.0")),
}


def _same_version_other_bytes(ours: Judgement, theirs: Judgement) -> bool:
    if isinstance(ours.why, (MissingMetadataError, MixAndMatchError)):
        # The bytes that Timestamp lists are gone, or others are in their place; python-tuf never asks for them.
        return ours.why.role == "snapshot" and theirs.accepted
    return isinstance(ours.why, EquivocationError)


def _rotation_drops_floors(ours: Judgement, theirs: Judgement) -> bool:
    return ours.accepted and not theirs.accepted and "version" in str(theirs.why)


def _rotation_drops_files(ours: Judgement, theirs: Judgement) -> bool:
    if ours.versions["root"] == 1:
        return False
    fewer = not ours.accepted and ours.versions.keys() < theirs.versions.keys()
    # python-tuf keeps the Timestamp, which may list the Snapshot of the key that left.
    kept = ours.accepted and not theirs.accepted and "snapshot was signed by" in str(theirs.why)
    return (
        fewer or kept or (ours.accepted and theirs.accepted and ours.versions["targets"] != theirs.versions["targets"])
    )


def _stricter_reading(ours: Judgement, theirs: Judgement) -> bool:
    return isinstance(ours.why, MalformedError) and theirs.accepted


EXPLAINED: dict[str, Callable[[Judgement, Judgement], bool]] = {
    "same version, other bytes": _same_version_other_bytes,
    "a rotation drops the floors": _rotation_drops_floors,
    "a rotation drops the files": _rotation_drops_files,
    "stricter reading": _stricter_reading,
}


@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=12))
def test_both_engines_agree(steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        case = Case(Path(folder))
        for number, name in enumerate(["publish", *steps]):
            STEPS[name](case)
            ours, theirs = case.ours(), case.theirs()
            if (ours.accepted, ours.versions) == (theirs.accepted, theirs.versions):
                continue
            rules = [rule for rule, covers in EXPLAINED.items() if covers(ours, theirs)]
            assert rules, f"step {number}, {name}:\n ours {ours}\n theirs {theirs}"
            return  # from here on the two have seen different histories


@pytest.mark.parametrize(
    ("steps", "rule"),
    [
        (["snapshot with a new member", "poll"], "same version, other bytes"),
        (["snapshot expired", "drop snapshot", "poll"], "same version, other bytes"),
        (["publish", "recover from fast-forward"], "a rotation drops the floors"),
        (["targets by a stranger", "rotate snapshot"], "a rotation drops the files"),
        (["poll", "snapshot issued after its expiry", "poll"], "stricter reading"),
    ],
)
def test_every_explained_disagreement_exists(tmp_path: Path, steps: list[str], rule: str) -> None:
    case = Case(tmp_path)
    for name in ["publish", *steps[:-1]]:
        STEPS[name](case)
        case.ours(), case.theirs()
    STEPS[steps[-1]](case)
    ours, theirs = case.ours(), case.theirs()
    assert (ours.accepted, ours.versions) != (theirs.accepted, theirs.versions)
    assert EXPLAINED[rule](ours, theirs)
