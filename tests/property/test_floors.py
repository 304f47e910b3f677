"""Any interleaving of rotations, added keys, new files, crashes, damage and old files: a floor falls where a key left, only.

The oracle knows key names and versions, and nothing of the engine. After every poll the stored floors are held to it, and
the chain is walked both at once and with a restart after each link: both have to end in the same floors and files.
"""

from __future__ import annotations

import contextlib

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.vehicle import Store
from twinlock.testing.simulator.world import START
from twinlock.trust.checks.context import Context
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, Persist, Steps, drive
from twinlock.trust.engine.refresh import refresh_repository, walk_roots
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.local import TransportError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import IMAGE, ROOT, RoleName
from twinlock.trust.policy import LAX
from twinlock.trust.state.floors import Floor
from twinlock.trust.state.stored_floor import decode_floor
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.tuf.metadata import TUF

KEYS = KeyPool()
ROLES = ("timestamp", "snapshot", "targets")
ROLE = st.sampled_from(ROLES)


class Floors(RuleBasedStateMachine):
    """See the module. ``expected`` maps a role to its floor: version, and the keys that established it by role."""

    @initialize()
    def begin(self) -> None:
        self.image = RepositorySimulator("image", KEYS, lambda: START)
        self.store = Store({1: self.image.files["1.root.json"]})
        self.expected: dict[str, tuple[int, dict[str, set[str]]]] = {}
        self.pending: list[dict[str, tuple[set[str], int]]] = []
        self.numbers = dict.fromkeys(ROLES, 1)
        self.poll()

    # the owner of the repository

    @rule(role=ROLE)
    def rotate(self, role: str) -> None:
        self.numbers[role] += 1
        self._root(role, [self.image.key(role, self.numbers[role])], 1)
        self.image.publish("targets")

    @rule(role=ROLE, first=st.booleans())
    def add_a_key(self, role: str, first: bool) -> None:
        self.numbers[role] += 1
        signers, new = self.image.signers[role], self.image.key(role, self.numbers[role])
        self._root(role, [new, *signers] if first else [*signers, new], 1)
        self.image.signers[role] = signers

    @rule(role=ROLE)
    def rename_a_key(self, role: str) -> None:
        self.numbers[role] += 1
        old = self.image.signers[role]
        self._root(
            role,
            [
                key.alias(f"{self.numbers[role]:050x}{ROLES.index(role):04x}{place:010x}")
                for place, key in enumerate(old)
            ],
            1,
        )
        self.image.publish("targets")

    @rule(role=ROLE)
    def two_have_to_sign(self, role: str) -> None:
        self.numbers[role] += 1
        self._root(role, [self.image.signers[role][0], self.image.key(role, self.numbers[role])], 2)
        self.image.publish("targets")

    @rule()
    def publish(self) -> None:
        self.image.publish("targets")

    def _root(self, role: str, keys: list[object], threshold: int) -> None:
        self.image.set_keys(role, keys, threshold)  # type: ignore[arg-type]
        self.image.publish_root()
        names = {entry: {key.name for key in self.image.signers[entry]} for entry in ROLES}
        thresholds = {entry: self.image.bodies["root"]["roles"][entry]["threshold"] for entry in ROLES}
        self.pending.append({entry: (names[entry], thresholds[entry]) for entry in ROLES})
        # What signs is decided by the caller; who may sign is what Root names.

    # the vehicle

    @rule()
    def poll(self) -> None:
        if self.pending:
            self._walked_at_once_and_link_by_link()
        drive(refresh_repository(self.store.restore("image"), START), self._answer)
        self._links(len(self.pending))
        for role in ROLES:
            version = self.image.bodies[role]["version"]
            known = self.expected.get(role)
            if known is None or known[0] != version:
                led = [] if role == "timestamp" else [entry for entry in ROLES[:2] if entry != role]
                keys = {entry: self.expected[entry][1][entry] for entry in led if entry in self.expected}
                self.expected[role] = (version, {**keys, role: {key.name for key in self.image.signers[role]}})
        self._check()

    @rule(number=st.integers(0, 8))
    def crash(self, number: int) -> None:
        left = [number]

        def answer(command: Command) -> Answer:
            left[0] -= 1
            if left[0] < 0:
                raise TransportError(url="x", reason="the power went")
            return self._answer(command)

        with contextlib.suppress(TransportError):
            drive(refresh_repository(self.store.restore("image"), START), answer)
        self.poll()

    @rule(role=ROLE, data=st.sampled_from([b"", b"{}", b'{"signatures":[],"signed":{}}', None]))
    def damage(self, role: str, data: bytes | None) -> None:
        self.store.files.pop(role, None)
        if data is not None:
            self.store.files[role] = data
        assert {name: floor.version for name, floor in self._floors().items()} == self._versions()

    @rule()
    def lose_the_newest_root(self) -> None:
        if len(self.store.roots) > 1:
            del self.store.roots[max(self.store.roots)]

    @rule(back=st.integers(1, 4))
    def old_files(self, back: int) -> None:
        """Served by somebody without keys. Accepted only where no floor is left that forbids it."""
        back = min(back, *(len(self.image.history[role]) - 1 for role in ROLES))
        self.poll()
        with self.image.forgery():
            self.image.rewind_all(back)
            if self.image.bodies["timestamp"]["version"] >= self.expected["timestamp"][0]:
                return
            before = dict(self.store.files)
            try:
                drive(refresh_repository(self.store.restore("image"), START), self._answer)
            except RefusalError:
                assert self.store.files == before
            else:
                raise AssertionError("files of an earlier day were accepted")
        self._check()

    # the oracle

    def _links(self, number: int) -> None:
        for named in self.pending[:number]:
            fallen = {
                role
                for role, (_, keys) in self.expected.items()
                if any(not names <= named[entry][0] or len(names) < named[entry][1] for entry, names in keys.items())
            }
            if fallen & {"timestamp", "snapshot"}:
                fallen |= {"timestamp", "snapshot"}
            self.expected = {role: floor for role, floor in self.expected.items() if role not in fallen}
        del self.pending[:number]

    def _versions(self) -> dict[str, int]:
        return {role: version for role, (version, _) in self.expected.items()}

    def _floors(self) -> dict[RoleName, Floor]:
        floors = {role: decode_floor(data, role) for role, data in self.store.floors.items()}
        return {role: floor for role, floor in floors.items() if role != ROOT}

    def _check(self) -> None:
        assert {role: floor.version for role, floor in self._floors().items()} == self._versions()
        assert set(self.store.files) <= set(self._versions())

    def _answer(self, command: Command) -> Answer:
        if isinstance(command, Fetch):
            return self.image.serve(command)
        if isinstance(command, Persist):
            self.store.apply(command)
        return None

    def _walked_at_once_and_link_by_link(self) -> None:
        at_once, by_link = _copy(self.store), _copy(self.store)
        _walk(at_once, self.image, links=1_000)
        while _walk(by_link, self.image, links=1):
            pass
        assert at_once == by_link


def _copy(store: Store) -> Store:
    return Store(dict(store.roots), dict(store.files), dict(store.proofs), dict(store.floors))


def _walk(store: Store, image: RepositorySimulator, *, links: int) -> bool:
    """Follow at most so many links; whether any was followed."""
    followed = 0

    def answer(command: Command) -> Answer:
        nonlocal followed
        if isinstance(command, Persist):
            store.apply(command)
            followed += 1
            return None
        assert isinstance(command, Fetch)
        return image.serve(command) if followed < links else ABSENT

    context = Context(repository=IMAGE, now=image.clock(), limits=DEFAULT_LIMITS, wire=TUF, policy=LAX)
    steps: Steps[TrustedRepository] = walk_roots(store.restore("image"), context)
    try:
        drive(steps, answer)
    except RefusalError:
        assert links == 1  # cut off below the newest Root that was known
    return followed > 0


TestFloors = Floors.TestCase
TestFloors.settings = settings(
    max_examples=20,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
