"""Downloading one image into staging: several places, resuming where the way broke off, never more than is listed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from twinlock.client.staging import Arrival, Staging
from twinlock.client.storage.metadata import Wires
from twinlock.client.transport import Reply, Transport, with_retries
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.local import FetchError, SlowRetrievalError, TransportError
from twinlock.trust.model.base import NOTHING
from twinlock.trust.names import DIRECTOR, RepositoryName
from twinlock.trust.state import ApprovedImage
from twinlock.trust.wire.tuf import TUF

Progress = Callable[[str, int, int], None]
"""Called as an image arrives: its path, the bytes so far, and the bytes in all."""


def image_urls(
    image: ApprovedImage, urls: Mapping[RepositoryName, tuple[str, ...]], wires: Wires = NOTHING
) -> tuple[str, ...]:
    """Where ``image`` may be fetched, best first: its download URL, then the agreeing repositories by their own naming.

    A download URL that is not of the web is passed over; the file of it would be none of ours to read.
    Source: Uptane 2.1.0 5.4.3.3 (the name by the naming rules, or the download URL) and 5.2.7.
    """
    address = image.entry.download_url
    found = [address] if address is not None and address.lower().startswith(("http://", "https://")) else []
    for repository in image.repositories:
        if repository != DIRECTOR:
            names = wires.get(repository, TUF).image_file_names(image.entry)
            quoted = [quote(name, safe="/") for name in names]
            found.extend(f"{base.rstrip('/')}/targets/{name}" for base in urls[repository] for name in quoted)
    return tuple(dict.fromkeys(found))


async def download_image(
    image: ApprovedImage,
    urls: Sequence[str],
    *,
    transport: Transport,
    staging: Staging,
    progress: Progress | None = None,
) -> Path:
    """The verified file of ``image`` in ``staging``, from the first of ``urls`` that has it.

    Raises: EndlessDataError, LengthError, DigestError when what arrives is not the image; TransportError,
    SlowRetrievalError when no place gave it; StorageError. What arrived before a fault of transport is kept.
    """
    entry = image.entry
    found = await asyncio.to_thread(staging.find, entry)
    if found is not None:
        return found
    fault: TransportError | None = None
    for url in urls:
        try:
            return await with_retries(
                transport.settings,
                lambda url=url: _attempt(url, image, transport, staging, progress),  # type: ignore[misc]
            )
        except TransportError as error:
            fault = error if fault is None or isinstance(error, SlowRetrievalError) else fault
    raise fault or TransportError(url=entry.path, reason="no repository says where to fetch it")


async def _attempt(
    url: str, image: ApprovedImage, transport: Transport, staging: Staging, progress: Progress | None
) -> Path:
    resumed = False
    try:
        with staging.arrival(image.entry) as arrival:
            await asyncio.to_thread(arrival.resume)
            resumed = arrival.resumed
            return await _receive(url, arrival, transport, progress)
    except RefusalError:
        if not resumed:
            raise
    # Part of what was refused came from an earlier attempt, perhaps from another place. It is gone now; judge this
    # place by its own bytes alone.
    with staging.arrival(image.entry) as arrival:
        return await _receive(url, arrival, transport, progress)


async def _receive(url: str, arrival: Arrival, transport: Transport, progress: Progress | None) -> Path:
    entry = arrival.entry
    if arrival.received < entry.length or entry.length == 0:
        headers = {"Range": f"bytes={arrival.received}-"} if arrival.received else {}
        async with transport.request("GET", url, headers=headers) as reply:
            _check_reply(reply, arrival)
            async for chunk in reply.chunks():
                arrival.write(chunk)
                if progress is not None:
                    progress(entry.path, arrival.received, entry.length)
    return await asyncio.to_thread(arrival.finish)


def _check_reply(reply: Reply, arrival: Arrival) -> None:
    """Start over if the server does not go on where we asked; refuse at once what announces too much."""
    if reply.status == 206 and arrival.received:
        start = reply.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
        if start != str(arrival.received):
            raise FetchError(url=reply.url, status=206, reason="it sent another range than was asked for")
    elif reply.status == 200:
        if arrival.received:
            arrival.restart()
    else:
        raise FetchError(url=reply.url, status=reply.status, reason="an image was expected")
    if reply.length is not None and arrival.received + reply.length > arrival.entry.length:
        raise EndlessDataError(what=arrival.entry.path, limit_bytes=arrival.entry.length)
