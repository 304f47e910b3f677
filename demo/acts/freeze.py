"""Time stands still: the same genuine files for ever."""

from __future__ import annotations

from datetime import timedelta

from demo.script import NETWORK, Act, Attack, Play, Seen, seen_in_cycle
from demo.stage import Stage

TWO_DAYS = timedelta(days=2)


def frozen(repository: str) -> Play:
    """Repeat the last Timestamp that the vehicle accepted until it has expired."""

    async def play(stage: Stage) -> Seen | None:
        recorded = stage.proxy.seen[(repository, "metadata/timestamp.json")]
        stage.proxy.answer(repository, "metadata/timestamp.json", recorded[-1])
        stage.clock.skip(TWO_DAYS)
        await stage.renew()
        return seen_in_cycle(await stage.cycle())

    return play


FREEZE = Act(
    title="Somebody stops the clock",
    story="The same genuine files are repeated for ever, so that the vehicle never hears of an update; but files expire.",
    attacks=tuple(
        Attack(
            title=f"freeze, {repository}",
            story=f"For two days the vehicle is shown the same Timestamp of the {repository} repository; it lasts one day.",
            attacker=NETWORK,
            play=frozen(repository),
            code="expired",
        )
        for repository in ("director", "image")
    ),
)
