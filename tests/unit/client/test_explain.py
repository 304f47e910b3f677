"""Asking what is trusted and why: the chain of a good image, and the check that stops a bad one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.client.vehicle import Car, roots, running_car
from twinlock.client.ecu.config import load_primary, load_secondary
from twinlock.client.ecu.provision import EcuPlan, provision_secondary
from twinlock.client.inspect.status import inspect_primary, inspect_secondary
from twinlock.client.inspect.why_trusted import what_is_trusted, why_trusted
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.storage.bundle import Bundle
from twinlock.client.storage.state import TrustedState
from twinlock.testing.simulator.world import ADAS, BRAKE, GATEWAY, VIN, World
from twinlock.trust.errors.metadata import ConsistentSnapshotError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, IMAGE, target_path
from twinlock.trust.policy import STRICT


def after_update(directory: Path, look: Callable[[Car], Any], change: Callable[[Car], Any] | None = None) -> Any:
    """What ``look`` says of a vehicle with release 1, after ``change`` and one more cycle if there is a change."""

    async def run() -> Any:
        async with running_car(directory) as car:
            await car.primary.update_cycle()
            if change is not None:
                change(car)
                await car.primary.update_cycle()
            return look(car)

    return asyncio.run(run())


def why(car: Car, path: str, role: str = "gw/primary.json", **later: float) -> dict[str, Any]:
    config = car.directory / role
    settings = load_primary(config) if config.name == "primary.json" else load_secondary(config)
    with TrustedState.open(settings.state, read_only=True, limits=DEFAULT_LIMITS) as state:
        return why_trusted(settings, state, target_path(path), car.world.now + timedelta(**later))


def test_a_delegated_image_is_trusted_along_a_chain(tmp_path: Path) -> None:
    found = after_update(tmp_path, lambda car: why(car, BRAKE.path(1)))
    assert found["trusted"]
    assert found["refusal"] is None
    assert found["ecus"] == [BRAKE.ecu]
    assert [(link["repository"], link["role"], link.get("lists")) for link in found["chain"]] == [
        ("director", "root", None),
        ("director", "timestamp", None),
        ("director", "snapshot", None),
        ("director", "targets", True),
        ("image", "root", None),
        ("image", "timestamp", None),
        ("image", "snapshot", None),
        ("image", "targets", False),
        ("image", "acme", True),
    ]
    assert all(len(link["signedBy"]) >= link["required"] == 1 for link in found["chain"])
    assert found["entry"]["releaseCounter"] == 1
    assert found["entry"]["length"] == len(BRAKE.image(1))


def test_a_partial_secondary_shows_its_short_chain(tmp_path: Path) -> None:
    found = after_update(tmp_path, lambda car: why(car, ADAS.path(1), "adas/secondary.json"))
    assert found["trusted"]
    assert [(link["repository"], link["role"]) for link in found["chain"]] == [
        ("director", "root"),
        ("director", "targets"),
    ]


def test_what_the_director_does_not_list_is_not_ordered(tmp_path: Path) -> None:
    found = after_update(tmp_path, lambda car: why(car, "gateway/evil.bin"))
    assert not found["trusted"]
    assert found["refusal"]["code"] == "not-ordered"
    assert found["entry"] is None


def test_what_expired_since_is_said(tmp_path: Path) -> None:
    found = after_update(tmp_path, lambda car: why(car, GATEWAY.path(1), days=2))
    assert found["refusal"]["code"] == "expired"
    assert found["refusal"]["fields"]["role"] == "timestamp"
    assert found["chain"][-1]["expired"]


def test_a_refused_order_names_the_check(tmp_path: Path) -> None:
    def steal_the_director(car: Car) -> None:
        listed = car.world.image.bodies["targets"]["targets"][GATEWAY.path(1)]
        entry = car.world.director.order(GATEWAY.ecu, GATEWAY.hardware_id, GATEWAY.path(1), listed)
        entry["hashes"] = {"sha256": "0" * 64}
        car.world.director.publish("targets")

    def look(car: Car) -> Any:
        return why(car, GATEWAY.path(1)), inspect_primary(load_primary(car.config))

    found, vehicle = after_update(tmp_path, look, steal_the_director)
    assert found["refusal"]["code"] == "repository-mismatch"
    assert found["refusal"]["fields"]["field"] == "hashes.sha256"
    assert found["refusal"]["clause"].startswith("Uptane 2.1.0")
    assert vehicle["lastRefusal"]["code"] == "repository-mismatch"
    assert vehicle["lastRefusal"]["step"] == "metadata"


def test_everything_trusted_is_listed(tmp_path: Path) -> None:
    def look(car: Car) -> Any:
        settings = load_primary(car.config)
        with TrustedState.open(settings.state, read_only=True, limits=DEFAULT_LIMITS) as state:
            return what_is_trusted(settings, state, car.world.now)

    found = after_update(tmp_path, look)
    assert [repository["name"] for repository in found["repositories"]] == ["director", "image"]
    image = found["repositories"][1]
    assert [role["role"] for role in image["roles"]] == ["root", "timestamp", "snapshot", "targets"]
    assert image["delegated"] == [{"role": "acme", "version": 1}]
    assert found["lastRefusal"] is None
    assert {entry["ecu"] for entry in found["lastDecision"]["approved"]} == {GATEWAY.ecu, BRAKE.ecu, ADAS.ecu}


def test_a_vehicle_is_inspected_while_it_runs(tmp_path: Path) -> None:
    def look(car: Car) -> Any:
        brake = inspect_secondary(load_secondary(car.directory / "brake" / "secondary.json"))
        return inspect_primary(load_primary(car.config)), brake

    vehicle, brake = after_update(tmp_path, look)
    assert [(ecu["ecu"], ecu["installed"]["path"]) for ecu in vehicle["ecus"]] == [
        (GATEWAY.ecu, GATEWAY.path(1)),
        (BRAKE.ecu, BRAKE.path(1)),
        (ADAS.ecu, ADAS.path(1)),
    ]
    assert (brake["ecu"], brake["verification"], brake["installed"]["path"]) == (BRAKE.ecu, "full", BRAKE.path(1))


@pytest.mark.parametrize("role", ["gw/primary.json", "brake/secondary.json", "adas/secondary.json"])
def test_asking_changes_nothing(tmp_path: Path, role: str) -> None:
    def look(car: Car) -> Any:
        state = car.directory / role.partition("/")[0] / "state.db"
        before = state.read_bytes()
        why(car, BRAKE.path(1), role)
        return before == state.read_bytes()

    assert after_update(tmp_path, look)


def test_the_account_is_by_the_policy_of_the_ecu(tmp_path: Path) -> None:
    """A repository without versioned names is searched under the lax policy, and refused by name under the strict one."""
    world = World()
    image = world.image
    image.bodies["root"]["consistent_snapshot"] = False
    image.publish_root()
    plan = EcuPlan(vehicle=VIN, ecu=BRAKE.ecu, hardware_id=BRAKE.hardware_id, policy="lax")
    provision_secondary(tmp_path / "s", plan, roots(world), verification="full", listen="http://127.0.0.1:0")
    bare = {f"{role}.json": image.files[image.current(role)] for role in ("snapshot", "targets", "acme")}
    offered = Bundle({DIRECTOR: world.director.files, IMAGE: image.files | bare}).encode()
    with Secondary.open(tmp_path / "s" / "secondary.json", wall=world.time) as secondary:
        assert secondary.accept_metadata(offered) is not None
    lax = load_secondary(tmp_path / "s" / "secondary.json")
    for settings, refused in ((lax, None), (replace(lax, policy=STRICT), ConsistentSnapshotError.code)):
        with TrustedState.open(lax.state, read_only=True, limits=lax.limits) as state:
            found = why_trusted(settings, state, target_path(BRAKE.path(1)), world.now)
        assert found["trusted"] is (refused is None)
        assert (found["refusal"] or {}).get("code") == refused
