"""The boundary to a server: any fault while it answers becomes a transport failure of that URL, in plain words.

The HTTP library and the parts under it raise many classes, and which one depends on their versions. None of their names
reaches a report, a log line or an operator.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from twinlock.client.model.foreign_text import sanitize
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.errors.local import TransportError

_LOG = logging.getLogger(__name__)
_REASON_CHARACTERS = 200  # some exceptions quote what the other end sent


@contextmanager
def server_faults(url: str) -> Iterator[None]:
    """Turn any exception inside into a TransportError about ``url``. Errors of ours and cancellation pass.

    Only calls of the HTTP library belong inside: a fault in other code of ours would be blamed on the server.
    """
    try:
        yield
    except (TwinlockError, TimeoutError) as error:
        if isinstance(error, TwinlockError) or not _is_librarys(error):
            raise
        raise TransportError(url=url, reason=reason_of(error, url)) from error
    except Exception as error:
        _LOG.debug("%s: the HTTP library raised %s", sanitize(url, _REASON_CHARACTERS), type(error).__name__)
        raise TransportError(url=url, reason=reason_of(error, url)) from error


def reason_of(error: Exception, url: str) -> str:
    """What broke on the way to ``url``, in at most 200 printable characters."""
    from twinlock.io.http.network_faults import known_reason, place_of

    cause: Exception = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    known = known_reason(cause, _socket(error) or place_of(url))
    if known is not None:
        return sanitize(known, _REASON_CHARACTERS)
    words = _words(error)
    detail = sanitize(getattr(error, "message", "") or _system_reason(error), _REASON_CHARACTERS)
    return (f"{words}: {detail}" if detail else words)[:_REASON_CHARACTERS]


def _socket(error: Exception) -> str | None:
    """The Unix socket that the connection was to go to, if it was."""
    path = getattr(error, "path", None)
    return path if isinstance(path, str) else None


def _words(error: Exception) -> str:
    import aiohttp
    from aiohttp.http_exceptions import HttpProcessingError

    names: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
        (aiohttp.ClientConnectorCertificateError, "the TLS certificate of the server is not trusted"),
        (aiohttp.ClientSSLError, "the TLS handshake failed"),
        (aiohttp.ClientConnectorDNSError, "the host name cannot be resolved"),
        (aiohttp.ServerTimeoutError, "the connection took too long"),
        (aiohttp.ClientConnectorError, "cannot connect"),
        (aiohttp.ServerDisconnectedError, "the server closed the connection without an answer"),
        (aiohttp.ClientPayloadError, "the answer ended early"),
        ((aiohttp.InvalidURL, UnicodeError), "the address is not a usable URL"),
        ((aiohttp.ClientResponseError, HttpProcessingError), "the answer is not valid HTTP"),
        (aiohttp.ClientError, "the connection failed"),
        (OSError, "the connection failed"),
        (ValueError, "the address is not a usable URL"),
    )
    return next((words for kind, words in names if isinstance(error, kind)), "the answer cannot be processed")


def _system_reason(error: Exception) -> str:
    """The operating system's reason, if there is one; other text is a library's wording."""
    cause: object = getattr(error, "os_error", error)
    return str(getattr(cause, "strerror", None) or "") if isinstance(cause, OSError) else ""


def _is_librarys(error: Exception) -> bool:
    """Whether a TimeoutError is the HTTP library's own; the others are our own deadlines, handled by the caller."""
    import aiohttp

    return isinstance(error, aiohttp.ClientError)
