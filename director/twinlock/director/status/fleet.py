"""The state of every vehicle and of the Director itself: what it cannot do is visible without asking for a reason.

``read_states`` reads the inventory only; what has to be tried (signing, the Image repository) is tried by
``Director.status``, which the command and metrics share (readiness: ``signing/readiness.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from twinlock.director.inventory import schema
from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.history import LIMIT_CODE
from twinlock.director.model.records import ATTACK, FAILURE, HELD, IMPOSSIBLE, ORDERED, WAITING
from twinlock.director.status.event_summary import EventSummary, summarize_events
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.errors.local import FetchError
from twinlock.trust.errors.reports import MissingEcuError, ReportReplayError
from twinlock.trust.text.times import format_time

OK, WAITING_STATE, SILENT, FAILING, ATTACKED, RETIRED = "ok", "waiting", "silent", "failing", "attacked", "retired"
STATES = (ATTACKED, FAILING, SILENT, WAITING_STATE, OK, RETIRED)  # the most severe first
RECENT = timedelta(days=1)  # how long an attack or a failure shows
SILENT_AFTER = timedelta(days=7)
_SHOWN = 20  # attacks or failures of a vehicle; an ECU may make up any number of codes
_DEACTIVATED = " answered 410: "  # a Director's answer to a vehicle that is retired
_V, _D, _O = schema.vehicles.c, schema.decisions.c, schema.outstanding.c
_M, _J = schema.manifests.c, schema.junk.c
_REPEATED = 2  # replays from which on a vehicle is taken to repeat itself


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleState:
    """The most severe state of a vehicle, and a sentence for each reason."""

    state: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetStatus:
    """Every vehicle's state; ``problems`` are what the Director cannot do now, ``due`` what it cannot do soon."""

    vehicles: Mapping[str, VehicleState]
    problems: tuple[str, ...] = ()
    due: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        counts = dict.fromkeys(STATES, 0)
        for item in self.vehicles.values():
            counts[item.state] += 1
        object.__setattr__(self, "counts", counts)

    def of(self, vehicle: str) -> VehicleState | None:
        """The state of one vehicle, None if it is not registered."""
        return self.vehicles.get(vehicle)

    def metrics(self) -> str:
        """The same in the text format of Prometheus."""
        lines = ["# TYPE twinlock_director_vehicles gauge"]
        lines += [f'twinlock_director_vehicles{{state="{state}"}} {count}' for state, count in self.counts.items()]
        for name, value in (("problems", self.problems), ("due", self.due)):
            lines += [f"# TYPE twinlock_director_{name} gauge", f"twinlock_director_{name} {len(value)}"]
        return "\n".join(lines) + "\n"


def read_status(
    database: Inventory, attempts: Mapping[str, Callable[[], object]], *, due: tuple[str, ...], now: datetime
) -> FleetStatus:
    """The states of all vehicles, and what of ``attempts``, by the sentence for its failure, does not work.

    Nothing that fails is raised: it is among ``problems``. ``due`` is what the Director cannot do soon.
    """
    with database.reading() as connection:
        states = read_states(connection, now)
    problems = []
    for what, attempt in attempts.items():
        try:
            attempt()
        except TwinlockError as error:
            problems.append(f"{what}: {error}")
    return FleetStatus(vehicles=states, problems=tuple(problems), due=due)


def read_states(connection: Connection, now: datetime) -> dict[str, VehicleState]:
    """The state of each vehicle, by id."""
    newest = select(func.max(_D.number)).group_by(_D.vehicle)
    decided = {row.vehicle: row for row in connection.execute(select(schema.decisions).where(_D.number.in_(newest)))}
    met = summarize_events(connection, since=now - RECENT, kinds=(ATTACK, FAILURE), codes=(LIMIT_CODE,))
    missing: dict[str, list[str]] = {}
    homes: dict[str, str | None] = {}
    ecus = schema.ecus.c
    for row in connection.execute(select(ecus.vehicle, ecus.ecu, ecus.missing_since, ecus.retired_at)):
        homes[row.ecu] = row.vehicle if row.retired_at is None else None
        if row.missing_since is not None and row.retired_at is None:
            missing.setdefault(row.vehicle, []).append(row.ecu)
    refused = _refused(connection, now)
    replays = _replays(connection, now)
    unconfirmed = {row.vehicle: row.path for row in connection.execute(select(_O.vehicle, _O.path))}
    states: dict[str, VehicleState] = {}
    for row in connection.execute(select(schema.vehicles).order_by(_V.vehicle)):
        reasons: dict[str, tuple[str, ...]] = dict.fromkeys(STATES, ())
        events = met.get(row.vehicle, ())
        reasons[ATTACKED] = _sentences(row.vehicle, [event for event in events if event.kind == ATTACK])
        failures = [  # failures that last, and that it sends too much
            event for event in events if event.kind != ATTACK and not _is_repaired(row.vehicle, event, homes)
        ]
        reasons[FAILING] = _failing(row.vehicle, decided.get(row.vehicle), failures, missing.get(row.vehicle, []))
        last = refused.get(row.vehicle)
        if last is not None and (row.last_manifest_at is None or last.received_at > row.last_manifest_at):
            reasons[FAILING] += (
                f"its last manifest was refused: {(last.refusal or {}).get('message', 'no reason kept')}",
            )
        seen = row.last_manifest_at  # one that never reported waits: it may still be at the factory
        if seen is not None and now - seen > SILENT_AFTER:
            reasons[SILENT] = (f"no manifest since {format_time(seen)}",)
        reasons[WAITING_STATE] = _waiting(row, decided.get(row.vehicle), unconfirmed.get(row.vehicle))
        reasons[WAITING_STATE] += _repeated(row, replays.get(row.vehicle))
        states[row.vehicle] = _most_severe(row, reasons)
    return states


