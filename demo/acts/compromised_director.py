"""The Director is in the attacker's hands: every online key of it, so that its orders are signed as they should be.

What stops it is the other lock: the Image repository has to list the same image, and every ECU knows its own hardware
and what it runs already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tuf.api.metadata import DelegatedRole, Delegations, Metadata, TargetFile, Targets

from demo.acts.rollback import new_keys
from demo.forge import Forger, image_files, malware, published, steal
from demo.script import Act, Attack, Play, Seen, seen_in_cycle
from demo.stage import Stage
from demo.vehicle import BRAKE, GATEWAY

ONLINE = ("targets", "snapshot", "timestamp")
EVIL = b"software that the attacker wrote\n" * 1000

Genuine = Mapping[str, TargetFile]
Change = Callable[[Forger, Targets, Genuine, Stage], None]


def order(entry: TargetFile, ecu: str, hardware_id: str) -> TargetFile:
    """The Director's entry that orders a genuine image for ``ecu``."""
    custom = {"mustAgree": _custom(entry)["mustAgree"], "ecuIdentifiers": {ecu: {"hardwareId": hardware_id}}}
    return TargetFile(entry.length, dict(entry.hashes), entry.path, {"custom": custom})


def ordering(change: Change) -> Play:
    """Sign changed orders with the Director's keys, and let the vehicle run a cycle."""

    async def play(stage: Stage) -> Seen | None:
        genuine = Metadata[Targets].from_bytes((await published(stage.proxy, "image")).data["targets"]).signed.targets
        forger = await Forger.take(stage.proxy, "director", steal(stage.director_keys, *ONLINE))
        forger.edit_targets(lambda targets: change(forger, targets, genuine, stage))
        stage.proxy.answer_all("director", forger.files())
        return seen_in_cycle(await stage.cycle())

    return play


def the_order(targets: Targets, ecu: str) -> TargetFile:
    """What the honest Director orders for ``ecu``."""
    return next(entry for entry in targets.targets.values() if ecu in _custom(entry)["ecuIdentifiers"])


def instead(targets: Targets, ecu: str, entry: TargetFile) -> None:
    """Order ``entry`` and not what was ordered for ``ecu``."""
    del targets.targets[the_order(targets, ecu).path]
    targets.targets[entry.path] = entry


def _unlisted(_: Forger, targets: Targets, __: Genuine, stage: Stage) -> None:
    evil = malware(the_order(targets, BRAKE.name), EVIL, "brake/brake-special.bin")
    instead(targets, BRAKE.name, evil)
    stage.proxy.answer_all("image", image_files(evil, EVIL))


def _other_bytes(_: Forger, targets: Targets, __: Genuine, stage: Stage) -> None:
    evil = malware(the_order(targets, BRAKE.name), EVIL)
    instead(targets, BRAKE.name, evil)
    stage.proxy.answer_all("image", image_files(evil, EVIL))


def _downgrade(_: Forger, targets: Targets, genuine: Genuine, __: Stage) -> None:
    instead(targets, BRAKE.name, order(genuine["brake/brake-1.bin"], BRAKE.name, BRAKE.hardware_id))


def _wrong_hardware(_: Forger, targets: Targets, genuine: Genuine, __: Stage) -> None:
    instead(targets, BRAKE.name, order(genuine["gateway/gateway-1.bin"], BRAKE.name, BRAKE.hardware_id))


def _unknown_ecu(_: Forger, targets: Targets, genuine: Genuine, __: Stage) -> None:
    entry = genuine[the_order(targets, BRAKE.name).path]
    instead(targets, BRAKE.name, order(entry, "radio", BRAKE.hardware_id))


def _two_images(_: Forger, targets: Targets, genuine: Genuine, __: Stage) -> None:
    entry = genuine[the_order(targets, BRAKE.name).path]
    instead(targets, BRAKE.name, order(entry, GATEWAY.name, GATEWAY.hardware_id))
    other = genuine["gateway/gateway-1.bin"]
    targets.targets[other.path] = order(other, GATEWAY.name, GATEWAY.hardware_id)


def _delegates(forger: Forger, targets: Targets, _: Genuine, __: Stage) -> None:
    key = forger.own_key.public_key
    role = DelegatedRole("friend", [key.keyid], 1, terminating=False, paths=["*"])
    targets.delegations = Delegations({key.keyid: key}, {role.name: role})


def _custom(entry: TargetFile) -> dict[str, Any]:
    custom: dict[str, Any] = entry.unrecognized_fields["custom"]
    return custom


def _attack(title: str, story: str, change: Change, code: str) -> Attack:
    return Attack(
        title=title,
        story=story,
        attacker="the Director's online keys",
        play=ordering(change),
        code=code,
        recovery=new_keys("director"),
        recovery_story="the Director's keys are replaced",
    )


COMPROMISED_DIRECTOR = Act(
    title="The Director is in the attacker's hands",
    story="Its online keys are stolen, so every order below is properly signed; the other lock has to hold.",
    attacks=(
        _attack(
            "Director orders an unlisted image",
            "The Director orders software that the Image repository has never heard of.",
            _unlisted,
            "image-not-found",
        ),
        _attack(
            "Director orders other bytes",
            "The Director orders a genuine image by name, but with the attacker's bytes.",
            _other_bytes,
            "repository-mismatch",
        ),
        _attack(
            "Director orders a downgrade",
            "The Director orders the brake's first release: genuine, but older than what the brake runs.",
            _downgrade,
            "release-counter",
        ),
        _attack(
            "Director orders wrong hardware",
            "The Director orders the gateway's software for the brake.",
            _wrong_hardware,
            "wrong-hardware",
        ),
        _attack(
            "Director orders for a strange ECU",
            "The Director orders software for an ECU that this vehicle does not have.",
            _unknown_ecu,
            "unknown-ecu",
        ),
        _attack(
            "Director orders two at once",
            "The Director orders two images for one ECU, so that it is open which one wins.",
            _two_images,
            "duplicate-ecu",
        ),
        _attack(
            "Director delegates",
            "The Director passes its right to give orders on to a friend.",
            _delegates,
            "director-delegates",
        ),
    ),
)
