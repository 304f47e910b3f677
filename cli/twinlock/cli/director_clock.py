"""``twinlock director`` and the clock: the way out after a signature of the future."""

from __future__ import annotations

from pathlib import Path

import click

from twinlock.cli.image_options import DIRECTORY
from twinlock.cli.output import Output, output_options, yes_option
from twinlock.cli.passphrase import passphrase_for, passphrase_option


@click.command("recover-clock")
@click.argument("directory", type=DIRECTORY)
@click.option("--actor", default="operator", show_default=True, help="Who confirms it, for the audit.")
@yes_option
@passphrase_option
@output_options
def recover_clock(out: Output, directory: Path, *, actor: str, yes: bool, passphrase_file: Path | None) -> None:
    """Correct what was signed for vehicles while the clock was ahead. The clock has to be right now.

    Every vehicle whose files state a time of the future gets new ones with the true time and the next versions. They stay
    valid for longer than the false time, so that a vehicle that took the false ones takes these. No key of Root is needed
    unless Root itself was signed then, or expires before that time.

    \b
    Example:
      date --utc                    # compare it with another clock first
      twinlock director recover-clock ./director
    """
    from twinlock.director.director import Director

    out.confirm(f"confirm that this machine's clock is right now, and sign again in {directory}", yes=yes)
    with Director.open(directory, passphrase=passphrase_for(passphrase_file)) as director:
        found = director.recover_clock(actor=actor)
    lines = [
        f"signed again for {len(found.vehicles)} vehicle(s)",
        f"the highest false time was {found.highest:%Y-%m-%dT%H:%M:%SZ}; the new files stay valid beyond it",
    ]
    if found.root_needed:
        lines.append("left: Root states a time of the future or expires before that one; run `director refresh --root`")
    out.result(found, lines)


COMMANDS = (recover_clock,)
