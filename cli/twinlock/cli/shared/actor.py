"""The option ``--actor``: the name under which the audit records what a command did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

OPERATOR = "operator"
MAX_CHARACTERS = 128
_META = "twinlock.actor"


def actor_option(help_text: str, *, required: bool = False) -> Callable[[Any], Any]:
    """``--actor NAME``. The command gets no parameter: what it opens asks ``actor``."""
    return click.option(
        "--actor",
        metavar="NAME",
        required=required,
        default=None if required else OPERATOR,
        show_default=not required,
        expose_value=False,
        callback=_note,
        help=help_text,
    )


def actor() -> str:
    """The actor of the command that runs."""
    context = click.get_current_context(silent=True)
    return OPERATOR if context is None else str(context.meta.get(_META, OPERATOR))


def _note(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    if value is None:
        raise click.MissingParameter(ctx=context, param=parameter)
    if not 0 < len(value) <= MAX_CHARACTERS or not value.isprintable() or value != value.strip():
        raise click.BadParameter(f"a name has 1 to {MAX_CHARACTERS} printable characters, and no space at either end")
    context.meta[_META] = value
    return value


ACTOR = actor_option("Who does it, for the audit.")
