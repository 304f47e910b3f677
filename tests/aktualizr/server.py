"""The publisher on a real socket: both repositories below one address, plain or with client certificates.

Belongs here: serving, and the ways to answer badly. Does not belong here: what is published (``publisher``).
"""

from __future__ import annotations

import json
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from tests.aktualizr.config import TlsFiles
from tests.aktualizr.publisher import Publisher


@dataclass(frozen=True)
class Seen:
    """A request as the server saw it."""

    method: str
    path: str
    status: int
    headers: dict[str, str]
    body: bytes
    peer: str = ""
    """Common name of the client's certificate."""

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.status}"

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass
class Answer:
    """An answer that replaces the usual one. ``cut`` ends the connection after so many bytes of the body."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


@dataclass
class Served:
    """A served publisher. ``answers`` come first: by ``METHOD path``, used up in order, the last one stays."""

    publisher: Publisher
    url: str = ""
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    log: list[Seen] = field(default_factory=list)
    ranges: bool = True
    telemetry: int = 404
    """Status of the optional endpoints (wire 2.2)."""

    @property
    def lines(self) -> list[str]:
        """The log as readable lines."""
        return [str(seen) for seen in self.log]

    def sent(self, line: str) -> list[Seen]:
        """Requests by method and path, such as ``PUT /director/manifest``."""
        return [seen for seen in self.log if f"{seen.method} {seen.path}" == line]

    def answer(self, method: str, path: str, headers: dict[str, str]) -> Answer:
        """What to answer."""
        planned = self.answers.get(f"{method} {path}")
        if planned:
            return planned.pop(0) if len(planned) > 1 else planned[0]
        if method == "GET":
            return self._get(path, headers)
        known = {"PUT /director/manifest": 200, "POST /director/ecus": 201}
        return Answer(known.get(f"{method} {path}", self.telemetry))

    def _get(self, path: str, headers: dict[str, str]) -> Answer:
        repository, _, name = unquote(urlsplit(path).path).lstrip("/").partition("/")
        image = self.publisher.image
        files = {"director": self.publisher.director.files, "repo": image.files}.get(repository, {})
        images = {f"targets/{image_name}": content for image_name, content in image.images.items()}
        body = files.get(name) if repository == "director" else files.get(name, images.get(name))
        if body is None:
            return Answer(404)
        start = int(headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-")) if self.ranges else 0
        if start:
            return Answer(206, body[start:], {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"})
        return Answer(200, body)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits for the acknowledgement of its head

    def handle_any(self) -> None:
        served = cast("_Server", self.server).served
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        answer = served.answer(self.command, self.path, headers)
        served.log.append(Seen(self.command, self.path, answer.status, headers, body, self._peer()))
        with suppress(ConnectionError, ssl.SSLError):  # a client may stop reading what is too long
            self._send(answer)

    do_GET = do_PUT = do_POST = handle_any  # noqa: N815 - the base class names them

    def _peer(self) -> str:
        if not isinstance(self.connection, ssl.SSLSocket):
            return ""
        certificate = cast("dict[str, Any]", self.connection.getpeercert() or {})
        return str({pair[0][0]: pair[0][1] for pair in certificate.get("subject", ())}.get("commonName", ""))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body if answer.cut is None else answer.body[: answer.cut])
        self.close_connection = self.close_connection or answer.cut is not None

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """The tests keep a log of their own."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    served: Served

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up, or refuses the certificate, is no error of the server's."""
        if not isinstance(sys.exception(), (ConnectionError, ssl.SSLError)):
            super().handle_error(request, client_address)


@contextmanager
def serving(publisher: Publisher, tls: TlsFiles | None = None) -> Iterator[Served]:
    """Serve ``publisher`` on 127.0.0.1 for as long as the block runs; with ``tls``, client certificates are demanded."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.served = Served(publisher)
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tls.ca))
        context.load_cert_chain(tls.certificate, tls.key)
        context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.served.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
