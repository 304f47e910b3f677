"""A Director whose clock is wrong: what it refuses to sign, what vehicles get meanwhile, and the way out afterwards.

The vehicle is the real Primary on real sockets; both sides read the time from clocks that are turned by hand.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tuf.api.metadata import Metadata, Root

from tests.unit.director.world import NOW, ImageSite, at
from twinlock.client.ecu.provision import EcuPlan, KnownRepositories, provision_primary
from twinlock.client.model.results import Outcome
from twinlock.client.primary.primary import Primary
from twinlock.director.api.device_api import director_application
from twinlock.director.director import Director
from twinlock.repository.errors import ClockBehindError, ClockContradictedError, NothingToRecoverError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.serving.app import image_application
from twinlock.repository.serving.http import serving
from twinlock.trust.errors.local import TransportError

VIN, ECU, IMAGE = "VIN1", "ecu-gw", "gw/2.0.bin"


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> Any:
        return self.time

    def turn(self, **by: float) -> None:
        self.time += timedelta(**by)


@dataclass
class Fleet:
    """Both repositories and one vehicle, each with a clock of its own."""

    image: ImageRepository
    director: Director
    primary: Primary
    director_url: str
    clocks: dict[str, Clock]

    def turn(self, **by: float) -> None:
        """Time passes everywhere, and the Image repository renews what is due."""
        for clock in self.clocks.values():
            clock.turn(**by)
        self.image.refresh()

    async def cycle(self) -> Outcome:
        return (await self.primary.update_cycle()).outcome

    async def stated(self, name: str, member: str) -> str:
        data = await asyncio.to_thread(self.director.metadata, VIN, name)
        assert data is not None
        return str(json.loads(data)["signed"][member])


@asynccontextmanager
async def fleet_in(place: Path) -> AsyncIterator[Fleet]:
    clocks = {name: Clock() for name in ("image", "director", "vehicle")}
    image = ImageRepository.create(place / "image", clock=clocks["image"])
    (place / "gw.bin").write_bytes(b"TEST gateway 2.0")
    image.add_image(place / "gw.bin", IMAGE, hardware_ids=["gw-1"], release_counter=2)
    image.publish()
    async with serving(image_application(image.store)) as images:
        with Director.create(
            place / "director", image_root=image.root_bytes(1), image_url=images.url, clock=clocks["director"]
        ) as director:
            async with serving(director_application(director)) as server:
                known = KnownRepositories(
                    director_root=director.root_bytes(1),
                    image_root=image.root_bytes(1),
                    director_url=f"{server.url}/vehicles/{VIN}",
                    image_url=images.url,
                )
                config = provision_primary(place / "gw", EcuPlan(vehicle=VIN, ecu=ECU, hardware_id="gw-1"), known)
                async with Primary.open(config, wall=clocks["vehicle"]) as primary:
                    director.register(primary.describe())
                    yield Fleet(image, director, primary, server.url, clocks)


def play(place: Path, scenario: Callable[[Fleet], Awaitable[None]]) -> None:
    async def main() -> None:
        async with fleet_in(place) as fleet:
            await scenario(fleet)

    asyncio.run(main())


@pytest.mark.parametrize("days", [2, 60])
def test_one_cycle_under_a_clock_that_is_ahead_locks_no_vehicle(
    tmp_path: Path, days: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(fleet: Fleet) -> None:
        assert await fleet.cycle() is Outcome.UP_TO_DATE
        fleet.turn(hours=20)
        fleet.clocks["director"].turn(days=days)
        caplog.set_level(logging.INFO)
        before = await fleet.stated("timestamp.json", "issued"), await fleet.stated("timestamp.json", "version")
        # By what was signed before, which has not expired. The manifest's times look old by that clock.
        assert await fleet.cycle() in (Outcome.UP_TO_DATE, Outcome.INCOMPLETE)
        assert (
            await fleet.stated("timestamp.json", "issued"),
            await fleet.stated("timestamp.json", "version"),
        ) == before
        assert "signing-clock-contradicted" in caplog.text
        now = at(hours=20, days=days)
        for act in (
            lambda: fleet.director.assign(VIN, {ECU: IMAGE}),
            lambda: fleet.director.attest_time(["ab"]),
            fleet.director.refresh_root,
            lambda: fleet.director.issue(VIN, force=True),
        ):
            with pytest.raises(ClockContradictedError) as caught:
                await asyncio.to_thread(act)
            assert (caught.value.now, caught.value.source) == (now, "the Image repository")
        assert fleet.director.assignments(VIN) == ()

        fleet.clocks["director"].turn(days=-days)
        await asyncio.to_thread(fleet.director.assign, VIN, {ECU: IMAGE})
        assert await fleet.cycle() is Outcome.UPDATED

    play(tmp_path, scenario)


def test_nothing_is_signed_behind_the_last_signature_or_behind_the_other_repository(tmp_path: Path) -> None:
    async def scenario(fleet: Fleet) -> None:
        assert await fleet.cycle() is Outcome.UP_TO_DATE
        fleet.turn(hours=13)
        await asyncio.to_thread(fleet.director.issue, VIN, force=True)
        fleet.clocks["director"].turn(hours=-2)
        with pytest.raises(ClockBehindError) as caught:
            await asyncio.to_thread(fleet.director.assign, VIN, {ECU: IMAGE})
        assert caught.value.fields() == {"now": at(hours=11), "signed": at(hours=13)}
        fleet.clocks["director"].turn(hours=2)
        await asyncio.to_thread(fleet.director.assign, VIN, {ECU: IMAGE})
        assert await fleet.cycle() is Outcome.UPDATED

        fleet.turn(hours=13)  # the Image repository signed; the Director, which did not, falls behind it
        fleet.clocks["director"].turn(hours=-1)
        with pytest.raises(ClockContradictedError) as other:
            await asyncio.to_thread(fleet.director.issue, VIN, force=True)
        assert (other.value.other, other.value.now) == (at(hours=26), at(hours=25))

    play(tmp_path, scenario)


def test_without_a_second_source_a_false_signature_has_a_way_out_that_needs_no_root(tmp_path: Path) -> None:
    async def scenario(fleet: Fleet) -> None:
        assert await fleet.cycle() is Outcome.UP_TO_DATE
        # All clocks but the vehicle's are ahead, so nothing contradicts; the vehicle takes what was signed.
        for name in ("image", "director"):
            fleet.clocks[name].turn(days=30)
        fleet.image.refresh()
        await fleet.cycle()
        assert await fleet.stated("timestamp.json", "issued") == "2026-03-31T12:00:00Z"
        for name in ("image", "director"):
            fleet.clocks[name].turn(days=-30, minutes=10)
        fleet.clocks["vehicle"].turn(minutes=10)

        with pytest.raises(ClockBehindError) as caught:
            await asyncio.to_thread(fleet.director.assign, VIN, {ECU: IMAGE})
        assert caught.value.signed == at(days=30)
        assert "director recover-clock" in caught.value.hint
        with pytest.raises(ClockContradictedError):  # the Image repository is still in the future: it is first
            await asyncio.to_thread(fleet.director.recover_clock)
        fleet.image.recover_clock()
        fleet.clocks["director"].turn(minutes=2)  # what the Image repository said before is forgotten
        keys = fleet.director.path / "keys"
        (keys / "offline").rename(keys / "away")
        fleet.director.actor = "kim"
        found = await asyncio.to_thread(fleet.director.recover_clock)
        assert (found.highest, found.vehicles, found.root_needed) == (at(days=30), (VIN,), False)
        assert fleet.director.audit()[0]["action"] == "recover-clock"
        assert fleet.director.audit()[0]["actor"] == "kim"
        for name in ("timestamp.json", "snapshot.json", "targets.json"):
            assert await fleet.stated(name, "issued") == "2026-03-01T12:12:00Z"
            assert await fleet.stated(name, "expires") == "2026-04-01T12:00:00Z"
        with pytest.raises(NothingToRecoverError):
            await asyncio.to_thread(fleet.director.recover_clock)

        fleet.clocks["vehicle"].turn(minutes=2)
        assert await fleet.cycle() is Outcome.UP_TO_DATE
        await asyncio.to_thread(fleet.director.assign, VIN, {ECU: IMAGE})
        assert await fleet.cycle() is Outcome.UPDATED
        fleet.turn(hours=19)
        assert await fleet.stated("timestamp.json", "issued") == "2026-03-02T07:12:00Z"  # renewed at the usual pace

    play(tmp_path, scenario)


def test_a_root_that_is_made_to_help_outlasts_the_false_time(
    tmp_path: Path, director: Director, site: ImageSite
) -> None:
    """The time that was stated lies further ahead than a Root lives."""
    false = at(days=400)

    def away(_name: str, _limit: int) -> bytes:
        raise TransportError(url=str(site.path), reason="unreachable")

    director._catalogues._fetch = away
    director.attest_time(now=false)
    assert director.recover_clock(now=NOW).root_needed
    director.prepare_root(tmp_path / "next.json", {}, now=NOW)
    prepared = Metadata[Root].from_bytes((tmp_path / "next.json").read_bytes()).signed
    assert prepared.expires == false + timedelta(days=365)
    director.publish_root(tmp_path / "next.json", now=NOW)
    director.refresh_root(now=NOW)
    assert Metadata[Root].from_bytes(director.root_bytes()).signed.expires == false + timedelta(days=365)
    director.rotate("timestamp", now=NOW)
    assert Metadata[Root].from_bytes(director.root_bytes()).signed.expires == false + timedelta(days=365)


def test_the_device_api_says_come_back_where_nothing_may_be_signed(tmp_path: Path) -> None:
    async def scenario(fleet: Fleet) -> None:
        fleet.clocks["director"].turn(days=60)
        async with aiohttp.ClientSession(fleet.director_url) as session:
            for method, path in (("GET", f"/vehicles/{VIN}/metadata/timestamp.json"), ("POST", "/time")):
                async with session.request(method, path) as response:
                    assert response.status == 503
                    assert (await response.json(content_type=None))["code"] == "signing-clock-contradicted"
                    assert int(response.headers["Retry-After"]) > 0

    play(tmp_path, scenario)


def test_an_image_repository_that_cannot_be_reached_stops_nothing_and_shows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(fleet: Fleet) -> None:
        (fleet.image.path / "public/metadata").rename(tmp_path / "gone")
        fleet.clocks["director"].turn(hours=20)
        with caplog.at_level(logging.WARNING, logger="twinlock.director.catalogue.catalogue"):
            await asyncio.to_thread(fleet.director.issue, VIN)
        assert "only this clock vouches" in caplog.text

    play(tmp_path, scenario)
