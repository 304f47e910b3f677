"""A bundle for each Secondary: what its own walk visits, the Roots it lacks, and everything where that was not enough."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.client.test_primary import RELEASE, drive, updated
from tests.unit.client.vehicle import Car
from twinlock.client.model.errors import SecondaryRefusedError, SecondaryTimeoutError
from twinlock.client.storage.bundle import Bundle, max_bundle_bytes
from twinlock.client.storage.needed_files import fetch_links
from twinlock.testing.simulator.world import ADAS, BRAKE, GATEWAY
from twinlock.trust.engine.commands import ABSENT, Absent, Fetch, FetchElsewhere
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.local import TransportError
from twinlock.trust.errors.metadata import LimitError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, IMAGE, EcuId, Verification
from twinlock.trust.wire.tuf.metadata import TUF

BUNDLE_BYTES = max_bundle_bytes(Verification.FULL, DEFAULT_LIMITS)


def recorded(car: Car, ecu: str) -> list[Bundle]:
    """The bundles that ``ecu`` is offered from now on."""
    link = car.primary._services.secondaries.members[EcuId(ecu)].link
    genuine, bundles = link.send_metadata, []

    async def send(bundle: Bundle) -> bool:
        bundles.append(bundle)
        return await genuine(bundle)

    link.send_metadata = send  # type: ignore[method-assign]
    return bundles


def stating(car: Car, ecu: str, **members: Any) -> None:
    """Have ``ecu`` say something else of itself."""
    secondary = car.secondaries[ecu]
    genuine = secondary.identity
    secondary.identity = lambda: genuine() | members  # type: ignore[method-assign]


def test_no_limit_on_the_way_is_below_that_of_the_engine() -> None:
    """Escaped in JSON a file is at most twice as long."""
    assert 2 * DEFAULT_LIMITS.targets_bytes <= BUNDLE_BYTES


def test_a_secondary_gets_the_roots_it_lacks_and_the_roles_of_its_own_images(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        image = car.world.image
        image.delegate("targets", "other-supplier", ["adas/*"])
        image.publish("targets", "other-supplier")
        brake = recorded(car, BRAKE.ecu)
        await updated(car)
        assert not [name for name in brake[-1].files[IMAGE] if "root" in name or "other-supplier" in name]
        assert [name for name in brake[-1].files[IMAGE] if "acme" in name]
        car.world.director.publish_root()
        car.world.release()
        await updated(car)
        assert [name for name in brake[-1].files[DIRECTOR] if "root" in name] == ["2.root.json"]
        assert len(brake) == 2

    drive(tmp_path, scenario)


def test_a_secondary_with_an_older_root_than_its_primary_gets_the_links_between(tmp_path: Path) -> None:
    """A part from the shelf knows Root 1; the Primary's database begins at Root 3."""

    async def scenario(car: Car) -> None:
        for repository in car.world.repositories.values():
            repository.rotate("timestamp")
            repository.publish_root()
        car.world.refresh_all()
        await updated(car)
        forget_roots(car, below=3)
        for ecu in (BRAKE.ecu, ADAS.ecu):
            database = car.secondaries[ecu]._state._database
            with database.transaction("forget") as connection:
                connection.execute("DELETE FROM metadata WHERE NOT (role = 'root' AND version = 1)")
                connection.execute("DELETE FROM proofs")
            assert set(car.secondaries[ecu].identity()["roots"].values()) == {1}
        brake = recorded(car, BRAKE.ecu)
        car.world.release()
        result = await car.primary.update_cycle()
        assert sorted(name for name in brake[0].files[DIRECTOR] if "root" in name) == ["2.root.json", "3.root.json"]
        assert not [problem for problem in result.problems if problem.ecu == BRAKE.ecu]
        assert car.paths()[BRAKE.ecu] == BRAKE.path(2)
        asked = [path for _, path in car.servers.asked if path.endswith("/2.root.json")]
        car.world.release()
        await car.primary.update_cycle()
        assert [path for _, path in car.servers.asked if path.endswith("/2.root.json")] == asked

    drive(tmp_path, scenario)


