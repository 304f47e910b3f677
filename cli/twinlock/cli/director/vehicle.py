"""``twinlock director show``: everything that the Director knows of one vehicle, registered or refused."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twinlock.cli.director.orders import open_director, when
from twinlock.cli.shared.foreign import foreign
from twinlock.cli.shared.options import DIRECTORY
from twinlock.cli.shared.output import Output, output_options, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twinlock.director.director import Director
    from twinlock.director.model.records import Assignment, EcuRecord, VehicleRecord
    from twinlock.director.status.event_summary import EventSummary
    from twinlock.director.ways_out.key_changes import KeyChange


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("vehicle")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="How many events, attacks first; with --json the newest.",
)
@output_options
def show(out: Output, directory: Path, vehicle: str, *, limit: int) -> None:
    """Show a VEHICLE: its ECUs and keys, what each reported last, what is assigned, notable events and what is waiting.

    \b
    Example:
      twinlock director show ./director VIN1 --limit 50
    """
    from twinlock.director.errors.vehicles import UnknownVehicleError

    with open_director(directory) as director:
        try:
            record = director.vehicle(vehicle)
        except UnknownVehicleError:
            _show_unregistered(out, director, vehicle, limit)
            return
        assigned = director.assignments(vehicle)
        events, summaries = director.events(vehicle, limit=limit), director.event_summaries(vehicle)
        refused = [item for item in director.manifests(vehicle, limit=2 * limit) if item.refusal is not None][:limit]
        pending = director.ways_out.pending_keys(vehicle)
        changes = director.ways_out.key_changes(vehicle)
        state = director.status().of(vehicle)
    shown = {
        **_vehicle_json(record, assigned),
        "events": [{"at": at, **event.as_json()} for at, event in events],
        "refused": [{"at": item.received_at, "refusal": item.refusal} for item in refused],
        "pendingKeys": pending,
        "keyChanges": changes,
        "state": state,
    }
    lines = [*_vehicle_lines(record, assigned), *_event_lines(vehicle, summaries, limit)]
    lines += [
        f"refused manifest at {when(item.received_at)}: {foreign((item.refusal or {}).get('message'))}"
        for item in refused
    ]
    lines += _pending_lines(pending)
    lines += [_change_line(item) for item in changes]
    if state is not None:
        lines += [f"state: {state.state}", *(f"  {foreign(reason)}" for reason in state.reasons)]
    lines += [f"what was installed when, and by whose approval: `twinlock director installed {directory} {vehicle}`"]
    lines += [f"who did what: `twinlock audit show {directory} --vehicle {vehicle}`"]
    out.result(shown, lines)


def _show_unregistered(out: Output, director: Director, vehicle: str, limit: int) -> None:
    """What was refused from a vehicle that was never registered. Raises: UnknownVehicleError if nothing was."""
    events, pending = director.events(vehicle, limit=limit), director.ways_out.pending_keys(vehicle)
    seen = _event_lines(vehicle, director.event_summaries(vehicle), limit)
    nothing: dict[str, None] = dict.fromkeys(
        ("primary", "registeredAt", "lastManifestAt", "wire", "identifiedBy", "state")
    )
    empty: dict[str, list[Any]] = {name: [] for name in ("ecus", "retired", "refused", "keyChanges")}
    shown = {"vehicle": vehicle, **nothing, **empty, "pendingKeys": pending}
    lines = [f"{vehicle} is not registered; requests from it were refused:", *seen]
    out.result(
        {**shown, "events": [{"at": at, **event.as_json()} for at, event in events]}, [*lines, *_pending_lines(pending)]
    )


def _change_line(change: KeyChange) -> str:
    """A change of a key that was asked for, and for whom it waits."""
    what = f"change {change.number} of the key of {change.ecu}"
    if change.confirmed_by is None:
        return f"{what}, asked for by {foreign(change.actor)}, waits for a second person (`confirm-key`) until {when(change.expires)}"
    return f"{what} waits for {change.new_ecu} to come with it until {when(change.expires)}"


def _pending_lines(pending: list[dict[str, Any]]) -> list[str]:
    return [
        f"{item['ecu']} presented the key {item['fingerprint'][:16]} at {when(item['lastSeen'])} from a sender "
        f"{'that proved to be the vehicle' if item['authenticated'] else 'that proved nothing'}; it was refused"
        for item in pending
    ]


def _vehicle_json(record: VehicleRecord, assigned: tuple[Assignment, ...]) -> dict[str, Any]:
    assigned_paths = {item.ecu: item.path for item in assigned}
    ecus = []
    for ecu, item in record.ecus.items():
        report = record.reports.get(ecu)
        installed = None
        if report is not None:
            image = report.installed
            installed = {
                "path": image.path,
                "length": image.length,
                "hashes": dict(image.hashes),
                "releaseCounter": image.release_counter,
                "reportedAt": report.time,
                "attack": report.attack,
                "detail": report.detail,
            }
        ecus.append(
            {
                **item.as_json(),
                "fingerprint": item.fingerprint,
                **_away(item),
                "installed": installed,
                "assigned": assigned_paths.get(ecu),
            }
        )
    return {
        "vehicle": record.vehicle,
        "primary": record.primary,
        "registeredAt": record.registered_at,
        "lastManifestAt": record.last_manifest_at,
        "wire": record.profile,
        "identifiedBy": record.identified_by,
        "ecus": ecus,
        "retired": [{"ecu": ecu, "retiredAt": at} for ecu, at in record.retired.items()],
    }


def _away(item: EcuRecord) -> dict[str, datetime | None]:
    return {"missingSince": item.missing_since, "outOfOrderSince": item.out_of_order_since}


def _vehicle_lines(record: VehicleRecord, assigned: tuple[Assignment, ...]) -> Iterator[str]:
    assigned_paths = {item.ecu: item.path for item in assigned}
    yield f"{record.vehicle}: last manifest {when(record.last_manifest_at)}"
    rows = []
    for ecu, item in record.ecus.items():
        report = record.reports.get(ecu)
        kind = "Primary" if item.primary else "Secondary"
        installed = "not reported" if report is None else report.installed.path
        attack = "" if report is None else report.attack
        rows.append(
            (ecu, kind, item.verification.value, item.hardware_id, installed, assigned_paths.get(ecu, "-"), attack)
        )
    yield from table(("ECU", "KIND", "VERIFIES", "HARDWARE", "INSTALLED", "ASSIGNED", "ATTACK"), rows)
    for ecu, at in record.retired.items():
        yield f"{ecu} left the vehicle at {when(at)}"


def _event_lines(vehicle: str, events: tuple[EventSummary, ...], limit: int) -> Iterator[str]:
    """A line for each ECU and code, attacks first, so that what an ECU makes up hides nothing that another met."""
    for event in events[:limit]:
        yield f"{when(event.newest)} {event.kind} {foreign(event.sentence(vehicle))}"
    if len(events) > limit:
        yield f"and {len(events) - limit} more; --limit {len(events)} shows all of them"


COMMANDS = (show,)
