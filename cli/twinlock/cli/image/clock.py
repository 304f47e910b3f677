"""``twinlock image`` and the clock: the way out after a signature of the future, and a second source of time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinlock.cli.shared.actor import actor
from twinlock.cli.shared.options import DIRECTORY, FILE, open_image_repository
from twinlock.cli.shared.output import Output, output_options
from twinlock.cli.shared.own_input import own_input, read_own_file
from twinlock.cli.signing.clock_recovery import highest_line, recover_clock_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twinlock.repository.publishing.clock_recovery import ClockRecovery


def _recover(
    directory: Path, passphrase_file: Path | None, ask: Callable[[], None]
) -> tuple[ClockRecovery, Iterator[str]]:
    repository = open_image_repository(directory, passphrase_file)
    ask()
    recovery = repository.recover_clock(actor=actor())
    return recovery, _lines(recovery)


def _lines(recovery: ClockRecovery) -> Iterator[str]:
    yield f"published {recovery.publication.version}: {', '.join(recovery.publication.files)}"
    yield highest_line(recovery.highest)
    for role in recovery.left:
        yield f"remaining: {role} still states a future time, and its keys are not here; repeat where they are"
    for role in recovery.short:
        yield f"remaining: {role} expires before that time; vehicles that accepted the false files need a newer {role} first"


recover_clock = recover_clock_command(
    "image",
    "Every role whose file states a future time is signed again with the true time and the next version. The new files "
    "stay valid for longer than the false time, so that vehicles that accepted the false ones accept these. No Root key is needed "
    "unless Root itself was signed then.",
    _recover,
)


@click.command("time-source")
@click.argument("directory", type=DIRECTORY)
@click.argument("url", required=False)
@click.option("--director-root", type=FILE, help="The Director's Root, which names the keys that attest the time.")
@click.option("--offline", is_flag=True, help="Do not check now that the source answers.")
@output_options
def time_source(out: Output, directory: Path, url: str | None, *, director_root: Path | None, offline: bool) -> None:
    """Compare the clock with a second source before anything is signed: the time that a Director attests at URL.

    A source that contradicts the clock stops signing; one that does not answer is shown and stops nothing. Without URL
    no second source is asked. The source is asked once before it is stored; --offline skips that. Give the newest Root again after the Director's time key was rotated.

    \b
    Example:
      twinlock director root ./director --output director-root.json
      twinlock image time-source ./image http://127.0.0.1:8081/time --director-root director-root.json
    """
    from twinlock.trust.errors.base import UsageError

    if (url is None) != (director_root is None):
        raise UsageError(reason="URL and --director-root must be given together")
    with own_input():
        root = b"" if director_root is None else read_own_file(director_root, "the Director's Root")
        open_image_repository(directory, None).set_time_source(url, root, ask=url is not None and not offline)
    text = f"the clock is now compared with {url}" if url else "no second source of time is used"
    out.result({"directory": directory, "url": url}, text)


COMMANDS = (recover_clock, time_source)
