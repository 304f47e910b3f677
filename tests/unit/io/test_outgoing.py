"""One deadline for a request to another server: whatever it drips, and wherever, the request ends in time."""

from __future__ import annotations

import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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


class Redirecting:
    """A server that answers ``/x`` with a redirect to ``target(its own address)``, and everything else with ``ok``.

    ``body`` is repeated as the redirect's body without end. ``asked`` are the lines of the requests that came.
    """

    def __init__(self, target: Callable[[str], str], body: bytes) -> None:
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(target, body))
        self.host = f"127.0.0.1:{self._server.server_port}"

    def _handler(self, target: Callable[[str], str], body: bytes) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(f"{self.command} {self.path}")
                if self.path.startswith("/x"):
                    self.send_response(302)
                    self.send_header("Location", target(outer.host))
                    self.send_header("Content-Length", str(10**12) if body else "0")
                    self.end_headers()
                    with suppress(OSError):
                        while body:
                            self.wfile.write(body)
                    return
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def __enter__(self) -> Redirecting:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def ask(host: str, data: bytes | None = None) -> bytes:
    with open_url(urllib.request.Request(f"http://{host}/x", data=data), timeout_s=5, total_s=5) as response:
        answer: bytes = response.read()
        return answer


@pytest.mark.parametrize("target", ["/y", "y", "http://{host}/y", "//{host}/y"])
def test_a_redirect_to_the_same_host_is_followed(target: str) -> None:
    with Redirecting(lambda host: target.format(host=host), b"") as server:
        assert ask(server.host) == b"ok"
        assert server.asked == ["GET /x", "GET /y"]


@pytest.mark.parametrize(
    "target",
    [
        "http://{other}/y",
        "//{other}/y",
        "https://{host}/y",
        "ftp://{host}/y",
        "file:///etc/passwd",
    ],
)
def test_a_redirect_to_another_place_is_an_error_and_asks_nobody(target: str) -> None:
    with Redirecting(lambda _: "/x", b"") as other:
        with (
            Redirecting(lambda host: target.format(host=host, other=other.host), b"") as server,
            pytest.raises(urllib.error.HTTPError, match="redirects to another origin") as caught,
        ):
            ask(server.host)
        caught.value.close()
        assert (server.asked, other.asked) == (["GET /x"], [])


def test_a_redirect_with_a_password_is_an_error() -> None:
    with (
        Redirecting(lambda host: f"http://user:TEST@{host}/y", b"") as server,
        pytest.raises(urllib.error.HTTPError, match="a user name or a password") as caught,
    ):
        ask(server.host)
    caught.value.close()
    assert server.asked == ["GET /x"]


def test_a_redirect_asks_for_the_path_as_it_was_sent() -> None:
    with Redirecting(lambda _: "/y/%2e%2F%7e%25 \xe9?q=%20#part", b"") as server:
        assert ask(server.host) == b"ok"
        assert server.asked == ["GET /x", "GET /y/%2e%2F%7e%25%20%E9?q=%20"]


def test_what_is_not_a_url_is_not_followed() -> None:
    with Redirecting(lambda _: "http://[::1/y", b"") as server, pytest.raises(urllib.error.HTTPError) as caught:
        ask(server.host)
    caught.value.close()


def test_a_chain_of_redirects_ends() -> None:
    with (
        Redirecting(lambda _: "/x", b"") as server,
        pytest.raises(urllib.error.HTTPError, match="more than 3 redirects") as caught,
    ):
        ask(server.host)
    caught.value.close()
    assert len(server.asked) == 4


def test_only_a_get_is_redirected() -> None:
    with Redirecting(lambda _: "/y", b"") as server, pytest.raises(urllib.error.HTTPError, match="302") as caught:
        ask(server.host, b"question")
    caught.value.close()
    assert server.asked == ["POST /x"]


def test_the_body_of_a_redirect_is_not_read() -> None:
    with Redirecting(lambda _: "/y", b"x" * 65_536) as server:
        assert ask(server.host) == b"ok"


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
