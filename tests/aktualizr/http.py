"""Requests as the client makes them: headers, retries, redirects, limits (wire 2, 2.2, 2.3, 1.3).

One connection for each request. Belongs here: a single request and its repetition. Does not belong here: the download
of images (``downloads``), which repeats in its own way.
"""

from __future__ import annotations

import http.client
import itertools
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urljoin, urlsplit

from tests.aktualizr.config import TlsFiles
from tests.aktualizr.metadata import Log
from tests.aktualizr.result import Request
from tests.aktualizr.verification import Fetch
from tests.aktualizr.wire import canonical

USER_AGENT = "Aktualizr/virtual"
TRIES = 3
REDIRECTS = 10
TIMEOUT_S = 60.0
TOO_LARGE = (63, "Maximum file size exceeded")
PARTIAL = (18, "Transferred a partial file")
BAD_URL = (3, "URL using bad/illegal format or missing URL")
BAD_CERTIFICATE = (60, "SSL peer certificate or SSH remote key was not OK")
NO_CONNECTION = (7, "Could not connect to server")


@dataclass(frozen=True)
class Response:
    """An answer. ``error`` is the transport's number and words, or 0 and nothing; ``body`` what came before it."""

    status: int
    body: bytes = b""
    error: tuple[int, str] = (0, "")
    location: str = ""
    content_range: str = ""

    @property
    def ok(self) -> bool:
        """200 to 399, and all of it."""
        return self.error[0] == 0 and 200 <= self.status < 400

    @property
    def worth_a_retry(self) -> bool:
        """Transport errors and 5xx are; 4xx are not."""
        return self.error[0] != 0 or self.status >= 500


def fetcher(client: Http, base: str) -> Fetch:
    """Fetches metadata below ``base``."""

    def fetch(name: str, limit: int) -> bytes | None:
        client.log(f"GET {base}/{name}")
        response = client.get(f"{base}/{name}", limit)
        return response.body if response.ok else None

    return fetch


@dataclass
class Http:
    """Makes requests and keeps the list of them."""

    requests: list[Request]
    log: Log
    pause_s: float
    tls: TlsFiles | None = None
    sleep: Callable[[float], None] = field(default=time.sleep)

    def get(self, url: str, limit: int) -> Response:
        """Metadata: at most ``limit`` bytes. More counts as a transport error, so it is tried three times."""
        return self._repeated("GET", url, None, "", limit)

    def put(self, url: str, body: object) -> Response:
        """Canonical JSON."""
        return self._repeated("PUT", url, canonical(body), "application/json", -1)

    def post(self, url: str, body: object) -> Response:
        """Canonical JSON, or bytes, which are the configuration as TOML."""
        plain = isinstance(body, bytes)
        content = body if isinstance(body, bytes) else canonical(body)
        return self._repeated("POST", url, content, "application/toml" if plain else "application/json", -1)

    def _repeated(self, method: str, url: str, body: bytes | None, kind: str, limit: int) -> Response:
        headers = {} if body is None else {"Content-Type": kind, "Content-Length": str(len(body))}
        for attempt in itertools.count(1):
            response = self.once(method, url, body, headers, limit)
            if not response.worth_a_retry:
                return response
            self.log(f"curl error {response.error[0]} (http code {response.status}): {response.error[1]}")
            if attempt == TRIES:
                return response
            self.sleep(self.pause_s)
        raise AssertionError

    def once(self, method: str, url: str, body: bytes | None, headers: dict[str, str], limit: int) -> Response:
        """One try, with its redirects. A POST becomes a GET on the way, except for 307 and 308."""
        status = 0
        for _ in range(REDIRECTS + 1):
            response = self._exchange(method, url, body, headers, limit)
            if not response.location:
                return response
            status = response.status
            url = urljoin(url, response.location)
            if method == "POST" and response.status not in {307, 308}:
                method, body, headers = "GET", None, {}
        return Response(status, b"", (47, "Number of redirects hit maximum amount"))

    def _exchange(self, method: str, url: str, body: bytes | None, headers: dict[str, str], limit: int) -> Response:
        parts = urlsplit(url)
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        if parts.scheme not in {"http", "https"} or not parts.hostname or " " in path or not path.isascii():
            return Response(0, b"", BAD_URL)
        connection = self._connection(parts)
        status, start = 0, len(self.requests)
        self.requests.append(Request(method, path, 0))
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in {"User-Agent": USER_AGENT, "Accept": "*/*", **headers}.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            status = answer.status
            return self._read(answer, limit)
        except ssl.SSLError:
            return Response(status, b"", BAD_CERTIFICATE)
        except (OSError, http.client.HTTPException):
            return Response(status, b"", NO_CONNECTION)
        finally:
            self.requests[start] = Request(method, path, status)
            connection.close()

    def _connection(self, parts: SplitResult) -> http.client.HTTPConnection:
        """A new connection. With TLS, the server is verified, and the client's certificate shown to whoever asks."""
        assert parts.hostname
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)
        context = ssl.create_default_context(cafile=str(self.tls.ca) if self.tls else None)
        if self.tls:
            context.load_cert_chain(self.tls.certificate, self.tls.key)
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=TIMEOUT_S, context=context)

    def _read(self, answer: http.client.HTTPResponse, limit: int) -> Response:
        """The body as far as ``limit`` allows; -1 is no limit."""
        content_range = answer.headers.get("Content-Range", "")
        location = answer.headers.get("Location", "") if answer.status in {301, 302, 303, 307, 308} else ""
        try:
            body = answer.read() if limit < 0 else answer.read(limit + 1)
        except http.client.IncompleteRead as error:
            return Response(answer.status, error.partial, PARTIAL)
        if 0 <= limit < len(body):
            return Response(answer.status, body[:limit], TOO_LARGE)
        missing = limit >= 0 and not location and answer.length not in {None, 0}
        return Response(answer.status, body, PARTIAL if missing else (0, ""), location, content_range)
