"""``python -m demo``: set the stage, play, show the table. Exit status 0 only if no attack got through."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from demo.firmware import FirmwareError, real_files
from demo.process import PartError
from demo.table import Paint, Row, all_good, as_json, as_text, summary

EXIT_BROKEN = 1
EXIT_USAGE = 2

INTRODUCTION = """\
How a vehicle keeps its software safe when a server, a key or the network is in the wrong hands.

Who is who
  Image repository   says which software is genuine. Its important keys are offline, with people.
  Director           says what this vehicle should install now. Its keys are online, with a machine.
  acme               a supplier, who signs the software of one ECU with a key of its own.
  the vehicle        four small computers (ECUs):
                       gateway  talks to the outside for all (the Primary)
                       brake    checks every signature of both repositories itself
                       lidar    the same; its software is acme's
                       door     too small for that: checks the Director's signatures only
  the attacker       sits on the line between vehicle and repositories, and steals keys as named.

Software is installed only if both repositories agree. Everything here is running now: seven processes, real
sockets, real signatures. While each attack is played an honest update is waiting; afterwards the software of
every ECU is hashed on its disk and compared with what the ECU says, and the honest update has to go through."""

CLOSING = """\
Not in the table: an attacker who simply cuts the line keeps the vehicle at the software it has. Nothing can install an
update that does not arrive; but nothing else is installed either, and the Director sees that no report comes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration; the exit status."""
    options = _parser().parse_args(arguments)
    colour = not options.no_color and sys.stdout.isatty() and "NO_COLOR" not in os.environ
    paint = Paint(colour)
    started = time.monotonic()
    try:
        samples = real_files(options.images) if options.images else ()
        rows = asyncio.run(_run(samples, paint, quiet=options.json, only=options.only))
    except FirmwareError as error:
        print(f"error[usage]: {error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("interrupted; everything was stopped and removed", file=sys.stderr)
        return 130
    except _stage_errors() as error:
        print(f"error[demo]: {error}", file=sys.stderr)
        return EXIT_BROKEN
    seconds = time.monotonic() - started
    if options.json:
        print(as_json(rows, seconds=seconds))
    else:
        _close(rows, paint, seconds)
    return 0 if all_good(rows) else EXIT_BROKEN


async def _run(samples: tuple[Path, ...], paint: Paint, *, quiet: bool, only: str) -> list[Row]:
    from demo.acts import ACTS
    from demo.acts.update import honest_update
    from demo.play import Referee
    from demo.stage import stage

    def tell(line: str) -> None:
        if not quiet:
            print(line, flush=True)

    tell(INTRODUCTION)
    async with stage(samples) as cast:
        tell("")
        tell(paint("Act 1. An honest update", "1"))
        for line in await honest_update(cast):
            tell(f"  {line}")
        return await Referee(cast, tell, paint).play(ACTS, only=only)


def _close(rows: Sequence[Row], paint: Paint, seconds: float) -> None:
    print()
    for line in as_text(rows, paint):
        print(line)
    print()
    print(summary(rows))
    print(CLOSING)
    print(f"{seconds:.0f} s.")


def _stage_errors() -> tuple[type[Exception], ...]:
    from demo.acts.update import UpdateError
    from twinlock.trust.errors.base import TwinlockError

    return PartError, UpdateError, TwinlockError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo", description="An honest update, then the attacks.")
    parser.add_argument("--images", type=Path, metavar="DIR", help="use the files in DIR as firmware")
    parser.add_argument("--json", action="store_true", help="print only the table, as JSON")
    parser.add_argument("--only", default="", metavar="TEXT", help="play only the attacks whose name contains TEXT")
    parser.add_argument("--no-color", action="store_true", help="no colours")
    return parser


if __name__ == "__main__":
    sys.exit(main())
