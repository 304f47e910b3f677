"""Whatever a foreign party invents, a boundary gives a value or a typed error, and a cycle ends in a report."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.client.liars import lying
from tests.unit.client.vehicle import Car, roots, running_car
from twinlock.client.ecu.config import FetchSettings
from twinlock.client.ecu.provision import EcuPlan, provision_secondary
from twinlock.client.link.http import HttpLink
from twinlock.client.model.errors import InstallerError, LinkError
from twinlock.client.model.party_faults import party_faults
from twinlock.client.model.results import CycleResult, Outcome
from twinlock.client.net.metadata import MetadataFetcher
from twinlock.client.net.transport import Transport
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.secondary.server import secondary_application
from twinlock.testing.servers import serving
from twinlock.testing.simulator.world import BRAKE, GATEWAY, VIN, World
from twinlock.trust.engine.commands import ABSENT, Fetch
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.errors.local import TransportError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, ROOT, EcuId

QUICK = FetchSettings(floor_bytes_per_s=1, window_s=2.0, deadline_s=5.0, connect_s=2.0, attempts=1, backoff_s=0.01)
SOME = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
FEW = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))

STATUS = st.sampled_from(
    ["HTTP/1.1 200 OK", "HTTP/1.1 206 X", "HTTP/1.1 302 X", "HTTP/1.1 404 X", "HTTP/1.1 416 X", "HTTP/1.1 422 X",
     "HTTP/1.1 500 X", "HTTP/1.1 999 X", "HTTP/1.1 100 X", "HTTP/1.1 204 X", "HTTP/9 200", "x", "", "\x00"]
)  # fmt: skip
LOCATION = st.sampled_from(
    ["http://[", "/x", "//", "http://h:99999/", "\x00", "http://é/", "mailto:x", " ", "?" * 9000]
)
HEADER = st.one_of(
    LOCATION.map(lambda place: f"Location: {place}"),
    st.sampled_from(
        ["Content-Length: 2", "Content-Length: -1", "Content-Length: 99999999999999999999", "Content-Length: x",
         "Transfer-Encoding: chunked", "Transfer-Encoding: gzip", "Content-Encoding: gzip", "Content-Encoding: \xff",
         "Content-Range: bytes 0-1/2", "Content-Range: \x00", "Connection: close", "Set-Cookie: a", "no colon", ": x",
         "Content-Type: multipart/byteranges"]
    ),
)  # fmt: skip
BODY = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"", b"{}", b"[" * 5_000, b"null", b'{"code":1,"detail":[]}', b"ffffffffffffffffff\r\nx", b"2\r\n{}\r\n0\r\n\r\n",
                     b'{"ecu":"e","roots":{"director":-1}}', b"\xef\xbb\xbf{}"]),
)  # fmt: skip


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    head = "\r\n".join([draw(STATUS), *draw(st.lists(HEADER, max_size=4))])
    return head.encode("latin-1", "replace") + b"\r\n\r\n" + draw(BODY)


async def _said_by(answer: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(answer)
    await writer.drain()


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@SOME
@given(answers())
def test_a_server_gives_bytes_an_absence_or_a_typed_error(loop: asyncio.Runner, answer: bytes) -> None:
    async def scenario() -> None:
        async with lying(lambda writer, _head: _said_by(answer, writer)) as url:
            transport = Transport(QUICK)
            try:
                found = await MetadataFetcher(transport, {DIRECTOR: (url,)}).fetch(Fetch(DIRECTOR, ROOT, 2, "x", 30))
                assert found is ABSENT or len(found) <= 30
            except TwinlockError as error:
                assert str(error).isprintable()
            finally:
                await transport.close()

    loop.run(scenario())


@SOME
@given(answers())
def test_a_secondary_gives_an_answer_or_a_typed_error(loop: asyncio.Runner, answer: bytes) -> None:
    async def scenario() -> None:
        async with lying(lambda writer, _head: _said_by(answer, writer)) as url:
            link = HttpLink(EcuId("e"), url, QUICK, DEFAULT_LIMITS)
            for call in (link.identity, link.report):
                try:
                    await call()
                except TwinlockError as error:
                    assert str(error).isprintable()
            await link.close()

    loop.run(scenario())


@FEW
@given(
    st.sampled_from(["GET", "PUT", "POST", "X"]),
    st.sampled_from(["identity", "time", "metadata", "image/%00", "image/%1b%0a", "image/..", "report", "\x00", "?x"]),
    st.lists(HEADER, max_size=3),
    BODY,
)
def test_a_request_never_ends_a_secondarys_server(
    loop: asyncio.Runner,
    tmp_path_factory: pytest.TempPathFactory,
    method: str,
    path: str,
    headers: list[str],
    body: bytes,
) -> None:
    directory = tmp_path_factory.mktemp("secondary") / "brake"

    async def scenario() -> None:
        world = World()
        plan = EcuPlan(vehicle=VIN, ecu=BRAKE.ecu, hardware_id=BRAKE.hardware_id)
        provision_secondary(directory, plan, roots(world), verification="full", listen="http://127.0.0.1:0")
        with Secondary.open(directory / "secondary.json", wall=world.time) as secondary:
            async with serving(secondary_application(secondary)) as url:
                host, port = url.removeprefix("http://").split(":")
                reader, writer = await asyncio.open_connection(host, int(port))
                head = "\r\n".join([f"{method} /v1/{path} HTTP/1.1", "Host: x", *headers])
                writer.write(head.encode("latin-1", "replace") + b"\r\n\r\n" + body)
                writer.write_eof()
                await asyncio.wait_for(reader.read(), 10)
                writer.close()
                link = HttpLink(EcuId(BRAKE.ecu), url, QUICK, DEFAULT_LIMITS)
                assert (await link.identity())["ecu"] == BRAKE.ecu
                await link.close()
            assert secondary.installed().path == "factory"

    loop.run(scenario())


EXCEPTIONS = sorted(
    (
        kind
        for kind in vars(builtins).values()
        if isinstance(kind, type)
        and issubclass(kind, BaseException)
        and not issubclass(kind, (KeyboardInterrupt, GeneratorExit))
    ),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", EXCEPTIONS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("error", [InstallerError, LinkError])
def test_any_exception_of_a_part_becomes_its_failure(kind: type[BaseException], error: Any) -> None:
    raised = kind("x", [ValueError()]) if issubclass(kind, BaseExceptionGroup) else kind.__new__(kind)
    with pytest.raises(error) as caught, party_faults(error, "part", "e", "work"):
        raise raised
    assert caught.value.exception == type(raised).__name__
    assert str(caught.value).isprintable()


PLACES = [
    "metadata/2.root.json",
    "metadata/timestamp.json",
    "metadata/2.snapshot.json",
    "metadata/2.targets.json",
    "manifest",
]


async def _cycle_under(car: Car, lies: dict[str, tuple[int, bytes, str]]) -> CycleResult:
    for place, (status, body, location) in lies.items():

        async def lie(_request: web.Request, answer: tuple[int, bytes, str] = (status, body, location)) -> web.Response:
            return web.Response(status=answer[0], body=answer[1], headers={"Location": answer[2]})

        car.servers.lies[f"/vehicles/{VIN}/{place}"] = lie
    return await car.primary.update_cycle()


@FEW
@given(
    st.dictionaries(
        st.sampled_from(PLACES),
        st.tuples(
            st.sampled_from([200, 204, 206, 302, 307, 400, 403, 404, 416, 422, 451, 501]),
            st.sampled_from([b"", b"{}", b"[[[[", b"\xff\x00", b'{"signatures":[],"signed":{}}', b"x" * 70_000]),
            st.sampled_from(["http://[", "/x", "mailto:x"]),
        ),
        min_size=1,
    )
)
def test_a_cycle_ends_in_a_report_and_with_the_state_intact(
    tmp_path_factory: pytest.TempPathFactory, lies: dict[str, tuple[int, bytes, str]]
) -> None:
    directory: Path = tmp_path_factory.mktemp("vehicle")

    async def scenario() -> None:
        async with running_car(directory, with_secondaries=False) as car:
            before = car.slot_bytes()
            result = await _cycle_under(car, lies)
            if result.outcome is not Outcome.UPDATED and not result.installed:
                assert car.slot_bytes() == before
            if "manifest" not in lies:
                assert result.reported
            for problem in result.problems:
                assert isinstance(problem.error, TwinlockError)
                assert problem.error.code != "software-fault"
                assert str(problem.error).isprintable()
            car.servers.lies.clear()
            honest = await car.primary.update_cycle()
            assert not isinstance(honest.error, TransportError)
            assert car.paths() == {GATEWAY.ecu: GATEWAY.path(1)}

    asyncio.run(scenario())
