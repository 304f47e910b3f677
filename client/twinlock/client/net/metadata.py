"""The answer to the engine's ``Fetch``: metadata from the places that the map gives for a repository.

A place is one base URL. If one was silent, failed or served a file that was refused, the next one is asked; one
deadline covers all of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from twinlock.client.model.foreign_text import sanitize
from twinlock.client.net.slow_retrieval import worst_fault
from twinlock.client.net.transport import Transport, with_retries
from twinlock.client.storage.metadata import RepositoryProfiles
from twinlock.trust.engine.commands import ABSENT, Absent, Fetch, FetchElsewhere
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.local import FetchError, TransportError
from twinlock.trust.model.base import NOTHING
from twinlock.trust.names import DIRECTOR, RepositoryName
from twinlock.trust.wire.tuf.metadata import TUF

_LOG = logging.getLogger(__name__)
_ABSENT_STATUS = (404, 403)  # object stores answer 403 for an absent file when listing is not allowed
_SHOWN_CHARACTERS = 200


@dataclass(slots=True)
class _MetadataSearch:
    """One file that several places may have: those not asked yet, and what the others answered."""

    command: Fetch
    places: list[str]
    ends: float  # of the event loop's clock
    place: str = ""
    failures: list[TransportError] = field(default_factory=list)
    refusals: list[RefusalError] = field(default_factory=list)

    def time_left(self, now: float) -> float:
        """The time for the next place: an equal share, so that a slow first one leaves time for the others."""
        return max((self.ends - now) / len(self.places), 0.0)

    def answer(self) -> Absent:
        """The end of a search that found nothing. Raises: a refusal before slowness, and that before other faults."""
        if self.refusals:
            raise self.refusals[0]
        if (fault := worst_fault(self.failures)) is not None:
            raise fault
        return ABSENT


class MetadataFetcher:
    """Fetches metadata files. ``urls`` are the base URLs of each repository, the preferred one first.

    ``wires`` are the profiles of the repositories that are not in ``tuf``: the profile determines where files are.
    """

    def __init__(
        self, transport: Transport, urls: Mapping[RepositoryName, tuple[str, ...]], wires: RepositoryProfiles = NOTHING
    ) -> None:
        self._transport = transport
        self._urls = urls
        self._wires = wires
        self._last: dict[RepositoryName, str] = {}  # a place whose copy was refused is asked last from then on
        self._search: _MetadataSearch | None = None
        self._refused: list[RefusalError] = []

    async def fetch(self, command: Fetch) -> bytes | Absent:
        """The file from the first place that has it; ABSENT if every place answers plainly that the file does not exist.

        Raises: EndlessDataError beyond ``command.max_bytes``; TransportError, FetchError or SlowRetrievalError if no place
        gave it and one gave no answer. Such a fault never counts as an absence: Uptane 2.1.0 5.4.4.3 step 2.2.
        """
        deadline = asyncio.get_running_loop().time() + self._transport.settings.deadline_s
        places = sorted(self._urls[command.repository], key=lambda url: url == self._last.get(command.repository))
        search = self._search = _MetadataSearch(command, places, deadline)
        data = await self._continue(search)
        if data is None:
            return search.answer()
        self._refused += search.refusals
        return data

    async def elsewhere(self, command: FetchElsewhere) -> bytes | None:
        """The same file from the next place that has it; None if none is left. Raises nothing: the refusal remains."""
        search = self._search
        if search is None or search.command != command.fetch:
            return None
        if command.error is not None:
            self._demote(search, command.error)
        data = await self._continue(search)
        if data is None:
            self._refused += [refusal for refusal in search.refusals if refusal is not command.error]
        return data

    def take_refused(self) -> list[RefusalError]:
        """Refusals of copies since the last call, although another place may have served the file."""
        taken, self._refused = self._refused, []
        return taken

    async def _continue(self, search: _MetadataSearch) -> bytes | None:
        loop = asyncio.get_running_loop()
        command = search.command
        folder = self._wires.get(command.repository, TUF).folder
        while search.places:
            ends = loop.time() + search.time_left(loop.time())
            search.place = search.places.pop(0)
            url = f"{search.place.rstrip('/')}/{folder}{command.name}"
            try:
                data = await with_retries(
                    self._transport.settings,
                    lambda url=url, ends=ends: self._ask(url, command, ends),  # type: ignore[misc]
                )
            except TransportError as fault:
                _LOG.info("%s", fault)
                search.failures.append(fault)
            except RefusalError as refusal:
                self._demote(search, refusal)
                search.refusals.append(refusal)
            else:
                if data is not ABSENT:
                    return data
        return None

    def _demote(self, search: _MetadataSearch, refusal: RefusalError) -> None:
        self._last[search.command.repository] = search.place
        place = sanitize(search.place, _SHOWN_CHARACTERS)
        _LOG.warning("refused what %s served: error[%s]: %s", place, refusal.code, refusal)

    async def _ask(self, url: str, command: Fetch, ends: float) -> bytes | Absent:
        seconds = max(ends - asyncio.get_running_loop().time(), 0.0)
        async with self._transport.request("GET", url, deadline_s=seconds) as reply:
            if reply.status == 200:
                coding = reply.headers.get("Content-Encoding", "identity")
                if coding.lower() != "identity":
                    shown = sanitize(coding, _SHOWN_CHARACTERS)
                    reason = (
                        f"the server sent Content-Encoding {shown}, but only identity is accepted; disable compression"
                    )
                    raise FetchError(url=url, status=200, reason=reason)
                what = f"{command.repository}/{command.role}"
                return await reply.read(what, command.max_bytes, clause=command.clause)
            if reply.status in _ABSENT_STATUS:
                return ABSENT
            reason = "a metadata file or 404 was expected"
            if reply.status == 410 and command.repository == DIRECTOR:
                reason = "the Director has deactivated this vehicle; `twinlock director reactivate` undoes that"
            raise FetchError(url=url, status=reply.status, reason=reason)
