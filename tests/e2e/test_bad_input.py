"""Whatever is thrown at a running server, it answers and lives; whatever a server says, trusted state stays as it was."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from tests.e2e.commands import FAILED, Running, twinlock
from tests.e2e.fleet import Car, Json, Servers, car
from tests.e2e.test_refusals import first_error

HOSTILE_NAMES = (
    "../config.json",
    "..%2f..%2fconfig.json",
    "%2e%2e/%2e%2e/keys/online/timestamp.json",
    "/etc/passwd",
    "//etc/passwd",
    "a%00b",
    "a%5cb",
    "..%5c..%5cconfig.json",
    "cafe%CC%81.bin",
    "CON",
    "NUL.json",
    "x" * 4096,
    "%ff%fe",
    "%",
)
DEEP = b'{"signed":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
HOSTILE_BODIES = {
    "empty": b"",
    "not JSON": b"hello",
    "truncated": b'{"signatures": [], "signed": {"vehicle',
    "duplicate key": b'{"signed": {}, "signed": {}, "signatures": []}',
    "deeply nested": DEEP,
    "wrong type": b'{"signed": 3, "signatures": {}}',
    "null": b"null",
    "float": b'{"signed": {"version": 1.5}, "signatures": []}',
    "huge number": b'{"signed": {"version": ' + b"9" * 5000 + b'}, "signatures": []}',
    "lone surrogate": b'{"signed": {"vehicle": "\\ud800"}, "signatures": []}',
    "not UTF-8": b'{"signed": "\xff\xfe"}',
    "oversize": b" " * 2_000_000,
}


@pytest.fixture(scope="module")
def built(repositories: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Car]:
    """A vehicle that has reported once."""
    place = tmp_path_factory.mktemp("bad") / "car"
    with car(repositories, place, "VIN-BAD", brake=("brake-7", "full")) as made:
        made.update()
        yield made


def send(url: str, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> int:
    """Send a request whose path nobody tidies up first; the status of the answer, 0 for a closed connection."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    try:
        connection.putrequest(method, parts.path + path, skip_accept_encoding=True)
        for name, value in {"Content-Length": str(len(body or b"")), **(headers or {})}.items():
            connection.putheader(name, value)
        connection.endheaders()
        if body:
            connection.send(body)
        reply = connection.getresponse()
        answer = reply.read()
        if reply.status >= 400 and reply.getheader("Content-Type", "").startswith("application/problem+json"):
            problem = json.loads(answer)
            assert problem["status"] == reply.status
            assert problem["detail"]
            assert problem["code"]
            assert "Traceback" not in answer.decode()
        return reply.status
    except (ConnectionError, http.client.HTTPException):
        return 0  # a server may hang up on what it does not want to read
    finally:
        connection.close()


