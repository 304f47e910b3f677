"""Approvals that are used late: what was right when it was verified is judged again before the first write.

A Secondary used to install an image 400 days after its metadata had expired and its order was withdrawn; a Primary did the
same at the end of a slow download.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from tests.unit.client.vehicle import Car, only_the_gateway, roots, running_car
from twinlock.client.ecu.approvals import COMPLETION
from twinlock.client.ecu.provision import EcuPlan, provision_secondary
from twinlock.client.model.errors import ApprovalExpiredError, PreconditionError
from twinlock.client.model.results import Outcome, Step
from twinlock.client.primary.primary import Primary
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.storage.bundle import Bundle
from twinlock.testing.simulator.world import ADAS, BRAKE, GATEWAY, VIN, Part, World
from twinlock.trust.errors.base import Kind, UsageError
from twinlock.trust.errors.local import ConflictError
from twinlock.trust.errors.metadata import ExpiredError, RollbackError
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import DIRECTOR, IMAGE, EcuId
from twinlock.trust.wire.tuf.attestation import sign_attestation


def bundle(world: World) -> bytes:
    return Bundle({DIRECTOR: world.director.files, IMAGE: world.image.files}).encode()


def provisioned(directory: Path, world: World, part: Part, *, attested: bool = False) -> Path:
    time = {"source": "attested"} if attested else {}
    plan = EcuPlan(vehicle=VIN, ecu=part.ecu, hardware_id=part.hardware_id, time=time)
    kind = "partial" if part is ADAS else "full"
    provision_secondary(directory / "s", plan, roots(world), verification=kind, listen="http://127.0.0.1:0")
    return directory / "s" / "secondary.json"


def take(secondary: Secondary, part: Part, release: int = 1) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield part.image(release)

    asyncio.run(secondary.accept_image(part.path(release), chunks()))


def slots(config: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((config.parent / "slots").iterdir())}


@pytest.mark.parametrize("part", [BRAKE, ADAS], ids=["full", "partial"])
def test_a_secondary_refuses_an_image_whose_approval_has_ended(tmp_path: Path, part: Part) -> None:
    world = World()
    config = provisioned(tmp_path, world, part)
    with Secondary.open(config, wall=world.time) as secondary:
        assert secondary.accept_metadata(bundle(world)) is not None
        decision, before = secondary._state.decision, slots(config)
        assert decision is not None
        until = decision["approved"][0]["validUntil"]
        world.pass_time(days=400)
        with pytest.raises(ApprovalExpiredError) as caught:
            take(secondary, part)
        error = caught.value
        assert (error.ecu, error.target, error.now) == (part.ecu, part.path(1), world.now)
        assert f"{error.valid_until:%Y-%m-%dT%H:%M:%SZ}" == until
        assert error.kind is Kind.REFUSAL
        assert slots(config) == before
        with pytest.raises(UsageError):
            take(secondary, part)  # the approval is gone; metadata come first


def test_the_approval_ends_with_the_first_file_it_rests_on(tmp_path: Path) -> None:
    """One second before the earliest expiry of all roles the image is taken, at that second it is not."""
    for seconds, is_taken in ((-1, True), (0, False)):
        world = World()
        ends = world.image.bodies["acme"]["expires"] = world.director.bodies["timestamp"]["expires"]
        short = world.now + timedelta(hours=1)
        world.image.bodies["acme"]["expires"] = f"{short:%Y-%m-%dT%H:%M:%SZ}"
        assert ends > world.image.bodies["acme"]["expires"]
        world.image.put("acme")
        config = provisioned(tmp_path / str(seconds), world, BRAKE)
        with Secondary.open(config, wall=world.time) as secondary:
            secondary.accept_metadata(bundle(world))
            world.now = short + timedelta(seconds=seconds)
            if is_taken:
                take(secondary, BRAKE)
                assert secondary.installed().path == BRAKE.path(1)
            else:
                with pytest.raises(ApprovalExpiredError) as caught:
                    take(secondary, BRAKE)
                assert caught.value.valid_until == short


def test_a_secondary_without_a_clock_counts_within_one_boot_and_asks_again_after_a_reset(tmp_path: Path) -> None:
    world = World()
    config = provisioned(tmp_path, world, BRAKE, attested=True)
    ticks = [0.0]

    def opened() -> Secondary:
        secondary = Secondary.open(config)
        secondary._clock._monotonic = lambda: ticks[0]
        return secondary

    def attest(secondary: Secondary) -> None:
        nonce = secondary.identity()["timeNonce"]
        secondary.accept_time(sign_attestation(world.now, (nonce,), world.director.time_key()))

    with opened() as secondary:
        attest(secondary)
        assert secondary.accept_metadata(bundle(world)) is not None
        ticks[0] += 400 * 86_400
        with pytest.raises(ApprovalExpiredError):
            take(secondary, BRAKE)
    with opened() as secondary:
        with pytest.raises(UsageError):
            take(secondary, BRAKE)
        attest(secondary)
        assert secondary.accept_metadata(bundle(world)) is not None
        take(secondary, BRAKE)
        assert secondary.installed().path == BRAKE.path(1)


class Interrupted(BaseException):
    """The power goes."""


def interrupted(secondary: Secondary) -> None:
    def install(_entry: ImageEntry, _source: Path) -> InstalledImage:
        raise Interrupted

    secondary._installer.install = install  # type: ignore[method-assign,assignment]


def test_what_was_begun_may_be_completed_until_its_deadline_and_nothing_else(tmp_path: Path) -> None:
    world = World()
    config = provisioned(tmp_path, world, BRAKE)
    with Secondary.open(config, wall=world.time) as secondary:
        secondary.accept_metadata(bundle(world))
        decision = secondary._state.decision
        assert decision is not None
        end = secondary._wanted.valid_until if secondary._wanted else world.now
        world.now = end - timedelta(minutes=1)
        interrupted(secondary)
        with pytest.raises(Interrupted):
            take(secondary, BRAKE)
    world.now = end + timedelta(minutes=1)
    with Secondary.open(config, wall=world.time) as secondary:
        with pytest.raises(ExpiredError):
            secondary.accept_metadata(bundle(world))
        with pytest.raises(UsageError):
            take(secondary, BRAKE, release=2)
        take(secondary, BRAKE)
        assert secondary.installed().path == BRAKE.path(1)
        with pytest.raises(UsageError):
            take(secondary, BRAKE)


def test_what_was_begun_is_not_completed_after_its_deadline(tmp_path: Path) -> None:
    world = World()
    config = provisioned(tmp_path, world, BRAKE)
    with Secondary.open(config, wall=world.time) as secondary:
        secondary.accept_metadata(bundle(world))
        interrupted(secondary)
        with pytest.raises(Interrupted):
            take(secondary, BRAKE)
    world.now += COMPLETION
    with Secondary.open(config, wall=world.time) as secondary:
        with pytest.raises(UsageError):
            take(secondary, BRAKE)
        assert secondary.installed().path == "factory"


def drive(directory: Path, scenario: Callable[[Car], Awaitable[None]]) -> None:
    async def run() -> None:
        async with running_car(directory, with_secondaries=False) as car:
            await asyncio.wait_for(scenario(car), 60)

    asyncio.run(run())


def slowly(car: Car, meanwhile: Callable[[], None]) -> None:
    """The first download of the gateway's image takes as long as ``meanwhile``."""

    async def slow(_request: web.Request) -> web.Response:
        car.servers.lies.pop(path)
        meanwhile()
        return web.Response(body=GATEWAY.image(1))

    path = car.servers.image_path(GATEWAY.path(1), GATEWAY.image(1))
    car.servers.lies[path] = slow


