"""Downloading one image into staging: mirror after mirror, resuming interrupted transfers, never more bytes than are listed.

If staging refuses what one place served, the next place is asked. One deadline covers all of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from twinlock.client.model.cancellation import in_thread, log_hidden_failure
from twinlock.client.net.slow_retrieval import worst_fault
from twinlock.client.net.transport import Reply, Transport, with_retries
from twinlock.client.storage.metadata import RepositoryProfiles
from twinlock.client.storage.staging import ImageArrival, Staging
from twinlock.trust.errors.base import RefusalError, TwinlockError
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.local import FetchError, SlowRetrievalError, TransportError
from twinlock.trust.model.base import NOTHING
from twinlock.trust.names import DIRECTOR, RepositoryName
from twinlock.trust.state.trusted import ApprovedImage
from twinlock.trust.text.printable import printable
from twinlock.trust.wire.tuf.metadata import TUF

_LOG = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]
"""Called as an image arrives: its path, the bytes so far, and the bytes in all."""


def image_urls(
    image: ApprovedImage, urls: Mapping[RepositoryName, tuple[str, ...]], wires: RepositoryProfiles = NOTHING
) -> tuple[str, ...]:
    """Where ``image`` may be fetched, best first: its download URL, then the agreeing repositories by their own naming.

    A download URL that is not http or https is skipped: a file URL must not read our own disk.
    Source: Uptane 2.1.0 5.4.3.3 (the name by the naming rules, or the download URL) and 5.2.7.
    """
    address = image.entry.download_url
    places = [address] if address is not None and address.lower().startswith(("http://", "https://")) else []
    for repository in image.repositories:
        if repository != DIRECTOR:
            names = wires.get(repository, TUF).image_file_names(image.entry)
            encoded = [quote(name, safe="/") for name in names]
            places.extend(f"{base.rstrip('/')}/targets/{name}" for base in urls[repository] for name in encoded)
    return tuple(dict.fromkeys(places))


async def download_image(
    image: ApprovedImage,
    urls: Sequence[str],
    *,
    transport: Transport,
    staging: Staging,
    progress: Progress | None = None,
    refused: list[RefusalError] | None = None,
) -> Path:
    """The verified file of ``image`` in ``staging``, from the first of ``urls`` that serves it.

    ``refused`` takes the refusals of what other places served, also where a later place served the image.
    Raises: EndlessDataError, LengthError, DigestError where a place served something else and none the image;
    TransportError, or SlowRetrievalError before it, where no place gave anything; StorageError. What arrived before a
    fault of transport or the deadline is kept. Source: Uptane 2.1.0 5.4.3.3 and 5.4.3.4.
    """
    staged = await in_thread(staging.find, image.entry)
    if staged is not None:
        return staged
    search = _ImageSearch(image, transport, staging, progress)
    loop = asyncio.get_running_loop()
    ends = loop.time() + transport.settings.image_deadline_s
    for number, url in enumerate(urls):
        share = max((ends - loop.time()) / (len(urls) - number), 0.0)  # a slow first place leaves time for the others
        if (path := await search.try_place(url, share)) is not None:
            if refused is not None:
                refused += search.refusals
            return path
    if refused is not None:
        refused += search.refusals[1:]
    raise search.verdict()


@dataclass(slots=True)
class _ImageSearch:
    """One image that several places may have, and what the places asked so far did."""

    image: ApprovedImage
    transport: Transport
    staging: Staging
    progress: Progress | None
    failures: list[TransportError] = field(default_factory=list)
    refusals: list[RefusalError] = field(default_factory=list)

    async def try_place(self, url: str, seconds: float) -> Path | None:
        """The verified file from this place within ``seconds``, or None and the reason in ``failures`` or ``refusals``."""
        try:
            async with asyncio.timeout(seconds):
                return await with_retries(self.transport.settings, lambda: self._attempt(url))
        except TimeoutError as late:
            log_hidden_failure(late, f"the download of {printable(url)}")
            self.failures.append(self._too_late(url, seconds))
        except TransportError as fault:
            _LOG.info("%s", fault)
            self.failures.append(fault)
        except RefusalError as refusal:
            _LOG.warning("refused what %s served: error[%s]: %s", printable(url), refusal.code, refusal)
            self.refusals.append(refusal)
        return None

    def verdict(self) -> TwinlockError:
        """What to raise where no place served the image."""
        if self.refusals:
            return self.refusals[0]
        nowhere = TransportError(url=self.image.entry.path, reason="no repository states where to fetch the image")
        return worst_fault(self.failures) or nowhere

    def _too_late(self, url: str, seconds: float) -> SlowRetrievalError:
        reason = (
            f"the image did not arrive in full within {seconds:.4g} s; the part that arrived is kept for the next cycle"
        )
        floor = self.transport.settings.floor_bytes_per_s
        return SlowRetrievalError(url=url, reason=reason, bytes_per_s=0, floor_bytes_per_s=floor)

    async def _attempt(self, url: str) -> Path:
        resumed = False
        try:
            with self.staging.arrival(self.image.entry) as arrival:
                await in_thread(arrival.resume)
                resumed = arrival.resumed
                return await self._receive(url, arrival)
        except RefusalError:
            if not resumed:
                raise
        # Part of what was refused came from an earlier attempt, perhaps from another place. It is gone now; judge this
        # place by its own bytes alone.
        with self.staging.arrival(self.image.entry) as arrival:
            return await self._receive(url, arrival)

    async def _receive(self, url: str, arrival: ImageArrival) -> Path:
        entry = arrival.entry
        missing = arrival.received < entry.length or entry.length == 0
        if missing and not (arrival.received and await self._resume(url, arrival)):
            async with self.transport.request("GET", url) as reply:
                _check_whole(reply, arrival)
                await self._write(reply, arrival)
        return await in_thread(arrival.finish)

    async def _resume(self, url: str, arrival: ImageArrival) -> bool:
        """Request the missing part; False if this server cannot resume, so that the whole must be requested."""
        headers = {"Range": f"bytes={arrival.received}-"}
        async with self.transport.request("GET", url, headers=headers) as reply:
            if reply.status == 200:
                _check_whole(reply, arrival)
            elif not _continues(reply, arrival):
                return False
            else:
                _check_length(reply, arrival)
            await self._write(reply, arrival)
        return True

    async def _write(self, reply: Reply, arrival: ImageArrival) -> None:
        async for chunk in reply.chunks():
            arrival.write(chunk)
            if self.progress is not None:
                self.progress(arrival.entry.path, arrival.received, arrival.entry.length)


def _continues(reply: Reply, arrival: ImageArrival) -> bool:
    """Whether the answer to a Range request continues the part. Raises: FetchError where asking otherwise cannot help."""
    if reply.status == 206:
        start = reply.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
        return start == str(arrival.received)
    passing = reply.status >= 500 and reply.status != 501
    if passing or reply.status in (404, 410, 429):
        raise FetchError(url=reply.url, status=reply.status, reason="an image was expected")
    return False


def _check_whole(reply: Reply, arrival: ImageArrival) -> None:
    """Begin at the first byte; only now is the part of an earlier attempt discarded."""
    if reply.status != 200:
        raise FetchError(url=reply.url, status=reply.status, reason="an image was expected")
    if arrival.received:
        arrival.restart()
    _check_length(reply, arrival)


def _check_length(reply: Reply, arrival: ImageArrival) -> None:
    """Refuse at once a reply that announces too many bytes."""
    if reply.length is not None and arrival.received + reply.length > arrival.entry.length:
        raise EndlessDataError(what=arrival.entry.path, limit_bytes=arrival.entry.length)
