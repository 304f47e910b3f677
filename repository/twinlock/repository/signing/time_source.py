"""A second source of time: the signed time of a Director, asked over HTTP and verified under its Root."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from dataclasses import dataclass
from urllib.parse import urlsplit

from twinlock.io.http.network_faults import network_reason, place_of
from twinlock.io.http.outgoing import open_url
from twinlock.repository.signing.clock import SKEW, SecondTime
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.local import FetchError, TransportError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR
from twinlock.trust.wire.tuf.attestation import check_attestation

_TIMEOUT_S = 5.0  # for the whole answer: a later one proves no time, and counts as none
_MAX_BYTES = DEFAULT_LIMITS.attestation_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSource:
    """The address ``url`` that answers ``POST {"nonce": hex}``, and the Director's ``root`` that names its keys."""

    url: str
    root: bytes

    def ask(self) -> SecondTime:
        """The time that it proves now. Raises: TransportError, AttestationError, MalformedError, LimitError.

        Source: Uptane 2.1.0 5.4.2.2 (the answer counts for this question only).
        """
        root = bootstrap_repository(DIRECTOR, self.root).root.signed
        nonce = secrets.token_hex(16)
        shown = check_attestation(self._post(json.dumps({"nonce": nonce}).encode()), root, nonce=nonce).time
        return SecondTime(source=self.url, earliest=shown, latest=shown, slack=SKEW)  # the wait is a part of the slack

    def _post(self, body: bytes) -> bytes:
        headers = {"User-Agent": "twinlock-signer", "Content-Type": "application/json"}
        try:
            request = urllib.request.Request(self.url, data=body, headers=headers)  # noqa: S310 - checked when it is set
            with open_url(request, timeout_s=_TIMEOUT_S, total_s=_TIMEOUT_S) as response:
                data: bytes = response.read(_MAX_BYTES + 1)
        except urllib.error.HTTPError as error:
            with error:
                raise FetchError(url=self.url, reason=str(error.reason), status=error.code) from None
        except (OSError, ValueError) as error:
            raise TransportError(url=self.url, reason=network_reason(error, place_of(self.url))) from None
        if len(data) > _MAX_BYTES:
            raise EndlessDataError(what=self.url, limit_bytes=_MAX_BYTES)
        return data


def checked_source(url: str, root: bytes) -> TimeSource:
    """The time source at ``url`` under a Director's ``root``. Raises: UsageError for either that cannot be one."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise UsageError(reason=f"{url} is not an http(s) address")
    if bootstrap_repository(DIRECTOR, root).root.signed.time_source is None:
        reason = (
            "this Root names no key that attests time, so it is not a Director's; see `twinlock director root show`"
        )
        raise UsageError(reason=reason)
    return TimeSource(url=url, root=root)
