"""``twinlock secondary``: one Secondary ECU, from the shell."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from twinlock.cli.ecu.recover import recover_command
from twinlock.cli.ecu.running import (
    check_identifiers,
    chosen_wires,
    config_file,
    factory_image,
    image_name,
    own_map,
    read_root,
    refusal_lines,
    until_stopped,
    wire_options,
)
from twinlock.cli.shared.json_form import json_text
from twinlock.cli.shared.output import Output, Verbatim, output_options
from twinlock.cli.shared.own_input import own_input

_DIRECTORY = click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def secondary() -> None:
    """A Secondary ECU: verify what the Primary sends, install, report.

    \b
    Example:
      twinlock secondary describe ./lamp --json
      twinlock secondary run ./lamp
    """


secondary.add_command(recover_command("secondary"))


@secondary.command()
@_DIRECTORY
@click.option("--vehicle", required=True, help="The vehicle's identifier, for example its VIN.")
@click.option("--ecu", required=True, help="This ECU's identifier.")
@click.option("--hardware-id", required=True, help="What kind of hardware this ECU is.")
@click.option("--listen", required=True, help="Where the Primary reaches it: http://HOST:PORT or unix:PATH.")
@click.option("--verification", default="full", show_default=True, type=click.Choice(["full", "partial"]))
@click.option("--director-root", required=True, type=_FILE, help="The Director's Root file that the factory trusts.")
@click.option("--image-root", type=_FILE, help="The Image repository's Root file; full verification needs it.")
@click.option("--factory-image", type=_FILE, help="What the ECU runs now.  [default: nothing]")
@click.option("--factory-name", default="factory", show_default=True, help="The name of that image.")
@click.option("--key-type", default="ed25519", show_default=True, type=click.Choice(["ed25519", "ecdsa", "rsa"]))
@click.option("--attested-time", is_flag=True, help="It has no clock; the Primary forwards signed time attestations.")
@click.option(
    "--anchor",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A read-only directory with director.root.json and image.root.json: stored Roots must then chain from these.",
)
@click.option("--director-url", default="", help="The Director's URL, to check the Root there. It is not stored.")
@click.option("--image-url", default="", help="The Image repository's URL, to check the Root there. It is not stored.")
@wire_options
@output_options
def init(out: Output, directory: Path, *, listen: str, verification: str, **options: Any) -> None:
    """Make a Secondary in a new DIRECTORY: its key, trusted state, slots and configuration.

    A Secondary reaches the repositories only through its Primary, so the Roots are checked with them only if you give
    their URLs. The key is not encrypted: an ECU starts without an operator to type a passphrase.

    \b
    Example:
      twinlock secondary init ./brake --vehicle VIN1 --ecu ecu-brake --hardware-id brake-7 \\
        --listen http://127.0.0.1:9101 --director-root director-root.json --image-root image-root.json
    """
    from twinlock.client.ecu.clock import system_clock
    from twinlock.client.ecu.config import check_listen
    from twinlock.client.ecu.provision import EcuPlan, KnownRepositories, provision_secondary
    from twinlock.client.primary.repository_check import check_repositories

    check_identifiers(options)
    with own_input(given="--listen"):
        check_listen(listen)
    plan = EcuPlan(
        vehicle=options["vehicle"],
        ecu=options["ecu"],
        hardware_id=options["hardware_id"],
        key_type=options["key_type"],
        time={"source": "attested"} if options["attested_time"] else {},
        factory_image=factory_image(options),
        policy=options["policy"],
    )
    image_root = options["image_root"]
    repositories = KnownRepositories(
        director_root=read_root(options["director_root"], "director", options["director_wire"]),
        image_root=read_root(image_root, "image", options["image_wire"]) if image_root else None,
        wires=chosen_wires(options),
        anchor=options["anchor"],
    )
    with own_input():
        urls = {"director_url": options["director_url"], "image_url": options["image_url"]}
        for warning in asyncio.run(
            check_repositories(replace(repositories, **urls), system_clock(), vehicle=plan.vehicle, policy=plan.policy)
        ):
            out.note(f"warning: {warning}")
        description = provision_secondary(directory, plan, repositories, verification=verification, listen=listen)
    out.result(
        description,
        [
            f"made {plan.ecu}, a Secondary of {plan.vehicle} with {verification} verification, in {directory}",
            f"next: twinlock secondary describe {directory} > {plan.ecu}.json, for `twinlock primary init --secondary`",
        ],
    )


@secondary.command()
@_DIRECTORY
@output_options
def describe(out: Output, directory: Path) -> None:
    """Print the description that `twinlock primary init --secondary` reads.

    \b
    Example:
      twinlock secondary describe ./brake > brake.json
    """
    from twinlock.client.ecu.config import load_secondary
    from twinlock.client.ecu.provision import describe_secondary

    description = describe_secondary(load_secondary(config_file(directory, "secondary.json")))
    out.result(description, Verbatim(json_text(description)))


@secondary.command()
@_DIRECTORY
@output_options
def run(out: Output, directory: Path) -> None:
    """Serve the Primary until interrupted.

    \b
    Example:
      twinlock secondary run ./brake
    """
    from twinlock.client.secondary.secondary import Secondary
    from twinlock.client.secondary.server import start_secondary

    async def forever() -> None:
        configuration = config_file(directory, "secondary.json")
        with own_map(configuration):
            secondary = Secondary.open(configuration)
        with secondary as opened:
            runner, address = await start_secondary(opened)
            try:
                ecu = opened.config.ecu.ecu
                out.event({"event": "listening", "ecu": ecu, "url": address}, f"{ecu} listens on {address}")
                await asyncio.Event().wait()
            finally:
                await runner.cleanup()

    asyncio.run(until_stopped(forever()))


@secondary.command()
@_DIRECTORY
@output_options
def show(out: Output, directory: Path) -> None:
    """Show the ECU: what it is, what it runs, and how its last verification went.

    \b
    Example:
      twinlock secondary show ./brake
    """
    from twinlock.client.ecu.config import load_secondary
    from twinlock.client.inspect.status import inspect_secondary

    status = inspect_secondary(load_secondary(config_file(directory, "secondary.json")))
    out.result(
        status,
        [
            f"{status['ecu']} ({status['hardwareId']}) of {status['vehicle']}: {status['verification']} verification",
            f"runs {image_name(status['installed'])}, listens on {status['listen']}",
            *refusal_lines(status),
        ],
    )
