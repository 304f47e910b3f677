"""``twinlock director assign``, ``unassign``, ``explain`` and ``decisions``: what vehicles are to install, and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinlock.cli.shared.actor import ACTOR, actor
from twinlock.cli.shared.batches import LIST, read_lines, show_batch, skip_refused_option
from twinlock.cli.shared.exit_status import EXIT_REFUSED
from twinlock.cli.shared.json_form import json_value
from twinlock.cli.shared.options import DIRECTORY
from twinlock.cli.shared.output import Output, output_options, yes_option
from twinlock.cli.shared.own_input import OwnInputError, own_input
from twinlock.cli.shared.passphrase import passphrase_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from twinlock.director.director import Director
    from twinlock.director.model.records import AssignedPlan, Plan, PlannedImage


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("vehicle", required=False)
@click.argument("images", nargs=-1, metavar="ECU=IMAGE...")
@click.option(
    "--list", "listed", type=LIST, help="A list of vehicles (- is standard input), on each line VEHICLE ECU=IMAGE..."
)
@skip_refused_option
@ACTOR
@output_options
def assign(
    out: Output,
    directory: Path,
    vehicle: str | None,
    images: tuple[str, ...],
    *,
    listed: Path | None,
    skip_refused: bool,
) -> None:
    """Assign IMAGEs to ECUs of VEHICLE. What these depend on is added; nothing is stored unless all of it fits.

    With --list many vehicles are assigned at once: all of them or none; with --skip-refused those that are not refused.

    \b
    Example:
      twinlock director assign ./director VIN1 ecu-brake=brake/brake-2.0.bin ecu-gw=gateway/gateway-1.4.bin
      twinlock director assign ./director --list wave-1.txt --json
    """
    if (listed is None) == (vehicle is None):
        raise click.UsageError("name one VEHICLE with its ECU=IMAGE..., or use --list")
    if listed is not None:
        _assign_many(out, directory, listed, skip_refused=skip_refused)
        return
    if not images:
        raise click.UsageError("name at least one ECU=IMAGE")
    with open_director(directory) as director, _own_order():
        plan = director.assign(str(vehicle), _images(images))
    out.result(plan, _assigned_lines(plan))


def _assign_many(out: Output, directory: Path, listed: Path, *, skip_refused: bool) -> None:
    from twinlock.trust.errors.base import TwinlockError, UsageError

    orders: list[tuple[str, str, Mapping[str, str] | TwinlockError]] = []
    for source, line in read_lines(listed):
        if isinstance(line, UsageError):
            orders.append((source, "", line))
            continue
        vehicle, *images = line.split()
        try:
            orders.append((source, vehicle, _images(images)))
        except OwnInputError as error:
            orders.append((source, vehicle, error.refusal))
        except UsageError as error:
            orders.append((source, vehicle, error))
    with open_director(directory) as director, out.progress(len(orders), "assigning") as advance:
        result = director.batches.assign(orders, skip_refused=skip_refused, advance=advance)
    show_batch(out, result, "vehicles with new assignments")


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("vehicle")
@click.argument("ecus", nargs=-1, metavar="[ECU]...")
@ACTOR
@yes_option
@output_options
def unassign(out: Output, directory: Path, vehicle: str, ecus: tuple[str, ...], *, yes: bool) -> None:
    """Withdraw what is assigned to ECUs of VEHICLE (none named: all of it). What they installed stays installed.

    \b
    Example:
      twinlock director unassign ./director VIN1 ecu-brake
    """
    with open_director(directory) as director, _own_order():
        if not ecus:
            director.vehicle(vehicle)
            undo = "A vehicle may still install what it has already fetched; `assign` orders it again."
            out.confirm(f"withdraw everything that is assigned to {vehicle}", yes=yes, undo=undo)
        plan = director.unassign(vehicle, ecus or None)
    out.result(plan, _plan_lines(plan))


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("vehicle")
@click.argument("images", nargs=-1, metavar="[ECU=IMAGE]...")
@output_options
def explain(out: Output, directory: Path, vehicle: str, images: tuple[str, ...]) -> None:
    """Show what VEHICLE is to install now, and why; with IMAGEs, the result of assigning them. Changes nothing.

    Exit status 1: the assignment is impossible.

    \b
    Example:
      twinlock director explain ./director VIN1 ecu-brake=brake/brake-2.0.bin
    """
    with open_director(directory) as director, _own_order():
        plan = director.explain(vehicle, _images(images))
    out.result(plan, _plan_lines(plan))
    if plan.outcome == "impossible":
        raise SystemExit(EXIT_REFUSED)


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("vehicle")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many, newest first.")
@output_options
def decisions(out: Output, directory: Path, vehicle: str, *, limit: int) -> None:
    """List what was decided for VEHICLE and why, newest first.

    \b
    Example:
      twinlock director decisions ./director VIN1 --json
    """
    with open_director(directory) as director:
        decisions = director.decisions(vehicle, limit=limit)
    shown = [
        {
            "number": item.number,
            "madeAt": item.made_at,
            "correlationId": item.correlation_id,
            "manifest": item.manifest,
            "imageVersions": dict(item.versions),
            **json_value(item.plan),
        }
        for item in decisions
    ]
    lines = []
    for item in decisions:
        lines += [f"{item.number}  {when(item.made_at)}  {item.correlation_id}"]
        lines += [f"   {line}" for line in _plan_lines(item.plan)]
    out.result({"vehicle": vehicle, "decisions": shown}, lines or "no decisions yet")


COMMANDS = (assign, unassign, explain, decisions)


def when(time: datetime | None) -> str:
    """A time for a table."""
    return "never" if time is None else f"{time:%Y-%m-%d %H:%M:%S}Z"


def open_director(directory: Path, passphrase_file: Path | None = None) -> Director:
    """Open the Director of a command, for the actor that its ``--actor`` names. Raises: UsageError, StorageError."""
    from twinlock.director.director import Director

    return Director.open(directory, passphrase=passphrase_for(passphrase_file), actor=actor())


def _own_order() -> AbstractContextManager[None]:
    """What an order itself can be refused for; metadata of the Image repository is judged in the same call."""
    from twinlock.director.errors.vehicles import UnknownImageError
    from twinlock.trust.errors.images import DuplicateEcuError, HardwareError, ReleaseCounterError

    return own_input(DuplicateEcuError, HardwareError, ReleaseCounterError, UnknownImageError)


def _images(values: Iterable[str]) -> dict[str, str]:
    from twinlock.trust.errors.base import UsageError
    from twinlock.trust.names import identifier, target_path

    images: dict[str, str] = {}
    for value in values:
        ecu, separator, image = value.partition("=")
        if not separator or not ecu or not image or ecu in images:
            raise UsageError(reason=f"{value!r} is not ECU=IMAGE, with each ECU once")
        with own_input():
            images[identifier(ecu)] = target_path(image)
    return images


def _assigned_lines(plan: AssignedPlan) -> Iterator[str]:
    """What was assigned, and what of it is ordered now or what it waits for."""
    yield f"assigned to {plan.vehicle}:"
    yield from map(_image_line, plan.assigned)
    also = tuple(order for order in plan.orders if order not in plan.assigned)
    first, *others = _plan_lines(replace(plan, orders=also))
    yield first
    waits = "  it waits:" if plan.outcome in ("waiting", "held") else " "
    yield from (f"{waits} {line.strip()}" for line in others)


def _image_line(image: PlannedImage) -> str:
    return f"  {image.ecu} <- {image.path} ({image.label}, release {image.release_counter})"


def _plan_lines(plan: Plan) -> Iterator[str]:
    yield f"{plan.vehicle}: {plan.outcome}"
    yield from map(_image_line, plan.orders)
    for reason in plan.reasons:
        yield f"  because {reason}" if plan.outcome == "impossible" else f"  {reason}"
