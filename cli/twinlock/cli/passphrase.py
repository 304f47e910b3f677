"""Where a passphrase comes from: a file, the environment, or a hidden prompt. Never an argument, which `ps` shows.

Belongs here: reading a passphrase. Does not belong here: opening or writing keys.

Use in a command::

    @passphrase_option
    @output_options
    def publish(out: Output, directory: Path, *, passphrase_file: Path | None) -> None:
        key_passphrase(passphrase_file)      # to OPEN keys: a function, called only if one of them is encrypted
        read_passphrase(passphrase_file)     # to MAKE keys: the passphrase, or None for keys that are not encrypted
        read_passphrase(passphrase_file, prompt="New passphrase", confirm=True)    # the same, asking twice if it can
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

ENVIRONMENT = "TWINLOCK_PASSPHRASE"
MAX_PASSPHRASE_BYTES = 4096  # longer is a wrong file, such as a key or an image

_P = ParamSpec("_P")
_R = TypeVar("_R")


def passphrase_option(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Add ``--passphrase-file`` as the parameter ``passphrase_file``."""
    return click.option(
        "--passphrase-file",
        type=click.Path(dir_okay=False, path_type=Path),
        help=f"Read the passphrase of the keys from this file (otherwise from ${ENVIRONMENT}).",
    )(function)


def read_passphrase(file: Path | None, *, prompt: str = "", confirm: bool = False) -> str | None:
    """The passphrase: from ``file``, else from ``TWINLOCK_PASSPHRASE``, else asked for with ``prompt`` on a terminal.

    One trailing newline of the file does not count. None means that there is no passphrase.
    Raises: UsageError for an unreadable, empty or oversize file, or an empty variable.
    """
    if file is not None:
        return _from_file(file)
    value = os.environ.get(ENVIRONMENT)
    if value is not None:
        return _checked(value, f"${ENVIRONMENT}")
    if prompt and sys.stdin.isatty():
        answer: str = click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)
        return answer
    return None


def key_passphrase(file: Path | None, *, prompt: str = "Passphrase of the keys") -> Callable[[], str]:
    """A function that gives the passphrase, once it turns out that a key needs one; it asks a person only once.

    The function raises UsageError when there is neither a passphrase nor a terminal.
    """
    from twinlock.cli.errors import NoPassphraseError

    @functools.cache
    def passphrase() -> str:
        found = read_passphrase(file, prompt=prompt)
        if found is None:
            raise NoPassphraseError(reason="a key is encrypted, and no passphrase was given")
        return found

    return passphrase


def _from_file(file: Path) -> str:
    from twinlock.trust.errors.base import UsageError

    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_PASSPHRASE_BYTES + 1)
        if len(data) > MAX_PASSPHRASE_BYTES:
            raise UsageError(reason=f"{file} is longer than {MAX_PASSPHRASE_BYTES} bytes; that is no passphrase")
        text = data.decode()
    except OSError as error:
        raise UsageError(reason=f"cannot read the passphrase from {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(reason=f"{file} is not UTF-8 text; that is no passphrase") from None
    return _checked(text.removesuffix("\n").removesuffix("\r"), str(file))


def _checked(value: str, origin: str) -> str:
    from twinlock.trust.errors.base import UsageError

    if not value:
        raise UsageError(reason=f"the passphrase in {origin} is empty; leave it away to use keys without a passphrase")
    return value
