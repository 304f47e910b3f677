"""What a fault of the network means, in an operator's words: never the number or the text of a system call."""

from __future__ import annotations

import errno
import socket
import ssl
from urllib.error import URLError
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}
_MEANINGS = {
    errno.ECONNREFUSED: "the connection to {place} was refused",
    errno.ECONNRESET: "the connection to {place} broke off",
    errno.ECONNABORTED: "the connection to {place} broke off",
    errno.EPIPE: "the connection to {place} broke off",
    errno.ETIMEDOUT: "{place} did not answer in time",
    errno.EHOSTUNREACH: "{place} cannot be reached from this machine",
    errno.ENETUNREACH: "{place} cannot be reached from this machine",
    errno.EHOSTDOWN: "{place} cannot be reached from this machine",
    errno.ENOENT: "no program listens on {place}",
    errno.EADDRINUSE: "another program listens on {place} already",
    errno.EADDRNOTAVAIL: "{place} is not an address of this machine",
    errno.EACCES: "this user may not use {place}",
    errno.EPERM: "this user may not use {place}",
    errno.EMFILE: "this process has too many files and connections open",
    errno.ENFILE: "this machine has too many files and connections open",
}


def place_of(url: str) -> str:
    """``HOST:PORT`` of an http(s) ``url``; the text itself where it has none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return url
    if not host or port is None:
        return url
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def network_reason(error: BaseException, place: str) -> str:
    """Why ``error``, which a connection to ``place`` (``HOST:PORT``, or a path) raised, was raised; its own text if it is of another kind."""
    cause = error.reason if isinstance(error, URLError) and isinstance(error.reason, OSError) else error
    return known_reason(cause, place) or getattr(cause, "strerror", None) or str(cause) or "the connection failed"


def known_reason(error: BaseException, place: str) -> str | None:
    """As ``network_reason``; None for an error of another kind."""
    if isinstance(error, socket.gaierror):
        return f"the host name of {place} cannot be resolved"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the TLS certificate of {place} is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"the TLS handshake with {place} failed: {ssl_words(error)}"
    if isinstance(error, OSError) and error.errno in _MEANINGS:
        return _MEANINGS[error.errno].format(place=place)
    # A deadline of ours has a text of its own.
    is_late = isinstance(error, TimeoutError) and (not str(error) or str(error).endswith("timed out"))
    return _MEANINGS[errno.ETIMEDOUT].format(place=place) if is_late else None


def ssl_words(error: Exception) -> str:
    """OpenSSL's name of the fault, such as WRONG_VERSION_NUMBER, as words."""
    reason = getattr(error, "reason", None)  # missing where the error was not OpenSSL's own
    return reason.replace("_", " ").lower() if reason else "no reason given"
