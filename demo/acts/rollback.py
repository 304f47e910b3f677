"""Back to yesterday: old metadata of every role, alone or with the stolen keys that it takes to try."""

from __future__ import annotations

from collections.abc import Callable

from tuf.api.metadata import Snapshot, Timestamp

from demo.forge import Forger, listed, published, steal
from demo.script import NETWORK, Act, Attack, Play, Recovery, Seen, seen_in_cycle
from demo.stage import Release, Stage

Repository = str


def old_timestamp(repository: Repository) -> Play:
    """Replay a Timestamp from before the last one that the vehicle accepted."""

    async def play(stage: Stage) -> Seen | None:
        recorded = stage.proxy.seen[(repository, "metadata/timestamp.json")]
        stage.proxy.answer(repository, "metadata/timestamp.json", recorded[-2])
        return seen_in_cycle(await stage.cycle())

    return play


def old_root(repository: Repository) -> Play:
    """Offer the first Root as if it were the next."""

    async def play(stage: Stage) -> Seen | None:
        roots = (await published(stage.proxy, repository)).roots
        stage.proxy.answer(repository, f"metadata/{max(roots) + 1}.root.json", roots[1])
        return seen_in_cycle(await stage.cycle())

    return play


def with_keys(repository: Repository, roles: tuple[str, ...], forge: Callable[[Stage, Forger], None]) -> Play:
    """Forge with the stolen keys of ``roles``, and let the vehicle run a cycle."""

    async def play(stage: Stage) -> Seen | None:
        keys = stage.director_keys if repository == "director" else stage.image_keys
        forger = await Forger.take(stage.proxy, repository, steal(keys, *roles))
        forge(stage, forger)
        stage.proxy.answer_all(repository, forger.files())
        return seen_in_cycle(await stage.cycle())

    return play


def _list_old_snapshot(repository: Repository) -> Callable[[Stage, Forger], None]:
    def forge(stage: Stage, forger: Forger) -> None:
        data = stage.proxy.seen_files(repository, "snapshot")[-2]

        def change(timestamp: Timestamp) -> None:
            timestamp.snapshot_meta = listed(data)

        forger.edit_timestamp(change)

    return forge


def _list_old_targets(repository: Repository) -> Callable[[Stage, Forger], None]:
    def forge(stage: Stage, forger: Forger) -> None:
        data = stage.proxy.seen_files(repository, "targets")[-2]

        def change(snapshot: Snapshot) -> None:
            snapshot.meta["targets.json"] = listed(data)

        forger.edit_snapshot(change)

    return forge


def _forget_supplier(_stage: Stage, forger: Forger) -> None:
    def change(snapshot: Snapshot) -> None:
        del snapshot.meta["acme.json"]

    forger.edit_snapshot(change)


def new_keys(repository: Repository) -> Recovery:
    """Replace the online keys of ``repository``."""

    async def recover(stage: Stage) -> Release | None:
        if repository == "director":
            await stage.replace_director_keys()
        else:
            await stage.replace_image_keys()
        return None

    return recover


def _of_one(repository: Repository) -> tuple[Attack, ...]:
    stolen = f"two stolen keys, {repository}"
    return (
        Attack(
            title=f"rollback of root, {repository}",
            story=f"The {repository} repository's first list of keys is offered as if it were the next one.",
            attacker=NETWORK,
            play=old_root(repository),
            code="root-version",
        ),
        Attack(
            title=f"rollback of timestamp, {repository}",
            story=f"Yesterday's Timestamp of the {repository} repository is replayed, to hide today's update.",
            attacker=NETWORK,
            play=old_timestamp(repository),
            code="rollback",
        ),
        Attack(
            title=f"rollback of snapshot, {repository}",
            story=f"A thief of the {repository} Timestamp key signs that an old Snapshot is the newest.",
            attacker=f"a stolen key, {repository}",
            play=with_keys(repository, ("timestamp",), _list_old_snapshot(repository)),
            code="rollback",
            recovery=new_keys(repository),
            recovery_story="the stolen keys are replaced",
        ),
        Attack(
            title=f"rollback of targets, {repository}",
            story=f"A thief of the {repository} Timestamp and Snapshot keys signs that old Targets are the newest.",
            attacker=stolen,
            play=with_keys(repository, ("timestamp", "snapshot"), _list_old_targets(repository)),
            code="rollback",
            recovery=new_keys(repository),
            recovery_story="the stolen keys are replaced",
        ),
    )


ROLLBACK = Act(
    title="Somebody wants yesterday back",
    story="Old software has known holes; each file carries a number, and no ECU accepts a lower one than it has seen.",
    attacks=(
        *_of_one("director"),
        *_of_one("image"),
        Attack(
            title="a supplier struck out",
            story="The thief signs a Snapshot that no longer mentions the supplier, as if it had never existed.",
            attacker="two stolen keys, image",
            play=with_keys("image", ("timestamp", "snapshot"), _forget_supplier),
            code="role-removed",
            recovery=new_keys("image"),
            recovery_story="the stolen keys are replaced",
        ),
    ),
)
