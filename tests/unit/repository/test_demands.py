"""Keys of mixed kinds, and demands for a post-quantum signature in an Image repository's Root: made, kept, refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.repository.conftest import START, HandClock
from tests.unit.repository.reading import Reader
from twinlock.repository.errors import MissingKeysError, MissingPostQuantumKeyError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import KeyKind, KeyPlan, Keyring
from twinlock.repository.keys.private_keys import kind_of
from twinlock.repository.publishing.root_ceremony import RootChanges
from twinlock.repository.publishing.root_signing import sign_root
from twinlock.repository.store.object_names import aktualizr_object
from twinlock.repository.workspace.state import read_state
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.errors.metadata import PostQuantumError

ED, ML = KeyKind.ED25519, KeyKind.ML_DSA_44
MIXED = KeyPlan(count=3, threshold=2, also=(ML,), post_quantum=True)
ROLES = ("root", "targets", "snapshot", "timestamp")


def make(path: Path, clock: HandClock, **plans: KeyPlan) -> ImageRepository:
    return ImageRepository.create(path / "image", keys=plans, clock=clock)


def kinds(repository: ImageRepository, role: str) -> list[KeyKind]:
    root = read_state(repository.workspace).published.root.signed
    return [kind_of(root.keys[keyid].keytype, root.keys[keyid].scheme) for keyid in root.roles[role].keyids]


def demanded(repository: ImageRepository) -> list[str]:
    found: list[str] = json.loads(repository.root_bytes())["signed"].get("custom", {}).get("postQuantum", [])
    assert found == sorted(role.name for role in repository.show().roles if role.post_quantum)
    return found


def take_away(repository: ImageRepository, role: str, kind: KeyKind, place: Path) -> ImageRepository:
    """Move the keys of one kind elsewhere."""
    place.mkdir()
    for record in repository.keyring.records(role):
        if kind_of(record.keytype, record.scheme) is kind:
            for file in record.files:
                file.rename(place / file.name)
    return ImageRepository.open(repository.path, clock=repository.workspace.clock)


def test_plans_of_mixed_kinds() -> None:
    assert MIXED.kinds == (ED, ED, ML)
    assert KeyPlan(count=2, threshold=2, kind=ML).kinds == (ML, ML)
    with pytest.raises(UsageError, match="2 kinds of keys were named for 1 keys"):
        KeyPlan(also=(ML,))
    with pytest.raises(UsageError, match="a threshold of 1 would be met by that key alone"):
        KeyPlan(count=2, threshold=1, also=(ML,), post_quantum=True)
    with pytest.raises(UsageError, match="none of its keys"):
        KeyPlan(count=2, threshold=2, post_quantum=True)


def test_a_repository_is_made_with_demands(tmp_path: Path, clock: HandClock) -> None:
    repository = make(tmp_path, clock, **dict.fromkeys(ROLES, MIXED))
    assert demanded(repository) == sorted(ROLES)
    assert kinds(repository, "targets") == [ED, ED, ML]
    trusted = Reader(repository.store, repository.root_bytes(1)).refresh(START).root.signed
    assert all(trusted.roles[role].post_quantum for role in trusted.roles)


def test_one_role_of_several_demands_it(tmp_path: Path, clock: HandClock) -> None:
    repository = make(tmp_path, clock, targets=MIXED)
    assert demanded(repository) == ["targets"]
    assert kinds(repository, "root") == [ED]


def test_a_rotation_keeps_the_mix_and_the_demand(tmp_path: Path, clock: HandClock) -> None:
    repository = make(tmp_path, clock, root=MIXED, targets=MIXED)
    follower = Reader(repository.store, repository.root_bytes(1))
    before = set(read_state(repository.workspace).published.root.signed.keys)
    repository.rotate(*ROLES)
    root = read_state(repository.workspace).published.root.signed
    assert not before & set(root.keys)
    assert [kinds(repository, role) for role in ("root", "targets", "timestamp")] == [[ED, ED, ML], [ED, ED, ML], [ED]]
    assert demanded(repository) == ["root", "targets"]
    follower.refresh(START)
    assert follower.trusted.root.signed.version == 2


def test_a_demand_is_dropped_only_when_that_is_asked_for(tmp_path: Path, clock: HandClock) -> None:
    repository = make(tmp_path, clock, targets=MIXED)
    with pytest.raises(UsageError, match=r"targets cannot demand a post-quantum signature: none of its keys"):
        repository.rotate("targets", plan=KeyPlan(count=3, threshold=2))
    assert demanded(repository) == ["targets"]
    repository.rotate("targets", plan=KeyPlan(count=2, threshold=2, post_quantum=False))
    assert demanded(repository) == []
    repository.rotate("targets", plan=MIXED)
    assert demanded(repository) == ["targets"]
    assert Reader(repository.store, repository.root_bytes(1)).refresh(START).root.signed.version == 3


@pytest.mark.parametrize("role", ["targets", "snapshot"])
def test_nothing_is_signed_without_the_key_that_is_demanded(
    tmp_path: Path, clock: HandClock, image_file: Path, role: str
) -> None:
    """An operator's own lack of a key is a usage error of its own, never an attack."""
    repository = take_away(make(tmp_path, clock, **{role: MIXED}), role, ML, tmp_path / "elsewhere")
    view = next(each for each in repository.show().roles if each.name == role)
    assert (view.held, view.lacks_post_quantum, view.can_sign) == (2, True, False)
    before = sorted(repository.store.names("metadata"))
    repository.add_image(image_file, "brake.bin", hardware_ids=["hw-7"], release_counter=1)
    with pytest.raises(MissingPostQuantumKeyError) as caught:
        repository.publish()
    assert (caught.value.role, caught.value.held, caught.value.code) == (role, 2, "missing-post-quantum-key")
    assert sorted(repository.store.names("metadata")) == before
    for file in (tmp_path / "elsewhere").iterdir():
        file.rename(repository.keyring.place_of(role) / file.name)
    assert repository.publish().changed