def forget_roots(car: Car, *, below: int) -> None:
    with car.primary._services.state._database.transaction("forget") as connection:
        connection.execute("DELETE FROM metadata WHERE role = 'root' AND version < ?", (below,))


def test_the_links_are_fetched_once_in_a_cycle_for_all_secondaries_and_not_kept(tmp_path: Path) -> None:
    """What a Secondary states decides how many Roots these are, so none may stay in the memory of its Primary."""

    async def scenario(car: Car) -> None:
        for repository in car.world.repositories.values():
            repository.rotate("timestamp")
            repository.publish_root()
        car.world.refresh_all()
        await updated(car)
        forget_roots(car, below=3)
        for ecu in (BRAKE.ecu, ADAS.ecu):
            stating(car, ecu, roots={"director": 1})
        link = car.servers.director_url.removeprefix(car.servers.base) + "/metadata/2.root.json"
        before = [path for _, path in car.servers.asked].count(link)
        for cycle in (1, 2):
            bundles = recorded(car, BRAKE.ecu), recorded(car, ADAS.ecu)
            assert (await car.primary.update_cycle()).problems == ()
            for (bundle,) in bundles:
                assert "2.root.json" in bundle.files[DIRECTOR]
            assert [path for _, path in car.servers.asked].count(link) == before + cycle

    drive(tmp_path, scenario)


