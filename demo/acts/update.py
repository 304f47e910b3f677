"""The first act: an honest update of the whole vehicle, and an order that cannot be fulfilled."""

from __future__ import annotations

from demo.script import seen_in_cycle
from demo.stage import Release, Stage
from demo.vehicle import BRAKE, DOOR, ECUS, GATEWAY, LIDAR, VEHICLE
from twinlock.director.errors.vehicles import NoImageSetError


class UpdateError(Exception):
    """The honest update did not go as it has to; nothing after it would mean anything."""


async def honest_update(stage: Stage) -> list[str]:
    """Play it; lines that tell what happened. Raises: UpdateError."""
    refused = seen_in_cycle(await stage.cycle())
    if refused is not None:
        raise UpdateError(f"the vehicle's first report failed: {refused.detail}")
    lines = ["The vehicle reports what it left the factory with; the Director has nothing for it yet."]
    gateway = await stage.publish(GATEWAY.name)
    wanted = [
        await stage.publish(BRAKE.name, needs={GATEWAY.name: ">=1.0"}),
        await stage.publish(LIDAR.name),
        await stage.publish(DOOR.name),
    ]
    lines.append("Four images are published; acme signed its own. The brake's software 1.0 needs gateway >= 1.0.")
    lines.append(await _ordered(stage, wanted))
    lines.append(await _installed(stage, [gateway, *wanted]))
    lines.append(await _impossible(stage))
    return lines


async def _ordered(stage: Stage, wanted: list[Release]) -> str:
    ecus = await stage.order(*wanted)
    if sorted(ecus) != sorted(spec.name for spec in ECUS):
        raise UpdateError(f"the Director gives orders to {', '.join(ecus)}; the gateway was to follow by dependency")
    return "An operator asks for brake, lidar and door; the Director works out that the gateway has to move with them."


async def _installed(stage: Stage, releases: list[Release]) -> str:
    before = await stage.vehicle.evidence()
    result = await stage.cycle()
    refused = seen_in_cycle(result)
    if refused is not None:
        raise UpdateError(f"the honest update was refused by the {refused.by}: {refused.detail}")
    after = await stage.vehicle.evidence()
    for release in releases:
        running = after[release.component]
        if running.path != release.path or running.on_disk != running.reported or running == before[release.component]:
            raise UpdateError(f"{release.component} runs {running.path} and not {release.path}")
    known = stage.director.vehicle(VEHICLE).reports
    if {ecu: report.installed.path for ecu, report in known.items()} != {r.component: r.path for r in releases}:
        raise UpdateError("the Director does not know what the vehicle runs now")
    return "One cycle later all four ECUs run their new software, and their signed reports have told the Director so."


async def _impossible(stage: Stage) -> str:
    release = await stage.publish(BRAKE.name, needs={GATEWAY.name: ">=9"})
    try:
        await stage.order(release)
    except NoImageSetError as error:
        return f"An order that cannot work is not given: {'; '.join(error.causes)}."
    raise UpdateError("the Director ordered a brake release whose dependency no gateway release meets")
