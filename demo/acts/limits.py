"""What cannot be stopped: the attacker holds everything that the decision rests on. Shown, so that nobody hopes."""

from __future__ import annotations

from tuf.api.metadata import TargetFile

from demo.acts.compromised_director import EVIL, ONLINE, instead, the_order
from demo.acts.compromised_gateway import offer, partial, send
from demo.acts.compromised_image_repository import new_keys_everywhere
from demo.acts.rollback import new_keys
from demo.forge import Forger, image_files, malware, steal
from demo.script import Act, Attack, Seen, seen_in_cycle
from demo.stage import Stage
from demo.vehicle import BRAKE, DOOR


async def both_repositories(stage: Stage) -> Seen | None:
    """List malware with the keys of one repository, and order it with those of the other."""
    director = await Forger.take(stage.proxy, "director", steal(stage.director_keys, *ONLINE))
    evil = malware(the_order(director.targets.signed, BRAKE.name), EVIL, "brake/brake-special.bin")
    director.edit_targets(lambda targets: instead(targets, BRAKE.name, evil))
    image = await Forger.take(stage.proxy, "image", steal(stage.image_keys, *ONLINE))
    custom = {"mustAgree": evil.unrecognized_fields["custom"]["mustAgree"]}
    listed = TargetFile(evil.length, dict(evil.hashes), evil.path, {"custom": custom})
    image.edit_targets(lambda targets: targets.targets.update({evil.path: listed}))
    stage.proxy.answer_all("director", director.files())
    stage.proxy.answer_all("image", {**image.files(), **image_files(evil, EVIL)})
    return seen_in_cycle(await stage.cycle())


async def gateway_and_director(stage: Stage) -> Seen | None:
    """Order malware with the Director's keys, and hand it to the ECU that reads nothing but the Director."""
    director = await Forger.take(stage.proxy, "director", steal(stage.director_keys, *ONLINE))
    evil = malware(the_order(director.targets.signed, DOOR.name), EVIL, "door/door-special.bin")
    director.edit_targets(lambda targets: instead(targets, DOOR.name, evil))
    refused = await offer(stage, DOOR.name, partial(director))
    return refused or await send(stage, DOOR.name, evil.path, EVIL)


LIMITS = Act(
    title="What nothing can stop",
    story="Whoever holds everything that an ECU's decision rests on decides for it. These two attacks do succeed.",
    attacks=(
        Attack(
            title="both repositories' keys stolen",
            story="With the keys of both repositories, the offline ones too, the brake installs the attacker's software.",
            attacker="all keys of both repositories but Root's",
            play=both_repositories,
            recovery=new_keys_everywhere,
            recovery_story="all keys are replaced with the offline Root keys and a good release is ordered",
        ),
        Attack(
            title="gateway and Director against the door",
            story="The door checks only the Director's orders (partial verification); with the gateway's help they reach it.",
            attacker="the gateway and the Director's online keys",
            play=gateway_and_director,
            pending=DOOR.name,
            recovery=new_keys("director"),
            recovery_story="the Director's keys are replaced and a good release is ordered",
        ),
    ),
)
