"""Endless data: more bytes, links, roles, signatures or keys than any honest repository has."""

from __future__ import annotations

import pytest

from tests.simulator import hands
from tests.simulator.hands import offer
from tests.simulator.scenario import EVERYWHERE, before, next_releases, seasoned
from twinlock.testing.simulator.vehicle import changed
from twinlock.testing.simulator.world import ADAS, BRAKE, PARTS, World
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.metadata import LimitError
from twinlock.trust.keys.public_keys import PublicKey
from twinlock.trust.keys.signatures import RoleKeys, Signature, count_signers
from twinlock.trust.limits import DEFAULT_LIMITS, Limits

NEWEST = {"root": DEFAULT_LIMITS.root_bytes, "timestamp": DEFAULT_LIMITS.timestamp_bytes}


def _bound(world: World, name: str, role: str) -> int:
    if role == "snapshot":
        listed: int = world.repositories[name].bodies["timestamp"]["meta"]["snapshot.json"]["length"]
        return listed
    return NEWEST.get(role, DEFAULT_LIMITS.targets_bytes)


@pytest.fixture
def world() -> World:
    made = World()
    seasoned(made)
    return made


def _recovers(world: World) -> None:
    next_releases(world)
    approved = {image.entry.path for image in world.update().approved}
    assert approved == {part.path(world.releases) for part in PARTS}


@pytest.mark.parametrize(("name", "role"), EVERYWHERE)
def test_a_file_without_end(world: World, name: str, role: str) -> None:
    with world.attack():
        repository = offer(world, (name, role))
        bound = _bound(world, name, role)
        if bound > 1_000_000:
            world.vehicle.limits = Limits(targets_bytes=100_000)
            bound = 100_000
        repository.endless(role)
        stored = world.vehicle.snapshot_state()
        with pytest.raises(EndlessDataError) as caught:
            world.vehicle.update()
        assert caught.value.limit_bytes == bound
        assert changed(stored, world.vehicle.snapshot_state()) == set(before((name, role)))
    _recovers(world)


@pytest.mark.parametrize(("name", "role"), EVERYWHERE)
def test_a_driver_that_reads_on_is_stopped_by_the_engine(world: World, name: str, role: str) -> None:
    with world.attack():
        repository = offer(world, (name, role))
        world.vehicle.limits = Limits(targets_bytes=100_000)
        bound = min(_bound(world, name, role), 100_000 if role in {"targets", "acme"} else 10**9)
        repository.endless(role)
        repository.careless_driver = True
        stored = world.vehicle.snapshot_state()
        with pytest.raises(LimitError) as caught:
            world.vehicle.update()
        assert (caught.value.limit, caught.value.value) == (bound, bound + 1)
        assert changed(stored, world.vehicle.snapshot_state()) == set(before((name, role)))
    _recovers(world)


@pytest.mark.parametrize("name", ["director", "image"])
def test_as_many_roots_as_the_bound_are_followed(world: World, name: str) -> None:
    world.vehicle.limits = Limits(root_rotations=4)
    for _ in range(4):
        world.repositories[name].publish_root()
    world.update()
    assert max(world.vehicle.stores[name].roots) == 5


@pytest.mark.parametrize("name", ["director", "image"])
def test_a_root_chain_without_end(world: World, name: str) -> None:
    world.vehicle.limits = Limits(root_rotations=4)
    for _ in range(5):
        world.repositories[name].publish_root()
    with pytest.raises(LimitError) as caught:
        world.vehicle.update()
    assert (caught.value.limit, caught.value.value) == (4, 5)
    assert max(world.vehicle.stores[name].roots) == 5
    # What was followed is kept, so an honest publisher with a long chain is reached in the next cycle.
    _recovers(world)


def test_a_delegation_with_more_branches_than_may_be_opened(world: World) -> None:
    image = world.image
    world.vehicle.limits = Limits(delegation_visits=10)
    roles = [f"branch-{number:02}" for number in range(20)]
    for role in roles:
        image.delegate("targets", role, ["brake/*"])
    delegations = image.bodies["targets"]["delegations"]["roles"]
    delegations.append(delegations.pop(0))  # the one that lists the image comes last
    image.publish("targets", *roles)
    with pytest.raises(LimitError) as caught:
        world.vehicle.update()
    assert (caught.value.limit, caught.value.value) == (10, 11)
    assert [name for name in world.vehicle.fetched("image") if "branch" in name] == [
        f"1.branch-{number:02}.json" for number in range(10)
    ]
    world.vehicle.limits = Limits(delegation_visits=21)
    assert BRAKE.path(3) in {image.entry.path for image in world.update().approved}


def test_a_web_of_delegations_is_walked_once_along_each_thread(world: World) -> None:
    # Every role delegates to every other: without memory the walk would take 8! steps.
    image = world.image
    entry = image.bodies["acme"]["targets"].pop(BRAKE.path(3))
    roles = [f"web-{number}" for number in range(8)]
    for role in roles:
        image.delegate("targets", role, ["brake/*"])
        for other in roles:
            if other != role:
                image.delegate(role, other, ["brake/*"])
    image.delegate("targets", "last", ["brake/*"])
    image.bodies["last"]["targets"][BRAKE.path(3)] = entry
    image.publish("targets", *roles, "acme", "last")
    approved = {image.entry.path for image in world.update().approved}
    assert BRAKE.path(3) in approved
    assert len(world.vehicle.fetched("image")) < 20


