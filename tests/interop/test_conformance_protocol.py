"""The conformance executable, through its protocol: init, refresh, download; exit codes, files and requests.

The suite that defines the protocol is run by hand from its own repository; here the executable is driven the same way,
as a process against a server on loopback, through the cases in which a client most easily differs.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.repository import RepositorySimulator, wire_time

CLIENT = Path(__file__).with_name("tuf-conformance-client")
IMAGE = b"TEST artifact\n" * 40


@dataclass
class Served:
    """A simulated repository behind a real socket, and what was asked of it."""

    repository: RepositorySimulator
    artifacts: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    failing: dict[str, int] = field(default_factory=dict)
    port: int = 0

    def answer(self, path: str) -> tuple[int, bytes]:
        """Status and body for a request path."""
        self.requests.append(path)
        kind, _, name = path.lstrip("/").partition("/")
        if path in self.failing:
            return self.failing[path], b"no"
        data = self.repository.files.get(name) if kind == "metadata" else self.artifacts.get(name)
        return (404, b"") if data is None else (200, data)


@dataclass
class Client:
    """The executable with its two directories."""

    folder: Path
    served: Served

    def run(self, *words: str) -> int:
        """Call it; the exit code."""
        base = f"http://127.0.0.1:{self.served.port}"
        places = [
            *("--metadata-dir", str(self.folder / "metadata"), "--metadata-url", f"{base}/metadata"),
            *("--target-dir", str(self.folder / "targets"), "--target-base-url", f"{base}/targets"),
        ]
        environment = {"TWINLOCK_PYTHON": sys.executable, "PATH": "/usr/bin:/bin"}
        self.served.requests.clear()
        return subprocess.run([CLIENT, *places, *words], check=False, env=environment, timeout=60).returncode

    def download(self, *names: str) -> int:
        """The download command for some artifacts."""
        return self.run(*[word for name in names for word in ("--target-name", name)], "download")

    def trusted(self, role: str) -> bytes | None:
        """What the client holds for a role, under the unversioned name."""
        path = self.folder / "metadata" / f"{quote(role, safe='')}.json"
        return path.read_bytes() if path.exists() else None

    def artifacts(self) -> list[bytes]:
        """What was downloaded."""
        return [path.read_bytes() for path in sorted((self.folder / "targets").iterdir())]


@pytest.fixture
def served() -> Iterator[Served]:
    now = datetime.now(UTC).replace(microsecond=0)
    repository = RepositorySimulator("image", KeyPool(), lambda: now)
    repository.add_image("app/one.bin", IMAGE)
    repository.publish("targets")
    served = Served(repository)
    for digest in repository.bodies["targets"]["targets"]["app/one.bin"]["hashes"].values():
        served.artifacts[f"app/{digest}.one.bin"] = IMAGE

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = served.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(served: Served, tmp_path: Path) -> Client:
    for name in ("metadata", "targets"):
        (tmp_path / name).mkdir()
    anchor = tmp_path / "initial_root.json"
    anchor.write_bytes(served.repository.files["1.root.json"])
    client = Client(tmp_path, served)
    assert client.run("init", str(anchor)) == 0
    assert served.requests == []
    return client


def test_a_refresh_asks_for_no_more_than_it_needs(client: Client, served: Served) -> None:
    assert client.run("refresh") == 0
    names = ["2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"]
    assert served.requests == [f"/metadata/{name}" for name in names]
    assert client.run("refresh") == 0
    assert served.requests == ["/metadata/2.root.json", "/metadata/timestamp.json"]


def test_what_is_trusted_is_stored_as_it_was_served(client: Client, served: Served) -> None:
    served.repository.rotate("timestamp")
    assert client.run("refresh") == 0
    for role in ("root", "timestamp", "snapshot", "targets"):
        assert client.trusted(role) == served.repository.files[served.repository.current(role)]


def test_a_download_and_its_cache(client: Client, served: Served) -> None:
    assert client.download("app/one.bin") == 0
    assert client.artifacts() == [IMAGE]
    assert client.download("app/one.bin", "app/one.bin") == 0
    assert not [request for request in served.requests if request.startswith("/targets")]


def test_an_artifact_with_other_bytes_is_not_kept(client: Client, served: Served) -> None:
    for name in served.artifacts:
        served.artifacts[name] = IMAGE[:-1] + b"!"
    assert client.download("app/one.bin") == 1
    assert client.artifacts() == []


def test_the_first_failure_ends_a_download(client: Client) -> None:
    assert client.download("app/none.bin", "app/one.bin") == 1
    assert client.artifacts() == []


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_refused_file_is_not_stored(client: Client, served: Served, role: str) -> None:
    assert client.run("refresh") == 0
    before = client.trusted(role)
    repository = served.repository
    with repository.forgery():
        repository.publish("targets")
        repository.put(role, signers=[repository.key("stranger")])
        assert client.run("refresh") == 1
        assert client.trusted(role) == before
    repository.publish("targets")
    assert client.run("refresh") == 0
    assert client.trusted(role) == repository.files[repository.current(role)]


def test_an_expired_file_is_refused(client: Client, served: Served) -> None:
    body = served.repository.bodies["timestamp"]
    body["issued"] = body["expires"] = wire_time(datetime.now(UTC) - timedelta(hours=1))
    served.repository.put("timestamp")
    assert client.run("refresh") == 1
    assert client.trusted("timestamp") is None


def test_a_server_that_fails_is_not_the_end_of_the_root_chain(client: Client, served: Served) -> None:
    served.failing["/metadata/2.root.json"] = 500
    assert client.run("refresh") == 1
    assert served.requests == ["/metadata/2.root.json"]


def test_an_odd_role_name_is_one_encoded_segment_everywhere(client: Client, served: Served) -> None:
    served.repository.delegate("targets", "../up?#", ["other/*"])
    served.repository.publish("targets", "../up?#")
    assert client.download("other/none.bin") == 1
    assert "/metadata/1...%2Fup%3F%23.json" in served.requests
    assert client.trusted("../up?#") == served.repository.files["1...%2Fup%3F%23.json"]
