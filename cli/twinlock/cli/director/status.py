"""``twinlock director status``, ``vehicles``, ``prune`` and ``twinlock audit show``: what is wrong, and who did what."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinlock.cli.director.orders import open_director, when
from twinlock.cli.shared.actor import ACTOR
from twinlock.cli.shared.counts import counted
from twinlock.cli.shared.exit_status import EXIT_DUE, EXIT_REFUSED
from twinlock.cli.shared.foreign import foreign
from twinlock.cli.shared.json_form import camel
from twinlock.cli.shared.options import DIRECTORY, read_duration
from twinlock.cli.shared.output import Output, output_options, table, yes_option
from twinlock.cli.shared.passphrase import passphrase_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twinlock.director.status.fleet import VehicleState

_JUNK_SHOWN = 20
_PRUNED = {
    "events": "event",
    "reports": "report",
    "manifests": "manifest",
    "deviceEvents": "device event",
    "junk": "junk count",
}
_DETAIL_SHOWN = 2_000  # characters; a Root that changes the keys of all roles needs about as many


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.option("--metrics", is_flag=True, help="Write the counts in the text format of Prometheus.")
@passphrase_option
@output_options
def status(out: Output, directory: Path, *, metrics: bool, passphrase_file: Path | None) -> None:
    """Show what the Director cannot do and which vehicles need attention: failing, silent, waiting, under attack.

    Exit status 1: something is wrong now. 6: something is due, such as a Root that expires soon. 0: neither.

    \b
    Example:
      twinlock director status ./director
      twinlock director status ./director --metrics > /var/lib/node-exporter/twinlock.prom
    """
    with open_director(directory, passphrase_file) as director:
        status, junk = director.status(look=True), director.junk(None, limit=_JUNK_SHOWN)
    notable = {name: item for name, item in status.vehicles.items() if item.state not in ("ok", "retired")}
    lines = [*(f"problem: {foreign(text)}" for text in status.problems), *(f"due: {text}" for text in status.due)]
    lines += [f"{count} {state}" for state, count in status.counts.items() if count]
    # A row for each reason: a long one, which an ECU may have made up, cuts none of the others off.
    rows = [row for name, item in notable.items() for row in _reason_rows(name, item)]
    lines += table(("VEHICLE", "STATE", "REASON"), rows) if rows else []
    cells = [
        (item["vehicle"] or "(unknown)", item["day"], item["code"], item["count"], foreign(item["lastSample"], 60))
        for item in junk
    ]
    lines += table(("UNPROVEN SENDERS TO", "DAY", "CODE", "COUNT", "LAST SAMPLE"), cells) if cells else []
    shown = {
        "problems": list(status.problems),
        "due": list(status.due),
        "counts": dict(status.counts),
        "vehicles": [
            {"vehicle": name, "state": item.state, "reasons": item.reasons} for name, item in status.vehicles.items()
        ],
        "junk": junk,
    }
    out.result(shown, status.metrics().splitlines() if metrics else lines or "no vehicles")
    if status.problems or status.counts["failing"] or status.counts["attacked"]:
        raise SystemExit(EXIT_REFUSED)
    if status.due:
        raise SystemExit(EXIT_DUE)


def _reason_rows(vehicle: str, state: VehicleState) -> Iterator[tuple[str, str, str]]:
    for number, reason in enumerate(state.reasons or ("",)):
        yield (vehicle, state.state, reason) if number == 0 else ("", "", reason)


@click.command()
@click.argument("directory", type=DIRECTORY)
@output_options
def vehicles(out: Output, directory: Path) -> None:
    """List the registered vehicles, and which of them are under attack, failing, silent or waiting.

    \b
    Example:
      twinlock director vehicles ./director
    """
    with open_director(directory) as opened:
        vehicles, states = opened.vehicles(), opened.status()
    rows, shown = [], []
    for item in vehicles:
        state = states.vehicles[item.vehicle]
        last = when(item.last_manifest_at)
        rows.append((item.vehicle, item.primary or "-", item.ecus, item.assignments, last, item.profile, state.state))
        shown.append(
            {
                "vehicle": item.vehicle,
                "primary": item.primary,
                "ecus": item.ecus,
                "assignments": item.assignments,
                "registeredAt": item.registered_at,
                "lastManifestAt": item.last_manifest_at,
                "wire": item.profile,
                "state": state.state,
                "reasons": state.reasons,
            }
        )
    header = ("VEHICLE", "PRIMARY", "ECUS", "ASSIGNED", "LAST MANIFEST", "WIRE", "STATE")
    out.result({"vehicles": shown}, table(header, rows) if rows else "no vehicles")


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.option("--older-than", "age", help="Such as 90d (default: history_days of the Director's config.json).")
@ACTOR
@yes_option
@output_options
def prune(out: Output, directory: Path, *, age: str | None, yes: bool) -> None:
    """Delete manifests, reports and events older than --older-than.

    What is in force, counters, decisions, installations and the audit are kept.

    \b
    Example:
      twinlock director prune ./director --older-than 90d --yes
    """
    from datetime import timedelta

    from twinlock.trust.errors.base import UsageError

    with open_director(directory) as director:
        kept = timedelta(days=director.settings.history_days) if age is None else read_duration(age)
        if not kept:
            reason = "give --older-than: history_days is 0 in config.json, which keeps everything"
            given = f"--older-than {age} would delete the whole history; give an age longer than 0, such as 90d"
            raise UsageError(reason=reason if age is None else given)
        out.confirm(f"delete history that is older than {counted(kept.days, 'day')}", yes=yes)
        deleted = director.prune(kept)
    lines = [f"deleted {counted(count, _PRUNED.get(name, name))}" for name, count in deleted.items()]
    out.result({"deleted": deleted}, lines)


def _actions(_context: click.Context, _option: click.Parameter, begun: str) -> list[str]:
    from twinlock.director.model.actions import ACTIONS

    return [action for action in ACTIONS if action.startswith(begun)]


@click.group()
def audit() -> None:
    """Read who did what.

    \b
    Example:
      twinlock audit show ./director
    """


@audit.command("show")
@click.argument("directory", type=DIRECTORY)
@click.option("--vehicle", help="Only what concerns this vehicle.")
@click.option("--by", "actor", metavar="ACTOR", help="Only what this person or program did.")
@click.option(
    "--action",
    shell_complete=_actions,
    help="Only actions of this name, such as assign or revoke-certificate; for an unknown name, similar ones are listed.",
)
@click.option(
    "--since",
    type=click.DateTime(("%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ")),
    help="Only what was done at or after this time (UTC).",
)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many, newest first.")
@output_options
def show(
    out: Output,
    directory: Path,
    *,
    vehicle: str | None,
    actor: str | None,
    action: str | None,
    since: datetime | None,
    limit: int,
) -> None:
    """List what was done at the Director in DIRECTORY and by whom, newest first.

    \b
    Example:
      twinlock audit show ./director --vehicle VIN1 --limit 20
      twinlock audit show ./director --by anna --since 2026-11-01
    """
    start = None if since is None else since.replace(tzinfo=UTC)
    with open_director(directory) as director:
        rows = director.audit(vehicle, actor=actor, action=action, since=start, limit=limit)
        if vehicle is not None and not rows:
            director.vehicle(vehicle)  # a mistyped name is not a vehicle without entries
    rows = [{**row, "detail": {camel(name): item for name, item in row["detail"].items()}} for row in rows]
    shown = [{name: row[name] for name in ("number", "at", "actor", "action", "vehicle", "detail")} for row in rows]
    cells = [
        (
            when(row["at"]),
            foreign(row["actor"]),
            row["action"],
            row["vehicle"] or "-",
            foreign(row["detail"], _DETAIL_SHOWN),
        )
        for row in rows
    ]
    header = ("TIME", "ACTOR", "ACTION", "VEHICLE", "DETAIL")
    filtered = any(wanted is not None for wanted in (vehicle, actor, action, since))
    nothing = "no entry matches" if filtered else "no entries yet"
    out.result({"audit": shown}, table(header, cells) if cells else nothing)


COMMANDS = (vehicles, status, prune)
