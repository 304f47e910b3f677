"""``twinlock primary set-secondary`` and ``remove-secondary``: the parts of a vehicle that change in the workshop."""

from __future__ import annotations

from pathlib import Path

import click

from twinlock.cli.ecu.running import config_file, read_object
from twinlock.cli.shared.output import Output, output_options, yes_option

_DIRECTORY = click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("set-secondary")
@_DIRECTORY
@click.argument("description", type=_FILE)
@click.option("--replaces", metavar="ECU", help="The ECU that a part with another identifier replaces.")
@click.option("--new", is_flag=True, help="The part is an addition and replaces none.")
@output_options
def set_secondary(out: Output, directory: Path, description: Path, *, replaces: str | None, new: bool) -> None:
    """Set a Secondary's new key or address, or a part that replaces it, in the Primary in DIRECTORY.

    DESCRIPTION is what `secondary describe` printed. Stop the Primary first. Register it with the Director too: see
    `director rekey`, `replace-ecu` and `add-ecu`.

    \b
    Example:
      twinlock secondary describe ./brake > brake.json
      twinlock primary set-secondary ./gateway brake.json
      twinlock primary set-secondary ./gateway new-brake.json --replaces ecu-brake
    """
    from twinlock.client.ecu.configured_secondaries import configure_secondary

    described = read_object(description)
    replaced = configure_secondary(
        config_file(directory, "primary.json"), described, replaces=replaces, new=new, source=str(description)
    )
    place = "was added" if replaced is None else f"replaces {replaced}"
    out.result(
        {"ecu": described["ecu"], "address": described["address"], "keyid": described["keyid"], "replaced": replaced},
        f"{described['ecu']} at {described['address']} {place}",
    )


@click.command("remove-secondary")
@_DIRECTORY
@click.argument("ecu")
@yes_option
@output_options
def remove_secondary(out: Output, directory: Path, ecu: str, *, yes: bool) -> None:
    """Remove a Secondary from the Primary in DIRECTORY. Stop the Primary first.

    \b
    Example:
      twinlock primary remove-secondary ./gateway ecu-lamp
      twinlock director retire ./director VIN1 ecu-lamp
    """
    from twinlock.client.ecu.configured_secondaries import remove_secondary as remove

    undo = "`set-secondary --new` with the Secondary's description adds it again."
    out.confirm(f"remove {ecu} from the Primary in {directory}", yes=yes, undo=undo)
    remove(config_file(directory, "primary.json"), ecu)
    out.result({"removed": ecu}, f"{ecu} is no longer a Secondary of this Primary")
