"""A node on the vehicle's network without any key: it may waste its own time, and stops nobody's update.

Legitimate: the Primary passes metadata and the image on. Attack: a refused bundle between the two, or bodies that trickle until
every place is taken. The update goes through each time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from sqlite3 import Connection

import aiohttp
import pytest

from tests.unit.client.test_primary import cut_off
from tests.unit.client.test_secondary_server import ECU, offered, serve
from tests.unit.client.test_staging import entry_of
from tests.unit.client.vehicle import running_car
from twinlock.client.link.http import HttpLink
from twinlock.client.model.errors import BundleHeldError, SecondaryBusyError
from twinlock.client.storage.database import Database
from twinlock.io.http import request_bodies as places
from twinlock.io.http.request_bodies import RequestBodies
from twinlock.testing.simulator.world import ADAS, BRAKE, GATEWAY, World
from twinlock.trust.wire.tuf.reports import decode_report

Attack = Callable[[str], Awaitable[None]]


async def trickle(address: str, head: str) -> None:
    """Send one body byte after byte, and again when it is cut off."""
    host, _, port = address.removeprefix("http://").partition(":")
    while True:
        with contextlib.suppress(OSError):
            _reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"{head} HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n".encode())
            try:
                while True:
                    writer.write(b" " * 50)
                    await writer.drain()
                    await asyncio.sleep(0.02)
            finally:
                writer.close()


async def updated(world: World, link: HttpLink, directory: Path, between: Attack, address: str) -> None:
    """The honest update, with ``between`` after the metadata."""
    assert await link.send_metadata(offered(world))
    await between(address)
    source = directory / "image"
    source.write_bytes(BRAKE.image(1))
    await link.send_image(entry_of(BRAKE.image(1), BRAKE.path(1)), source)
    assert decode_report(await link.report()).report.installed.path == BRAKE.path(1)


async def nothing(_address: str) -> None: ...


async def garbage(address: str) -> None:
    async with aiohttp.ClientSession() as session:
        for body in (b"{}", b"", b"x" * 1000):
            async with session.put(f"{address}/v1/metadata", data=body) as response:
                assert response.status == 422


def test_a_refused_bundle_withdraws_no_approval(tmp_path: Path) -> None:
    async def scenario(world: World, link: HttpLink, address: str) -> None:
        await updated(world, link, tmp_path, garbage, address)

    serve(tmp_path, scenario)


@pytest.mark.parametrize("head", ["PUT /v1/metadata", "POST /v1/time", f"PUT /v1/image/{BRAKE.path(1)}"])
def test_bodies_that_trickle_keep_nobody_waiting(tmp_path: Path, head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "GRACE_S", 0.2)

    async def scenario(world: World, link: HttpLink, address: str) -> None:
        assert await link.send_metadata(offered(world))
        nodes = [asyncio.create_task(trickle(address, head)) for _ in range(10)]
        await asyncio.sleep(0.6)
        try:
            async with asyncio.timeout(8):
                while True:  # a Primary that finds no place comes again with its next cycle
                    try:
                        await updated(world, link, tmp_path, nothing, address)
                        break
                    except Exception as error:  # noqa: BLE001
                        assert getattr(error, "problem", "") == "busy", error
        finally:
            for node in nodes:
                node.cancel()
            await asyncio.gather(*nodes, return_exceptions=True)

    serve(tmp_path, scenario)


def test_the_reset_of_a_counter_reaches_the_director_though_a_node_asks_first(tmp_path: Path) -> None:
    """The node gets a report with the nonce of the Director's reset. The Primary's next one has it too, until Targets change."""

    async def scenario() -> None:
        async with running_car(tmp_path) as car:
            custom = car.world.director.bodies["targets"]["custom"]
            address = car.primary._services.secondaries.members[ECU].settings.address

            async def reported(*, named: bool) -> list[str | None]:
                """The nonces in reports of the brake: the node's, and those of the cycle after it."""
                custom["resets"] = {BRAKE.ecu: "ab" * 16} if named else {}
                car.world.director.publish("targets")
                await car.primary.update_cycle()
                async with aiohttp.ClientSession() as node, node.post(f"{address}/v1/report") as answer:
                    nonces = [decode_report(await answer.read()).report.nonce]
                car.servers.manifests.clear()
                await car.primary.update_cycle()
                offered = [item.report for manifest in car.servers.manifests for item in manifest.reports]
                return nonces + [report.nonce for report in offered if report.ecu == BRAKE.ecu]

            assert await reported(named=True) == ["ab" * 16] * 2
            assert await reported(named=False) == [None] * 2

    asyncio.run(scenario())


