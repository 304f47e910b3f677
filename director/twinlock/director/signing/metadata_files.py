"""Which file a vehicle gets under which name, by its wire profile."""

from __future__ import annotations

import logging
from datetime import datetime

from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.signed_files import current_files, newest_issue, read_file
from twinlock.director.inventory.vehicles import read_profile
from twinlock.director.model.profiles import Profiles
from twinlock.director.model.records import Served
from twinlock.director.signing.issue import MetadataIssuer
from twinlock.director.signing.sign import InForce
from twinlock.repository.errors import SigningClockError
from twinlock.trust.names import ROOT, RoleName

log = logging.getLogger("twinlock.director.signing.metadata_files")


class Serving:
    """Serves the files of vehicles, and signs what is due when an unversioned one is asked for."""

    def __init__(self, database: Inventory, issuer: MetadataIssuer, profiles: Profiles) -> None:
        self._database = database
        self._issuer = issuer
        self._profiles = profiles

    def serve(self, vehicle: str, name: str, now: datetime) -> Served | None:
        """The file of that name, None if there is none.

        Raises: UnknownVehicleError, StorageError, and whatever signing raises.
        """
        if all(profile.parse_name(name) is None for profile in self._profiles):
            return None
        with self._database.reading() as connection:
            profile = self._profiles.named(read_profile(connection, vehicle))
            wanted = profile.parse_name(name)
            if wanted is None:
                return None
            if wanted.role == ROOT:
                return _served(profile.read_served_root(connection, wanted.version))
            if wanted.version is not None:
                return _served(read_file(connection, vehicle, wanted.role, wanted.version))
        return self._current(vehicle, wanted.role, now)

    def _current(self, vehicle: str, role: RoleName, now: datetime) -> Served | None:
        held = None
        try:
            in_force = self._issuer.current(vehicle, now)
        except SigningClockError as error:
            # What was signed before is still true, and the vehicle judges its expiry by its own time.
            log.error("%s keeps the files that it has: %s", vehicle, error)
            in_force, held = self._in_force(vehicle), error.code
            if in_force.issue is None:
                raise
        data, issue = in_force.files.get(role), in_force.issue
        assert issue is not None, "a set was made, or was in force"
        return None if data is None else Served(data=data, correlation_id=issue.correlation_id, held=held)

    def _in_force(self, vehicle: str) -> InForce:
        with self._database.reading() as connection:
            newest = newest_issue(connection, vehicle)
            return InForce() if newest is None else InForce(issue=newest[0], files=current_files(connection, newest[0]))


def _served(data: bytes | None) -> Served | None:
    return None if data is None else Served(data=data)
