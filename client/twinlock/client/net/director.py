"""A Primary's side of the Director's device API: sending the manifest, registering, and asking for the time."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping, Sequence

from twinlock.client.model.errors import (
    DirectorRefusedError,
    EnrolmentRefusedError,
    ManifestRefusedError,
    ManifestReplayedError,
    RetiredManifestError,
)
from twinlock.client.model.foreign_text import sanitize
from twinlock.client.net.transport import Transport, with_retries
from twinlock.trust.errors.local import FetchError, TransportError
from twinlock.trust.errors.metadata import TimeError
from twinlock.trust.limits import Limits
from twinlock.trust.model.base import NOTHING

_PROBLEM_BYTES = 65_536
_REPLAYED = "report-replay"
_MANIFEST_REFUSALS: Mapping[str, type[ManifestRefusedError]] = {
    _REPLAYED: ManifestReplayedError,
    "vehicle-retired": RetiredManifestError,
}
"""The refusals, by the Director's code, that have causes and remedies of their own."""
_TAKEN = (200, 201, 202, 204)  # of a manifest


class DirectorLink:
    """``urls`` are this vehicle's at the Director, the preferred one first; ``time_url`` is the time service's.

    With ``foreign``, a refusal need not be a problem document: any answer with such a status is one.
    """

    def __init__(
        self, transport: Transport, urls: Sequence[str], time_url: str | None, *, limits: Limits, foreign: bool = False
    ) -> None:
        self._transport = transport
        self._urls = urls
        self._time_url = time_url
        self._limits = limits
        self._foreign = foreign

    async def put_manifest(self, manifest: bytes) -> None:
        """Send a signed vehicle version manifest: Uptane 2.1.0 5.4.2.1.

        Raises: ManifestRefusedError if the Director refuses, TransportError if it does not answer.
        """
        broken = False  # a connection that broke may still have delivered the manifest

        async def attempt() -> None:
            nonlocal broken
            try:
                await self._send("PUT", url, manifest, accepted=_TAKEN, refused=ManifestRefusedError, whole=False)
            except ManifestRefusedError as error:
                if not (broken and error.problem == _REPLAYED):
                    raise _MANIFEST_REFUSALS.get(error.problem, type(error))(**error.fields()) from None
            except TransportError:
                broken = True
                raise

        fault: TransportError | None = None
        for base in self._urls:
            url = f"{base.rstrip('/')}/manifest"
            try:
                return await with_retries(self._transport.settings, attempt)
            except TransportError as error:
                fault = error
        raise fault or TransportError(url="director", reason="the map has no URL for the Director")

    async def attest_time(self, ask: Callable[[], str]) -> bytes:
        """A signed time attestation that answers the nonce of ``ask``, which is asked for at each attempt; unverified.

        Raises: TimeError where no time service is configured, TransportError if it does not answer.
        """
        if self._time_url is None:
            raise TimeError(reason="attested time is required, but no time service is configured (time.url)")
        url = self._time_url

        async def attempt() -> bytes:
            body = json.dumps({"nonce": ask()}).encode()
            headers = {"Content-Type": "application/json"}
            deadline = self._transport.settings.deadline_s
            async with self._transport.request("POST", url, headers=headers, body=body, deadline_s=deadline) as reply:
                answer = await reply.read("time attestation", self._limits.attestation_bytes)
                if reply.status != 200:
                    raise FetchError(url=url, status=reply.status, reason="a time attestation was expected")
                return answer

        return await with_retries(self._transport.settings, attempt)

    async def enrol(self, description: bytes, token: str) -> bool:
        """Register this vehicle with a one-time ``token``; whether it was new to the Director.

        Raises: EnrolmentRefusedError if the Director refuses, TransportError if it does not answer.
        """
        url = f"{self._urls[0].rstrip('/')}/enrolment"
        authorization = {"Authorization": f"Bearer {token}"}

        async def attempt() -> bool:
            status = await self._send(
                "POST", url, description, accepted=(200, 201), refused=EnrolmentRefusedError, headers=authorization
            )
            return status == 201

        return await with_retries(self._transport.settings, attempt)

    async def register(self, ecus: bytes) -> None:
        """Register the ECUs with a Director of the aktualizr profile, again whenever they change.

        Raises: EnrolmentRefusedError if the Director refuses, TransportError if it does not answer.
        """
        url = f"{self._urls[0].rstrip('/')}/ecus"

        async def attempt() -> int:
            return await self._send("POST", url, ecus, accepted=range(200, 300), refused=EnrolmentRefusedError)

        await with_retries(self._transport.settings, attempt)

    async def _send(
        self,
        method: str,
        url: str,
        body: bytes,
        *,
        accepted: Container[int],
        refused: type[DirectorRefusedError],
        headers: Mapping[str, str] = NOTHING,
        whole: bool = True,
    ) -> int:
        """Send a JSON ``body``; returns the status, one of those ``accepted``, once the ``whole`` answer has arrived.

        Raises: ``refused``, TransportError.
        """
        headers = {"Content-Type": "application/json", **headers}
        deadline = self._transport.settings.deadline_s
        async with self._transport.request(method, url, headers=headers, body=body, deadline_s=deadline) as reply:
            accepts = reply.status in accepted
            if accepts and not whole:
                return reply.status
            answer = await reply.read("answer of the Director", _PROBLEM_BYTES)
            if accepts:
                return reply.status
            problem, detail = self._problem(url, reply.status, answer)
            raise refused(status=reply.status, problem=problem, detail=detail)

    def _problem(self, url: str, status: int, answer: bytes) -> tuple[str, str]:
        """Code and detail of a refusal. Raises: FetchError if the answer is not a verdict of a Director."""
        if status >= 500 or status == 429:  # a server fault is not a verdict
            raise FetchError(url=url, status=status, reason="the Director cannot accept this now")
        try:
            problem = json.loads(answer)
            return sanitize(problem["code"], 64), sanitize(problem["detail"], 500)
        except (ValueError, KeyError, TypeError, RecursionError):
            if self._foreign:
                return _foreign_problem(answer)
            raise FetchError(url=url, status=status, reason="the Director refused and gave no reason") from None


def _foreign_problem(answer: bytes) -> tuple[str, str]:
    """Code and detail of a refusal in any form: other Directors write ``code`` and ``description``, or nothing."""
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        document = None
    members = document if isinstance(document, dict) else {}
    detail = members.get("description") or members.get("detail") or answer.decode("utf-8", "replace")
    return sanitize(members.get("code") or "refused", 64), sanitize(detail, 500) or "no reason given"