def _refused(connection: Connection, now: datetime) -> dict[str, Any]:
    """The newest manifest that was refused of each vehicle, as far as it is recent. Junk is not among these rows."""
    newest = (
        select(func.max(_M.number)).where(_M.accepted.is_(False), _M.received_at > now - RECENT).group_by(_M.vehicle)
    )
    rows = connection.execute(select(_M.vehicle, _M.received_at, _M.refusal).where(_M.number.in_(newest)))
    return {row.vehicle: row for row in rows}


def _failing(vehicle: str, decision: Any, failures: list[EventSummary], missing: list[str]) -> tuple[str, ...]:
    reasons: tuple[str, ...] = ()
    if decision is not None and decision.outcome == IMPOSSIBLE:
        reasons += tuple(decision.reasons)
    if missing:
        reasons += (f"missing from manifests: {', '.join(sorted(missing))}",)
    return reasons + _sentences(vehicle, failures)


def _replays(connection: Connection, now: datetime) -> dict[str, Any]:
    """How many manifests a vehicle's own keys had signed and that had counted before came to its address lately, and when.

    An earlier manifest, which anyone may have seen and sent again, is counted here too: it never makes a vehicle fail.
    """
    query = select(_J.vehicle, func.sum(_J["count"]).label("times"), func.max(_J.last_at).label("last_at"))
    query = query.where(_J.code == ReportReplayError.code, _J.last_at > now - RECENT).group_by(_J.vehicle)
    return {row.vehicle: row for row in connection.execute(query)}


def _repeated(vehicle: Any, replays: Any) -> tuple[str, ...]:
    """A vehicle that only repeats itself; once is no more than an answer that was lost."""
    seen = vehicle.last_manifest_at
    if replays is None or seen is None or replays.last_at <= seen or replays.times < _REPEATED:
        return ()
    reason = (
        f"{replays.times} manifests came that its own keys signed with counters or nonces that were used before "
        f"({ReportReplayError.code}), and no newer one: if it was restored from a backup, run `twinlock director reset-counter`"
    )
    return (reason,)


def _is_repaired(vehicle: str, event: EventSummary, homes: Mapping[str, str | None]) -> bool:
    """Whether a failure is over: its ECU left the vehicle, which ``homes`` has for each, or the inventory has what is so now."""
    if event.ecu is not None and homes.get(event.ecu, vehicle) != vehicle:
        return True
    if event.code == MissingEcuError.code:
        return event.ecu is not None  # which ECUs are missing now, the inventory has
    return event.code == FetchError.code and _DEACTIVATED in event.detail  # whether it is retired, likewise


def _sentences(vehicle: str, events: list[EventSummary]) -> tuple[str, ...]:
    """A sentence for each ECU and code, as many as a person reads."""
    sentences = tuple(event.sentence(vehicle) for event in events[:_SHOWN])
    left = len(events) - _SHOWN
    return sentences if left <= 0 else (*sentences, f"and {left} more of other ECUs or codes")


def _waiting(vehicle: Any, decision: Any, unconfirmed: str | None) -> tuple[str, ...]:
    if vehicle.last_manifest_at is None:
        return (f"it has not reported since it was registered at {format_time(vehicle.registered_at)}",)
    if decision is not None and decision.outcome in (HELD, WAITING):
        return tuple(decision.reasons)
    if decision is not None and decision.outcome == ORDERED and unconfirmed is not None:
        return (f"{unconfirmed} is ordered and not confirmed",)
    return ()


def _most_severe(vehicle: Any, reasons: Mapping[str, tuple[str, ...]]) -> VehicleState:
    if vehicle.retired_at is not None:
        return VehicleState(state=RETIRED, reasons=(f"since {format_time(vehicle.retired_at)}",))
    state = next((state for state in STATES if reasons[state]), OK)
    return VehicleState(state=state, reasons=tuple(reason for state in STATES for reason in reasons[state]))
