"""The link over HTTP: bounds, refusals as problems, and a server that no request ends."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.unit.client.test_fetch import SETTINGS
from tests.unit.client.test_secondary import bundle
from tests.unit.client.vehicle import roots
from twinlock.client.ecu.provision import EcuPlan, provision_secondary
from twinlock.client.link.http import HttpLink
from twinlock.client.model.errors import ListenError, SecondaryRefusedError
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.secondary.server import start_secondary
from twinlock.client.storage.bundle import Bundle, decode_bundle, max_bundle_bytes
from twinlock.testing.simulator.world import BRAKE, VIN, World
from twinlock.trust.errors.local import FetchError, TransportError
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.names import DIRECTOR, IMAGE, EcuId, Verification
from twinlock.trust.wire.tuf.reports import decode_report

BUNDLE_BYTES = max_bundle_bytes(Verification.FULL, DEFAULT_LIMITS)

ECU = EcuId(BRAKE.ecu)
Scenario = Callable[[World, HttpLink, str], Awaitable[None]]


def serve(
    tmp_path: Path,
    scenario: Scenario,
    listen: str = "http://127.0.0.1:0",
    *,
    verification: str = "full",
    limits: dict[str, int] | None = None,
) -> None:
    """Run ``scenario`` with the link and address of a served brake."""
    world = World()
    plan = EcuPlan(vehicle=VIN, ecu=BRAKE.ecu, hardware_id=BRAKE.hardware_id)
    provision_secondary(tmp_path / "brake", plan, roots(world), verification=verification, listen=listen)
    config = tmp_path / "brake" / "secondary.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"limits": limits or {}}))

    async def run() -> None:
        with Secondary.open(tmp_path / "brake" / "secondary.json", wall=world.time) as secondary:
            runner, address = await start_secondary(secondary)
            link = HttpLink(ECU, address, SETTINGS, DEFAULT_LIMITS)
            try:
                await scenario(world, link, address)
                assert (await link.identity())["ecu"] == ECU, "the server still serves"
            finally:
                await link.close()
                await runner.cleanup()

    asyncio.run(run())


def offered(world: World) -> Bundle:
    return Bundle({DIRECTOR: world.director.files, IMAGE: world.image.files})


@pytest.mark.parametrize("listen", ["http://127.0.0.1:0", "unix:link.sock"])
def test_the_whole_link_works(tmp_path: Path, listen: str) -> None:
    async def scenario(world: World, link: HttpLink, _address: str) -> None:
        assert decode_report(await link.report()).report.installed.path == "factory"
        assert await link.send_metadata(offered(world))
        source = tmp_path / "image"
        source.write_bytes(BRAKE.image(1))
        from tests.unit.client.test_staging import entry_of

        await link.send_image(entry_of(BRAKE.image(1), BRAKE.path(1)), source)
        assert decode_report(await link.report()).report.installed.path == BRAKE.path(1)
        assert not await link.send_metadata(offered(world))

    serve(tmp_path, scenario, listen)


def test_a_refusal_arrives_with_its_code_attack_and_clause(tmp_path: Path) -> None:
    async def scenario(world: World, link: HttpLink, _address: str) -> None:
        world.director.deform("timestamp", lambda envelope: envelope["signatures"].clear())
        with pytest.raises(SecondaryRefusedError) as caught:
            await link.send_metadata(offered(world))
        assert (caught.value.ecu, caught.value.problem, caught.value.attack) == (ECU, "threshold", "arbitrary-software")
        assert caught.value.clause.startswith("Uptane 2.1.0 5.4.4")

    serve(tmp_path, scenario)


async def _answer(method: str, url: str, **options: Any) -> tuple[int, dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.request(method, url, **options) as response:
        if response.content_type == "application/problem+json":
            return response.status, await response.json(content_type=None)
        return response.status, {}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("PUT", "metadata", b"", 422, "malformed"),
        ("PUT", "metadata", b"\xff" * 1000, 422, "malformed"),
        ("PUT", "metadata", b"[" * 100_000, 422, "malformed"),
        ("PUT", "metadata", b" " * (BUNDLE_BYTES + 1), 413, "endless-data"),
        ("POST", "time", b"{}", 422, "malformed"),
        ("POST", "time", b" " * 100_000, 413, "endless-data"),
        ("PUT", "image/brake/brake-1.bin", b"x", 409, "out-of-turn"),
        ("PUT", "image/../../etc/passwd", b"x", 404, "http"),
        ("PUT", "image/%2e%2e%2fetc%2fpasswd", b"x", 409, "out-of-turn"),
        ("PUT", "image/", b"x", 404, "http"),
        ("GET", "report", b"", 405, "http"),
        ("GET", "nothing", b"", 404, "http"),
    ],
)  # fmt: skip
def test_bad_requests_are_answered(tmp_path: Path, method: str, path: str, body: bytes, status: int, code: str) -> None:
    async def scenario(_world: World, _link: HttpLink, address: str) -> None:
        got, problem = await _answer(method, f"{address}/v1/{path}", data=io.BytesIO(body))
        assert (got, problem["code"]) == (status, code)
        assert problem["status"] == status
        assert problem["type"] == f"urn:twinlock:problem:{code}"
        assert problem["detail"]
        assert "message" not in problem

    serve(tmp_path, scenario)


def test_a_bundle_of_megabytes_passes(tmp_path: Path) -> None:
    async def scenario(world: World, link: HttpLink, _address: str) -> None:
        large = {f"{number}.unused.json": b" " * 1_000_000 for number in range(3)}
        assert await link.send_metadata(Bundle({DIRECTOR: world.director.files, IMAGE: world.image.files | large}))

    serve(tmp_path, scenario)


def test_a_body_without_end_is_cut_off(tmp_path: Path) -> None:
    async def endless() -> Any:
        while True:
            yield b" " * 100_000

    async def scenario(_world: World, _link: HttpLink, address: str) -> None:
        try:
            got, problem = await _answer("PUT", f"{address}/v1/metadata", data=endless())
        except aiohttp.ClientError:  # cut off while still sending
            return
        assert (got, problem["code"]) == (413, "endless-data")

    serve(tmp_path, scenario)


def test_compressed_bodies_are_not_unpacked(tmp_path: Path) -> None:
    import gzip

    async def scenario(world: World, _link: HttpLink, address: str) -> None:
        body = gzip.compress(bundle(world))
        got, problem = await _answer("PUT", f"{address}/v1/metadata", data=body, headers={"Content-Encoding": "gzip"})
        assert (got, problem["code"]) == (415, "unsupported-media-type")

    serve(tmp_path, scenario)


def test_a_connection_that_breaks_off_leaves_no_trace(tmp_path: Path) -> None:
    async def scenario(world: World, link: HttpLink, address: str) -> None:
        assert await link.send_metadata(offered(world))
        host, _, port = address.removeprefix("http://").partition(":")
        _reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"PUT /v1/image/{BRAKE.path(1)} HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\nTEST".encode())
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        await asyncio.sleep(0.05)
        assert decode_report(await link.report()).report.installed.path == "factory"
        source = tmp_path / "image"
        source.write_bytes(BRAKE.image(1))
        from tests.unit.client.test_staging import entry_of

        await link.send_image(entry_of(BRAKE.image(1), BRAKE.path(1)), source)
        assert decode_report(await link.report()).report.installed.path == BRAKE.path(1)

    serve(tmp_path, scenario)


def test_an_address_in_use_is_said(tmp_path: Path) -> None:
    async def scenario(world: World, _link: HttpLink, address: str) -> None:
        plan = EcuPlan(vehicle=VIN, ecu="other", hardware_id="h")
        provision_secondary(tmp_path / "other", plan, roots(world), verification="partial", listen=address)
        with Secondary.open(tmp_path / "other" / "secondary.json") as other:
            with pytest.raises(ListenError) as caught:
                await start_secondary(other)
            assert caught.value.address == address

    serve(tmp_path, scenario)


@pytest.mark.parametrize("verification", ["full", "partial"])
@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_a_bundle_over_the_ecus_own_limit_is_refused_and_the_setting_named(
    tmp_path: Path, verification: str, announced: bool
) -> None:
    setting = f"{verification}BundleBytes"

    async def scenario(_world: World, link: HttpLink, address: str) -> None:
        assert (await link.identity())["bundleBytes"] == 100_000

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(11):
                yield b" " * 10_000

        url = f"{address}/v1/metadata"
        body = io.BytesIO(b" " * 100_001) if announced else chunks()
        status, problem = await _answer("PUT", url, data=body)
        assert (status, problem["code"]) == (413, "endless-data")
        assert f"limits.{setting} bounds: received more than the limit of 100000" in problem["detail"]
        status, problem = await _answer("PUT", url, data=io.BytesIO(b" " * 100_000))
        assert (status, problem["code"]) == (422, "malformed")

    serve(tmp_path, scenario, verification=verification, limits={setting: 100_000})


def test_a_partial_secondary_of_default_limits_takes_the_largest_targets_and_a_root(tmp_path: Path) -> None:
    async def scenario(world: World, link: HttpLink, _address: str) -> None:
        director = world.director
        director.publish_root()
        director.bodies["targets"]["padding"] = '"' * (DEFAULT_LIMITS.director_bytes // 2 - 10_000)
        director.publish("targets")
        files = {name: director.files[name] for name in ("2.root.json", "targets.json")}
        assert len(files["targets.json"]) > DEFAULT_LIMITS.director_bytes - 50_000
        assert await link.send_metadata(Bundle({DIRECTOR: files}))

    serve(tmp_path, scenario, verification="partial")


# A Secondary that lies to its Primary


@pytest.mark.parametrize(
    ("head", "body", "error"),
    [
        ("HTTP/1.1 500 Oops\nContent-Length: 4", b"Oops", FetchError),
        ("HTTP/1.1 422 No\nContent-Length: 2", b"[]", FetchError),
        ("HTTP/1.1 422 No\nContent-Length: 13", b'{"code": null', FetchError),
        ("HTTP/1.1 200 OK\nContent-Length: 2", b"[]", TransportError),
        ("HTTP/1.1 200 OK\nContent-Length: 9", b"<html>!!!", TransportError),
    ],
)
def test_answers_that_make_no_sense_are_faults_of_transport(head: str, body: bytes, error: type[Exception]) -> None:
    from tests.unit.client.liars import lying, says

    async def scenario() -> None:
        async with lying(says(head, body)) as address:
            link = HttpLink(ECU, address, SETTINGS, DEFAULT_LIMITS)
            try:
                with pytest.raises(TransportError) as caught:
                    await link.identity()
                assert type(caught.value) is error
            finally:
                await link.close()

    asyncio.run(scenario())


def test_what_a_secondary_says_is_quoted_short_and_printable() -> None:
    import json

    from tests.unit.client.liars import lying, says

    problem = json.dumps({"code": "x" * 999, "detail": "\x1b[31m" + "y" * 9999, "attack": 7, "clause": []}).encode()

    async def scenario() -> None:
        async with lying(says(f"HTTP/1.1 422 No\nContent-Length: {len(problem)}", problem)) as address:
            link = HttpLink(ECU, address, SETTINGS, DEFAULT_LIMITS)
            try:
                with pytest.raises(SecondaryRefusedError) as caught:
                    await link.identity()
            finally:
                await link.close()
        assert len(str(caught.value)) < 700
        assert str(caught.value).isprintable()

    asyncio.run(scenario())


def test_a_bundle_is_read_apart_from_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle has no signature of its own, so its size must not keep this ECU from answering its Primary."""
    reading: list[int] = []

    def decode(data: bytes, verification: Verification, limits: Limits) -> Bundle:
        reading.append(threading.get_ident())
        return decode_bundle(data, verification, limits)

    monkeypatch.setattr("twinlock.client.secondary.secondary.decode_bundle", decode)

    async def scenario(_world: World, _link: HttpLink, address: str) -> None:
        members = ",".join(f'"{number}":""' for number in range(100_000))
        body = f'{{"director":{{{members}}}}}'.encode()
        got, problem = await _answer("PUT", f"{address}/v1/metadata", data=io.BytesIO(body))
        assert (got, problem["code"]) == (422, "limit")
        assert reading
        assert threading.get_ident() not in reading

    serve(tmp_path, scenario)
