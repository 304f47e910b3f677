"""``recover-clock`` of either repository: recovery after metadata was signed by a clock that was ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twinlock.cli.shared.actor import ACTOR
from twinlock.cli.shared.options import DIRECTORY
from twinlock.cli.shared.output import Output, output_options, yes_option
from twinlock.cli.shared.passphrase import passphrase_option

if TYPE_CHECKING:
    from datetime import datetime

Recover = Callable[[Path, "Path | None", Callable[[], None]], tuple[Any, Iterable[str]]]


def recover_clock_command(party: str, effect: str, recover: Recover) -> click.Command:
    """``twinlock PARTY recover-clock``. ``recover(directory, passphrase_file, ask)`` gives its value and lines; it calls
    ``ask`` once the directory is open, before it changes anything.

    ``effect`` is the paragraph of the help on what is signed again.
    """

    @click.command(
        "recover-clock",
        help="Correct what was signed while the clock was ahead. The clock must be right now.\n\n"
        f"{effect}\n\n\b\nExample:\n"
        "  date --utc                    # compare it with another clock first\n"
        f"  twinlock {party} recover-clock ./{party}",
    )
    @click.argument("directory", type=DIRECTORY)
    @ACTOR
    @yes_option
    @passphrase_option
    @output_options
    def command(out: Output, directory: Path, *, yes: bool, passphrase_file: Path | None) -> None:
        def ask() -> None:
            out.confirm(f"confirm that this machine's clock is right now, and sign again in {directory}", yes=yes)

        out.result(*recover(directory, passphrase_file, ask))

    return command


def highest_line(highest: datetime) -> str:
    """The line on the highest false time that was signed."""
    from twinlock.trust.text.times import format_time

    return f"the highest false time was {format_time(highest)}; the new files stay valid beyond it"
