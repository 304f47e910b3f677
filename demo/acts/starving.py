"""Too much, too slowly, or not at all: attacks that want the vehicle to wait, to fill up, or to miss an update."""

from __future__ import annotations

from demo.script import NETWORK, Act, Attack, Play, Seen, seen_in_cycle
from demo.stage import Stage

SLOW_CLAUSE = "Uptane 2.1.0 5.4"


def endless(repository: str, pattern: str) -> Play:
    """Answer with data that never ends."""

    async def play(stage: Stage) -> Seen | None:
        stage.proxy.flood(repository, pattern)
        return seen_in_cycle(await stage.cycle())

    return play


def slow(repository: str, pattern: str) -> Play:
    """Answer with a byte now and then."""

    async def play(stage: Stage) -> Seen | None:
        stage.proxy.trickle(repository, pattern)
        return seen_in_cycle(await stage.cycle())

    return play


def withheld(repository: str, pattern: str) -> Play:
    """Say that there is no such file."""

    async def play(stage: Stage) -> Seen | None:
        stage.proxy.hide(repository, pattern)
        return seen_in_cycle(await stage.cycle())

    return play


STARVING = Act(
    title="Somebody on the line sends too much, too slowly, or nothing",
    story="Nothing is forged here; the vehicle is to run out of memory, of patience, or of news.",
    attacks=(
        Attack(
            title="endless image",
            story="The firmware never stops arriving; the vehicle stops reading at the length that was signed.",
            attacker=NETWORK,
            play=endless("image", "targets/*"),
            code="endless-data",
        ),
        Attack(
            title="endless metadata",
            story="A file that is a few hundred bytes long goes on for ever.",
            attacker=NETWORK,
            play=endless("director", "metadata/timestamp.json"),
            code="endless-data",
        ),
        Attack(
            title="slow image",
            story="The firmware arrives one byte at a time, just fast enough that no connection times out.",
            attacker=NETWORK,
            play=slow("image", "targets/*"),
            code="slow-retrieval",
            clause=SLOW_CLAUSE,
        ),
        Attack(
            title="slow metadata",
            story="The same with a metadata file.",
            attacker=NETWORK,
            play=slow("image", "metadata/timestamp.json"),
            code="slow-retrieval",
            clause=SLOW_CLAUSE,
        ),
        Attack(
            title="withheld metadata",
            story="A file that has to exist is said not to; no news is not taken for good news.",
            attacker=NETWORK,
            play=withheld("image", "metadata/timestamp.json"),
            code="missing-metadata",
        ),
    ),
)
