"""``twinlock director installed``: what was installed when, and who approved it."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinlock.cli.director.orders import open_director, when
from twinlock.cli.shared.foreign import foreign
from twinlock.cli.shared.options import DIRECTORY
from twinlock.cli.shared.output import Output, output_options, table
from twinlock.cli.shared.own_input import own_input

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twinlock.director.director import Director
    from twinlock.director.model.records import InstallationRecord

_HEADER = ("VEHICLE", "ECU", "IMAGE", "REPORTED", "REPLACED", "APPROVED BY", "APPROVED")


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("vehicles", nargs=-1, metavar="[VEHICLE]...")
@click.option("--ecu", "ecus", multiple=True, help="Only this ECU (repeat).")
@click.option(
    "--since",
    type=click.DateTime(("%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ")),
    help="Only what ran at or after this time (UTC).",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="The most rows per vehicle, newest first.",
)
@output_options
def installed(
    out: Output,
    directory: Path,
    vehicles: tuple[str, ...],
    *,
    ecus: tuple[str, ...],
    since: datetime | None,
    limit: int,
) -> None:
    """List what was installed when on the ECUs of VEHICLEs (default: all), and who approved it, newest first.

    REPORTED is when the first manifest with that image arrived, REPLACED when the first with another image did, or the ECU left the vehicle. An image
    that the Director did not order, such as that from the factory, has no approval. `prune` keeps all of it.

    \b
    Example:
      twinlock director installed ./director VIN1 --ecu ecu-brake
      twinlock director installed ./director --since 2026-01-01 --json
    """
    start = None if since is None else since.replace(tzinfo=UTC)
    with open_director(directory) as director, own_input():
        if vehicles or not ecus:
            names = vehicles or tuple(item.vehicle for item in director.vehicles())
            installations = {name: director.installations(name, ecus=ecus, since=start, limit=limit) for name in names}
        else:
            installations = _wherever(director, ecus, since=start, limit=limit)
    shown = {"vehicles": [{"vehicle": name, "installations": items} for name, items in installations.items()]}
    rows = [_row(item) for items in installations.values() for item in items]
    out.result(shown, _lines(rows))


def _wherever(
    director: Director, ecus: tuple[str, ...], *, since: datetime | None, limit: int
) -> dict[str, tuple[InstallationRecord, ...]]:
    """What ran on ``ecus``, in every vehicle they are or were in. Raises: NoSuchEcuError for one that no vehicle had."""
    from twinlock.director.errors.operator import NoSuchEcuError

    installations: dict[str, tuple[InstallationRecord, ...]] = {}
    unknown = set(ecus)
    for item in director.vehicles():
        for ecu in ecus:
            with suppress(NoSuchEcuError):
                rows = director.installations(item.vehicle, ecus=[ecu], since=since, limit=limit)
                installations[item.vehicle] = (*installations.get(item.vehicle, ()), *rows)
                unknown.discard(ecu)
    if unknown:
        raise NoSuchEcuError(ecus=tuple(sorted(unknown)))
    return installations


def _row(item: InstallationRecord) -> tuple[str, ...]:
    approved = ("-", "-") if item.actor is None else (foreign(item.actor), when(item.approved_at))
    left = "-" if item.left_at is None else f"left the vehicle {when(item.left_at)}"
    replaced = left if item.replaced_at is None else when(item.replaced_at)
    return (item.vehicle, item.ecu, foreign(item.path), when(item.reported_at), replaced, *approved)


def _lines(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    if not rows:
        yield "no image was reported"
        return
    yield from table(_HEADER, rows)


COMMANDS = (installed,)