def test_an_order_withdrawn_during_the_download_is_not_carried_out(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        world, before = car.world, car.slot_bytes()

        def withdraw() -> None:
            world.director.withdraw(GATEWAY.ecu)
            world.director.publish("targets")

        slowly(car, withdraw)
        result = await car.primary.update_cycle()
        assert (result.outcome, result.installed, result.approved) == (Outcome.UP_TO_DATE, (), ())
        assert car.slot_bytes() == before
        world.release()
        only_the_gateway(world)
        assert (await car.primary.update_cycle()).outcome is Outcome.UPDATED
        assert car.paths() == {GATEWAY.ecu: GATEWAY.path(2)}

    drive(tmp_path, scenario)


@pytest.mark.parametrize("withdrawn", [True, False])
def test_keys_rotated_during_the_download_mean_a_new_verification_and_are_not_evidence(
    tmp_path: Path, withdrawn: bool
) -> None:
    """A Director that meets a theft replaces its keys and withdraws what the thief ordered."""

    async def scenario(car: Car) -> None:
        director, before = car.world.director, car.slot_bytes()

        def rotate() -> None:
            if withdrawn:
                director.withdraw(GATEWAY.ecu)
            for role in ("targets", "snapshot", "timestamp"):
                director.rotate(role)
            director.publish()

        slowly(car, rotate)
        result = await car.primary.update_cycle()
        assert (result.problems, result.notices) == ((), ())
        assert car.primary._services.state.events() == []
        if withdrawn:
            assert (result.outcome, result.installed, result.approved) == (Outcome.UP_TO_DATE, (), ())
            assert car.slot_bytes() == before
        else:
            assert result.outcome is Outcome.UPDATED
            assert car.paths() == {GATEWAY.ecu: GATEWAY.path(1)}

    drive(tmp_path, scenario)


@pytest.mark.parametrize("withdrawn", [True, False])
def test_a_refused_root_at_the_last_look_is_evidence_and_hides_no_withdrawal(tmp_path: Path, withdrawn: bool) -> None:
    async def scenario(car: Car) -> None:
        director, before = car.world.director, car.slot_bytes()
        root = f"/vehicles/{VIN}/metadata/2.root.json"

        async def junk(_request: web.Request) -> web.Response:
            return web.Response(body=b"{}")

        def lie() -> None:
            car.servers.lies[root] = junk
            if withdrawn:
                director.withdraw(GATEWAY.ecu)
                director.publish("targets")

        slowly(car, lie)
        result = await car.primary.update_cycle()
        events = car.primary._services.state.events()
        assert ("malformed", "last-look") in {(stored.evidence.code, stored.evidence.step) for stored in events}
        if withdrawn:  # the full verification meets the same Root, and ends the cycle
            assert (result.installed, car.slot_bytes()) == ((), before)
            assert [(problem.step, problem.error.code) for problem in result.problems] == [(Step.METADATA, "malformed")]
        else:
            assert (result.outcome, result.problems) == (Outcome.UPDATED, ())
            assert [notice.code for notice in result.notices] == ["malformed"]

    drive(tmp_path, scenario)


def test_a_director_that_orders_again_during_each_download_ends_the_cycle_with_the_last_order_that_was_tried(
    tmp_path: Path,
) -> None:
    async def scenario(car: Car) -> None:
        world, before = car.world, car.slot_bytes()
        fetched: list[str] = []

        def order_the_next(path: str, _done: int, _total: int) -> None:
            if path not in fetched:
                fetched.append(path)
                world.release()
                only_the_gateway(world)

        result = await car.primary.update_cycle(progress=order_the_next)
        assert fetched == [GATEWAY.path(release) for release in (1, 2, 3)]
        (problem,) = result.problems
        assert (problem.step, type(problem.error)) == (Step.LAST_LOOK, ConflictError)
        assert (result.correlation_id, [item.image.path for item in result.approved]) == ("urn:test:3", fetched[-1:])
        assert car.slot_bytes() == before
        assert (await car.primary.update_cycle()).outcome is Outcome.UPDATED
        assert car.paths() == {GATEWAY.ecu: GATEWAY.path(4)}

    drive(tmp_path, scenario)


def test_metadata_that_expire_during_the_download_end_the_approval(tmp_path: Path) -> None:
    """Where the Director cannot be reached for a last look, the approval's own expiry decides."""

    async def scenario(car: Car) -> None:
        world, before = car.world, car.slot_bytes()
        timestamp = f"/vehicles/{VIN}/metadata/timestamp.json"

        async def away(_request: web.Request) -> web.Response:
            return web.Response(status=503)

        def sleep() -> None:
            world.pass_time(days=20)
            car.servers.lies[timestamp] = away

        slowly(car, sleep)
        result = await car.primary.update_cycle()
        (problem,) = result.problems
        assert (problem.step, type(problem.error)) == (Step.INSTALL, ApprovalExpiredError)
        assert [notice.code for notice in result.notices] == ["fetch"]
        assert (result.outcome, car.slot_bytes()) == (Outcome.FAILED, before)
        del car.servers.lies[timestamp]
        world.refresh_all()
        assert (await car.primary.update_cycle()).outcome is Outcome.UPDATED

    drive(tmp_path, scenario)


def test_a_refused_last_look_is_evidence_and_does_not_extend_or_end_the_approval(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        world = car.world

        async def old(_request: web.Request) -> web.Response:
            return web.Response(body=world.director.history["timestamp"][0])

        slowly(car, lambda: car.servers.lies.update({f"/vehicles/{VIN}/metadata/timestamp.json": old}))
        result = await car.primary.update_cycle()
        assert result.problems == ()
        assert [type(notice) for notice in result.notices] == [RollbackError]
        assert car.paths() == {GATEWAY.ecu: GATEWAY.path(1)}

    drive(tmp_path, scenario)


def test_a_primary_completes_its_own_image_of_a_bundle_that_a_crash_cut_off(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        world = car.world

        def install(_entry: ImageEntry, _source: Path) -> InstalledImage:
            raise Interrupted

        car.primary._services.installer.install = install  # type: ignore[method-assign,assignment]
        with pytest.raises(Interrupted):
            await car.primary.update_cycle()
        await car.primary.close()

        async def away(_request: web.Request) -> web.Response:
            return web.Response(status=503)

        car.servers.lies[f"/vehicles/{VIN}/metadata/timestamp.json"] = away
        async with Primary.open(car.config, wall=world.time) as again:
            result = await again.update_cycle()
            assert [done.ecu for done in result.installed] == [GATEWAY.ecu]
            assert again._services.state.begun is None
            assert again.installed()[result.installed[0].ecu].path == GATEWAY.path(1)

    drive(tmp_path, scenario)


def test_an_own_image_that_cannot_be_completed_stops_no_newer_order(tmp_path: Path) -> None:
    """The car is not parked after the crash: the Director's newer order is read and reported all the same."""

    async def scenario(car: Car) -> None:
        world = car.world

        def install(_entry: ImageEntry, _source: Path) -> InstalledImage:
            raise Interrupted

        car.primary._services.installer.install = install  # type: ignore[method-assign,assignment]
        with pytest.raises(Interrupted):
            await car.primary.update_cycle()
        await car.primary.close()
        world.release()
        only_the_gateway(world)
        reasons = ["not parked"]
        async with Primary.open(
            car.config, wall=world.time, precondition=lambda _entry: next(iter(reasons), None)
        ) as again:
            result = await again.update_cycle()
            assert result.verified
            assert [image.image.path for image in result.approved] == [GATEWAY.path(2)]
            assert {type(problem.error) for problem in result.problems} == {PreconditionError}
            assert result.reported
            assert again.installed()[EcuId(GATEWAY.ecu)].path == "factory"
            reasons.clear()
            assert (await again.update_cycle()).outcome is Outcome.UPDATED
            assert again.installed()[EcuId(GATEWAY.ecu)].path == GATEWAY.path(2)

    drive(tmp_path, scenario)
