"""Whatever proofs lie in the store: a file is trusted after a restart exactly when its signatures would be."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.simulator.scenario import current
from twinlock.testing.simulator.repository import seal
from twinlock.testing.simulator.world import World
from twinlock.trust.engine.restore import restore_repository
from twinlock.trust.keys.signatures import Verified
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RoleName

ROLES = (TIMESTAMP, SNAPSHOT, TARGETS)


def _rotations(world: World) -> list[bytes]:
    """Roots that a vehicle may have beside its files: the one they were verified under, and others."""
    image = world.image
    roots = [image.files["1.root.json"]]
    for role in ROLES:
        image.set_keys(role, [image.key(role, 2).alias(image.signers[role][0].keyid)])
        image.publish_root()
        roots.append(image.files[image.current("root")])
    image.set_keys("targets", [image.key("targets", 2), image.key("targets")], threshold=1)
    image.publish_root()
    return [*roots, image.files[image.current("root")]]


def _files(world: World) -> list[bytes]:
    """What may lie under a role: genuine files, older ones, and those of a stranger under the right key id."""
    image, found = world.image, list(world.vehicle.stores["image"].files.values())
    for role in ROLES:
        found += image.history[role]
        found.append(seal(image.bodies[role], [world.keys("mallory").alias(image.signers[role][0].keyid)]))
    return list(dict.fromkeys(found))


def _proofs(world: World) -> list[bytes]:
    return [proof for store in world.vehicle.stores.values() for proof in store.proofs.values()]


WORLD = World()
current(WORLD)
PROOFS = _proofs(WORLD)
FILES = _files(WORLD)
ROOTS = _rotations(WORLD)


def _summary(*files: Verified[Any] | None) -> list[object]:
    return [None if file is None else (file.data, file.tally) for file in files]


@given(
    st.sampled_from(ROOTS),
    st.fixed_dictionaries({role: st.sampled_from(FILES) for role in ROLES}),
    st.dictionaries(st.sampled_from([*ROLES, ROOT]), st.sampled_from(PROOFS) | st.binary(max_size=33)),
)
def test_proofs_of_other_things_change_nothing(
    root: bytes, files: dict[RoleName, bytes], proofs: dict[RoleName, bytes]
) -> None:
    trusted = restore_repository(IMAGE, {ROOT: root, **files}, proofs=proofs)
    counted = restore_repository(IMAGE, {ROOT: root, **files})
    assert _summary(trusted.timestamp, trusted.snapshot, trusted.targets) == _summary(
        counted.timestamp, counted.snapshot, counted.targets
    )
