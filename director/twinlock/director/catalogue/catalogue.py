"""The Director's verified view of the Image repository: which images exist, for which hardware, as the engine sees it.

The Director trusts the Image repository as a vehicle does, starting from the Root it was created with. An image counts
only if the delegation walk finds it; names are collected beforehand from all files, but only as a hint where to look.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from sqlalchemy import Connection

from twinlock.director.catalogue.source import FetchFile
from twinlock.director.catalogue.trusted_files import load_files, load_floors, newest_versions, store_files
from twinlock.director.catalogue.waiting import SOURCE, Waiting
from twinlock.director.inventory.database import Inventory
from twinlock.director.model.software import mentioned, read_software
from twinlock.repository.signing.clock import SecondTime
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, Persist, drive
from twinlock.trust.engine.delegation import find_image
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import restore_repository
from twinlock.trust.errors.base import RefusalError, TwinlockError
from twinlock.trust.errors.local import StorageError, TransportError
from twinlock.trust.errors.metadata import ExpiredError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.targets import ImageEntry, Targets
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, HardwareId, RoleName, TargetPath
from twinlock.trust.policy import LAX
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.tuf.metadata import TUF

log = logging.getLogger("twinlock.director.catalogue.catalogue")

# How long a lookup counts while nothing is published: the expiry of delegated files is judged again after it.
_LOOKUPS_HOLD = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Hint:
    """What a Targets file states of an image before its delegation was checked: enough to know where to look."""

    component: str | None
    mentions: frozenset[str]
    hardware_ids: frozenset[HardwareId]


class Catalogue:
    """The images of one verified state of the Image repository. ``problems`` are roles and entries that were refused.

    ``earlier`` is the view before this one: what it looked up still holds if nothing was published since.
    """

    def __init__(
        self,
        trusted: TrustedRepository,
        now: datetime,
        fetch: FetchFile,
        earlier: Catalogue | None = None,
        *,
        waiting: Waiting | None = None,
    ) -> None:
        self.trusted: TrustedRepository = trusted
        self.now = now
        self.looked_up_since: datetime = now
        self.problems: dict[str, TwinlockError] = {}
        self.unsaved: list[Persist] = []
        self._fetch = fetch
        self._waiting = waiting or Waiting()
        self._lock = threading.RLock()
        self._files: dict[str, bytes] = {}
        self._found: dict[tuple[TargetPath, HardwareId], tuple[ImageEntry | None, tuple[RoleName, ...]]] = {}
        self._hints: dict[TargetPath, list[Hint]] | None = None
        if earlier is not None and earlier.content == self.content and now - earlier.looked_up_since < _LOOKUPS_HOLD:
            self._take_over(earlier)

    def _take_over(self, earlier: Catalogue) -> None:
        with suppress(TransportError), self._waiting.turn(earlier._lock):
            self.trusted = self.trusted._replace(delegated={**self.trusted.delegated, **earlier.trusted.delegated})
            self.looked_up_since = earlier.looked_up_since
            self.problems = dict(earlier.problems)
            self.unsaved = list(earlier.unsaved)
            self._files, self._found, self._hints = dict(earlier._files), dict(earlier._found), earlier._hints

    @property
    def versions(self) -> Mapping[str, int]:
        """The versions of its top-level files by role, as decisions record them."""
        trusted = self.trusted
        roles = {ROOT: trusted.root, TIMESTAMP: trusted.timestamp, SNAPSHOT: trusted.snapshot, TARGETS: trusted.targets}
        return {role: verified.signed.version for role, verified in roles.items() if verified is not None}

    @property
    def content(self) -> Mapping[str, int]:
        """The versions that decide which images there are; a mere re-signing of Timestamp is not among them."""
        assert self.trusted.snapshot is not None
        roles = {role: info.version for role, info in sorted(self.trusted.snapshot.signed.targets.items())}
        return {"root": self.trusted.root.signed.version, **{f"targets/{role}": n for role, n in roles.items()}}

    def find(self, path: TargetPath, hardware_id: HardwareId) -> ImageEntry | None:
        """The entry of an image for some hardware; None if the repository lists none.

        Raises: RefusalError of every kind for a role on the way, TransportError, StorageError.
        """
        return self._look_up(path, hardware_id)[0]

    def chain(self, path: TargetPath, hardware_id: HardwareId) -> tuple[RoleName, ...]:
        """The roles that lead to the entry, from top-level Targets on; empty if there is none. Raises: as ``find``."""
        return self._look_up(path, hardware_id)[1]

    def _look_up(self, path: TargetPath, hardware_id: HardwareId) -> tuple[ImageEntry | None, tuple[RoleName, ...]]:
        """The entry, and the roles that led to it."""
        key = (path, hardware_id)
        with self._waiting.turn(self._lock):
            if key not in self._found:
                lookup = drive(find_image(self.trusted, path, hardware_id, self.now, policy=LAX), self._answer)
                self.trusted = lookup.trusted
                self._found[key] = (lookup.entry, lookup.chain)
            return self._found[key]

    def mentions(self, hardware_ids: Iterable[HardwareId]) -> Mapping[str, frozenset[str]]:
        """For each component on this hardware, the components that some image of it needs or conflicts with."""
        hardware = frozenset(hardware_ids)
        mentions: dict[str, frozenset[str]] = {}
        with self._waiting.turn(self._lock):
            for hint in (hint for hints in self._all_hints().values() for hint in hints):
                if hint.component is not None and hint.hardware_ids & hardware:
                    mentions[hint.component] = mentions.get(hint.component, frozenset()) | hint.mentions
        return mentions

    def count(self, hardware_id: HardwareId) -> int:
        """How many names of images are listed for ``hardware_id``, by whatever is written there; nothing is verified."""
        with self._waiting.turn(self._lock):
            return sum(any(hardware_id in hint.hardware_ids for hint in hints) for hints in self._all_hints().values())

    def offers(
        self, hardware_id: HardwareId, components: Container[str | None] | None = None
    ) -> tuple[ImageEntry, ...]:
        """Every image that is properly listed for ``hardware_id``, by path; only those of ``components`` if given.

        What is refused on the way is noted in ``problems`` and not offered. Raises: TransportError, StorageError.
        """
        with self._waiting.turn(self._lock):
            names = sorted(
                path
                for path, hints in self._all_hints().items()
                if any(_fits(hint, hardware_id, components) for hint in hints)
            )
            entries = [self._offer(path, hardware_id) for path in names]
        return tuple(
            entry for entry in entries if entry is not None and hardware_id in (entry.hardware_ids or frozenset())
        )

    def _offer(self, path: TargetPath, hardware_id: HardwareId) -> ImageEntry | None:
        try:
            return self.find(path, hardware_id)
        except RefusalError as error:
            self.problems[path] = error
            return None

    def _all_hints(self) -> dict[TargetPath, list[Hint]]:
        if self._hints is None:
            hints: dict[TargetPath, list[Hint]] = {}
            for targets in self._all_targets():
                for path in targets.images:
                    try:
                        hints.setdefault(path, []).append(_hint(targets.images[path]))
                    except RefusalError as error:
                        self.problems[path] = error
            self._hints = hints
        return self._hints

    def _all_targets(self) -> Iterator[Targets]:
        """Every Targets file that Snapshot lists. Delegated ones are *not* verified here: their names are hints."""
        assert self.trusted.snapshot is not None
        assert self.trusted.targets is not None
        yield self.trusted.targets.signed
        for role, info in sorted(self.trusted.snapshot.signed.targets.items()):
            if role == TARGETS:
                continue
            try:
                yield TUF.decode_targets(self._delegated(role, info.version), f"{IMAGE}/{role}", DEFAULT_LIMITS).signed
            except RefusalError as error:
                self.problems[role] = error

    def _delegated(self, role: RoleName, version: int) -> bytes:
        stored = self.trusted.delegated.get(role)
        if stored is not None and _is_version(stored, role, version):
            return stored
        data = self._get(TUF.file_name(role, version), DEFAULT_LIMITS.targets_bytes)
        return data if isinstance(data, bytes) else b""

    def _answer(self, command: Command) -> Answer:
        if isinstance(command, Persist) and command.files:  # the Director keeps no proofs
            self.unsaved.append(command)
        return self._get(command.name, command.max_bytes) if isinstance(command, Fetch) else None

    def _get(self, name: str, limit: int) -> Answer:
        """Versioned files never change, so one that was fetched once in this state is kept."""
        if name not in self._files:
            if self._waiting.is_away:
                raise TransportError(url=name, reason="the Image repository did not answer in time a moment ago")
            data = self._waiting.ask(lambda: self._fetch(name, limit))
            if not isinstance(data, bytes):
                return data
            self._files[name] = data
        return self._files[name]


def _hint(entry: ImageEntry) -> Hint:
    software = read_software(entry)
    return Hint(software.component, mentioned(software), entry.hardware_ids or frozenset())


def _fits(hint: Hint, hardware_id: HardwareId, components: Container[str | None] | None) -> bool:
    return hardware_id in hint.hardware_ids and (components is None or hint.component in components)


def _is_version(data: bytes, role: RoleName, version: int) -> bool:
    try:
        return TUF.decode_targets(data, f"{IMAGE}/{role}", DEFAULT_LIMITS).signed.version == version
    except RefusalError:
        return False


@dataclass(frozen=True, slots=True)
class _Asked:
    """When the Image repository was asked for the time, by both clocks, and what it proved."""

    now: datetime
    at: float
    answer: SecondTime | None


class CatalogueKeeper:
    """Keeps the view up to date. Threads may share it; it is refreshed by one at a time."""

    def __init__(self, database: Inventory, fetch: FetchFile, *, max_age_s: int) -> None:
        self._database = database
        self._fetch = fetch
        self._max_age = timedelta(seconds=max_age_s)
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        self._waiting = Waiting()
        self._current: Catalogue | None = None
        self._second: _Asked | None = None

    def current(self, now: datetime) -> Catalogue:
        """A view not older than the agreed age, nor than what another process has stored meanwhile.

        If the repository cannot be reached, or keeps another request waiting, the last one while it is valid.
        Raises: RefusalError of every kind, TransportError before anything was ever fetched, StorageError.
        """
        try:
            with self._waiting.turn(self._lock):
                current = self._current
                if current is not None and abs(now - current.now) <= self._max_age and not self._overtaken(current):
                    return current
                try:
                    return self._refresh(now)
                except (TransportError, StorageError) as error:
                    return self._stored(now, error)
        except TransportError as late:
            current = self._current
            if current is not None and now < current.trusted.valid_until and not self._overtaken(current):
                return current
            return self._stored(now, late)

    def second_time(self, now: datetime) -> SecondTime | None:
        """What the Image repository proves of the time; None where it gave no usable answer, which is logged.

        An answer counts for as long as a view does. Raises: StorageError.
        """
        try:
            return self._second_time(now)
        except TransportError as late:
            log.warning("only this clock vouches for the time: %s", late)
            return None

    def _second_time(self, now: datetime) -> SecondTime | None:
        with self._waiting.turn(self._lock):
            asked = self._second
            if (
                asked is None
                or abs(now - asked.now) > self._max_age
                or monotonic() - asked.at > self._max_age.total_seconds()
            ):
                asked = self._second = _Asked(now, monotonic(), self._ask_time(now))
            return asked.answer

    def _ask_time(self, now: datetime) -> SecondTime | None:
        try:
            current = self._current
            if current is None or abs(now - current.now) > self._max_age or self._overtaken(current):
                current = self._refresh(now)
        except ExpiredError as error:
            return SecondTime(source=SOURCE, earliest=None, latest=error.expires)
        except (TransportError, RefusalError) as error:
            log.warning(
                "the Image repository gave no usable answer, so only this clock vouches for the time: %s", error
            )
            return None
        assert current.trusted.timestamp is not None
        timestamp = current.trusted.timestamp.signed
        return SecondTime(source=SOURCE, earliest=timestamp.issued, latest=timestamp.expires)

    def refresh(self, now: datetime) -> Catalogue:
        """A view as of now. Raises: RefusalError of every kind, TransportError, StorageError."""
        with self._lock:
            return self._refresh(now)

    def save(self) -> None:
        """Store the delegated files that lookups brought, unless another process has stored a newer view since.

        Not to be called inside a transaction.
        """
        with self._saving:
            current = self._current
            if current is None or not current.unsaved:
                return
            with self._database.writing("store trusted metadata") as connection:
                if _is_overtaken(connection, current):
                    current.unsaved.clear()
                while current.unsaved:
                    store_files(connection, current.unsaved[0])
                    current.unsaved.pop(0)

    def _refresh(self, now: datetime) -> Catalogue:
        trusted = self._load()

        def answer(command: Command) -> Answer:
            if isinstance(command, Fetch):
                return self._waiting.ask(lambda: self._fetch(command.name, command.max_bytes))
            if isinstance(command, Persist):
                with self._database.writing("store trusted metadata") as connection:
                    store_files(connection, command)
            return None

        return self._replace(drive(refresh_repository(trusted, now, policy=LAX), answer), now)

    def _overtaken(self, current: Catalogue) -> bool:
        """Whether another process has stored newer files: what it assigned may be in none that are known here."""
        with self._database.reading() as connection:
            return _is_overtaken(connection, current)

    def _stored(self, now: datetime, cause: TwinlockError) -> Catalogue:
        trusted = self._load()
        if trusted.targets is None:
            raise cause
        steps = refresh_repository(trusted, now, policy=LAX)  # the same checks, expiry above all, on what is stored
        trusted = drive(steps, lambda command: stored_answer(trusted, command))
        return self._replace(trusted, now)

    def _replace(self, trusted: TrustedRepository, now: datetime) -> Catalogue:
        self._current = Catalogue(trusted, now, self._fetch, self._current, waiting=self._waiting)
        return self._current

    def _load(self) -> TrustedRepository:
        with self._database.reading() as connection:
            return restore_repository(IMAGE, load_files(connection, IMAGE), floors=load_floors(connection, IMAGE))


def _is_overtaken(connection: Connection, current: Catalogue) -> bool:
    stored = newest_versions(connection, IMAGE)
    return any(stored.get(role, 0) > current.versions[role] for role in (ROOT, TIMESTAMP))


def stored_answer(trusted: TrustedRepository, command: Command) -> Answer:
    """Answer the engine from what is trusted already: there is no newer Root, and every other file is as it was."""
    if not isinstance(command, Fetch):
        return None
    top = {TIMESTAMP: trusted.timestamp, SNAPSHOT: trusted.snapshot, TARGETS: trusted.targets}
    verified = top.get(command.role)
    if verified is not None and command.version in (None, verified.signed.version):
        return verified.data
    data = trusted.delegated.get(command.role)
    return ABSENT if data is None else data
