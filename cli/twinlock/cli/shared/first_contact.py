"""The option ``--offline`` of every ``init`` that checks its input with other servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from twinlock.cli.shared.output import Output


def offline_option(servers: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add ``--offline``: ``servers`` are not asked."""
    return click.option("--offline", is_flag=True, help=f"Do not check Roots and URLs with {servers}.")


def ask_unless(out: Output, ask: Callable[[], tuple[str, ...]], *, offline: bool) -> tuple[str, ...]:
    """The warnings of ``ask``, shown; none if ``offline``. Raises: as ``ask``, and then names the option."""
    from twinlock.trust.errors.local import TransportError

    try:
        warnings = () if offline else ask()
    except TransportError:
        out.note("note: nothing was made; --offline skips this check")
        raise
    for warning in warnings:
        out.note(f"warning: {warning}")
    return warnings
