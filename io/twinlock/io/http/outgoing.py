"""Requests that a server sends to another one: one deadline from the connection to the last byte.

A time-out of the standard library counts from byte to byte, so an answer that drips never ends. Here the connection is cut
when the time is over, wherever it is: in the TLS handshake, in the head or in the body. A body that may take hours is held to
a rate instead.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from typing import Any

from twinlock.io.http.redirects import RedirectChain
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.local import FetchError, SlowRetrievalError

_FLOOR_BYTES_PER_S = 1_000


@contextmanager
def open_url(request: urllib.request.Request, *, timeout_s: float, total_s: float) -> Iterator[Any]:
    """The answer to ``request``, to be read inside the block, which ends within ``total_s`` seconds.

    ``timeout_s`` is for the connection, and for the wait between two bytes.
    Raises: urllib.error.HTTPError for a status of 400 and above, and for a redirect that is not followed; TimeoutError when the time is over; OSError for everything
    else that the other end does; ValueError for an invalid address.
    """
    with Deadline(total_s) as deadline:
        try:
            with _opener(deadline).open(request, timeout=timeout_s) as response:
                yield response
        except http.client.HTTPException as error:
            raise OSError(f"the answer is not HTTP ({type(error).__name__})") from None


class Deadline:
    """Cuts every connection that it watches when the time is over: the block then ends in TimeoutError, whatever that looked like."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._watched: list[socket.socket] = []
        self._over = False

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._timer.cancel()
        with self._lock:
            for watched in self._watched:
                watched.close()
            self._watched.clear()
        if error is None or isinstance(error, (OSError, http.client.HTTPException)):
            self.check()  # a connection that was cut may look like the end of the body

    def connect(
        self, address: tuple[str, int], timeout: float, source_address: tuple[str, int] | None = None
    ) -> socket.socket:
        """As ``socket.create_connection``, whose time-out is for each address of a name; here all of them share the time."""
        failure = OSError(f"{address[0]} has no address")
        for family, kind, protocol, _, where in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            self.check()
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(min(timeout, max(self._ends - time.monotonic(), 0.001)))
                if source_address:
                    connection.bind(source_address)
                connection.connect(where)
            except OSError as error:
                connection.close()
                failure = error
                continue
            connection.settimeout(timeout)
            self.watch(connection)
            return connection
        raise failure

    def watch(self, connection: socket.socket) -> None:
        """Cut ``connection`` too. A copy of the descriptor is kept, since TLS takes the socket over."""
        with self._lock:
            self._watched.append(socket.socket(fileno=os.dup(connection.fileno())))
            if self._over:
                _cut(self._watched[-1])

    def check(self) -> None:
        """Raises: TimeoutError if the time is over."""
        if self._over:
            raise TimeoutError(f"no complete answer within {self._seconds:g} s")

    def _end(self) -> None:
        with self._lock:
            self._over = True
            for watched in self._watched:
                _cut(watched)


class RateFloor:
    """The guard against slow retrieval (Uptane 2.1.0 5.4): the least rate of a body, once ``grace_s`` seconds have passed."""

    def __init__(self, url: str, *, grace_s: float = 15.0) -> None:
        self._url = url
        self._grace_s = grace_s
        self._started = time.monotonic()
        self._received = 0

    def count(self, received: int) -> None:
        """Count a piece of ``received`` bytes. Raises: SlowRetrievalError."""
        self._received += received
        elapsed = time.monotonic() - self._started
        if elapsed > self._grace_s and self._received < _FLOOR_BYTES_PER_S * elapsed:
            raise SlowRetrievalError(
                url=self._url,
                reason=f"{self._received} bytes in {elapsed:.0f} s",
                bytes_per_s=int(self._received / elapsed),
                floor_bytes_per_s=_FLOOR_BYTES_PER_S,
            )


class CountedConnection:
    """``connection`` for ``http.client``, which reads on by itself: each byte is counted as it arrives, framing too.

    Above ``max_bytes`` reading raises EndlessDataError; below ``floor``, once one is set, SlowRetrievalError.
    """

    def __init__(self, connection: socket.socket, url: str, *, max_bytes: int) -> None:
        self._connection = connection
        self._url = url
        self._max_bytes = max_bytes
        self._received = 0
        self.floor: RateFloor | None = None

    def makefile(self, *_: object) -> io.BufferedReader:
        """What arrives, as ``socket.makefile`` gives it."""
        return io.BufferedReader(_Counted(self._connection.makefile("rb", buffering=0), self._count))

    def sendall(self, data: bytes) -> None:
        """See ``socket.sendall``."""
        self._connection.sendall(data)

    def close(self) -> None:
        """See ``socket.close``: a file that was made of it stays open."""
        self._connection.close()

    def _count(self, received: int) -> None:
        self._received += received
        if self._received > self._max_bytes:
            raise EndlessDataError(what=self._url, limit_bytes=self._max_bytes)
        if self.floor is not None:
            self.floor.count(received)


class _Counted(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, count: Callable[[int], None]) -> None:
        self._raw = raw
        self._count = count

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        received = self._raw.readinto(buffer)
        self._count(received or 0)
        return received

    def close(self) -> None:
        self._raw.close()
        super().close()


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Redirects(urllib.request.BaseHandler):
    """Follows redirects by our rule. The body of a redirect, which may have no end, is not read."""

    def http_error_302(self, req: urllib.request.Request, fp: Any, code: int, _msg: str, headers: Message) -> Any:
        chain: RedirectChain = getattr(req, "chain", None) or RedirectChain(req.full_url, req.get_method())
        location = headers.get("Location")
        try:
            followed = chain.follow(code, None if location is None else location.encode("latin-1"))
        except FetchError as error:
            raise urllib.error.HTTPError(req.full_url, error.status, error.reason, headers, fp) from None
        if not followed:
            return None  # urllib raises the HTTPError of that status
        fp.close()
        again = urllib.request.Request(chain.place, headers=dict(req.header_items()))  # noqa: S310 - the scheme is the same
        again.chain = chain  # type: ignore[attr-defined]
        return self.parent.open(again, timeout=req.timeout)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _opener(deadline: Deadline) -> urllib.request.OpenerDirector:
    def watched(connection: type[http.client.HTTPConnection]) -> Any:
        def make(host: str, **options: Any) -> http.client.HTTPConnection:
            made = connection(host, **options)
            made._create_connection = deadline.connect  # type: ignore[attr-defined]  # noqa: SLF001 - the one place before TLS
            return made

        return make

    class Plain(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(watched(http.client.HTTPConnection), req)

    class Secure(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(watched(http.client.HTTPSConnection), req)

    # Not build_opener, which follows redirects to other hosts, and to ftp:// over a connection that no deadline watches.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPDefaultErrorHandler,
        _Redirects,
        urllib.request.HTTPErrorProcessor,
        Plain,
        Secure,
    ):
        opener.add_handler(handler())
    return opener
