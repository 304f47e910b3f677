"""Genuine files that do not belong together: of different times, or of another vehicle."""

from __future__ import annotations

from demo.forge import published
from demo.script import NETWORK, Act, Attack, Play, Seen, seen_in_cycle
from demo.stage import OTHER_VEHICLE, Stage
from demo.vehicle import VEHICLE


def old_among_new(repository: str, role: str) -> Play:
    """Answer for the newest file of ``role`` with the one before."""

    async def play(stage: Stage) -> Seen | None:
        files = await published(stage.proxy, repository)
        stage.proxy.answer(repository, f"metadata/{files.name(role)}", stage.proxy.seen_files(repository, role)[-1])
        return seen_in_cycle(await stage.cycle())

    return play


def _version(stage: Stage, vehicle: str) -> int:
    return stage.director.issue(vehicle).timestamp


async def other_vehicles_orders(stage: Stage) -> Seen | None:
    """Give this vehicle what the Director signed for another one, at a higher version than its own."""
    while _version(stage, OTHER_VEHICLE) <= _version(stage, VEHICLE):
        stage.director.issue(OTHER_VEHICLE, force=True)
    other = stage.proxy.upstreams["director"].replace(VEHICLE, OTHER_VEHICLE)
    stage.proxy.divert("director", "metadata/*", other)
    return seen_in_cycle(await stage.cycle())


MIXING = Act(
    title="Genuine files that do not belong together",
    story="Everything here was properly signed by its owner; only the combination is the attacker's.",
    attacks=(
        Attack(
            title="another vehicle's orders",
            story="The vehicle is given what the Director signed for a different vehicle.",
            attacker=NETWORK,
            play=other_vehicles_orders,
            code="other-vehicle",
        ),
        *(
            Attack(
                title=f"old {role} among new, {repository}",
                story=f"All files of the {repository} repository are today's, except for yesterday's {role}.",
                attacker=NETWORK,
                play=old_among_new(repository, role),
                code="mix-and-match",
            )
            for repository in ("director", "image")
            for role in ("snapshot", "targets")
        ),
    ),
)
