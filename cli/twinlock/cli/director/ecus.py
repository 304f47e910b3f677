"""``twinlock director retire`` and related commands: ECUs and vehicles that break, leave, join and return."""

from __future__ import annotations

from pathlib import Path

import click

from twinlock.cli.director.orders import open_director
from twinlock.cli.shared.actor import ACTOR
from twinlock.cli.shared.batches import LIST
from twinlock.cli.shared.counts import counted
from twinlock.cli.shared.options import DIRECTORY
from twinlock.cli.shared.output import Output, output_options, yes_option
from twinlock.cli.shared.own_input import own_input, read_own_file, shown_source

_MAX_RECORD_BYTES = 1 << 28  # of a factory's record: a million ECUs


@click.command("out-of-order")
@click.argument("directory", type=DIRECTORY)
@click.argument("vehicle")
@click.argument("ecus", nargs=-1, required=True, metavar="ECU...")
@ACTOR
@output_options
def out_of_order(out: Output, directory: Path, vehicle: str, ecus: tuple[str, ...]) -> None:
    """Declare ECUs of VEHICLE out of order: no report of them is expected, until one reports again.

    Their software counts as unknown, so orders that involve them are held. The other ECUs are served as usual.

    \b
    Example:
      twinlock director out-of-order ./director VIN1 ecu-brake
    """
    with open_director(directory) as director, own_input():
        director.ways_out.declare_out_of_order(vehicle, ecus)
    out.result({"vehicle": vehicle, "outOfOrder": list(ecus)}, f"{', '.join(ecus)} of {vehicle}: out of order")


@click.command("add-ecu")
@click.argument("directory", type=DIRECTORY)
@click.argument("vehicle")
@click.argument("description", type=LIST)
@ACTOR
@output_options
def add_ecu(out: Output, directory: Path, vehicle: str, description: Path) -> None:
    """Add a Secondary to VEHICLE, by the DESCRIPTION that `twinlock secondary describe` prints (- reads standard input).

    \b
    Example:
      twinlock secondary describe ./lamp --json | twinlock director add-ecu ./director VIN1 -
    """
    from twinlock.director.model.vehicle_description import read_ecu

    data = read_own_file(description, "the ECU's description")
    with own_input(given=shown_source(description)):
        read_ecu(data)
    with open_director(directory) as director, own_input():
        ecu = director.ways_out.add_ecu(vehicle, data)
    out.result({"vehicle": vehicle, "added": ecu}, f"added {ecu} to {vehicle}")


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("vehicle")
@click.argument("ecus", nargs=-1, metavar="[ECU]...")
@click.option("--release", is_flag=True, help="Let any vehicle register the serials and keys from now on.")
@ACTOR
@yes_option
@output_options
def retire(out: Output, directory: Path, vehicle: str, ecus: tuple[str, ...], *, release: bool, yes: bool) -> None:
    """Retire VEHICLE, or remove ECUs from it. History keeps both, and `reactivate` brings them back.

    A retired vehicle gets no metadata and its reports are refused. With --release its serials and keys can be registered in
    another vehicle, and `register` takes a released vehicle id again.

    \b
    Example:
      twinlock director retire ./director VIN1 ecu-lamp
      twinlock director retire ./director VIN9 --release --yes
    """
    what = f"{', '.join(ecus)} of {vehicle}" if ecus else vehicle
    with open_director(directory) as director, own_input():
        director.vehicle(vehicle)
        if release:
            out.confirm(f"retire {what}, and let other vehicles have the serials and keys", yes=yes)
        elif not ecus:
            out.confirm(f"retire {what}", yes=yes, undo="`reactivate` undoes it.")
        director.ways_out.retire(vehicle, ecus or None, release=release)
    text = f"retired {what}" + (" and released its serials and keys" if release else "")
    out.result({"vehicle": vehicle, "ecus": list(ecus), "released": release}, text)


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("vehicle")
@click.argument("ecus", nargs=-1, metavar="[ECU]...")
@ACTOR
@output_options
def reactivate(out: Output, directory: Path, vehicle: str, ecus: tuple[str, ...]) -> None:
    """Make a retired VEHICLE, or ECUs that are retired or out of order, active again, with the keys and counters they had.

    \b
    Example:
      twinlock director reactivate ./director VIN1 ecu-lamp
    """
    with open_director(directory) as director, own_input():
        director.ways_out.reactivate(vehicle, ecus or None)
    what = f"{', '.join(ecus)} of {vehicle}" if ecus else vehicle
    out.result({"vehicle": vehicle, "ecus": list(ecus)}, f"reactivated {what}")


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("serial")
@click.option("--to", "owner", help="The vehicle that the ECU is part of: no other may then register it.")
@ACTOR
@yes_option
@output_options
def release(out: Output, directory: Path, serial: str, *, owner: str | None, yes: bool) -> None:
    """Free the SERIAL of an ECU that the wrong vehicle registered.

    \b
    Example:
      twinlock director release ./director ecu-brake --to VIN2
    """
    out.confirm(f"release {serial}, which then leaves the vehicle that registered it", yes=yes)
    with open_director(directory) as director, own_input():
        holder = director.ways_out.release(serial, to=owner)
    text = f"released {serial}" + (f" from {holder}" if holder else "") + (f"; it is {owner}'s" if owner else "")
    out.result({"ecu": serial, "from": holder, "to": owner}, text)


@click.command("declare-delivery")
@click.argument("directory", type=DIRECTORY)
@click.argument("record", type=LIST)
@ACTOR
@output_options
def declare_delivery(out: Output, directory: Path, record: Path) -> None:
    """Store the factory's RECORD: the vehicle of each serial, and the software that each ECU is delivered with.

    A JSON object: vehicle, then ECU, then {"filename", "length", "hashes"} or {}. Software that is declared here is not
    reported as unlisted, and no other vehicle can register these serials. - reads standard input.

    \b
    Example:
      twinlock director declare-delivery ./director delivered.json --actor factory
    """
    data = read_own_file(record, "the factory's record", max_bytes=_MAX_RECORD_BYTES)
    with open_director(directory) as director, own_input(given=shown_source(record)):
        count = director.ways_out.declare_delivery(data)
    out.result({"vehicles": count}, f"declared the ECUs of {counted(count, 'vehicle')}")


COMMANDS = (out_of_order, add_ecu, retire, reactivate, release, declare_delivery)
