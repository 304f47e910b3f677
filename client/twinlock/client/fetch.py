"""Fetching metadata: the answer to the engine's ``Fetch`` from the URLs that the map gives for a repository."""

from __future__ import annotations

from collections.abc import Mapping

from twinlock.client.storage.metadata import Wires
from twinlock.client.transport import Transport, with_retries
from twinlock.trust.commands import ABSENT, Absent, Fetch
from twinlock.trust.errors.local import FetchError, SlowRetrievalError, TransportError
from twinlock.trust.model.base import NOTHING
from twinlock.trust.names import RepositoryName
from twinlock.trust.wire.tuf import TUF

_ABSENT_STATUS = (404, 403)  # object stores say 403 for what is not there when listing is not allowed


class MetadataFetcher:
    """Fetches metadata files. ``urls`` are the base URLs of each repository, the preferred one first.

    ``wires`` are the profiles of the repositories that are not in ``tuf``: where files are is for the profile to say.
    """

    def __init__(
        self, transport: Transport, urls: Mapping[RepositoryName, tuple[str, ...]], wires: Wires = NOTHING
    ) -> None:
        self._transport = transport
        self._urls = urls
        self._wires = wires

    async def fetch(self, command: Fetch) -> bytes | Absent:
        """The file, from the first URL that has it; ABSENT if no URL has it and one says so plainly.

        Raises: EndlessDataError beyond ``command.max_bytes``; TransportError, FetchError or SlowRetrievalError if no
        URL gave an answer. Such a fault never counts as an absence: Uptane 2.1.0 5.4.4.3 step 2.2.
        """
        fault: TransportError | None = None
        absent = False
        folder = self._wires.get(command.repository, TUF).folder
        for base in self._urls[command.repository]:
            url = f"{base.rstrip('/')}/{folder}{command.name}"
            try:
                found = await with_retries(self._transport.settings, lambda url=url: self._get(url, command))  # type: ignore[misc]
            except TransportError as error:
                # Slowness is the one fault that names an attack, so it is the one to report.
                fault = error if fault is None or isinstance(error, SlowRetrievalError) else fault
                continue
            if found is not ABSENT:
                return found
            absent = True
        if fault is not None and not absent:
            raise fault
        return ABSENT

    async def _get(self, url: str, command: Fetch) -> bytes | Absent:
        deadline = self._transport.settings.deadline_s
        async with self._transport.request("GET", url, deadline_s=deadline) as reply:
            if reply.status == 200:
                return await reply.read(f"{command.repository}/{command.role}", command.max_bytes)
            if reply.status in _ABSENT_STATUS:
                return ABSENT
            raise FetchError(url=url, status=reply.status, reason="a metadata file or 404 was expected")
