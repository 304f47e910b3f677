"""Errors that only the command line has. What the parts raise is in ``twinlock.trust.errors``."""

from __future__ import annotations

from twinlock.trust.errors.base import TwinlockError, UsageError


class MissingExtraError(UsageError):
    """A command for servers, run where only the packages for vehicles are installed."""

    hint = "install twinlock[server]"


class ConfirmationError(UsageError):
    """The command cannot be undone, and there is no terminal to confirm it on."""

    hint = "add --yes to confirm"


class NoPassphraseError(UsageError):
    """A key is encrypted, and there is neither a passphrase nor a terminal to type it on."""

    hint = "set TWINLOCK_PASSPHRASE or use --passphrase-file"


class NewKeysPassphraseError(NoPassphraseError):
    """New keys need a passphrase, and there is neither one nor a terminal to type it on."""

    hint = "set TWINLOCK_PASSPHRASE or use --passphrase-file; --plain-keys makes keys that are not encrypted"


class NoNewPassphraseError(UsageError):
    """A new passphrase is required, and there is no terminal to type it on."""

    hint = "give it in a file with --new-passphrase-file"


class DeclinedError(TwinlockError):
    """The answer to the question was no."""

    code = "declined"
    by_rule = True
    template = "nothing was changed: you chose not to {what}"
    what: str


class SystemFaultError(TwinlockError):
    """The operating system refused something other than a file: a port in use, a full disk behind stdout."""

    code = "system"
    template = "the operating system refused: {reason}"
    reason: str


class BrokenOutputError(SystemFaultError):
    """Standard output cannot be written; the command has finished its work."""

    code = "broken-output"
    template = "cannot write the result to standard output: {reason}"


class InternalError(TwinlockError):
    """A bug in Twinlock: an unexpected exception."""

    code = "internal"
    template = "unexpected {exception}: {reason}"
    hint = "this is a bug in twinlock; run the command again with --debug and report what it prints"
    exception: str
    reason: str


class CommandLineError(UsageError):
    """Arguments that a command does not understand. ``command`` is the one whose help explains them."""

    template = "{reason} (see `{command} --help`)"
    command: str
