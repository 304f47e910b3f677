"""``twinlock primary``: a vehicle's Primary, from the shell."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twinlock.cli.ecu.recover import recover_command
from twinlock.cli.ecu.running import (
    ImageProgress,
    check_identifiers,
    chosen_wires,
    config_file,
    cycle_lines,
    factory_image,
    image_name,
    own_map,
    read_object,
    read_root,
    refusal_lines,
    until_stopped,
    wire_options,
)
from twinlock.cli.ecu.secondaries import remove_secondary, set_secondary
from twinlock.cli.shared.counts import counted
from twinlock.cli.shared.exit_status import exit_status
from twinlock.cli.shared.first_contact import ask_unless, offline_option
from twinlock.cli.shared.json_form import json_text
from twinlock.cli.shared.output import Output, Verbatim, output_options, table
from twinlock.cli.shared.own_input import own_input

if TYPE_CHECKING:
    from twinlock.client.model.results import CycleResult
    from twinlock.client.primary.primary import Primary

_DIRECTORY = click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def primary() -> None:
    """A vehicle's Primary: fetch, verify, distribute, install, report.

    \b
    Example:
      twinlock primary describe ./gateway --json | twinlock director register ./director -
      twinlock primary update ./gateway
    """


primary.add_command(recover_command("primary"))
primary.add_command(set_secondary)
primary.add_command(remove_secondary)


@primary.command()
@_DIRECTORY
@click.option("--vehicle", required=True, help="The vehicle's identifier, for example its VIN.")
@click.option("--ecu", required=True, help="This ECU's identifier.")
@click.option("--hardware-id", required=True, help="What kind of hardware this ECU is.")
@click.option(
    "--director-url",
    required=True,
    help="This vehicle's URL at the Director: .../vehicles/VEHICLE, or the one for aktualizr.",
)
@click.option("--image-url", required=True, help="The Image repository's URL.")
@click.option("--director-root", required=True, type=_FILE, help="The Director's Root file that the factory trusts.")
@click.option(
    "--image-root", required=True, type=_FILE, help="The Image repository's Root file that the factory trusts."
)
@click.option("--secondary", "secondaries", multiple=True, type=_FILE, help="What `secondary describe` printed.")
@click.option("--factory-image", type=_FILE, help="What the ECU runs now.  [default: nothing]")
@click.option("--factory-name", default="factory", show_default=True, help="The name of that image.")
@click.option("--key-type", default="ed25519", show_default=True, type=click.Choice(["ed25519", "ecdsa", "rsa"]))
@click.option("--time-url", help="Use signed attestations of this service instead of the system clock.")
@click.option(
    "--anchor",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A read-only directory with director.root.json and image.root.json: stored Roots must then chain from these.",
)
@wire_options
@offline_option("both repositories")
@output_options
def init(out: Output, directory: Path, *, secondaries: tuple[Path, ...], offline: bool, **options: Any) -> None:
    """Make a Primary in a new DIRECTORY: its key, trusted state, slots and configuration.

    Both repositories must be reachable and signed under the Roots given; --offline skips that check. The key is not encrypted,
    because a gateway starts without an operator to type a passphrase: protect the storage of the ECU.

    \b
    Example:
      twinlock primary init ./gateway --vehicle VIN1 --ecu ecu-gw --hardware-id gw-1 \\
        --director-url http://127.0.0.1:8001/vehicles/VIN1 --image-url http://127.0.0.1:8000 \\
        --director-root director-root.json --image-root image-root.json --secondary brake.json
      twinlock primary init ./gateway --vehicle VIN1 --ecu gw-0001 --hardware-id gw-1 \\
        --director-url https://gw.example/director --image-url https://gw.example/repo \\
        --director-root 1.root.json --image-root image.1.root.json \\
        --director-wire aktualizr --image-wire aktualizr --policy lax
    """
    from twinlock.client.ecu.clock import system_clock
    from twinlock.client.ecu.provision import EcuPlan, KnownRepositories, provision_primary
    from twinlock.client.primary.repository_check import check_repositories

    check_identifiers(options)
    plan = EcuPlan(
        vehicle=options["vehicle"],
        ecu=options["ecu"],
        hardware_id=options["hardware_id"],
        key_type=options["key_type"],
        time={"source": "attested", "url": options["time_url"]} if options["time_url"] else {},
        factory_image=factory_image(options),
        policy=options["policy"],
    )
    repositories = KnownRepositories(
        wires=chosen_wires(options),
        anchor=options["anchor"],
        director_root=read_root(options["director_root"], "director", options["director_wire"]),
        image_root=read_root(options["image_root"], "image", options["image_wire"]),
        director_url=options["director_url"],
        image_url=options["image_url"],
    )
    described = [read_object(path) for path in secondaries]
    with own_input():
        warnings = ask_unless(
            out,
            lambda: asyncio.run(
                check_repositories(repositories, system_clock(), vehicle=plan.vehicle, policy=plan.policy)
            ),
            offline=offline,
        )
        config = provision_primary(directory, plan, repositories, secondaries=described)
    foreign = options["director_wire"] != "tuf"
    describe = f"twinlock primary describe {directory} > vehicle.json, and register that with the Director"
    out.result(
        {"config": str(config), "ecu": plan.ecu, "vehicle": plan.vehicle, "warnings": list(warnings)},
        [
            f"made {plan.ecu}, the Primary of {plan.vehicle}, in {directory}",
            f"next: twinlock primary register {directory}" if foreign else f"next: {describe}",
        ],
    )


@primary.command()
@_DIRECTORY
@output_options
def describe(out: Output, directory: Path) -> None:
    """Print the vehicle description that `twinlock director register` reads.

    \b
    Example:
      twinlock primary describe ./gateway > vehicle.json
    """
    from twinlock.client.ecu.config import load_primary
    from twinlock.client.primary.primary import describe_vehicle

    description = describe_vehicle(load_primary(config_file(directory, "primary.json")))
    out.result(description, Verbatim(json_text(description)))


@primary.command()
@_DIRECTORY
@click.option("--token-file", type=_FILE, help="The file that holds the token.  [default: $TWINLOCK_ENROLMENT_TOKEN]")
@output_options
def enrol(out: Output, directory: Path, *, token_file: Path | None) -> None:
    """Register the vehicle with its Director, with a one-time token that the Director issued.

    \b
    Example:
      twinlock director token ./director VIN1 > token
      twinlock primary enrol ./gateway --token-file token
    """
    token = _token(token_file)

    async def once() -> bool:
        async with _open(directory) as opened:
            return await opened.enrol(token)

    new = asyncio.run(once())
    out.result({"registered": True, "new": new}, "registered" if new else "this vehicle is already registered")


@primary.command()
@_DIRECTORY
@output_options
def register(out: Output, directory: Path) -> None:
    """Register the ECUs with a Director of the aktualizr profile. Repeat it whenever they change.

    \b
    Example:
      twinlock primary register ./gateway
    """

    async def once() -> int:
        async with _open(directory) as opened:
            await opened.register()
            return 1 + len(opened.config.secondaries)

    ecus = asyncio.run(once())
    out.result({"registered": True, "ecus": ecus}, f"registered {counted(ecus, 'ECU')}")


@primary.command()
@_DIRECTORY
@output_options
def update(out: Output, directory: Path) -> None:
    """Run one update cycle: report, verify, download, install, report again.

    \b
    Example:
      twinlock primary update ./gateway
      twinlock primary update ./gateway --json
    """

    async def once() -> CycleResult:
        async with _open(directory) as opened:
            with ImageProgress(out) as progress:
                return await opened.update_cycle(progress=progress)

    result = asyncio.run(once())
    out.result(result.as_json(), list(cycle_lines(result)))
    if result.error is not None:
        raise SystemExit(exit_status(result.error))


@primary.command()
@_DIRECTORY
@click.option(
    "--interval", default=60.0, show_default=True, type=click.FloatRange(min=0.1), help="Seconds between cycles."
)
@output_options
def run(out: Output, directory: Path, *, interval: float) -> None:
    """Run update cycles until interrupted.

    \b
    Example:
      twinlock primary run ./gateway --interval 30
    """

    async def forever() -> None:
        async with _open(directory) as opened:
            out.event({"event": "started", "ecu": opened.config.ecu.ecu}, f"{opened.config.ecu.ecu} runs")
            while True:
                result = await opened.update_cycle()
                out.event({"event": "cycle", **result.as_json()}, cycle_lines(result))
                await asyncio.sleep(interval)

    asyncio.run(until_stopped(forever()))


@primary.command()
@_DIRECTORY
@output_options
def show(out: Output, directory: Path) -> None:
    """Show the vehicle: its ECUs, what each runs according to its last report, and how the last cycle went.

    \b
    Example:
      twinlock primary show ./gateway
    """
    from twinlock.client.ecu.config import load_primary
    from twinlock.client.inspect.status import inspect_primary

    status = inspect_primary(load_primary(config_file(directory, "primary.json")))
    rows = [
        (ecu["ecu"], ecu["hardwareId"], ecu["verification"], image_name(ecu["installed"])) for ecu in status["ecus"]
    ]
    out.result(
        status,
        [
            f"vehicle {status['vehicle']}",
            *table(("ECU", "HARDWARE", "VERIFICATION", "RUNS"), rows),
            *refusal_lines(status),
        ],
    )


def _open(directory: Path) -> Primary:
    from twinlock.client.primary.primary import Primary

    configuration = config_file(directory, "primary.json")
    with own_map(configuration):
        return Primary.open(configuration)


def _token(file: Path | None) -> str:
    """The enrolment token: never an argument, because other users see those. Raises: NoTokenError."""
    import os

    from twinlock.cli.shared.errors import NoTokenError
    from twinlock.io.files.operator_files import read_operator_file

    token = (
        read_operator_file(file, "the token").decode(errors="replace")
        if file
        else os.environ.get("TWINLOCK_ENROLMENT_TOKEN", "")
    )
    if not token.strip():
        raise NoTokenError
    return token.strip()
