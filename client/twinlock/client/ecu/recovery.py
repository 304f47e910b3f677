"""Recovery of a damaged or lost state file on the ECU itself, from the rows that can still be read and verified.

Without any, it begins at the read-only Roots of the anchor or those of the factory. Metadata count if they verify, floors as they were, and no counter begins at zero. It cannot be done from afar.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from twinlock.client.ecu.clock import follow_roots
from twinlock.client.ecu.config import EcuSettings, read_map
from twinlock.client.ecu.release_counter import ordered_counter, raise_floor
from twinlock.client.install.ab_slots import SlotInstaller
from twinlock.client.model.errors import NotDamagedError, RootInUseError, UnrecoverableError
from twinlock.client.storage.anchor import load_anchor
from twinlock.client.storage.database import take_lock
from twinlock.client.storage.state import TrustedState
from twinlock.io.files.durable import flush_directory, storage_errors
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, Persist, drive
from twinlock.trust.engine.first_contact import check_given_root, check_given_roots
from twinlock.trust.engine.restore import restore_repository
from twinlock.trust.errors.base import RefusalError, TwinlockError, UsageError
from twinlock.trust.names import DIRECTOR, IMAGE, ROOT, TOP_LEVEL, RepositoryName, RoleName
from twinlock.trust.state.stored_floor import decode_floor
from twinlock.trust.wire.tuf.metadata import TUF

_TABLES = {
    "metadata": ("repository", "role", "version", "data"),
    "floors": ("repository", "role", "floor"),
    "facts": ("name", "value"),
    "reports": ("ecu", "data"),
}
_SUFFIXES = ("", "-wal", "-shm")
"""The files of one SQLite database."""
_ORIGIN = "recovered"
"""The fact of a state that was recovered: which Roots were given, and the name of the file that was damaged."""


class Origin(NamedTuple):
    """The repositories whose Roots an operator gave, and the name of the damaged file, None for a lost one."""

    given: tuple[str, ...]
    damaged: str | None

    def after(self, roots: Mapping[RepositoryName, bytes], damaged: Path | None) -> dict[str, Any]:
        """The fact to store by a recovery with ``roots``; one that is repeated has the origin of the first."""
        first = self.damaged if self.given else damaged and damaged.name
        return {"given": sorted({*self.given, *roots}), "damaged": first}


class Recovered(NamedTuple):
    """What a recovery kept: the versions in force by repository and role, both counters, and where the damaged file is now.

    ``damaged`` is None where the file was lost.
    """

    versions: Mapping[RepositoryName, Mapping[str, int]]
    release_counter: int
    report_counter: int
    damaged: Path | None


def recover_state(
    settings: EcuSettings,
    roots: Mapping[RepositoryName, bytes],
    release_counter: int | None,
    now: datetime,
    *,
    again: bool = False,
) -> Recovered:
    """Replace a damaged or lost state file by one of what it still holds. ``roots`` are the factory's, where its own are lost.

    The Roots in the anchor, if this ECU has one, need not be given.

    ``release_counter`` is for an ECU whose counter can be read nowhere; a proven one that is higher holds. The report counter
    continues at the seconds since 1970 at ``now``: above every one that was used.
    ``again`` corrects a recovery that was given wrong Roots: the ``roots`` take their place, and every floor and counter stays.
    Raises: GivenRootError for swapped files; RootInUseError ``again``; UnrecoverableError if a Root or the counter can be read nowhere; ConflictError if the ECU runs; StorageError; any refusal of a Root. The damaged file is untouched then, and kept next to the new one otherwise.
    """
    _check_given(settings, roots)
    path = settings.state
    lock = take_lock(path)
    try:
        source = _source(path)
        rows = {table: _salvaged(source, table, columns) for table, columns in _TABLES.items()}
        origin = Origin((), None) if source == path else _stated_origin(rows["facts"])
        if again:
            origin = _origin_of_mistake(settings, source, roots)
        rows |= _rows_of_origin(path, origin, roots, rows)
        draft = path.with_name(f"{path.name}.recovering")
        _remove(draft)
        anchors = _anchors(settings, roots, rows["metadata"])
        with TrustedState.create(draft, anchors, wires=settings.wires, limits=settings.limits) as state:
            _keep_facts(state, rows)
            state._store_fact(_ORIGIN, origin.after(roots, _kept_as(path)))  # noqa: SLF001 - likewise
            versions = {name: _keep_repository(settings, state, name, rows) for name in _repositories(settings)}
            counter = _release_counter(settings, state, release_counter)
            # The last stated time may be lost, and no report may state an earlier one.
            stated = max(state.stated_time or now, now)
            reports = state.reserve_counter(at_least=int(now.timestamp()), stated=stated)
        return Recovered(versions, counter, reports, _swap(path, draft))
    finally:
        os.close(lock)


def _check_given(settings: EcuSettings, roots: Mapping[RepositoryName, bytes]) -> None:
    """Refuse the Roots of an operator who swapped the files, or gave one twice. Raises: GivenRootError; the refusal of a Root."""
    given = {name: check_given_root(name, root, wire=settings.wires.get(name, TUF)) for name, root in roots.items()}
    if DIRECTOR in given:
        check_given_roots(given[DIRECTOR], given.get(IMAGE))


def _stated_origin(facts: Iterable[tuple[Any, ...]]) -> Origin:
    """The origin that an interrupted recovery stated in its result."""
    stated = [json.loads(value) for name, value in facts if name == _ORIGIN]
    return Origin(tuple(stated[0]["given"]), stated[0]["damaged"]) if stated else Origin((), None)


def _origin_of_mistake(settings: EcuSettings, source: Path, roots: Mapping[RepositoryName, bytes]) -> Origin:
    """Where the state of a recovery came from whose Roots are to be replaced.

    Raises: UsageError without a Root; RootInUseError for one that was not given to that recovery, or that proved itself.
    """
    if not roots:
        raise UsageError(reason="give the right Roots: --director-root, --image-root or both")
    with TrustedState.open(source, wires=settings.wires, limits=settings.limits, read_only=True) as state:
        fact = state._fact(_ORIGIN)  # noqa: SLF001 - the same half of the state
        origin = Origin(tuple(fact["given"]), fact["damaged"]) if fact else Origin((), None)
        for name in roots:
            trusted = state.repository(name)
            reason = ""
            if name not in origin.given:
                reason = "no recovery was given this Root"
            elif trusted.timestamp or trusted.snapshot or trusted.targets:
                reason = "metadata verified under it, so it is the Root of the repository that this ECU follows"
            if reason:
                raise RootInUseError(path=str(settings.state), repository=name, reason=reason)
    return origin


def _rows_of_origin(
    path: Path, origin: Origin, roots: Mapping[RepositoryName, bytes], rows: Mapping[str, list[tuple[Any, ...]]]
) -> dict[str, list[tuple[Any, ...]]]:
    """Metadata and floors, for a recovery that is repeated: of the repositories of ``roots`` as the damaged file holds them.

    A wrong Root verified none of them. What followed from it is dropped, but no floor is.
    """
    if not origin.given:
        return {}
    first = {
        table: [] if origin.damaged is None else _salvaged(path.with_name(origin.damaged), table, _TABLES[table])
        for table in ("metadata", "floors")
    }
    kept = [row for row in rows["metadata"] if row[0] not in roots]
    return {
        "metadata": [*kept, *(row for row in first["metadata"] if row[0] in roots)],
        "floors": [*first["floors"], *rows["floors"]],
    }


def check_damaged(settings: EcuSettings) -> None:
    """Return if the state cannot be used. Raises: NotDamagedError if it can: recovering it could only lose data."""
    try:
        with TrustedState.open(settings.state, wires=settings.wires, limits=settings.limits, read_only=True) as state:
            state.repositories(_repositories(settings))
            state.reports()
            _ = (state.events(), state.decision, state.begun)
    except (TwinlockError, ValueError):
        return
    raise NotDamagedError(path=str(settings.state))


def _source(path: Path) -> Path:
    """What to recover from: the state file, or the result of a recovery that was killed after it had removed that."""
    complete = _complete(path)
    return complete if complete.exists() and not path.exists() else path


def _complete(path: Path) -> Path:
    return path.with_name(f"{path.name}.recovered")


def _repositories(settings: EcuSettings) -> list[RepositoryName]:
    mapped = read_map(settings)
    return [DIRECTOR] if mapped is None else list(mapped.repositories)


def _salvaged(path: Path, table: str, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """The rows of ``table`` up to the first that cannot be read."""
    rows: list[tuple[Any, ...]] = []
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            for row in connection.execute(f"SELECT {', '.join(columns)} FROM {table}"):  # noqa: S608 - our own names
                rows.append(row)
        finally:
            connection.close()
    except sqlite3.Error:
        pass  # keep what was read so far
    return rows


def _anchors(
    settings: EcuSettings, roots: Mapping[RepositoryName, bytes], metadata: list[tuple[Any, ...]]
) -> dict[RepositoryName, bytes]:
    known = {**(load_anchor(settings.anchor, settings.limits) if settings.anchor is not None else {}), **roots}
    for name in _repositories(settings):
        stored = [(version, data) for repository, role, version, data in metadata if (repository, role) == (name, ROOT)]
        if name not in known and not stored:
            raise UnrecoverableError(path=str(settings.state), missing=f"Root of {name}", option=f"--{name}-root")
        known.setdefault(name, min(stored, default=(0, b""))[1])
    return {name: known[name] for name in _repositories(settings)}


def _keep_facts(state: TrustedState, rows: Mapping[str, list[tuple[Any, ...]]]) -> None:
    for name, value in rows["facts"]:
        try:
            state._store_fact(name, json.loads(value))  # noqa: SLF001 - the same half of the state, written whole
        except ValueError:
            continue
    for ecu, data in rows["reports"]:
        state.store_report(ecu, data)


def _keep_repository(
    settings: EcuSettings, state: TrustedState, name: RepositoryName, rows: Mapping[str, list[tuple[Any, ...]]]
) -> dict[str, int]:
    """Store what verifies of ``name`` under the newest Root that a chain leads to; returns the versions in force by role."""
    stored = [(role, version, data) for repository, role, version, data in rows["metadata"] if repository == name]
    chain: dict[int, bytes] = {version: data for role, version, data in stored if role == ROOT}

    def answer(command: Command) -> Answer:
        if isinstance(command, Fetch):
            return chain.get(command.version or 0, ABSENT)
        if isinstance(command, Persist):
            state.persist(command)
        return None

    drive(follow_roots(state.repository(name), settings.limits), answer)
    root = state.repository(name).root
    files = {RoleName(role): data for role, _version, data in stored if role != ROOT}
    wire, limits = settings.wires.get(name, TUF), settings.limits
    trusted = restore_repository(name, {ROOT: root.data, **files}, wire=wire, limits=limits)
    kept = {"root": root.signed.version}
    for role, version, data in stored:
        verified = {"timestamp": trusted.timestamp, "snapshot": trusted.snapshot, "targets": trusted.targets}.get(role)
        if role not in TOP_LEVEL or verified is not None:
            floors = {RoleName(role): trusted.floors[RoleName(role)]} if role in trusted.floors else {}
            state.persist(Persist(name, ((RoleName(role), version, data),), floors=floors))
            kept |= {role: version} if verified is not None else {}
    _keep_floors(state, name, rows["floors"])
    return kept


def _keep_floors(state: TrustedState, name: RepositoryName, rows: list[tuple[Any, ...]]) -> None:
    """A floor outlives its file: one that can be read and is not below the file's own holds."""
    held = dict(state.repository(name).floors)
    for repository, role, data in rows:  # a role may have two: the higher one holds
        try:
            floor = decode_floor(data, f"floor of {repository}/{role}")
        except RefusalError:
            continue
        if repository == name and (role not in held or held[role].version <= floor.version):
            state.persist(Persist(name, (), floors={role: floor}))
            held[RoleName(role)] = floor


