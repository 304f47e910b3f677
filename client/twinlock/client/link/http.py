"""The link over HTTP, on loopback TCP, a vehicle's Ethernet or a Unix socket: the Primary's side.

The Secondary's side is ``secondary/server.py``; ``/v1`` is the version of the protocol.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from twinlock.client.ecu.config import FetchSettings
from twinlock.client.model.cancellation import log_hidden_failure
from twinlock.client.model.errors import SecondaryRefusedError, SecondaryTimeoutError
from twinlock.client.model.foreign_text import sanitize
from twinlock.client.net.transport import CHUNK_BYTES, Transport
from twinlock.client.storage.bundle import Bundle
from twinlock.io.files.durable import storage_errors
from twinlock.trust.errors.local import FetchError, SlowRetrievalError, TransportError
from twinlock.trust.limits import Limits
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import EcuId

_ANSWER_BYTES = 65_536
_INSTALL_BYTES_PER_S = 100_000  # for slow flash memory: the time to verify and install after the last byte


class HttpLink:
    """A ``SecondaryLink``. ``address`` is ``http://host:port`` or ``unix:PATH``; ``settings`` set its timeouts, ``limits``
    its largest answers."""

    def __init__(self, ecu: EcuId, address: str, settings: FetchSettings, limits: Limits) -> None:
        self._ecu = ecu
        self._limits = limits
        unix_path = address.removeprefix("unix:") if address.startswith("unix:") else None
        self._base = "http://secondary" if unix_path is not None else address
        self._transport = Transport(settings, unix_path=unix_path)

    async def identity(self) -> Mapping[str, Any]:
        """See ``SecondaryLink.identity``."""
        return self._object(await self._call("GET", "identity", max_bytes=_ANSWER_BYTES))

    async def send_time(self, attestation: bytes) -> None:
        """See ``SecondaryLink.send_time``."""
        await self._call("POST", "time", attestation, max_bytes=_ANSWER_BYTES)

    async def send_metadata(self, bundle: Bundle) -> bool:
        """See ``SecondaryLink.send_metadata``."""
        body = await asyncio.to_thread(bundle.encode)  # it may have many megabytes
        answer = self._object(await self._call("PUT", "metadata", body, max_bytes=_ANSWER_BYTES))
        return answer.get("wants") is not None

    async def send_image(self, entry: ImageEntry, source: Path) -> None:
        """See ``SecondaryLink.send_image``."""
        path = f"image/{quote(entry.path, safe='/')}"
        settings, loop = self._transport.settings, asyncio.get_running_loop()
        # Longer than a piece may take at the floor, and no shorter than any other wait.
        patience = max(settings.window_s, CHUNK_BYTES / max(settings.floor_bytes_per_s, 1))
        installing = settings.deadline_s + entry.length / _INSTALL_BYTES_PER_S
        try:
            async with asyncio.timeout(patience) as stall:

                async def pieces() -> AsyncIterator[bytes]:
                    async for piece in _file_chunks(source):
                        stall.reschedule(loop.time() + patience)
                        yield piece
                    stall.reschedule(loop.time() + installing)

                body, total = pieces(), settings.image_deadline_s
                await self._call("PUT", path, body, max_bytes=_ANSWER_BYTES, deadline_s=total)
        except TimeoutError as late:
            log_hidden_failure(late, f"sending an image to {self._ecu}")
            reason = (
                f"the ECU accepted no data for {patience:.4g} s, or did not install the image within {installing:.4g} s"
            )
            raise SecondaryTimeoutError(url=f"{self._base}/v1/{path}", reason=reason, ecu=self._ecu) from None

    async def report(self) -> bytes:
        """See ``SecondaryLink.report``."""
        return await self._call("POST", "report", b"", max_bytes=self._limits.report_bytes)

    async def close(self) -> None:
        """See ``SecondaryLink.close``."""
        await self._transport.close()

    async def _call(
        self,
        method: str,
        path: str,
        body: bytes | AsyncIterator[bytes] | None = None,
        *,
        max_bytes: int,
        deadline_s: float | None = None,
    ) -> bytes:
        url = f"{self._base}/v1/{path}"
        deadline_s = deadline_s or self._transport.settings.deadline_s
        try:
            async with self._transport.request(method, url, body=body, deadline_s=deadline_s) as reply:
                answer = await reply.read(f"answer of {self._ecu}", max_bytes)
                if reply.status in (200, 204):
                    return answer
                raise self._refusal(url, reply.status, answer)
        except SlowRetrievalError as error:
            # A Primary retrieves nothing from a Secondary, so a slow one is not slow retrieval.
            raise SecondaryTimeoutError(url=url, reason=error.reason, ecu=self._ecu) from error

    def _refusal(self, url: str, status: int, answer: bytes) -> SecondaryRefusedError | FetchError:
        try:
            problem = json.loads(answer)
            return SecondaryRefusedError(
                ecu=self._ecu,
                problem=sanitize(problem["code"], 64),
                attack=sanitize(problem.get("attack", "none"), 64),
                clause=sanitize(problem.get("clause", ""), 64),
                detail=sanitize(problem["detail"], 500),
                stated_kind=sanitize(problem.get("kind", ""), 64),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return FetchError(url=url, status=status, reason="the Secondary failed and gave no reason")

    def _object(self, answer: bytes) -> Mapping[str, Any]:
        try:
            document = json.loads(answer)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise TransportError(url=self._base, reason="the answer is not a JSON object")
        return document


async def _file_chunks(path: Path) -> AsyncIterator[bytes]:
    """The file piece by piece. Reading one piece blocks for a page cache miss at most."""
    with storage_errors("read", path), path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
