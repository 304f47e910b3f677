"""HTTP as an ECU uses it: one session, bounded, watched, without redirects to other hosts.

Every fault of a server becomes a typed failure (``net/server_faults.py``). aiohttp is imported when the first request is
made.
"""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from twinlock.client.ecu.config import FetchSettings, TlsSettings
from twinlock.client.model.cancellation import log_hidden_failure
from twinlock.client.model.foreign_text import sanitize
from twinlock.client.net.server_faults import server_faults
from twinlock.client.net.slow_retrieval import SpeedWatch
from twinlock.io.files.operator_files import read_operator_file
from twinlock.io.http.redirects import RedirectChain
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.local import FetchError, SlowRetrievalError, StorageError, TransportError
from twinlock.trust.errors.usage import TlsFileError

if TYPE_CHECKING:
    import ssl

    import aiohttp
    from yarl import URL

T = TypeVar("T")
CHUNK_BYTES = 65_536
_SHOWN_CHARACTERS = 200  # of an address that another party wrote
_CONNECTIONS = 4  # enough for one Primary; each costs buffers


class Reply:
    """An answer whose body has not been read yet. ``length`` is what the other end claims, or None."""

    def __init__(self, response: aiohttp.ClientResponse, watch: SpeedWatch, url: str) -> None:
        self.status: int = response.status
        self.url = url
        self.length: int | None = response.content_length
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._watch = watch

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body piece by piece. Raises: SlowRetrievalError, TransportError when it breaks off."""
        while chunk := await self._next():
            self._watch.count(len(chunk))
            yield chunk

    async def _next(self) -> bytes:
        with server_faults(self.url):
            return await self._watch.wait(self._response.content.read(CHUNK_BYTES))

    async def read(self, what: str, max_bytes: int, *, clause: str = EndlessDataError.clause) -> bytes:
        """The whole body. Raises: EndlessDataError as soon as it is, or claims to be, longer than ``max_bytes``.

        ``clause`` is that of the bound; by default that of the bytes of an image.
        """
        if self.length is not None and self.length > max_bytes:
            raise EndlessDataError(what=what, limit_bytes=max_bytes, clause=clause)
        body = bytearray()
        async for chunk in self.chunks():
            body += chunk
            if len(body) > max_bytes:
                raise EndlessDataError(what=what, limit_bytes=max_bytes, clause=clause)
        return bytes(body)


class Transport:
    """One HTTP session. With ``unix_path`` it uses that socket instead of TCP. Close it when done.

    ``own`` are the addresses of the servers that our certificate is for (None: all): no other host sees it, whatever
    address an image entry states.
    """

    def __init__(
        self,
        settings: FetchSettings,
        tls: TlsSettings | None = None,
        unix_path: str | None = None,
        *,
        own: Iterable[str] | None = None,
    ) -> None:
        self.settings = settings
        self._tls = tls or TlsSettings()
        self._unix_path = unix_path
        self._own = None if own is None else tuple(own)
        self._contexts: dict[bool, ssl.SSLContext | bool] = {}
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | AsyncIterable[bytes] | None = None,
        deadline_s: float | None = None,
    ) -> AsyncIterator[Reply]:
        """Send a request and yield its reply; the body is read inside the block, within ``deadline_s`` in all.

        Raises: TransportError, SlowRetrievalError.
        """
        settings = self.settings
        watch = SpeedWatch(url, floor_bytes_per_s=settings.floor_bytes_per_s, window_s=settings.window_s)
        try:
            async with asyncio.timeout(deadline_s):
                with server_faults(url):
                    response = await self._send(method, url, watch, headers, body)
                try:
                    yield Reply(response, watch, url)
                finally:
                    response.close()
        except TimeoutError as late:
            log_hidden_failure(late, f"the request for {sanitize(url, _SHOWN_CHARACTERS)}")
            raise watch.too_late(deadline_s) from None

    async def close(self) -> None:
        """End the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _send(
        self,
        method: str,
        url: str,
        watch: SpeedWatch,
        headers: Mapping[str, str] | None,
        body: bytes | io.BytesIO | AsyncIterable[bytes] | None,
    ) -> aiohttp.ClientResponse:
        from yarl import URL

        if " " in url or not url.isprintable():
            # The address is sent as it is, because names were encoded before; a space would end the request line early.
            raise TransportError(url=url, reason="the address has characters that a request cannot carry")
        tls = self._tls_for(URL(url, encoded=True))  # redirects stay with this host
        chain = RedirectChain(url, method)
        session = self._open()
        if isinstance(body, bytes) and len(body) > CHUNK_BYTES:
            body = io.BytesIO(body)  # sent in pieces, so that other requests get their turn
        while True:
            target = URL(chain.place, encoded=True)  # names were encoded before; encoding twice would change them
            sending = session.request(method, target, headers=headers, data=body, allow_redirects=False, ssl=tls)
            # No window fits an upload: its answer comes only at the end, however long it takes.
            response = await (watch.wait(sending) if body is None else sending)
            if not _follow(chain, response):
                return response

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            connector: aiohttp.BaseConnector
            if self._unix_path is not None:
                connector = aiohttp.UnixConnector(self._unix_path, limit=_CONNECTIONS)
            else:
                connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
            self._session = aiohttp.ClientSession(
                connector=connector,
                auto_decompress=False,  # a few kB may unpack to gigabytes; we ask for plain bytes
                headers={"Accept-Encoding": "identity", "User-Agent": "twinlock"},
                cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=CHUNK_BYTES,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.settings.connect_s),
            )
        return self._session

    def _tls_for(self, target: URL) -> ssl.SSLContext | bool:
        if target.scheme != "https":
            return True
        own = self._own is None or _origin(target) in map(_configured_origin, self._own)
        if own not in self._contexts:
            self._contexts[own] = self._tls_context(with_certificate=own)
        return self._contexts[own]

    def _tls_context(self, *, with_certificate: bool) -> ssl.SSLContext | bool:
        if self._tls == TlsSettings():
            return True
        from twinlock.io.http.tls import client_context

        for file in (self._tls.ca, self._tls.certificate, self._tls.key):
            if file is not None:
                read_operator_file(file, "the TLS file")  # OpenSSL would hang at a pipe
        certificate, key = (self._tls.certificate, self._tls.key) if with_certificate else (None, None)
        try:
            return client_context(self._tls.ca, certificate=certificate, key=key)
        except TlsFileError as error:
            raise StorageError(path=error.path, operation="use the TLS files at", reason=error.reason) from error


