"""The device API over real sockets: statuses, problems, bounds, and that bad input does not stop the server."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.unit.director.world import TestVehicle, listed
from twinlock.director.api import requests
from twinlock.director.api.device_api import director_application
from twinlock.director.director import Director
from twinlock.repository.serving.http import serving
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR
from twinlock.trust.wire.tuf.attestation import check_attestation

VIN = "VIN1"
Scenario = Callable[[aiohttp.ClientSession], Awaitable[None]]


@asynccontextmanager
async def session_for(director: Director) -> AsyncIterator[aiohttp.ClientSession]:
    async with serving(director_application(director)) as server, aiohttp.ClientSession(server.url) as session:
        yield session


def run(director: Director, scenario: Scenario) -> None:
    async def main() -> None:
        async with session_for(director) as session:
            await scenario(session)
            async with session.get("/livez") as response:
                assert response.status == 200

    asyncio.run(main())


async def problem(response: aiohttp.ClientResponse, status: int, code: str) -> dict[str, Any]:
    assert response.status == status
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = await response.json(content_type=None)
    assert body["status"] == status
    assert body["code"] == code
    return body


def test_a_cycle_of_a_primary(director: Director, car: TestVehicle) -> None:
    director.register(car.description())

    async def scenario(session: aiohttp.ClientSession) -> None:
        async with session.put(f"/vehicles/{VIN}/manifest", data=car.manifest()) as response:
            assert response.status == 204
        await asyncio.to_thread(director.assign, VIN, {"ecu-gw": "gw/1.4.bin"})
        async with session.get(f"/vehicles/{VIN}/metadata/1.root.json") as response:
            assert await response.read() == director.root_bytes()
            assert "immutable" in response.headers["Cache-Control"]
        async with session.get(f"/vehicles/{VIN}/metadata/timestamp.json") as response:
            assert response.status == 200
            assert response.headers["Cache-Control"] == "no-store"
        async with session.get(f"/vehicles/{VIN}/metadata/1.targets.json") as response:
            assert listed(await response.read()) == {"gw/1.4.bin": ["ecu-gw"]}
        async with session.get(f"/vehicles/{VIN}/metadata/2.root.json") as response:
            await problem(response, 404, "not-found")

    run(director, scenario)


def test_a_refused_manifest_is_answered_with_attack_clause_and_fields(fleet: Director, car: TestVehicle) -> None:
    async def scenario(session: aiohttp.ClientSession) -> None:
        async with session.put(f"/vehicles/{VIN}/manifest", data=car.manifest(counter=1)) as response:
            body = await problem(response, 422, "report-replay")
        assert body["attack"] == "replay"
        assert body["clause"] == "Uptane 2.1.0 5.3.2.1"
        reason = "its counter is 1, and the last one was 1"
        assert body["fields"] == {"ecu": "ecu-gw", "field": "counter", "reason": reason, "offered": "1", "last": "1"}
        assert body["detail"] == f"the report of ecu-gw is not new: {reason}"

    run(fleet, scenario)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"signed": {}, "signed": {}}', b"\xff\xfe", b"[" * 5000])
def test_a_malformed_manifest_is_a_bad_request(fleet: Director, body: bytes) -> None:
    async def scenario(session: aiohttp.ClientSession) -> None:
        async with session.put(f"/vehicles/{VIN}/manifest", data=body) as response:
            await problem(response, 400, "malformed")

    run(fleet, scenario)


def test_an_oversize_manifest_is_cut_off_declared_or_not(fleet: Director) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536

    async def scenario(session: aiohttp.ClientSession) -> None:
        async with session.put(
            f"/vehicles/{VIN}/manifest", data=io.BytesIO(b"x" * (DEFAULT_LIMITS.report_bytes + 1))
        ) as response:
            body = await problem(response, 413, "endless-data")
        assert body["fields"]["limit_bytes"] == DEFAULT_LIMITS.report_bytes
        try:
            async with session.put(f"/vehicles/{VIN}/manifest", data=endless()) as response:
                await problem(response, 413, "endless-data")
        except aiohttp.ClientConnectionError:
            pass  # the server closed the connection while we were still sending

    run(fleet, scenario)


def test_a_body_that_trickles_in_is_given_up_on(fleet: Director, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BODY_S", 0.2)

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(3)
        yield b"}"

    async def scenario(session: aiohttp.ClientSession) -> None:
        try:
            async with session.put(f"/vehicles/{VIN}/manifest", data=slow()) as response:
                assert response.status == 408
        except aiohttp.ClientConnectionError:
            pass

    run(fleet, scenario)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/vehicles/VIN9/manifest"),
        ("GET", "/vehicles/VIN9/metadata/timestamp.json"),
        ("GET", "/vehicles/VIN9/metadata/1.targets.json"),
        ("GET", "/vehicles/..%2F..%2Fetc/metadata/timestamp.json"),
    ],
)
def test_an_unknown_vehicle_is_not_found(fleet: Director, method: str, path: str) -> None:
    stranger = TestVehicle("VIN9", {"ecu-9": "gw-1"})

    async def scenario(session: aiohttp.ClientSession) -> None:
        data = stranger.manifest() if method == "PUT" else None
        async with session.request(method, path, data=data) as response:
            await problem(response, 404, "unknown-vehicle")

    run(fleet, scenario)


def test_an_ecu_in_the_making_follows_the_roots_before_its_vehicle_is_registered(fleet: Director) -> None:
    async def scenario(session: aiohttp.ClientSession) -> None:
        async with session.get("/vehicles/VIN9/metadata/1.root.json") as response:
            assert (response.status, await response.read()) == (200, fleet.root_bytes(1))
        async with session.get("/vehicles/VIN9/metadata/2.root.json") as response:
            await problem(response, 404, "not-found")

    run(fleet, scenario)


def test_no_route_lists_the_inventory(fleet: Director) -> None:
    async def scenario(session: aiohttp.ClientSession) -> None:
        for path in ("/", "/vehicles", f"/vehicles/{VIN}", f"/vehicles/{VIN}/manifest", "/inventory", "/audit"):
            async with session.get(path) as response:
                assert response.status in (404, 405)
                assert VIN not in await response.text()

    run(fleet, scenario)


def test_time_is_attested_for_the_nonce(fleet: Director) -> None:
    root = bootstrap_repository(DIRECTOR, fleet.root_bytes()).root.signed

    async def scenario(session: aiohttp.ClientSession) -> None:
        async with session.post("/time", json={"nonce": "ab12"}) as response:
            assert response.status == 200
            check_attestation(await response.read(), root, nonce="ab12")
        for body in (b"{", b"[]", b'{"nonce": 1}', b'{"nonce": "xyz"}', json.dumps({"nonce": "ab" * 65}).encode()):
            async with session.post("/time", data=body) as response:
                await problem(response, 400, "malformed")
        async with session.post("/time", data=b"x" * 70_000) as response:
            await problem(response, 413, "endless-data")

    run(fleet, scenario)


def test_a_vehicle_enrols_itself_with_a_token(director: Director, car: TestVehicle) -> None:
    token = director.enrolment_token(VIN)

    async def scenario(session: aiohttp.ClientSession) -> None:
        url, data = f"/vehicles/{VIN}/enrolment", json.dumps(car.description())
        for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer x"}, {"Authorization": token}):
            async with session.post(url, data=data, headers=headers) as response:
                body = await problem(response, 401, "enrolment-token")
                assert response.headers["WWW-Authenticate"] == "Bearer"
                assert token not in json.dumps(body)
        for status in (201, 200):
            async with session.post(url, data=data, headers={"Authorization": f"Bearer {token}"}) as response:
                assert response.status == status
                assert await response.json() == {"vehicle": VIN, "registered": True}

    run(director, scenario)
    assert director.vehicle(VIN).primary == "ecu-gw"


def test_each_request_leaves_a_structured_line_without_secrets(
    director: Director, car: TestVehicle, caplog: pytest.LogCaptureFixture
) -> None:
    token = director.enrolment_token(VIN)
    caplog.set_level(logging.INFO, logger="twinlock.director.api.requests")

    async def scenario(session: aiohttp.ClientSession) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        async with session.post(
            f"/vehicles/{VIN}/enrolment", data=json.dumps(car.description()), headers=headers
        ) as response:
            assert response.status == 201
        async with session.put(f"/vehicles/{VIN}/manifest", data=b"{}") as response:
            assert response.status == 400
        async with session.get(f"/vehicles/{VIN}/metadata/timestamp.json") as response:
            assert response.headers["X-Request-Id"]

    run(director, scenario)
    lines = [json.loads(record.message) for record in caplog.records if record.name == "twinlock.director.api.requests"]
    assert [(line["method"], line["status"], line.get("vehicle")) for line in lines] == [
        ("POST", 201, VIN),
        ("PUT", 400, VIN),
        ("GET", 200, VIN),
        ("GET", 200, None),
    ]
    assert lines[1]["code"] == "malformed"
    assert lines[2]["correlation_id"].startswith("urn:")
    assert token not in caplog.text


def test_readiness_tells_that_the_keys_are_gone(fleet: Director) -> None:
    with Director.open(fleet.path) as opened:
        for path in (fleet.path / "keys" / "online").iterdir():
            path.unlink()

        async def scenario(session: aiohttp.ClientSession) -> None:
            async with session.get("/readyz") as response:
                assert response.status == 503

        run(opened, scenario)


def test_more_requests_than_can_wait_are_told_to_come_back(fleet: Director, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_WAITING", 0)

    async def scenario(session: aiohttp.ClientSession) -> None:
        async with session.get(f"/vehicles/{VIN}/metadata/timestamp.json") as response:
            assert response.status == 503
            assert response.headers["Retry-After"] == "5"

    run(fleet, scenario)


class BlockedReception:
    """Manifests that are worked on until they are released, and how many were at once."""

    def __init__(self, director: Director, monkeypatch: pytest.MonkeyPatch) -> None:
        self.release, self.busy = threading.Event(), threading.Event()
        self.at_once = self.most = 0
        self._lock = threading.Lock()
        monkeypatch.setattr(director, "receive_manifest", self._receive)

    def _receive(self, data: bytes, **__: object) -> None:
        if len(data) <= requests.LARGE_BYTES:
            raise MalformedError(what="manifest", json_path="$", reason="small")
        with self._lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            if self.at_once == requests.LARGE_AT_ONCE:
                self.busy.set()
        self.release.wait(20)
        with self._lock:
            self.at_once -= 1
        raise MalformedError(what="manifest", json_path="$", reason="large")


def test_few_large_bodies_are_read_at_once_and_small_ones_wait_for_none(
    fleet: Director, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body is read before its sender has proven anything, and reading the largest takes the memory of several."""
    blocked = BlockedReception(fleet, monkeypatch)

    async def scenario(session: aiohttp.ClientSession) -> None:
        async def put(size: int) -> int:
            async with session.put(f"/vehicles/{VIN}/manifest", data=b"[" + b"0," * (size // 2)) as response:
                return response.status

        large = [asyncio.create_task(put(100_000)) for _ in range(6)]
        await asyncio.to_thread(blocked.busy.wait, 20)
        for _ in range(20):
            assert await put(100) == 400
        blocked.release.set()
        assert await asyncio.gather(*large) == [400] * 6
        assert blocked.most == requests.LARGE_AT_ONCE

    run(fleet, scenario)


def test_a_large_body_that_waits_too_long_for_its_turn_is_told_to_come_back(
    fleet: Director, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = BlockedReception(fleet, monkeypatch)
    monkeypatch.setattr(requests, "PATIENCE_S", 0.1)

    async def scenario(session: aiohttp.ClientSession) -> None:
        async def put() -> tuple[int, str | None]:
            async with session.put(f"/vehicles/{VIN}/manifest", data=b"x" * 100_000) as response:
                return response.status, response.headers.get("Retry-After")

        first = [asyncio.create_task(put()) for _ in range(requests.LARGE_AT_ONCE)]
        await asyncio.to_thread(blocked.busy.wait, 20)
        assert await put() == (503, "5")
        blocked.release.set()
        assert await asyncio.gather(*first) == [(400, None)] * requests.LARGE_AT_ONCE
        assert await put() == (400, None)

    run(fleet, scenario)


def test_bodies_of_the_address_that_holds_the_most_give_way(fleet: Director, monkeypatch: pytest.MonkeyPatch) -> None:
    """All bodies together have a bound in bytes; the sender that fills it keeps no other one out."""
    blocked = BlockedReception(fleet, monkeypatch)
    monkeypatch.setattr(requests, "MAX_BODY_BYTES", 500_000)

    async def main() -> None:
        async with serving(director_application(fleet)) as server:
            strangers = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
            async with (
                aiohttp.ClientSession(server.url, connector=strangers) as greedy,
                aiohttp.ClientSession(server.url) as honest,
            ):

                async def put(session: aiohttp.ClientSession, size: int) -> int:
                    async with session.put(f"/vehicles/{VIN}/manifest", data=b"x" * size) as response:
                        return response.status

                flood = [asyncio.create_task(put(greedy, 100_000)) for _ in range(5)]
                await asyncio.to_thread(blocked.busy.wait, 20)
                await asyncio.sleep(0.2)  # all five have arrived
                assert await put(honest, 10_000) == 400
                larger = asyncio.create_task(put(honest, 60_000))
                await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
                blocked.release.set()
                assert await larger == 400
                assert sorted(await asyncio.gather(*flood)) == [400, 400, 400, 400, 503]

    asyncio.run(main())


def test_two_hundred_requests_at_once_are_all_answered(fleet: Director) -> None:
    async def scenario(session: aiohttp.ClientSession) -> None:
        async def get(number: int) -> bytes:
            name = ("timestamp.json", "1.root.json", "targets.json", "snapshot.json")[number % 4]
            async with session.get(f"/vehicles/{VIN}/metadata/{name}") as response:
                assert response.status == 200
                return await response.read()

        answers = await asyncio.gather(*(get(number) for number in range(200)))
        assert len(set(answers)) == 4

    run(fleet, scenario)
