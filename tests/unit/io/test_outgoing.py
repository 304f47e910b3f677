"""One deadline for a request to another server: whatever it drips, and wherever, the request ends in time."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from twinlock.io.http.outgoing import open_url

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\n"


@contextmanager
def dripping(first: bytes, drop: bytes) -> Iterator[str]:
    """The address of a server that answers ``first``, and then ``drop`` every 20 ms without end."""
    stopped = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                try:
                    connection.sendall(first)
                    while not stopped.wait(0.02):
                        connection.sendall(drop)
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            stopped.set()
            thread.join()


@pytest.mark.parametrize(
    ("scheme", "first", "drop"),
    [
        ("http", b"", b"H"),
        ("http", b"HTTP/1.1 200 OK\r\n", b"x"),
        ("http", HEAD, b"x"),
        ("http", ENDLESS, b"x"),
        ("https", b"\x16\x03\x03\x3f\xff", b"\x02"),  # a TLS record that never ends
    ],
    ids=["status line", "head", "body with a length", "body without", "TLS handshake"],
)
def test_what_drips_ends_in_time(scheme: str, first: bytes, drop: bytes) -> None:
    with dripping(first, drop) as host:
        started = time.monotonic()
        with (
            pytest.raises(TimeoutError, match=r"within 0\.5 s"),
            open_url(urllib.request.Request(f"{scheme}://{host}/x"), timeout_s=5, total_s=0.5) as response,
        ):
            response.read()
        assert time.monotonic() - started < 3


def test_an_answer_that_is_not_http_is_an_error_of_the_line() -> None:
    with (
        dripping(b"SSH-2.0-OpenSSH\r\n", b"x") as host,
        pytest.raises(OSError, match="not HTTP"),
        open_url(urllib.request.Request(f"http://{host}/x"), timeout_s=5, total_s=5),
    ):
        pass


def test_a_whole_answer_is_read() -> None:
    with (
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"") as host,
        open_url(urllib.request.Request(f"http://{host}/x"), timeout_s=5, total_s=5) as response,
    ):
        assert response.read() == b"ok"


def test_a_redirect_leads_to_http_only() -> None:
    with dripping(b"", b"2") as elsewhere:
        head = f"HTTP/1.1 302 Found\r\nLocation: ftp://{elsewhere}/x\r\nContent-Length: 0\r\n\r\n".encode()
        started = time.monotonic()
        with (
            dripping(head, b"") as host,
            pytest.raises(OSError, match="ftp"),
            open_url(urllib.request.Request(f"http://{host}/x"), timeout_s=5, total_s=0.5),
        ):
            pass
        assert time.monotonic() - started < 3
        with socket.create_connection(("127.0.0.1", int(elsewhere.rpartition(":")[2]))):
            pass  # the other server was not asked: this is its first connection


def test_all_addresses_of_a_name_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *a, **k: resolve("127.0.0.1", *a, **k) * 5)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(6)]
        for connection in waiting:
            connection.setblocking(False)
            connection.connect_ex(full.getsockname())
        started = time.monotonic()
        url = f"http://many.test:{full.getsockname()[1]}/x"
        with pytest.raises(OSError), open_url(urllib.request.Request(url), timeout_s=1, total_s=1):
            pass
        assert time.monotonic() - started < 3
        for connection in waiting:
            connection.close()
