"""The way out after the Director signed in the future: true times again, in files that outlast the false ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select
from tuf.api.metadata import Metadata, Root

from twinlock.director.catalogue.catalogue import CatalogueKeeper
from twinlock.director.errors.vehicles import RetiredVehicleError
from twinlock.director.inventory import schema
from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.history import record_audit
from twinlock.director.inventory.signing_marks import marks_of_issues, read_marks, write_marks
from twinlock.director.signing.published_roots import read_root
from twinlock.repository.errors import NothingToRecoverError
from twinlock.repository.signing.clock import BEHIND, ClockMarks, check_signing_clock, highest, issued_of
from twinlock.trust.text.times import format_time

_I, _V = schema.issues.c, schema.vehicles.c


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetClockRecovery:
    """What a recovery did. ``highest`` is the highest false time, ``vehicles`` are those that were signed for again.

    ``root_needed``: the newest Root states a time of the future, or expires before ``highest``. Vehicles that took the
    false files are then helped by a new Root only, which needs its offline keys.
    """

    highest: datetime
    vehicles: tuple[str, ...]
    root_needed: bool


def recover_clock(
    database: Inventory,
    catalogues: CatalogueKeeper,
    sign: Callable[[str], object],
    *,
    actor: str,
    now: datetime,
) -> FleetClockRecovery:
    """Confirm that the clock is right at ``now``, and sign again for every active vehicle whose files state a later time.

    The files of a retired one are made again when it is reactivated and asks.
    ``sign`` signs for one vehicle. The confirmation is stored and audited first; a recovery that was cut off is repeated.
    Raises: NothingToRecoverError if there is nothing to correct; ClockContradictedError if the Image repository contradicts it; and
    what ``sign`` raises.
    """
    check_signing_clock(now, ClockMarks(), catalogues.second_time(now))
    with database.writing("correct the signing clock") as connection:
        false = _highest_time(connection)
        vehicles = _vehicles_ahead(connection, now)
        last = read_marks(connection).last
        if not vehicles and (last is None or last <= now + BEHIND):
            raise NothingToRecoverError()
        write_marks(connection, ClockMarks(last=now, highest=false or now))
        detail = {"highest": format_time(false or now), "vehicles": len(vehicles)}
        record_audit(connection, actor=actor, action="recover-clock", detail=detail, now=now)
        root_needed = _is_root_needed(connection, false or now, now)
    signed = []
    for vehicle in vehicles:
        with suppress(RetiredVehicleError):  # meanwhile
            sign(vehicle)
            signed.append(vehicle)
    return FleetClockRecovery(highest=false or now, vehicles=tuple(signed), root_needed=root_needed)


def _highest_time(connection: Connection) -> datetime | None:
    root = read_root(connection)
    times = (read_marks(connection).highest, marks_of_issues(connection).highest, issued_of(root) if root else None)
    return highest(times)


def _vehicles_ahead(connection: Connection, now: datetime) -> tuple[str, ...]:
    """The active vehicles whose newest set of files states a time of the future."""
    newest = select(func.max(_I.number)).group_by(_I.vehicle)
    active = select(_V.vehicle).where(_V.retired_at.is_(None))
    query = select(_I.vehicle).where(_I.number.in_(newest), _I.issued_at > now + BEHIND, _I.vehicle.in_(active))
    query = query.order_by(_I.vehicle)
    return tuple(connection.execute(query).scalars())


def _is_root_needed(connection: Connection, false: datetime, now: datetime) -> bool:
    data = read_root(connection)
    if data is None:
        return False
    issued = issued_of(data)
    return Metadata[Root].from_bytes(data).signed.expires <= false or (issued is not None and issued > now + BEHIND)
