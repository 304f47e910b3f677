"""Options of every command that serves: how many connections it accepts, and whether it logs requests."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

_R = TypeVar("_R")


def serving_options(function: Callable[..., _R]) -> Callable[..., _R]:
    """Add ``--max-connections``, ``--max-connections-per-address`` and ``--log-requests``.

    The command gets the first two as the parameter ``bounds``; the log is set up before it runs.
    """

    @click.option(
        "--max-connections", type=click.IntRange(1), default=1000, show_default=True, help="Most connections in all."
    )
    @click.option(
        "--max-connections-per-address",
        type=click.IntRange(1),
        default=100,
        show_default=True,
        help="Most connections from one address; raise it to --max-connections behind a reverse proxy.",
    )
    @click.option("--log-requests/--no-log-requests", default=True, help="Write a JSON line per request to stderr.")
    @functools.wraps(function)
    def run(
        *args: Any, max_connections: int, max_connections_per_address: int, log_requests: bool, **options: Any
    ) -> _R:
        from twinlock.io.http.bounds import Bounds

        handler = logging.StreamHandler()
        handler.setFormatter(_PrintableFormatter("%(message)s"))
        logging.basicConfig(level=logging.INFO if log_requests else logging.WARNING, handlers=[handler])
        bounds = Bounds(connections=max_connections, connections_per_address=max_connections_per_address)
        return function(*args, bounds=bounds, **options)

    return run


class _PrintableFormatter(logging.Formatter):
    """Writes a message as one printable line: it may name what a request named."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        from twinlock.trust.text.printable import printable

        return printable(super().formatMessage(record))


def check_plain(host: str, *, plain: bool) -> None:
    """Refuse to serve the plain API where other machines reach it, unless asked to. Raises: UnprotectedServingError."""
    from twinlock.cli.shared.errors import UnprotectedServingError

    if not plain and not _is_loopback(host):
        reason = f"the Director's API does not support certificates yet, so anyone who reaches {host} can read every vehicle's orders"
        raise UnprotectedServingError(reason=reason, option="--plain")


def _is_loopback(host: str) -> bool:
    import ipaddress

    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def warn_of_plain_api(url: str) -> None:
    """Warn in the log that anyone who reaches ``url`` can read the orders of any vehicle."""
    logging.getLogger("twinlock.director").warning(
        "%s is served without TLS and without certificates: anyone who reaches it can read the orders of every vehicle",
        url,
    )