def test_a_link_is_read_up_to_the_bound_of_an_unlisted_root() -> None:
    limits = DEFAULT_LIMITS._replace(unlisted_bytes=DEFAULT_LIMITS.root_bytes // 2)
    asked: list[Fetch] = []

    async def fetch(command: Fetch) -> Absent:
        asked.append(command)
        return ABSENT

    async def elsewhere(_command: FetchElsewhere) -> None:
        return None

    links = fetch_links(DIRECTOR, range(2, 1, -1), b"", wire=TUF, limits=limits, fetch=fetch, elsewhere=elsewhere)
    assert asyncio.run(links) == {}
    assert [(command.version, command.max_bytes) for command in asked] == [(2, limits.unlisted_bytes)]


def test_a_link_that_did_not_sign_the_next_is_not_forwarded(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        from aiohttp import web

        director = car.world.director
        for repository in car.world.repositories.values():
            repository.rotate("timestamp")
            repository.publish_root()
        car.world.refresh_all()
        await updated(car)
        forget_roots(car, below=3)
        stating(car, BRAKE.ecu, roots={"director": 1})
        stranger = car.world.keys("stranger")
        forged = director.seal(director.bodies["root"] | {"version": 2}, [stranger])

        async def lie(_request: web.Request) -> web.Response:
            return web.Response(body=forged)

        path = car.servers.director_url.removeprefix(car.servers.base) + "/metadata/2.root.json"
        car.servers.lies[path] = lie
        brake = recorded(car, BRAKE.ecu)
        result = await car.primary.update_cycle()
        assert result.problems == ()
        assert [name for name in brake[0].files[DIRECTOR] if "root" in name] == ["3.root.json"]

    drive(tmp_path, scenario)


@pytest.mark.parametrize("roots", [{"director": 9, "image": 9}, {"director": True}, {"director": "1"}, [], None, 7])
def test_what_a_secondary_says_it_has_only_saves_bytes(tmp_path: Path, roots: object) -> None:
    async def scenario(car: Car) -> None:
        await updated(car)
        for repository in car.world.repositories.values():
            repository.rotate("timestamp")
        car.world.release()
        stating(car, BRAKE.ecu, roots=roots)
        brake = recorded(car, BRAKE.ecu)
        await updated(car)
        assert car.paths() == RELEASE[2]
        assert "2.root.json" in brake[-1].files[DIRECTOR]
        assert len(brake) <= 2

    drive(tmp_path, scenario)


@pytest.mark.parametrize(
    "failure",
    [
        TransportError(url="http://brake.test", reason="the answer was lost"),
        SecondaryTimeoutError(url="http://brake.test", reason="it was slow", ecu=BRAKE.ecu),
        EndlessDataError(what="answer", limit_bytes=1),
        RuntimeError("of the product's own link"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_on_any_failure_with_its_own_bundle_a_secondary_is_offered_everything(
    tmp_path: Path, failure: Exception
) -> None:
    async def scenario(car: Car) -> None:
        car.world.image.delegate("targets", "other-supplier", ["adas/*"])
        car.world.image.publish("targets", "other-supplier")
        brake = recorded(car, BRAKE.ecu)
        link = car.primary._services.secondaries.members[EcuId(BRAKE.ecu)].link
        send = link.send_metadata

        async def once(bundle: Bundle) -> bool:
            wants = await send(bundle)
            if len(brake) == 1:
                raise failure
            return wants

        link.send_metadata = once  # type: ignore[method-assign]
        await updated(car)
        assert car.paths() == RELEASE[1]
        trimmed, whole = brake
        assert set(trimmed.files[IMAGE]) < set(whole.files[IMAGE])

    drive(tmp_path, scenario)


def test_a_refusal_of_the_whole_is_final(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        stating(car, BRAKE.ecu, roots=None)
        car.secondaries[BRAKE.ecu]._clock._wall = lambda: car.world.now.replace(year=2040)
        brake = recorded(car, BRAKE.ecu)
        result = await car.primary.update_cycle()
        refusals = [problem.error for problem in result.problems if problem.ecu == BRAKE.ecu]
        assert isinstance(refusals[0], SecondaryRefusedError)
        assert len(brake) <= 2
        assert result.installed == ()

    drive(tmp_path, scenario)


def test_one_suppliers_large_file_blocks_nobody_else_and_is_dropped_with_its_supplier(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        image = car.world.image
        image.delegate("targets", "bulky", ["adas/*"])
        image.bodies["bulky"]["padding"] = "x" * 2_000_000
        image.bodies["bulky"]["targets"][ADAS.path(1)] = image.bodies["targets"]["targets"].pop(ADAS.path(1))
        image.publish("targets", "bulky")
        for secondary in (BRAKE, ADAS):
            stating(car, secondary.ecu, bundleBytes=1_000_000)
        brake = recorded(car, BRAKE.ecu)
        await updated(car)
        assert car.paths() == RELEASE[1]
        assert not [name for name in brake[-1].files[IMAGE] if "bulky" in name]
        state = car.primary._services.state
        assert "bulky" in {file.role for file in state.files(IMAGE)}
        delegations = image.bodies["targets"]["delegations"]["roles"]
        delegations[:] = [item for item in delegations if item["name"] != "bulky"]
        car.world.release()
        await updated(car)
        assert "bulky" not in {file.role for file in state.files(IMAGE)}
        assert "acme" in {file.role for file in state.files(IMAGE)}

    drive(tmp_path, scenario)


def test_more_than_a_secondary_takes_is_said_before_it_is_sent(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        stating(car, BRAKE.ecu, bundleBytes=100)
        brake = recorded(car, BRAKE.ecu)
        result = await car.primary.update_cycle()
        (error, *_) = [problem.error for problem in result.problems if problem.ecu == BRAKE.ecu]
        assert isinstance(error, LimitError)
        assert error.limit == 100 < error.value
        assert BRAKE.ecu in error.what
        assert "limits.fullBundleBytes" in error.what
        assert brake == []
        assert car.paths()[GATEWAY.ecu] == "factory"

    drive(tmp_path, scenario)


def test_honest_targets_of_megabytes_reach_a_full_secondary(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        targets = car.world.image.bodies["targets"]["targets"]
        entry = json.loads(json.dumps(targets[GATEWAY.path(1)]))
        for number in range(60_000):
            targets[f"gateway/other-{number:06}.bin"] = entry
        car.world.image.publish("targets")
        size = len(car.world.image.files[car.world.image.current("targets")])
        assert size > 16_000_000
        car.world.image.bodies["snapshot"]["meta"]["targets.json"]["length"] = size  # unlisted, it would be too long
        car.world.image.reindex_listed()
        await updated(car)
        assert car.paths() == RELEASE[1]

    drive(tmp_path, scenario)