def test_a_root_without_its_ml_dsa_signature_lacks_one(tmp_path: Path, clock: HandClock) -> None:
    repository = take_away(make(tmp_path, clock, root=MIXED), "root", ML, tmp_path / "elsewhere")
    with pytest.raises(MissingPostQuantumKeyError):
        repository.rotate("timestamp")
    file = tmp_path / "next.json"
    view = repository.prepare_root(file, RootChanges(rotate={"timestamp": KeyPlan()}))
    assert (view.missing, view.lacks_post_quantum, view.post_quantum) == (1, True, ("root",))
    with pytest.raises(PostQuantumError):
        repository.publish_root(file)
    view = sign_root(file, Keyring(offline=tmp_path / "elsewhere"))
    assert (view.missing, view.lacks_post_quantum) == (0, False)
    repository.publish_root(file)
    assert Reader(repository.store, repository.root_bytes(1)).refresh(START).root.signed.version == 2


def test_a_ceremony_brings_the_key_and_the_demand(tmp_path: Path, clock: HandClock) -> None:
    """One holder adds an ML-DSA key to the two keys of Root; the demand comes with the threshold of two."""
    repository = make(tmp_path, clock, root=KeyPlan(count=2, threshold=1))
    holder = Keyring(offline=tmp_path / "holder")
    key = holder.generate("root", kind=ML)[0]
    file, add = tmp_path / "next.json", {"root": {str(key.keyid): key.public_json()["key"]}}
    with pytest.raises(UsageError, match="threshold of 1"):
        repository.prepare_root(file, RootChanges(add=add, demands={"root": True}))
    assert not file.exists()
    changes = RootChanges(add=add, thresholds={"root": 2}, demands={"root": True})
    assert repository.prepare_root(file, changes).lacks_post_quantum
    assert sign_root(file, holder, previous=repository.root_bytes()).missing == 0
    repository.publish_root(file)
    assert demanded(repository) == ["root"]
    with pytest.raises(UsageError, match="root cannot demand"):
        repository.prepare_root(tmp_path / "later.json", RootChanges(remove={"root": (key.keyid,)}))
    Reader(repository.store, repository.root_bytes(1)).refresh(START)


