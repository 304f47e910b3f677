"""``twinlock director recover-clock``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from twinlock.cli.director.orders import open_director
from twinlock.cli.shared.counts import counted
from twinlock.cli.signing.clock_recovery import highest_line, recover_clock_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twinlock.director.signing.recovery import FleetClockRecovery


def _recover(
    directory: Path, passphrase_file: Path | None, ask: Callable[[], None]
) -> tuple[FleetClockRecovery, Iterator[str]]:
    with open_director(directory, passphrase_file) as director:
        ask()
        recovery = director.recover_clock()
    return recovery, _lines(recovery)


def _lines(recovery: FleetClockRecovery) -> Iterator[str]:
    yield f"signed again for {counted(len(recovery.vehicles), 'vehicle')}"
    yield highest_line(recovery.highest)
    if recovery.root_needed:
        yield "remaining: Root states a future time or expires before that time; run `director refresh --root`"


COMMANDS = (
    recover_clock_command(
        "director",
        "Every vehicle whose files state a future time gets new ones with the true time and the next versions. They "
        "stay valid for longer than the false time, so that a vehicle that accepted the false ones accepts these. No Root key "
        "is needed unless Root itself was signed then, or expires before that time.",
        _recover,
    ),
)
