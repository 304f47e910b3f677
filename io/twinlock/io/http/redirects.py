"""The rule by which every request of ours follows redirects (docs/POUF.md 1.1): of a GET, at most three, within one origin.

Who answers cannot make this machine ask another one.
"""

from __future__ import annotations

from urllib.parse import SplitResult, quote, urldefrag, urljoin, urlsplit

from twinlock.trust.errors.local import FetchError

MOST_REDIRECTS = 3
_STATUSES = (301, 302, 303, 307, 308)
_TOO_MANY = 310  # a status that no server sends
_PORTS = {"http": 80, "https": 443}
_SENT_AS_RECEIVED = "!#$%&'()*+,/:;=?@[]~"  # all that RFC 3986 lets an address have, what is percent-encoded included
_SHOWN_CHARACTERS = 200  # of an address that another party wrote


class RedirectChain:
    """The redirects of one request for ``url``. ``place`` is the address to ask next, encoded as it must be sent."""

    def __init__(self, url: str, method: str = "GET") -> None:
        self._url = url
        self._method = method
        self._followed = 0
        self.place = url

    def follow(self, status: int, location: bytes | None) -> bool:
        """Follow an answer of ``status`` if it is a redirect: ``place`` is then where it leads. Returns whether it was one.

        ``location`` is the header as received: what is percent-encoded in it stays as it is, and what no address may have
        is encoded. Raises: FetchError for one that leads to another scheme, host or port, and for one too many.
        """
        if status not in _STATUSES or location is None or self._method != "GET":
            return False
        self._followed += 1
        if self._followed > MOST_REDIRECTS:
            raise FetchError(url=self._url, status=_TOO_MANY, reason=f"more than {MOST_REDIRECTS} redirects")
        encoded = quote(location, safe=_SENT_AS_RECEIVED)
        try:
            self.place = _within_origin(self.place, encoded)
        except ValueError as error:
            reason = f"the server redirects to {error}: {encoded[:_SHOWN_CHARACTERS]}"
            raise FetchError(url=self._url, status=status, reason=reason) from None
        return True


def _within_origin(place: str, location: str) -> str:
    """Where a redirect from ``place`` leads, without a fragment. Raises: ValueError that names what else it leads to."""
    try:
        onward = urldefrag(urljoin(place, location)).url
        before, after = urlsplit(place), urlsplit(onward)
        same = _origin(before) == _origin(after)
    except ValueError:
        raise ValueError("an address that is not a URL") from None
    if not same:
        raise ValueError("another origin")
    if (after.username, after.password) not in ((None, None), (before.username, before.password)):
        raise ValueError("an address with a user name or a password")
    return onward


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
