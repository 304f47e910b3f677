"""After a theft: keys are replaced, the thief's are worth nothing any more, and the fleet goes on."""

from __future__ import annotations

from tuf.api.metadata import MetaFile, Timestamp

from demo.acts.compromised_director import EVIL, ONLINE
from demo.acts.rollback import new_keys, with_keys
from demo.forge import Forger, image_files, malware, steal
from demo.script import Act, Attack, Play, Seen, seen_in_cycle
from demo.stage import Stage
from demo.vehicle import BRAKE

FAR_AHEAD = 1_000_000


def revoked(repository: str) -> Play:
    """Steal every key but Root's, have the owner replace them, and only then use them."""

    async def play(stage: Stage) -> Seen | None:
        keys = stage.director_keys if repository == "director" else stage.image_keys
        forger = await Forger.take(stage.proxy, repository, steal(keys, *ONLINE))
        path = f"{BRAKE.name}/{BRAKE.name}-{stage.releases[BRAKE.name]}.bin"
        evil = malware(forger.targets.signed.targets[path], EVIL)
        forger.edit_targets(lambda targets: targets.targets.update({path: evil}))
        if repository == "director":
            await stage.replace_director_keys()
        else:
            await stage.replace_image_keys(*ONLINE)
        stage.proxy.answer_all(repository, forger.files())
        stage.proxy.answer_all("image", image_files(evil, EVIL))
        return seen_in_cycle(await stage.cycle())

    return play


def fast_forward(repository: str) -> Play:
    """Number a Timestamp far ahead; then stop, and see the vehicle refuse everything honest as old."""

    def forge(_: Stage, forger: Forger) -> None:
        def change(timestamp: Timestamp) -> None:
            timestamp.version = FAR_AHEAD
            timestamp.snapshot_meta = MetaFile(FAR_AHEAD)
            timestamp.snapshot_meta.hashes = {"sha256": "0" * 64}

        forger.edit_timestamp(change)

    first = with_keys(repository, ("timestamp",), forge)

    async def play(stage: Stage) -> Seen | None:
        await first(stage)
        stage.proxy.honest()
        return seen_in_cycle(await stage.cycle())

    return play


def _of_one(repository: str) -> tuple[Attack, ...]:
    return (
        Attack(
            title=f"keys revoked, {repository}",
            story=f"All online keys of the {repository} repository are stolen and replaced; then the thief uses them.",
            attacker=f"revoked keys, {repository}",
            play=revoked(repository),
            code="threshold",
        ),
        Attack(
            title=f"numbers far ahead, {repository}",
            story=(
                f"A thief of the {repository} Timestamp key numbers a file a million ahead, so that everything honest "
                "looks old."
            ),
            attacker=f"a stolen key, {repository}",
            play=fast_forward(repository),
            code="rollback",
            recovery=new_keys(repository),
            recovery_story="the key is replaced and with it the false number forgotten",
        ),
    )


RECOVERY = Act(
    title="Keys are stolen, revoked, and the fleet recovers",
    story="Online keys can be replaced by the offline Root key; vehicles follow, and forget what the old keys claimed.",
    attacks=(*_of_one("director"), *_of_one("image")),
)