_Origin = tuple[str, str | None, int | None]


def _configured_origin(text: str) -> _Origin | None:
    from yarl import URL

    try:
        return _origin(URL(text, encoded=True))
    except ValueError:
        return None  # no request can go there


def _origin(url: URL) -> _Origin:
    return url.scheme, url.host, url.port


def _follow(chain: RedirectChain, response: aiohttp.ClientResponse) -> bool:
    """See ``RedirectChain.follow``. A redirect is closed, whether it is followed or refused."""
    location = response.headers.get("Location")
    received = None if location is None else location.encode("utf-8", "surrogateescape")  # the inverse of aiohttp
    try:
        followed = chain.follow(response.status, received)
    except FetchError:
        response.close()
        raise
    if followed:
        response.close()
    return followed


async def with_retries(settings: FetchSettings, attempt: Callable[[], Awaitable[T]]) -> T:
    """Run ``attempt`` until it succeeds, at most ``settings.attempts`` times, waiting longer each time.

    Only transport faults are retried: another answer would be the same, and a server that is slow on purpose would gain
    time. Raises: what the last attempt raised.
    """
    for number in range(1, settings.attempts):
        try:
            return await attempt()
        except TransportError as error:
            if not _passing(error):
                raise
        # Spread, so that a fleet that lost its server at once does not return all at once.
        await asyncio.sleep(settings.backoff_s * 2 ** (number - 1) * random.uniform(0.5, 1.0))  # noqa: S311
    return await attempt()


def _passing(error: TransportError) -> bool:
    if isinstance(error, FetchError):
        return error.status >= 500 or error.status == 429
    return not isinstance(error, SlowRetrievalError)
