"""The option ``--offline`` of every ``init`` that asks other servers whether what it was given fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from twinlock.cli.shared.output import Output


def offline_option(servers: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add ``--offline``: ``servers`` are not asked."""
    return click.option("--offline", is_flag=True, help=f"Do not ask {servers} whether the Root and the URL fit.")


def ask_unless(out: Output, ask: Callable[[], tuple[str, ...]], *, offline: bool) -> tuple[str, ...]:
    """The warnings of ``ask``, shown; none if ``offline``. Raises: as ``ask``, and then names the option."""
    from twinlock.trust.errors.local import TransportError

    try:
        warnings = () if offline else ask()
    except TransportError:
        out.note("note: nothing was made; with --offline no server is asked")
        raise
    for warning in warnings:
        out.note(f"warning: {warning}")
    return warnings
