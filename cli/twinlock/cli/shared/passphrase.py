"""Where a passphrase comes from: a file, the environment, or a hidden prompt. Never an argument, which `ps` shows.

Online keys may have a passphrase of their own: ``TWINLOCK_ONLINE_PASSPHRASE``, or a file that
``TWINLOCK_ONLINE_PASSPHRASE_FILE`` names. Use in a command::

    @passphrase_option
    @output_options
    def publish(out: Output, directory: Path, *, passphrase_file: Path | None) -> None:
        passphrase_for(passphrase_file)                      # to open keys; asks only if one of them is encrypted
        new_passphrase(passphrase_file, plain=plain_keys)    # to make the first keys: encrypted unless asked otherwise
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from twinlock.cli.shared.own_input import read_own_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twinlock.repository.keys.private_keys import Passphrase, Secret

ENVIRONMENT = "TWINLOCK_PASSPHRASE"
ONLINE = "TWINLOCK_ONLINE_PASSPHRASE"
ONLINE_FILE = "TWINLOCK_ONLINE_PASSPHRASE_FILE"
MAX_PASSPHRASE_BYTES = 4096  # longer is a wrong file, such as a key or an image

_P = ParamSpec("_P")
_R = TypeVar("_R")


def passphrase_option(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Add ``--passphrase-file`` as the parameter ``passphrase_file``."""
    return click.option(
        "--passphrase-file",
        type=click.Path(dir_okay=False, path_type=Path),
        help=f"Read the passphrase of the keys from this file (default: from ${ENVIRONMENT}).",
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


def old_keys_option(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Add ``--keys-passphrase-file`` to a command that takes over the keys of ``--keys``, as the parameter ``keys_file``."""
    return click.option(
        "--keys-passphrase-file",
        "keys_file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Read the passphrase of --keys from this file (default: the same as for the keys here).",
    )(function)


def change_options(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Add where a new passphrase comes from, as the parameters ``new_file`` and ``without``."""
    function = click.option("--none", "without", is_flag=True, help="Write the keys without encryption.")(function)
    return click.option(
        "--new-passphrase-file",
        "new_file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Read the new passphrase from this file (default: ask for it).",
    )(function)


def new_secret(file: Path | None) -> str:
    """A new passphrase from ``file``, or asked for twice. Raises: UsageError, NoNewPassphraseError without a terminal."""
    from twinlock.cli.shared.errors import NoNewPassphraseError

    if file is not None:
        return _from_file(file)
    if not sys.stdin.isatty():
        raise NoNewPassphraseError(reason="no new passphrase was given, and there is no terminal to ask for one")
    answer: str = click.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True)
    return answer


def opened_secrets(file: Path | None) -> Mapping[str, Secret]:
    """The passphrases that open the existing keys, for ``offline`` and ``online`` ones."""
    from twinlock.repository.keys.passphrases import offline_secret, online_secret

    passphrase = passphrase_for(file)
    return {"offline": offline_secret(passphrase), "online": online_secret(passphrase)}


def passphrase_for(file: Path | None) -> Passphrase:
    """The passphrase for opening keys, and for new ones: as given, or else asked for when a key turns out to need it."""
    given = read_passphrase(file)
    return _with_online(key_passphrase(file) if given is None else given)


def plain_keys_option(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Add ``--plain-keys`` to a command that makes the first keys, as the parameter ``plain_keys``."""
    return click.option(
        "--plain-keys",
        is_flag=True,
        help="Keep the keys without a passphrase: anyone who reads the files has the keys.",
    )(function)


def new_passphrase(file: Path | None, *, plain: bool) -> Passphrase:
    """The passphrase for the first keys: as given, or asked for twice on a terminal; None with ``plain``.

    Raises: NewKeysPassphraseError with neither a passphrase nor a terminal; UsageError for ``plain`` with a passphrase.
    """
    from twinlock.cli.shared.errors import NewKeysPassphraseError
    from twinlock.trust.errors.base import UsageError

    if plain:
        given = ["--passphrase-file"] if file is not None else []
        given += [f"${name}" for name in (ENVIRONMENT, ONLINE, ONLINE_FILE) if name in os.environ]
        if given:
            raise UsageError(
                reason=f"--plain-keys cannot be combined with the passphrase from {', '.join(given)}; choose one"
            )
        return None
    secret = read_passphrase(file, prompt="Passphrase for the new keys", confirm=True)
    if secret is None:
        reason = "new keys are encrypted: no passphrase was given, and stdin is not a terminal to ask for one; nothing was made"
        raise NewKeysPassphraseError(reason=reason)
    return _with_online(secret)


def old_keys_passphrase(file: Path | None, own: Passphrase) -> Secret:
    """The passphrase of keys that are taken over: from ``file``, else the one given for our keys, else asked for if need be.

    ``own`` is the passphrase of our keys, as it was read: a pipe that it came from cannot be read twice.
    """
    from twinlock.cli.shared.errors import NoOldPassphraseError
    from twinlock.repository.keys.passphrases import offline_secret

    if file is not None:
        return _from_file(file)
    given = offline_secret(own)
    if given is not None and not callable(given):
        return given

    @functools.cache
    def passphrase() -> str:
        if not sys.stdin.isatty():
            raise NoOldPassphraseError(reason="a key in --keys is encrypted, and no passphrase was given for it")
        answer: str = click.prompt("Passphrase of the old keys", hide_input=True, err=True)
        return answer

    return passphrase


def _with_online(secret: Secret) -> Passphrase:
    """``secret``, with another one for online keys if the environment gives one. Raises: UsageError."""
    from twinlock.cli.shared.errors import PassphraseSourceError
    from twinlock.repository.keys.private_keys import SeparatePassphrases

    value, file = os.environ.get(ONLINE), os.environ.get(ONLINE_FILE)
    if value is None and file is None:
        return secret
    if value is None and not file:
        raise PassphraseSourceError(
            origin=f"${ONLINE_FILE}", reason="the variable is empty; set it to a file, or unset it"
        )
    online = _from_file(Path(file)) if value is None and file is not None else _checked(value or "", f"${ONLINE}")
    return SeparatePassphrases(offline=secret, online=online)


def key_passphrase(file: Path | None, *, prompt: str = "Passphrase of the keys") -> Callable[[], str]:
    """A function that gives the passphrase, once it turns out that a key needs one; it asks a person only once.

    The function raises UsageError when there is neither a passphrase nor a terminal.
    """
    from twinlock.cli.shared.errors import NoPassphraseError

    @functools.cache
    def passphrase() -> str:
        passphrase = read_passphrase(file, prompt=prompt)
        if passphrase is None:
            raise NoPassphraseError(reason="a key is encrypted, and no passphrase was given")
        return passphrase

    return passphrase


def _from_file(file: Path) -> str:
    from twinlock.cli.shared.errors import PassphraseSourceError

    try:
        text = read_own_file(file, "the passphrase", max_bytes=MAX_PASSPHRASE_BYTES).decode()
    except UnicodeDecodeError:
        raise PassphraseSourceError(origin=str(file), reason="the file is not UTF-8 text") from None
    return _checked(text.removesuffix("\n").removesuffix("\r"), str(file))


def _checked(value: str, origin: str) -> str:
    from twinlock.cli.shared.errors import PassphraseSourceError

    if not value:
        raise PassphraseSourceError(origin=origin, reason="the value is empty")
    return value