def test_a_new_demand_has_the_role_signed_again(tmp_path: Path, clock: HandClock) -> None:
    repository = make(tmp_path, clock, targets=KeyPlan(count=3, threshold=2, also=(ML,)))
    file = tmp_path / "next.json"
    repository.prepare_root(file, RootChanges(demands={"targets": True}))
    publication = repository.publish_root(file)
    assert "2.targets.json" in publication.files
    assert demanded(repository) == ["targets"]


def test_root_alone_may_demand_it_beside_aktualizr(tmp_path: Path, clock: HandClock) -> None:
    """The aktualizr chain has Root keys of its own, of kinds that its client reads; other roles share their keys with it."""
    with pytest.raises(ProfileError) as caught:
        ImageRepository.create(tmp_path / "refused", keys={"targets": MIXED}, wires=["aktualizr"], clock=clock)
    assert caught.value.what == "targets"
    assert "ml-dsa-44" in caught.value.reason
    assert not (tmp_path / "refused").exists()
    repository = ImageRepository.create(tmp_path / "image", keys={"root": MIXED}, wires=["aktualizr"], clock=clock)
    assert demanded(repository) == ["root"]
    stored = repository.store.get(aktualizr_object("root", 1), max_bytes=10**6)
    assert stored is not None
    other = json.loads(stored.data)["signed"]
    assert {key["keytype"] for key in other["keys"].values()} == {"ED25519"}
    assert (other["roles"]["root"]["threshold"], len(other["roles"]["root"]["keyids"])) == (2, 3)
    assert "custom" not in other
    repository.rotate("root")
    assert demanded(repository) == ["root"]
    with pytest.raises(ProfileError):
        repository.rotate("snapshot", plan=MIXED)


def test_too_few_keys_are_still_too_few(tmp_path: Path, clock: HandClock) -> None:
    repository = take_away(make(tmp_path, clock, root=MIXED), "root", ED, tmp_path / "elsewhere")
    with pytest.raises(MissingKeysError) as caught:
        repository.rotate("timestamp")
    assert type(caught.value) is MissingKeysError


def test_one_key_is_replaced_by_one_of_its_kind(tmp_path: Path, clock: HandClock) -> None:
    """The others stay, and with all of them at hand nobody else has to sign."""
    repository = make(tmp_path, clock, root=MIXED, targets=MIXED)
    follower, gone = Reader(repository.store, repository.root_bytes(1)), ""
    for number, (role, kind) in enumerate((("root", ML), ("targets", ED), ("targets", ML)), 2):
        before = {each.name: each.keyids for each in repository.show().roles}[role]  # type: ignore[index]
        records = {record.keyid: record for record in repository.keyring.known(before)}
        gone = next(keyid for keyid in before if kind_of(records[keyid].keytype, records[keyid].scheme) is kind)
        repository.rotate(role, plan=replace(repository.plan_of(role), replacing=(gone,)))
        after = {each.name: each.keyids for each in repository.show().roles}[role]  # type: ignore[index]
        assert set(before) - set(after) == {gone}
        assert sorted(kinds(repository, role), key=str) == [ED, ED, ML]
        assert follower.refresh(START).root.signed.version == number
    assert demanded(repository) == ["root", "targets"]
    with pytest.raises(UsageError, match="is not a key of this role"):
        repository.rotate("root", plan=replace(repository.plan_of("root"), replacing=(gone,)))


def test_replacing_a_root_key_leaves_the_aktualizr_chain(tmp_path: Path, clock: HandClock) -> None:
    repository = ImageRepository.create(tmp_path / "image", keys={"root": MIXED}, wires=["aktualizr"], clock=clock)
    before = json.loads(repository.store.get(aktualizr_object("root", 1), max_bytes=10**6).data)["signed"]["roles"]  # type: ignore[union-attr]
    gone = repository.show().roles[0].keyids[0]
    repository.rotate("root", plan=replace(repository.plan_of("root"), replacing=(gone,)))
    after = json.loads(repository.store.get(aktualizr_object("root", 2), max_bytes=10**6).data)["signed"]["roles"]  # type: ignore[union-attr]
    assert before == after
    assert gone not in repository.show().roles[0].keyids