def test_a_node_delivers_an_image_of_a_bundle_that_the_primary_holds(tmp_path: Path) -> None:
    """Images are public, and nothing in a request shows who sent it: the attacker succeeds, as the threat model states."""

    async def scenario() -> None:
        async with running_car(tmp_path) as car:
            cut_off(car, ADAS.ecu)
            held = await car.primary.update_cycle()
            assert isinstance(held.error, BundleHeldError)
            assert set(car.paths().values()) == {"factory"}
            address = car.primary._services.secondaries.members[ECU].settings.address
            place = f"{address}/v1/image/{BRAKE.path(1)}"
            async with aiohttp.ClientSession() as node, node.put(place, data=BRAKE.image(1)) as answer:
                assert answer.status == 200
            assert car.paths() == {GATEWAY.ecu: "factory", BRAKE.ecu: BRAKE.path(1), ADAS.ecu: "factory"}
            await car.primary.update_cycle()
            reports = {item.report.ecu: item.report for item in car.servers.manifests[-1].reports}
            assert reports[ECU].installed.path == BRAKE.path(1)  # what remains is that the Director sees it

    asyncio.run(scenario())


async def requests(world: World, address: str, method: str, path: str, body: bytes = b"") -> None:
    """A hundred of them, one in each second of the vehicle's clock."""
    async with aiohttp.ClientSession() as node:
        for _ in range(100):
            world.pass_time(seconds=1)
            async with node.request(method, f"{address}{path}", data=body) as answer:
                await answer.read()


@pytest.mark.parametrize("what", ["garbage", "report", "garbage and report", "a bundle that was sent before"])
def test_no_number_of_requests_wears_out_the_storage(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request once cost two or three writes that reach the flash: ten million a day."""
    written: list[str] = []
    transaction = Database.transaction

    def counted(self: Database, operation: str) -> AbstractContextManager[Connection]:
        written.append(operation)
        return transaction(self, operation)

    async def scenario(world: World, link: HttpLink, address: str) -> None:
        assert await link.send_metadata(offered(world))
        monkeypatch.setattr(Database, "transaction", counted)
        if "garbage" in what:
            await requests(world, address, "PUT", "/v1/metadata", b"x")
        if "report" in what:
            await requests(world, address, "POST", "/v1/report")
        if "bundle" in what:
            await requests(world, address, "PUT", "/v1/metadata", offered(world).encode())
        assert 0 < len(written) < 70

    serve(tmp_path, scenario)


def test_the_slowest_body_of_the_greediest_address_gives_way() -> None:
    now = [0.0]

    async def scenario() -> None:
        bodies = RequestBodies(3, 100, busy=lambda _: SecondaryBusyError(ecu="brake"), clock=lambda: now[0])
        ended: list[str] = []

        async def body(name: str, address: str, received: int) -> None:
            try:
                async with bodies.place(address) as arrival:
                    bodies.count(arrival, received)
                    await asyncio.sleep(60)
            except SecondaryBusyError:
                ended.append(name)

        async def begin(name: str, address: str, received: int) -> asyncio.Task[None]:
            task = asyncio.create_task(body(name, address, received))
            await asyncio.sleep(0.01)
            return task

        tasks = [await begin("slow", "node", 1), await begin("fast", "node", 9), await begin("first", "primary", 0)]
        tasks.append(await begin("own", "node", 5))  # within the grace its own address cannot displace its bodies
        assert ended == ["own"]
        tasks.append(await begin("second", "primary", 50))  # and another address need not wait for it
        assert ended == ["own", "slow"]
        now[0] = 10.0
        tasks.append(await begin("large", "node", 60))  # too much beside the others, and most of it the node's
        assert sorted(ended[2:]) == ["fast", "first", "large"]  # and the Primary's second body stays
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(scenario())