def _release_counter(settings: EcuSettings, state: TrustedState, given: int | None) -> int:
    """Raise the floor to the highest counter that anything still shows. Raises: UnrecoverableError."""
    ecu = settings.ecu.ecu
    ordered = ordered_counter(ecu, state) if state.release_counter is None else None
    floor = raise_floor(state, given, SlotInstaller(settings.slots, ecu).installed().release_counter, ordered)
    if floor is None:
        raise UnrecoverableError(
            path=str(settings.state), missing=f"release counter of {ecu}", option="--release-counter"
        )
    return floor


def _kept_as(path: Path) -> Path | None:
    """Where the damaged file is or will be, if there was one."""
    if path.exists():
        return _vacant_name(path)
    return _newest_damaged(path) if _source(path) != path else None


def _swap(path: Path, draft: Path) -> Path | None:
    """Put the new file in place and keep the damaged one, if there is one; returns where that is.

    A crash leaves the damaged file with its log under its name, or the new one under one that the next recovery reads.
    """
    resumed = _source(path) != path
    with storage_errors("replace", path):
        for suffix in _SUFFIXES[1:]:  # left by a reader, and empty
            _complete(path).with_name(_complete(path).name + suffix).unlink(missing_ok=True)
        draft.replace(_complete(path))
        flush_directory(path.parent)
        damaged = _keep_damaged(path) if path.exists() else _newest_damaged(path) if resumed else None
        # The database first: without its log it would lose rows, and the next file must not meet the log of another.
        for suffix in _SUFFIXES:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
            flush_directory(path.parent)
        _complete(path).replace(path)
        flush_directory(path.parent)
        _remove(draft)
    return damaged


def _keep_damaged(path: Path) -> Path:
    """Give the damaged file, and what SQLite keeps next to it, a second name. Raises: OSError."""
    damaged = _vacant_name(path)
    for suffix in _SUFFIXES:
        old, kept = path.with_name(path.name + suffix), damaged.with_name(damaged.name + suffix)
        if old.exists():
            kept.unlink(missing_ok=True)
            kept.hardlink_to(old)
    flush_directory(path.parent)
    return damaged


def _vacant_name(path: Path) -> Path:
    """Where the damaged file is to be kept: a killed recovery may have begun to."""
    number = 1
    while (damaged := _damaged(path, number)).exists() and not damaged.samefile(path):
        number += 1
    return damaged


def _newest_damaged(path: Path) -> Path | None:
    number = 0
    while _damaged(path, number + 1).exists():
        number += 1
    return _damaged(path, number) if number else None


def _damaged(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.damaged-{number}")


def _remove(draft: Path) -> None:
    for suffix in (*_SUFFIXES, ".lock"):
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)