@pytest.mark.parametrize("count", [DEFAULT_LIMITS.signatures, DEFAULT_LIMITS.signatures + 1])
def test_more_signatures_than_anybody_needs(world: World, count: int) -> None:
    director = world.director
    extra = [world.keys("bystander").alias(f"{number:064x}") for number in range(count - 1)]
    director.put("timestamp", signers=[*extra, *director.signers["timestamp"]])
    if count <= DEFAULT_LIMITS.signatures:
        world.vehicle.update()
        return
    with pytest.raises(LimitError) as caught:
        world.vehicle.update()
    assert (caught.value.limit, caught.value.value) == (DEFAULT_LIMITS.signatures, DEFAULT_LIMITS.signatures + 1)


def test_more_keys_than_anybody_needs(world: World) -> None:
    key = world.keys("spare").public
    world.image.bodies["root"]["keys"] |= {f"{number:064x}": key for number in range(DEFAULT_LIMITS.keys + 1)}
    world.image.publish_root()
    with pytest.raises(LimitError) as caught:
        world.vehicle.update()
    assert caught.value.limit == DEFAULT_LIMITS.keys


def test_more_hashes_than_anybody_needs(world: World) -> None:
    hashes = world.image.bodies["timestamp"]["meta"]["snapshot.json"]["hashes"]
    hashes |= {f"x-{number}": "00" for number in range(DEFAULT_LIMITS.hashes)}
    world.image.put("timestamp")
    with pytest.raises(LimitError) as caught:
        world.vehicle.update()
    assert caught.value.limit == DEFAULT_LIMITS.hashes


def test_more_orders_than_a_vehicle_has_ecus(world: World) -> None:
    images = world.director.bodies["targets"]["targets"]
    template = images[BRAKE.path(3)]
    for number in range(DEFAULT_LIMITS.ecus):
        images[f"brake/x-{number}.bin"] = template
    world.director.put("targets")
    with pytest.raises(LimitError) as caught:
        world.vehicle.update()
    assert caught.value.limit == DEFAULT_LIMITS.ecus


# Work before authentication: what anybody on the line can make a vehicle read, without a key


BRACKETS = b"[" + b"[]," * 3_000_000 + b"[]]"  # nine megabytes that become gigabytes of objects where they are parsed


def test_signatures_are_bounded_before_they_are_parsed(world: World) -> None:
    world.update()
    world.release()
    director = world.director
    name = director.current("timestamp")
    honest = director.files[name]
    _, _, signed = honest.partition(b',"signed":')
    for forged in (
        b'{"signatures":' + BRACKETS[: DEFAULT_LIMITS.signatures_bytes + 1] + b"]]",
        b'{"note":' + b"[" * (DEFAULT_LIMITS.signatures_bytes + 1),
        b'{ "signatures":' + BRACKETS[: DEFAULT_LIMITS.signatures_bytes + 1] + b',"signed":' + signed,
    ):
        director.files[name] = forged[: DEFAULT_LIMITS.timestamp_bytes]
        before = world.vehicle.snapshot_state()
        with pytest.raises(LimitError) as caught:
            world.vehicle.update()
        assert caught.value.limit == DEFAULT_LIMITS.signatures_bytes
        assert caught.value.what.startswith("director/timestamp: characters of $.")
        assert changed(before, world.vehicle.snapshot_state()) == set()
    director.files[name] = honest
    assert len(world.update().approved) == len(PARTS)


def test_brackets_in_a_string_of_a_signature_are_no_brackets(world: World) -> None:
    world.update()
    world.release()
    odd = {"keyid": ']]]]\\"]]', "sig": "[" * 200_000}
    hands.deform(world, ("director", "timestamp"), lambda envelope: envelope["signatures"].insert(0, odd))
    assert len(world.update().approved) == len(PARTS)


@pytest.mark.parametrize("role", ["targets", "acme"])
def test_a_file_whose_length_nobody_listed(world: World, role: str) -> None:
    world.update()
    world.release()
    world.image.files[world.image.current(role)] = b" " * (DEFAULT_LIMITS.unlisted_bytes + 1)
    with pytest.raises(EndlessDataError) as caught:
        world.vehicle.update()
    assert caught.value.limit_bytes == DEFAULT_LIMITS.unlisted_bytes


def test_the_orders_of_one_vehicle_are_small(world: World) -> None:
    world.director.files["targets.json"] = b" " * (DEFAULT_LIMITS.director_bytes + 1)
    with pytest.raises(EndlessDataError) as caught:
        world.vehicle.partial_update(ADAS.ecu)
    assert caught.value.limit_bytes == DEFAULT_LIMITS.director_bytes


def test_failed_verifications_are_capped(world: World) -> None:
    """Thirty keys may sign; an attacker without any sends thirty signatures that do not hold, before the honest ones."""
    tried: list[bytes] = []
    keys = [world.keys(f"many-{number}") for number in range(30)]
    role = RoleKeys(tuple(key.public_key.keyid for key in keys), 1)

    def counted(key: PublicKey) -> PublicKey:
        def verify(signature: bytes, message: bytes) -> bool:
            tried.append(signature)
            return key.verifies(signature, message)

        loaded = (key.identity, verify)
        return PublicKey(key.keyid, keytype=key.keytype, scheme=key.scheme, public=key.public, loaded=loaded)

    public = {key.public_key.keyid: counted(key.public_key) for key in keys}
    signatures = [Signature(keyid, bytes(64)) for keyid in role.keyids]
    tally = count_signers(b"TEST", signatures, public, role)
    assert (tally.valid, len(tried)) == (0, DEFAULT_LIMITS.failed_verifications)
    assert tally.invalid == role.keyids
    good = Signature(role.keyids[0], keys[0].sign(b"TEST"))
    assert count_signers(b"TEST", [good, *signatures[1:]], public, role).met