def shout(url: str, data: bytes) -> None:
    """Send bytes that are no HTTP at all, and leave."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port or 0), timeout=20) as line:
        line.sendall(data)


def well(server: Running) -> bool:
    """Whether a server still runs and answers."""
    return server.alive and send(server.url, "GET", "/livez") == 200 and send(server.url, "GET", "/readyz") == 200


def test_the_image_repository_gives_out_nothing_but_its_files_and_lives(repositories: Servers) -> None:
    for name in HOSTILE_NAMES:
        for prefix in ("/metadata/", "/targets/", "/"):
            assert send(repositories.image.url, "GET", prefix + name) in {0, 400, 404, 414}, prefix + name[:40]
    for method in ("PUT", "POST", "DELETE"):
        assert send(repositories.image.url, method, "/metadata/timestamp.json", b"{}") in {0, 404, 405}
    assert send(repositories.image.url, "GET", "/metadata/timestamp.json", headers={"Range": "bytes=9-1,-,x"}) < 500
    shout(repositories.image.url, b"\x16\x03\x01\x02\x00\x01\x00" * 100)
    assert well(repositories.image)


@pytest.mark.parametrize("name", HOSTILE_BODIES)
def test_the_director_refuses_what_is_no_manifest_and_lives(repositories: Servers, built: Car, name: str) -> None:
    body = HOSTILE_BODIES[name]
    before = repositories.director.url
    place = f"/vehicles/{built.vehicle}"
    assert send(before, "PUT", f"{place}/manifest", body) in {0, 400, 413, 422}
    assert send(before, "POST", "/time", body) in {0, 200, 400, 413, 422}  # whoever gives no nonce is told the time
    enrolment = {"Authorization": "Bearer made-up"}
    assert send(before, "POST", f"{place}/enrolment", body, enrolment) in {0, 400, 401, 403, 413, 422}
    assert well(repositories.director)


def test_the_director_knows_no_vehicle_by_a_hostile_name_and_lives(repositories: Servers, built: Car) -> None:
    for name in (*HOSTILE_NAMES, "VIN-OF-NOBODY"):
        assert send(repositories.director.url, "GET", f"/vehicles/{name}/metadata/timestamp.json") in {0, 400, 404, 414}
        assert send(repositories.director.url, "PUT", f"/vehicles/{name}/manifest", b"{}") in {0, 400, 404, 414}
        path = f"/vehicles/{built.vehicle}/metadata/{name}"
        assert send(repositories.director.url, "GET", path) in {0, 400, 404, 414}
    shout(repositories.director.url, b"PUT / HTTP/9.9\r\nContent-Length: -5\r\n\r\n")
    assert well(repositories.director)
    assert built.update()["outcome"] == "up-to-date"


def test_a_secondary_refuses_what_is_no_metadata_and_lives(built: Car) -> None:
    brake = built.secondaries["brake"]
    before = twinlock("trusted", "show", built.place / "brake")
    for body in HOSTILE_BODIES.values():
        assert send(brake.url, "PUT", "/v1/metadata", body) in {0, 400, 413, 422}
        assert send(brake.url, "POST", "/v1/time", body) in {0, 400, 413, 422}
        assert send(brake.url, "PUT", "/v1/image/nobody/asked.bin", body) in {0, 400, 409, 413, 422}
    for name in HOSTILE_NAMES:
        assert send(brake.url, "PUT", f"/v1/image/{name}", b"x") in {0, 400, 404, 409, 414, 422}
    assert brake.alive
    assert send(brake.url, "GET", "/v1/identity") == 200
    assert _roles(twinlock("trusted", "show", built.place / "brake")) == _roles(before)


def test_a_lying_server_changes_nothing_that_is_trusted(
    repositories: Servers, built: Car, firmware: dict[str, Path]
) -> None:
    """While an order waits, the Image repository that the vehicle sees answers for its Timestamp with nonsense."""
    repositories.add(firmware["seabios"], "lies/1.bin", "brake-7", 1)
    repositories.publish()
    repositories.assign(built.vehicle, brake="lies/1.bin")
    config = built.gateway / "map.json"
    genuine = config.read_text()
    before = _roles(built.trusted(), "image")
    with lying(repositories.image.url) as liar:
        config.write_text(genuine.replace(repositories.image.url, liar.url))
        try:
            for name in ("truncated", "duplicate key", "deeply nested", "wrong type", "oversize", "not UTF-8"):
                liar.lie = HOSTILE_BODIES[name]
                assert first_error(built.update(status=FAILED))["code"] in {"malformed", "limit", "endless-data"}, name
                assert _roles(built.trusted(), "image") == before
        finally:
            config.write_text(genuine)
    assert built.update()["outcome"] == "updated"


class Liar(ThreadingHTTPServer):
    """An Image repository that passes on what another says, except for its Timestamp."""

    lie = b""
    honest = ""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class _Lies(BaseHTTPRequestHandler):
    server: Liar

    def do_GET(self) -> None:
        if self.path.endswith("/timestamp.json"):
            self._answer(200, self.server.lie)
            return
        try:
            with urlopen(self.server.honest + self.path) as reply:
                self._answer(200, reply.read())
        except HTTPError as error:
            error.close()
            self._answer(error.code, b"")

    def _answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        with suppress(ConnectionError):  # whoever was told of two megabytes hangs up
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def lying(honest: str) -> Iterator[Liar]:
    """Run a ``Liar`` in front of ``honest``."""
    with Liar(("127.0.0.1", 0), _Lies) as server:
        server.honest = honest
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _roles(trusted: Json, repository: str = "") -> list[object]:
    """What is trusted, apart from how long it still is."""
    return [
        [item["name"], role["role"], role["version"]]
        for item in trusted["repositories"]
        for role in item["roles"]
        if repository in item["name"]
    ]
