"""Which file a vehicle gets under which name, by the wire profile that it speaks."""

from __future__ import annotations

import logging
import re
from datetime import datetime

from sqlalchemy import Connection

from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.signed_files import newest_issue, read_file
from twinlock.director.inventory.vehicles import load_vehicle
from twinlock.director.model.records import AKTUALIZR_WIRE, Issue, Served
from twinlock.director.signing.aktualizr_roots import read_served_root
from twinlock.director.signing.issue import Ordering
from twinlock.director.signing.roots import read_root
from twinlock.repository.errors import SigningClockError
from twinlock.trust.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RoleName

log = logging.getLogger("twinlock.director.signing.metadata_files")

_VERSIONED = re.compile(r"([1-9][0-9]{0,17})\.(root|snapshot|targets)\.json")
_BARE = {f"{role}.json": role for role in (ROOT, SNAPSHOT, TARGETS, TIMESTAMP)}


class Serving:
    """Gives out the files of vehicles, signing what is due when an unversioned one is asked for."""

    def __init__(self, database: Inventory, ordering: Ordering) -> None:
        self._database = database
        self._ordering = ordering

    def serve(self, vehicle: str, name: str, now: datetime) -> Served | None:
        """The file of that name, None if there is none.

        In the ``aktualizr`` profile Root alone has a version in its name, and nothing else has: its client asks so.
        Raises: UnknownVehicleError, StorageError, and whatever signing raises.
        """
        match, role = _VERSIONED.fullmatch(name), _BARE.get(name)
        if match is None and role is None:
            return None
        with self._database.reading() as connection:
            other = load_vehicle(connection, vehicle).wire == AKTUALIZR_WIRE
            if match is not None:
                return _served(_versioned(connection, vehicle, match[2], int(match[1]), other=other))
            if role == ROOT:
                return None if other else _served(read_root(connection))
        assert role is not None
        return self._current(vehicle, role, now)

    def _current(self, vehicle: str, role: RoleName, now: datetime) -> Served | None:
        held = None
        try:
            issue = self._ordering.ensure_current(vehicle, now)
        except SigningClockError as error:
            # What was signed before is still true, and the vehicle judges its expiry by its own time.
            log.error("%s keeps the files that it has: %s", vehicle, error)
            found, held = self._in_force(vehicle), error.code
            if found is None:
                raise
            issue = found
        version = {TARGETS: issue.targets, SNAPSHOT: issue.snapshot, TIMESTAMP: issue.timestamp}[role]
        with self._database.reading() as connection:
            data = read_file(connection, vehicle, role, version)
        return None if data is None else Served(data=data, correlation_id=issue.correlation_id, held=held)

    def _in_force(self, vehicle: str) -> Issue | None:
        with self._database.reading() as connection:
            newest = newest_issue(connection, vehicle)
        return None if newest is None else newest[0]


def _versioned(connection: Connection, vehicle: str, role: str, version: int, *, other: bool) -> bytes | None:
    if role == ROOT:
        return read_served_root(connection, version) if other else read_root(connection, version)
    return None if other else read_file(connection, vehicle, role, version)


def _served(data: bytes | None) -> Served | None:
    return None if data is None else Served(data=data)
