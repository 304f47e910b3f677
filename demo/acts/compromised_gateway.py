"""The gateway is in the attacker's hands. It carries every byte to the other ECUs, so these have to judge for themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping

from demo.acts.compromised_director import EVIL, ONLINE, instead, the_order
from demo.acts.rollback import new_keys
from demo.acts.tampering import flip_a_bit
from demo.forge import Forger, malware, no_keys, steal
from demo.script import GATEWAY_ITSELF, Act, Attack, Seen, seen_in_problem
from demo.stage import Stage
from demo.vehicle import BRAKE, DOOR

Bundle = Mapping[str, Mapping[str, str]]


async def offer(stage: Stage, ecu: str, bundle: Bundle) -> Seen | None:
    """Hand metadata to an ECU over its link, as only the gateway can; what it says against it."""
    async with (
        stage.vehicle.link(ecu) as link,
        link.put("http://ecu/v1/metadata", data=json.dumps(bundle)) as reply,
    ):
        return None if reply.status == 200 else seen_in_problem(ecu, json.loads(await reply.read()))


async def send(stage: Stage, ecu: str, path: str, data: bytes) -> Seen | None:
    """Hand an image to an ECU; what it says against it."""
    async with stage.vehicle.link(ecu) as link, link.put(f"http://ecu/v1/image/{path}", data=data) as reply:
        return None if reply.status == 200 else seen_in_problem(ecu, json.loads(await reply.read()))


async def bundle_of(stage: Stage, director: Forger) -> dict[str, dict[str, str]]:
    """The Director's files as ``director`` has forged them, with the genuine ones of the Image repository."""
    image = await Forger.take(stage.proxy, "image", no_keys())
    return {"director": director.bundle(), "image": image.bundle()}


async def tampered_image(stage: Stage) -> Seen | None:
    """Genuine metadata, and then an image with one bit flipped."""
    director = await Forger.take(stage.proxy, "director", no_keys())
    path = the_order(director.targets.signed, BRAKE.name).path
    refused = await offer(stage, BRAKE.name, await bundle_of(stage, director))
    if refused is not None:
        return refused
    image = stage.firmware.make(BRAKE.name, stage.releases[BRAKE.name]).read_bytes()
    return await send(stage, BRAKE.name, path, flip_a_bit(image))


async def old_metadata(stage: Stage) -> Seen | None:
    """The Director's files from before the brake's last update."""
    bundle = await bundle_of(stage, await Forger.take(stage.proxy, "director", no_keys()))
    bundle["director"]["timestamp.json"] = stage.proxy.seen[("director", "metadata/timestamp.json")][-2].decode()
    return await offer(stage, BRAKE.name, bundle)


async def unlisted_image(stage: Stage) -> Seen | None:
    """An order for malware, signed with the Director's keys, straight to the brake."""
    director = await Forger.take(stage.proxy, "director", steal(stage.director_keys, *ONLINE))
    evil = malware(the_order(director.targets.signed, BRAKE.name), EVIL, "brake/brake-special.bin")
    director.edit_targets(lambda targets: instead(targets, BRAKE.name, evil))
    refused = await offer(stage, BRAKE.name, await bundle_of(stage, director))
    return refused or await send(stage, BRAKE.name, evil.path, EVIL)


async def forged_order_for_the_door(stage: Stage) -> Seen | None:
    """An order for malware, signed with the attacker's own key, to the ECU that checks least."""
    director = await Forger.take(stage.proxy, "director", no_keys())
    evil = malware(the_order(director.targets.signed, DOOR.name), EVIL, "door/door-special.bin")
    director.edit_targets(lambda targets: instead(targets, DOOR.name, evil))
    refused = await offer(stage, DOOR.name, partial(director))
    return refused or await send(stage, DOOR.name, evil.path, EVIL)


async def old_order_for_the_door(stage: Stage) -> Seen | None:
    """Orders from before the last ones, to the ECU that checks least."""
    director = await Forger.take(stage.proxy, "director", no_keys())
    bundle = partial(director)
    bundle["director"]["targets.json"] = stage.proxy.seen_files("director", "targets")[-2].decode()
    return await offer(stage, DOOR.name, bundle)


def partial(director: Forger) -> dict[str, dict[str, str]]:
    """What an ECU in partial verification reads: the Director's Root chain and Targets."""
    files = {name: data for name, data in director.bundle().items() if name.endswith("root.json")}
    return {"director": {**files, "targets.json": director.data["targets"].decode()}}


COMPROMISED_GATEWAY = Act(
    title="The gateway itself is in the attacker's hands",
    story="It carries every byte to the other ECUs and now lies to them; each of them checks again for itself.",
    attacks=(
        Attack(
            title="gateway hands over a tampered image",
            story="The brake is given genuine metadata, and then firmware with one bit flipped.",
            attacker=GATEWAY_ITSELF,
            play=tampered_image,
            by=BRAKE.name,
            code="wrong-digest",
        ),
        Attack(
            title="gateway hands over old metadata",
            story="The brake is given yesterday's orders.",
            attacker=GATEWAY_ITSELF,
            play=old_metadata,
            by=BRAKE.name,
            code="rollback",
        ),
        Attack(
            title="gateway and Director together",
            story="The brake is given an order for the attacker's software, signed with the Director's stolen keys.",
            attacker="the gateway and the Director's online keys",
            play=unlisted_image,
            by=BRAKE.name,
            code="image-not-found",
            recovery=new_keys("director"),
            recovery_story="the Director's keys are replaced",
        ),
        Attack(
            title="gateway forges orders for the door",
            story="The door, which only reads the Director's orders, is given some that the Director never signed.",
            attacker=GATEWAY_ITSELF,
            play=forged_order_for_the_door,
            by=DOOR.name,
            code="threshold",
            pending=DOOR.name,
        ),
        Attack(
            title="gateway hands the door old orders",
            story="The door is given orders from before the last ones.",
            attacker=GATEWAY_ITSELF,
            play=old_order_for_the_door,
            by=DOOR.name,
            code="rollback",
            pending=DOOR.name,
        ),
    ),
)
