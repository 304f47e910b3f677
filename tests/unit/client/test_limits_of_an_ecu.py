"""ECUs with limits of their own: what they accept under them they read again, forward and show, also after a restart."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.test_future_dated import attest, bundle, opened
from tests.unit.client.vehicle import roots, running_car
from twinlock.client.ecu.config import load_primary, load_secondary
from twinlock.client.ecu.provision import EcuPlan, KnownRepositories, provision_secondary
from twinlock.client.ecu.recovery import recover_state
from twinlock.client.inspect.status import inspect_primary
from twinlock.client.inspect.why_trusted import what_is_trusted, why_trusted
from twinlock.client.primary.primary import Primary
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.storage.state import TrustedState
from twinlock.testing.simulator.world import BRAKE, GATEWAY, VIN, World
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, IMAGE, target_path

LARGER = {"rootBytes": 2_000_000, "timestampBytes": 2_000_000, "targetsBytes": 80_000_000}
TOO_LONG = "x" * 1_000_000  # for a Root and a Timestamp by the default limits


def enlarge(world: World) -> None:
    """Both repositories publish a Root and a Timestamp that only the larger limits let pass."""
    for repository in world.repositories.values():
        for role in ("root", "timestamp"):
            repository.bodies[role]["note"] = TOO_LONG
        repository.publish_root()
    world.director.publish("targets")
    world.image.publish("targets", "acme")


def provisioned(config: Path, **limits: int) -> Path:
    config.write_text(json.dumps(json.loads(config.read_text()) | {"limits": limits}))
    return config


def test_a_full_secondary_goes_on_after_a_file_that_only_its_own_limits_allow(tmp_path: Path) -> None:
    world = World()
    opened(tmp_path, world, {"source": "attested"}).close()
    config = provisioned(tmp_path / "s" / "secondary.json", **LARGER)
    for _ in range(2):
        enlarge(world)
        with Secondary.open(config, wall=world.time) as secondary:
            for _ in range(2):
                attest(world, secondary)
                assert secondary.accept_metadata(bundle(world)) is not None
    settings = load_secondary(config)
    assert settings.limits.root_bytes > DEFAULT_LIMITS.root_bytes
    with TrustedState.open(settings.state, limits=settings.limits, read_only=True) as state:
        for name in (DIRECTOR, IMAGE):
            trusted = state.repository(name)
            assert (trusted.root.signed.version, trusted.timestamp is not None) == (3, True)
        shown = what_is_trusted(settings, state, world.now)
        assert all(len(item["roles"]) == 4 for item in shown["repositories"])
        assert why_trusted(settings, state, target_path(BRAKE.path(1)), world.now)["trusted"]


def test_with_a_read_only_anchor_too(tmp_path: Path) -> None:
    world = World()
    anchor = tmp_path / "anchor"
    anchor.mkdir()
    known = roots(world)
    for name, root in ((DIRECTOR, known.director_root), (IMAGE, known.image_root)):
        assert root is not None
        (anchor / f"{name}.root.json").write_bytes(root)
    plan = EcuPlan(vehicle=VIN, ecu=BRAKE.ecu, hardware_id=BRAKE.hardware_id)
    anchored = KnownRepositories(director_root=known.director_root, image_root=known.image_root, anchor=anchor)
    provision_secondary(tmp_path / "s", plan, anchored, verification="full", listen="http://127.0.0.1:0")
    config = provisioned(tmp_path / "s" / "secondary.json", **LARGER)
    enlarge(world)
    for _ in range(2):
        with Secondary.open(config, wall=world.time) as secondary:
            assert secondary.accept_metadata(bundle(world)) is not None
            assert secondary._state.take_refused() == []


def test_a_damaged_state_is_recovered_under_the_same_limits(tmp_path: Path) -> None:
    world = World()
    opened(tmp_path, world, {}).close()
    config = provisioned(tmp_path / "s" / "secondary.json", **LARGER)
    enlarge(world)
    with Secondary.open(config, wall=world.time) as secondary:
        secondary.accept_metadata(bundle(world))
    recovered = recover_state(load_secondary(config), {}, 1, world.now)
    assert {name: roles["root"] for name, roles in recovered.versions.items()} == {DIRECTOR: 2, IMAGE: 2}
    assert all("timestamp" in roles for roles in recovered.versions.values())


@pytest.mark.parametrize("time", [None, {"source": "attested"}], ids=["system", "attested"])
def test_a_primary_installs_looks_once_more_and_goes_on(tmp_path: Path, time: dict[str, Any] | None) -> None:
    async def run() -> None:
        changes: dict[str, Any] = {"limits": LARGER}
        async with running_car(tmp_path, with_secondaries=False, time=time, changes=changes) as car:
            enlarge(car.world)
            first = await car.primary.update_cycle()
            assert (first.problems, first.notices) == ((), ())  # the last look reads the long Timestamp too
            assert [done.ecu for done in first.installed] == [GATEWAY.ecu]
            enlarge(car.world)
            assert (await car.primary.update_cycle()).verified
            config, wall = car.config, car.world.time
            await car.primary.close()
            async with Primary.open(config, wall=wall) as primary:
                assert (await primary.update_cycle()).verified
            assert inspect_primary(load_primary(config))["lastRefusal"] is None

    asyncio.run(run())


def test_a_changed_time_key_is_followed_through_a_long_root(tmp_path: Path) -> None:
    """The Root chain is walked before there is a time, under the same limits."""
    world = World()
    opened(tmp_path, world, {"source": "attested"}).close()
    config = provisioned(tmp_path / "s" / "secondary.json", **LARGER)
    with Secondary.open(config, wall=world.time) as secondary:
        enlarge(world)
        with pytest.raises(Exception, match="no attested time") as caught:
            secondary.accept_metadata(bundle(world))
        assert caught.value.__class__.__name__ == "TimeError"
        assert secondary.identity()["roots"] == {DIRECTOR: 2, IMAGE: 1}


def test_the_longest_bundle_follows_from_the_limits(tmp_path: Path) -> None:
    world = World()
    opened(tmp_path, world, {}).close()
    config = provisioned(tmp_path / "s" / "secondary.json", targetsBytes=50_000)
    with Secondary.open(config, wall=world.time) as secondary:
        assert secondary.identity()["bundleBytes"] == 100_000
        with pytest.raises(EndlessDataError) as refused:
            secondary.accept_metadata(b" " * 100_001)
        assert refused.value.limit_bytes == 100_000
        assert secondary.accept_metadata(bundle(world)) is not None
