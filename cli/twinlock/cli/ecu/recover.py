"""``twinlock primary recover`` and ``twinlock secondary recover``: recover a damaged state file on the ECU itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twinlock.cli.ecu.running import config_file, read_root
from twinlock.cli.shared.output import Output, output_options
from twinlock.cli.shared.own_input import own_input

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twinlock.client.ecu.config import EcuSettings
    from twinlock.client.ecu.recovery import Recovered

_HELP = """Recover a damaged or lost state file from what can still be read of it.

Keeps metadata that verify, and floors. Stop the ECU first; the damaged file is kept. If the file is
lost, give the factory's Roots, unless the ECU has an anchor.

With --again it corrects a recovery that was given wrong Roots: the right ones take their place. Counters and
floors stay, and so does the file of the wrong recovery, next to the damaged one. A Root under which metadata
verified is not replaced.

\b
Example:
  twinlock {role} recover ./ecu
  twinlock {role} recover ./ecu --director-root director-root.json --image-root image-root.json
  twinlock {role} recover ./ecu --again --image-root image-root.json
"""
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def recover_command(role: str) -> click.Command:
    """The command ``recover`` of ``primary`` or ``secondary``."""

    @click.command("recover", help=_HELP.format(role=role))
    @click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
    @click.option(
        "--director-root", type=_FILE, help="The factory's Root of the Director, if no stored one can be read."
    )
    @click.option("--image-root", type=_FILE, help="The factory's Root of the Image repository, likewise.")
    @click.option(
        "--release-counter", type=click.IntRange(min=0), help="The counter of the image that runs, if it is lost."
    )
    @click.option("--again", is_flag=True, help="Correct a recovery that was given wrong Roots.")
    @output_options
    def recover(
        out: Output,
        directory: Path,
        director_root: Path | None,
        image_root: Path | None,
        release_counter: int | None,
        *,
        again: bool,
    ) -> None:
        from twinlock.client.ecu.clock import system_clock
        from twinlock.client.ecu.recovery import check_damaged, recover_state
        from twinlock.trust.names import DIRECTOR, IMAGE

        settings = _settings(directory, role)
        if not again:
            check_damaged(settings)
        given = {DIRECTOR: director_root, IMAGE: image_root}
        roots = {
            name: read_root(path, name, settings.wires[name].name if name in settings.wires else "tuf")
            for name, path in given.items()
            if path is not None
        }
        with own_input():
            recovered = recover_state(settings, roots, release_counter, system_clock(), again=again)
        out.result(_as_json(recovered), _lines(recovered, settings.state))

    return recover


def _as_json(recovered: Recovered) -> dict[str, Any]:
    return {
        "versions": {name: dict(versions) for name, versions in recovered.versions.items()},
        "releaseCounter": recovered.release_counter,
        "reportCounter": recovered.report_counter,
        "damaged": None if recovered.damaged is None else str(recovered.damaged),
    }


def _lines(recovered: Recovered, state: Path) -> Iterator[str]:
    damaged = "the file was lost" if recovered.damaged is None else f"the damaged file is {recovered.damaged}"
    yield f"recovered {state}; {damaged}"
    for name, versions in recovered.versions.items():
        yield f"{name}: " + ", ".join(f"{role} {version}" for role, version in versions.items())
    yield f"release counter {recovered.release_counter}, report counter {recovered.report_counter}"


def _settings(directory: Path, role: str) -> EcuSettings:
    from twinlock.client.ecu.config import load_primary, load_secondary

    path = config_file(directory, f"{role}.json")
    return load_primary(path) if role == "primary" else load_secondary(path)
