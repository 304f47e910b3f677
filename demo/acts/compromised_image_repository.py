"""The Image repository is in the attacker's hands: all keys but Root's. Then a supplier's key, and a supplier too far."""

from __future__ import annotations

from tuf.api.metadata import TargetFile, Targets

from demo.acts.compromised_director import EVIL, ONLINE, instead, the_order
from demo.acts.rollback import with_keys
from demo.forge import Forger, image_files, malware, steal
from demo.script import Act, Attack, Play, Seen, seen_in_cycle
from demo.stage import SUPPLIER, Release, Stage
from demo.vehicle import BRAKE

ALL_BUT_ROOT = ("targets", "snapshot", "timestamp")


async def new_image_keys(stage: Stage) -> Release | None:
    """Replace every key but Root's."""
    await stage.replace_image_keys(*ALL_BUT_ROOT)
    return None


async def new_keys_everywhere(stage: Stage) -> Release | None:
    """Replace every key but the Root keys, on both repositories."""
    await stage.replace_image_keys(*ALL_BUT_ROOT)
    await stage.replace_director_keys()
    return None


def _waiting(stage: Stage) -> str:
    return f"{BRAKE.name}/{BRAKE.name}-{stage.releases[BRAKE.name]}.bin"


def _other_bytes(stage: Stage, forger: Forger) -> None:
    path = _waiting(stage)
    evil = malware(forger.targets.signed.targets[path], EVIL)
    forger.edit_targets(lambda targets: targets.targets.update({path: evil}))
    stage.proxy.answer_all("image", image_files(evil, EVIL))


def _taken_away(stage: Stage, forger: Forger) -> None:
    def change(targets: Targets) -> None:
        del targets.targets[_waiting(stage)]

    forger.edit_targets(change)


def _forged_targets(stage: Stage, forger: Forger) -> None:
    _other_bytes(stage, forger)


def beyond_delegation(path: str) -> Play:
    """Sign an image for the brake with the supplier's key, and order it with the Director's."""

    async def play(stage: Stage) -> Seen | None:
        director = await Forger.take(stage.proxy, "director", steal(stage.director_keys, *ONLINE))
        evil = malware(the_order(director.targets.signed, BRAKE.name), EVIL, path)
        director.edit_targets(lambda targets: instead(targets, BRAKE.name, evil))
        image = await Forger.take(stage.proxy, "image", steal(stage.image_keys, "snapshot", "timestamp"))
        listed = TargetFile(evil.length, dict(evil.hashes), path, {"custom": _agreed(evil)})
        image.edit_delegated(SUPPLIER, lambda targets: targets.targets.update({path: listed}), stage.supplier_signers())
        stage.proxy.answer_all("director", director.files())
        stage.proxy.answer_all("image", {**image.files(), **image_files(evil, EVIL)})
        return seen_in_cycle(await stage.cycle())

    return play


def _agreed(entry: TargetFile) -> dict[str, object]:
    return {"mustAgree": entry.unrecognized_fields["custom"]["mustAgree"]}


COMPROMISED_IMAGE_REPOSITORY = Act(
    title="The Image repository is in the attacker's hands",
    story="Now the other lock is broken, even its offline Targets key; what it lists has to match what was ordered.",
    attacks=(
        Attack(
            title="Image repository lists other bytes",
            story="The image that the Director ordered is listed with the attacker's bytes.",
            attacker="all Image repository keys but Root's",
            play=with_keys("image", ALL_BUT_ROOT, _other_bytes),
            code="repository-mismatch",
            recovery=new_image_keys,
            recovery_story="the repository's keys are replaced",
        ),
        Attack(
            title="Image repository drops an image",
            story="The image that the Director ordered is no longer listed.",
            attacker="all Image repository keys but Root's",
            play=with_keys("image", ALL_BUT_ROOT, _taken_away),
            code="image-not-found",
            recovery=new_image_keys,
            recovery_story="the repository's keys are replaced",
        ),
        Attack(
            title="only the online keys stolen",
            story="Without the offline Targets key the attacker has to sign that list with a key of his own.",
            attacker="the Image repository's online keys",
            play=with_keys("image", ("snapshot", "timestamp"), _forged_targets),
            code="threshold",
            recovery=new_image_keys,
            recovery_story="the repository's keys are replaced",
        ),
        Attack(
            title="supplier signs for others",
            story="With the supplier's key, the Director's and two more, an image for the brake is signed by acme.",
            attacker="acme's key, both repositories' online keys",
            play=beyond_delegation("brake/brake-special.bin"),
            code="image-not-found",
            recovery=new_keys_everywhere,
            recovery_story="all stolen keys are replaced",
        ),
        Attack(
            title="supplier signs for other hardware",
            story="The same under a name that acme may use; but acme may sign for its own hardware only.",
            attacker="acme's key, both repositories' online keys",
            play=beyond_delegation("acme/brake-special.bin"),
            code="image-not-found",
            recovery=new_keys_everywhere,
            recovery_story="all stolen keys are replaced",
        ),
    ),
)
