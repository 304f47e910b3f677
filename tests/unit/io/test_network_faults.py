"""A fault of the network is a sentence that names the place; no text or number of a system call is shown."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.error import URLError

import pytest

from tests.unit.client.vehicle import roots
from twinlock.client.ecu.config import FetchSettings
from twinlock.client.ecu.provision import EcuPlan, provision_secondary
from twinlock.client.model.errors import ListenError
from twinlock.client.net.transport import Transport
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.secondary.server import start_secondary
from twinlock.director.catalogue.source import open_source
from twinlock.io.http.network_faults import known_reason, network_reason, place_of
from twinlock.repository.signing.time_source import TimeSource
from twinlock.testing.simulator.world import BRAKE, VIN, World
from twinlock.trust.errors.local import TransportError

RAW = ("Errno", "Connect call", "strerror", "[SSL", "_ssl.c")


def free_port() -> int:
    """A port of this machine that no program listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def of_client(url: str, unix_path: str | None = None) -> str:
    async def ask() -> None:
        transport = Transport(FetchSettings(attempts=1), unix_path=unix_path)
        try:
            async with transport.request("GET", url):
                pass
        finally:
            await transport.close()

    with pytest.raises(TransportError) as caught:
        asyncio.run(ask())
    return caught.value.reason


def of_director(url: str) -> str:
    with pytest.raises(TransportError) as caught:
        open_source(url)("1.root.json", 1_000)
    return caught.value.reason


def of_time_source(url: str) -> str:
    with pytest.raises(TransportError) as caught:
        TimeSource(url=url, root=World().director.files["1.root.json"]).ask()
    return caught.value.reason


ASK: dict[str, Callable[[str], str]] = {"client": of_client, "director": of_director, "time source": of_time_source}


@pytest.mark.parametrize("party", ASK)
def test_a_port_without_a_program(party: str) -> None:
    port = free_port()
    assert ASK[party](f"http://127.0.0.1:{port}") == f"the connection to 127.0.0.1:{port} was refused"


@pytest.mark.parametrize("party", ASK)
def test_a_name_without_an_address(party: str) -> None:
    assert ASK[party]("http://no-such-host.invalid") == "the host name of no-such-host.invalid:80 cannot be resolved"


@pytest.mark.parametrize("party", ASK)
def test_a_server_that_does_not_speak_tls(party: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            connection, _address = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        reason = ASK[party](f"https://127.0.0.1:{port}")
        thread.join()
    assert reason.startswith(f"the TLS handshake with 127.0.0.1:{port} failed: ")
    assert not [raw for raw in RAW if raw in reason]


def test_a_socket_without_a_program(tmp_path: Path) -> None:
    path = str(tmp_path / "link.sock")
    assert of_client("http://localhost/identity", path) == f"no program listens on {path}"
    with closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(path)  # and its program died
    assert of_client("http://localhost/identity", path) == f"the connection to {path} was refused"


def test_a_port_that_another_program_has(tmp_path: Path) -> None:
    plan = EcuPlan(vehicle=VIN, ecu=BRAKE.ecu, hardware_id=BRAKE.hardware_id)
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        listen = f"http://127.0.0.1:{port}"
        provision_secondary(tmp_path / "brake", plan, roots(World()), verification="full", listen=listen)
        with Secondary.open(tmp_path / "brake" / "secondary.json") as secondary, pytest.raises(ListenError) as caught:
            asyncio.run(start_secondary(secondary))
    assert caught.value.reason == f"another program listens on 127.0.0.1:{port} already"


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_no_fault_shows_its_number(number: int) -> None:
    reason = network_reason(URLError(OSError(number, os.strerror(number))), "127.0.0.1:80")
    assert reason
    assert not [raw for raw in RAW if raw in reason]


@pytest.mark.parametrize("text", ["", "timed out", "_ssl.c:1000: The handshake operation timed out"])
def test_a_wait_that_ended(text: str) -> None:
    assert network_reason(TimeoutError(*([text] if text else [])), "h:1") == "h:1 did not answer in time"
    assert network_reason(TimeoutError("no complete answer within 3 s"), "h:1") == "no complete answer within 3 s"


def test_what_is_not_of_the_network_is_left_to_its_caller() -> None:
    assert known_reason(ValueError("x"), "here") is None
    assert known_reason(ssl.SSLError(1, "x"), "here") == "the TLS handshake with here failed: no reason given"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://a.example/x", "a.example:80"),
        ("https://a.example", "a.example:443"),
        ("http://[::1]:8/x", "[::1]:8"),
        ("http://a.example:99999", "http://a.example:99999"),
        ("unix:link.sock", "unix:link.sock"),
    ],
)
def test_the_place_is_host_and_port(url: str, place: str) -> None:
    assert place_of(url) == place
