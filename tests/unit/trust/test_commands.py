"""What the engine asks of its driver and has it store, command by command, and that the state it returns is the stored one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeVar

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.vehicle import Store
from twinlock.testing.simulator.world import START
from twinlock.trust.checks.context import Context
from twinlock.trust.engine.commands import ABSENT, Absent, Answer, Command, Fetch, Notice, Persist, Steps, drive
from twinlock.trust.engine.delegation import Found, find_image
from twinlock.trust.engine.fetching import fetch, fetch_checked, fetch_required
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.time_floor import not_before, time_floor
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.metadata import (
    EquivocationError,
    ExpiredError,
    LimitError,
    MissingMetadataError,
    RollbackError,
    UnlistedRoleError,
)
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RoleName, TargetPath
from twinlock.trust.policy import LAX
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.tuf.metadata import TUF

T = TypeVar("T")
KEYS = KeyPool()
L = DEFAULT_LIMITS
CONTEXT = Context(repository=IMAGE, now=START, limits=L, wire=TUF, policy=LAX)
PATH = TargetPath("brake/brake-1.bin")
ACME = RoleName("acme")


class Driver:
    """One repository, what is stored of it, and the commands of the last run."""

    def __init__(self) -> None:
        self.now = START
        self.server = RepositorySimulator("image", KEYS, lambda: self.now)
        self.server.delegate("targets", "acme", ["brake/*"])
        self.server.add_image(PATH, b"image", role="acme")
        self.server.publish("targets", "acme")
        self.store = Store({1: self.server.files["1.root.json"]})
        self.commands: list[Command] = []

    def run(self, steps: Steps[T]) -> T:
        self.commands = []
        return drive(steps, self.answer)

    def answer(self, command: Command) -> Answer:
        # Proofs and floors have tests of their own.
        self.commands.append(command._replace(proofs={}, floors={}) if isinstance(command, Persist) else command)
        if isinstance(command, Fetch):
            answer: bytes | Absent = self.server.serve(command)
            return answer
        if isinstance(command, Persist):
            self.store.apply(command)
        return None

    def refresh(self, limits: Limits = L) -> TrustedRepository:
        return self.run(refresh_repository(self.store.restore("image"), self.now, limits=limits))

    def find(self, trusted: TrustedRepository, limits: Limits = L) -> Found:
        return self.run(find_image(trusted, PATH, None, self.now, limits=limits))

    def persist(self, role: RoleName, version: int) -> Persist:
        name = self.server.current(role) if role != "root" else f"{version}.root.json"
        return Persist(IMAGE, ((role, version, self.server.files[name]),))


@pytest.fixture
def driver() -> Driver:
    return Driver()


def test_a_first_refresh(driver: Driver) -> None:
    trusted = driver.refresh()
    length = driver.server.bodies["timestamp"]["meta"]["snapshot.json"]["length"]
    assert driver.commands == [
        Fetch(IMAGE, ROOT, 2, "2.root.json", L.root_bytes),
        Fetch(IMAGE, TIMESTAMP, None, "timestamp.json", L.timestamp_bytes),
        driver.persist(TIMESTAMP, 2),
        Fetch(IMAGE, SNAPSHOT, 2, "2.snapshot.json", length),
        driver.persist(SNAPSHOT, 2),
        Fetch(IMAGE, TARGETS, 2, "2.targets.json", L.unlisted_bytes),
        driver.persist(TARGETS, 2),
    ]
    assert _values(trusted) == _values(driver.store.restore("image"))


def test_a_refresh_with_nothing_new(driver: Driver) -> None:
    trusted = driver.refresh()
    assert _values(driver.refresh()) == _values(trusted)
    assert driver.commands == [
        Fetch(IMAGE, ROOT, 2, "2.root.json", L.root_bytes),
        Fetch(IMAGE, TIMESTAMP, None, "timestamp.json", L.timestamp_bytes),
    ]


def test_a_link_of_the_root_chain_is_stored_with_what_it_drops(driver: Driver) -> None:
    driver.find(driver.refresh())
    driver.server.publish_root()
    driver.server.rotate("timestamp")
    trusted = driver.refresh()
    files = [driver.server.files[f"{version}.root.json"] for version in (2, 3)]
    dropped = tuple((role, 0, None) for role in (TIMESTAMP, SNAPSHOT, TARGETS, ACME))
    assert driver.commands[:5] == [
        Fetch(IMAGE, ROOT, 2, "2.root.json", L.root_bytes),
        Persist(IMAGE, ((ROOT, 2, files[0]),)),
        Fetch(IMAGE, ROOT, 3, "3.root.json", L.root_bytes),
        Persist(IMAGE, ((ROOT, 3, files[1]), *dropped)),
        Fetch(IMAGE, ROOT, 4, "4.root.json", L.root_bytes),
    ]
    assert _values(trusted) == _values(driver.store.restore("image"))
    assert trusted.delegated == {}


@pytest.mark.parametrize(("allowed", "published"), [(2, 2), (2, 3), (0, 0), (0, 1)])
def test_the_bound_on_rotations(driver: Driver, allowed: int, published: int) -> None:
    for _ in range(published):
        driver.server.publish_root()
    limits = L._replace(root_rotations=allowed)
    if published <= allowed:
        assert driver.refresh(limits).root.signed.version == 1 + published
        return
    with pytest.raises(LimitError) as caught:
        driver.refresh(limits)
    assert (caught.value.value, caught.value.limit) == (allowed + 1, allowed)
    assert max(driver.store.roots) == 1 + allowed


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_no_more_is_asked_for_than_is_listed_or_allowed(driver: Driver, more: int) -> None:
    server = driver.server
    for role in ("targets", "acme"):
        server.bodies["snapshot"]["meta"][f"{role}.json"]["length"] = len(server.files[server.current(role)])
    server.reindex_listed()
    sizes = {role: len(server.files[server.current(role)]) for role in ("snapshot", "targets", "acme")}
    limits = L._replace(snapshot_bytes=sizes["snapshot"] + more, targets_bytes=max(sizes.values()) + 1)
    if more < 0:
        with pytest.raises(LimitError):
            driver.server.careless_driver = True
            driver.refresh(limits)
        assert isinstance(driver.commands[-1], Fetch)
        assert driver.commands[-1].max_bytes == sizes["snapshot"] - 1
        return
    trusted = driver.refresh(limits)
    asked = {command.role: command.max_bytes for command in driver.commands if isinstance(command, Fetch)}
    assert asked[SNAPSHOT] == sizes["snapshot"]
    assert asked[TARGETS] == sizes["targets"]
    found = driver.find(trusted, limits)
    assert driver.commands == [Fetch(IMAGE, ACME, 1, "1.acme.json", sizes["acme"]), driver.persist(ACME, 1)]
    assert found.entry is not None
    driver.find(trusted, limits._replace(targets_bytes=sizes["acme"]))


def test_a_delegated_role_is_fetched_once(driver: Driver) -> None:
    trusted = driver.refresh()
    found = driver.find(trusted)
    data = driver.server.files["1.acme.json"]
    assert driver.commands == [Fetch(IMAGE, ACME, 1, "1.acme.json", L.unlisted_bytes), driver.persist(ACME, 1)]
    assert found.chain == (TARGETS, ACME)
    assert [opened.data for opened in found.trusted.opened.values()] == [data]
    assert found.trusted == trusted._replace(
        delegated={ACME: data}, opened=found.trusted.opened, floors=found.trusted.floors
    )
    assert driver.find(found.trusted) == found
    assert driver.commands == []


def test_another_timestamp_of_the_same_version_is_reported_and_not_stored(driver: Driver) -> None:
    trusted = driver.refresh()
    driver.server.bodies["timestamp"]["x"] = 1
    driver.server.put("timestamp")
    assert _values(driver.refresh()) == _values(trusted)
    assert [type(command) for command in driver.commands] == [Fetch, Fetch, Notice]
    notice = driver.commands[-1]
    assert isinstance(notice, Notice)
    assert type(notice.error) is EquivocationError


@pytest.mark.parametrize("role", [TIMESTAMP, SNAPSHOT, TARGETS, ACME])
def test_what_is_missing_is_named(driver: Driver, role: RoleName) -> None:
    name = driver.server.drop(role)
    with pytest.raises(MissingMetadataError) as caught:
        driver.find(driver.refresh())
    assert caught.value.fields() == {"repository": IMAGE, "role": role, "name": name}


def test_a_role_that_the_snapshot_does_not_list(driver: Driver) -> None:
    del driver.server.bodies["snapshot"]["meta"]["acme.json"]
    driver.server.reindex_listed()
    with pytest.raises(UnlistedRoleError) as caught:
        driver.find(driver.refresh())
    assert caught.value.fields() == {"repository": IMAGE, "role": ACME}


def test_a_search_needs_a_refresh_with_snapshot_and_targets(driver: Driver) -> None:
    trusted = driver.refresh()
    for missing in (trusted._replace(targets=None), trusted._replace(snapshot=None)):
        with pytest.raises(UsageError):
            driver.find(missing)


def test_a_search_is_judged_by_the_time_that_is_proven(driver: Driver) -> None:
    trusted = driver.refresh()
    driver.now = START + timedelta(days=60)
    driver.server.publish("targets")
    assert time_floor([driver.refresh()]) == driver.now
    driver.now = START

    driver.server.bodies["acme"]["expires"] = "2030-02-01T00:00:00Z"
    driver.server.put("acme")
    later = driver.store.restore("image")
    with pytest.raises(ExpiredError) as caught:
        driver.find(later)
    assert caught.value.fields()["role"] == ACME
    assert caught.value.now == START + timedelta(days=60)
    assert driver.find(trusted).entry is not None


# one fetch


def test_what_a_driver_may_answer() -> None:
    for data in (b"", b"1234", ABSENT):
        assert _fetched(data) is data
    with pytest.raises(LimitError) as caught:
        _fetched(b"12345")
    assert (caught.value.value, caught.value.limit) == (5, 4)
    assert caught.value.what.startswith("image/targets")
    with pytest.raises(TypeError):
        _fetched(None)


def test_a_copy_of_another_place_is_bounded_too() -> None:
    refusal = RollbackError(repository=IMAGE, role=TARGETS, offered=1, trusted=2)

    def check(_data: bytes) -> None:
        raise refusal

    def answer(command: Command) -> Answer:
        return b"1234" if isinstance(command, Fetch) else b"12345"

    with pytest.raises(LimitError) as caught:
        drive(fetch_checked(CONTEXT, SNAPSHOT, 3, 4, check), answer)
    error = caught.value
    assert (error.what, error.value, error.limit) == ("image/snapshot in bytes", 5, 4)
    assert error.clause == "Uptane 2.1.0 5.4.4.5"


def test_a_file_that_has_to_exist() -> None:
    assert drive(fetch_required(CONTEXT, TARGETS, 3, 4), lambda _: b"1234") == b"1234"
    with pytest.raises(MissingMetadataError) as caught:
        drive(fetch_required(CONTEXT, TARGETS, 3, 4), lambda _: ABSENT)
    assert caught.value.fields() == {"repository": IMAGE, "role": TARGETS, "name": "3.targets.json"}
    with pytest.raises(LimitError):
        drive(fetch_required(CONTEXT, TARGETS, 3, 4), lambda _: b"12345")


def _fetched(answer: Answer) -> object:
    def check(command: Command) -> Answer:
        assert command == Fetch(IMAGE, TARGETS, 3, "3.targets.json", 4)
        return answer

    return drive(fetch(CONTEXT, TARGETS, 3, 4), check)


# the time


def test_the_floor_is_the_newest_time_of_any_file_of_any_repository(driver: Driver) -> None:
    trusted = driver.refresh()
    later = START + timedelta(days=3)
    other = trusted._replace(floors={})
    for role in (ROOT, TIMESTAMP, SNAPSHOT, TARGETS):
        newer = _issued(trusted, role, later)
        assert time_floor([newer]) == time_floor([other, newer]) == time_floor([newer, other]) == later
        # Losing the files lowers nothing.
        assert time_floor([newer._replace(timestamp=None, snapshot=None, targets=None)]) == later
    assert time_floor([]) is None
    assert time_floor([other]) is None
    assert time_floor([_issued(trusted, TIMESTAMP, None)]) == START
    assert not_before(START, []) == START
    assert not_before(START - timedelta(days=1), [trusted]) == START
    assert not_before(START + timedelta(days=1), [trusted]) == START + timedelta(days=1)


def _issued(trusted: TrustedRepository, role: RoleName, time: datetime | None) -> TrustedRepository:
    return trusted._replace(floors={**trusted.floors, role: trusted.floors[role]._replace(issued=time)})


def _values(trusted: TrustedRepository) -> tuple[object, ...]:
    """What can be compared: targets decode their entries when asked, so two readings of a file are not equal."""
    files = (trusted.root, trusted.timestamp, trusted.snapshot, trusted.targets)
    return (trusted.name, [None if file is None else (file.data, file.tally) for file in files], trusted.delegated)
