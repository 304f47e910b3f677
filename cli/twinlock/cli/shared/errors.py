"""Errors that only the command line has. What the parts raise is in ``twinlock.trust.errors``."""

from __future__ import annotations

from twinlock.trust.errors.base import TwinlockError, UsageError


class MissingExtraError(UsageError):
    """A command for servers, run where only the packages for vehicles are installed."""

    hint = "install twinlock[server]"


class ConfirmationError(UsageError):
    """The command cannot be undone, and no terminal is available to confirm it."""

    hint = "add --yes to confirm"


class NoPassphraseError(UsageError):
    """A key is encrypted, and there is neither a passphrase nor a terminal to type it on."""

    hint = "set TWINLOCK_PASSPHRASE or use --passphrase-file"


class NoOldPassphraseError(NoPassphraseError):
    """A key of a repository that is taken over is encrypted, and there is neither a passphrase for it nor a terminal."""

    hint = "use --keys-passphrase-file"


class NewKeysPassphraseError(NoPassphraseError):
    """New keys need a passphrase, and there is neither one nor a terminal to type it on."""

    hint = "set TWINLOCK_PASSPHRASE or use --passphrase-file; --plain-keys makes keys that are not encrypted"


class NoNewPassphraseError(UsageError):
    """A new passphrase is required, and no terminal is available to enter it."""

    hint = "put the new passphrase in a file and use --new-passphrase-file"


class InputError(UsageError):
    """Input of a command, such as a list or a manifest, that is not text or has nothing to read."""

    code = "input"
    template = "{source}: {reason}"
    source: str


class OutputFileError(UsageError):
    """A file that a command was to write, and that holds something else."""

    code = "output-file"
    template = "{path} holds something else already; nothing was written"
    hint = "choose another file, or add --overwrite"
    path: str


class PassphraseSourceError(UsageError):
    """A file or a variable that does not hold a passphrase. ``origin`` names it."""

    code = "passphrase-source"
    template = "no passphrase in {origin}: {reason}"
    origin: str


class NoTokenError(UsageError):
    """An enrolment without a token."""

    code = "no-enrolment-token"
    template = "no enrolment token was given"
    hint = "set TWINLOCK_ENROLMENT_TOKEN or use --token-file; `twinlock director token` makes one"


class NotProvisionedError(UsageError):
    """A directory without the configuration of an ECU. ``files`` are those that a command for it needs, any one of them."""

    code = "not-provisioned"
    template = "{directory} has no {files}"
    hint = "provision an ECU with `twinlock primary init` or `twinlock secondary init`"
    directory: str
    files: str


class AmbiguousIdError(UsageError):
    """A shortened id that does not name exactly one thing. ``matches`` is how many it names, ``among`` of what."""

    code = "ambiguous-id"
    template = "{given} matches {matches} {among}"
    hint = "use a listed id, with enough digits to be unique"
    given: str
    matches: int
    among: str

    def __str__(self) -> str:
        return f"{self.given} matches {self.matches or 'no'} {self.among}"


class UnprotectedServingError(UsageError):
    """A server that would not authenticate its clients, and no option that accepts that. ``option`` is the one."""

    code = "unprotected-serving"
    template = "{reason}; add {option} to serve it on a network that you trust"
    option: str


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
