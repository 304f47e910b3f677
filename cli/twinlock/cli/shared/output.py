"""What a command shows: results, events, progress and errors, for people or with ``--json`` for programs.

Every byte that a command writes to stdout or stderr passes through here. A string is one line, in which whatever is not
printable is escaped; give several lines as several strings, and ``Verbatim`` what has to come out as it is. Every command module looks like this one;
nothing else needs to be known to write one::

    \"\"\"``twinlock image``: the Image repository, from the shell.\"\"\"

    import click
    from twinlock.cli.shared.output import Output, output_options, yes_option     # only click and twinlock.cli up here

    @click.group()
    def image() -> None:
        \"\"\"Create, fill, publish and serve an Image repository.\"\"\"

    @image.command()
    @click.argument("directory", type=click.Path(path_type=Path))
    @click.argument("name")
    @yes_option                     # only if the command destroys something: adds --yes
    @output_options                 # on EVERY command, nearest to the function: adds --json and --debug, passes ``out``
    def remove(out: Output, directory: Path, name: str, *, yes: bool) -> None:
        \"\"\"Remove an image from the next publication.

        \\b
        Example:
          twinlock image remove ./image firmware/brake.bin
        \"\"\"
        from twinlock.repository.authoring import open_repository          # parts of ours: inside the function only

        out.confirm(f"remove {name} from {directory}", yes=yes)            # asks, unless --yes
        with out.progress(total_bytes, "hashing") as advance:              # silent off a terminal and with --json
            advance(65536)
        out.note("this goes to stderr, and only for people")
        out.result({"removed": name}, f"removed {name}; run `twinlock image publish`")   # exactly once, at the end

Commands that keep running (``serve``, ``run``) call ``out.event({"event": "listening", "url": url}, text)`` for each
thing that happens: one line of text (or lines), or one JSON object on one line, flushed at once.

Errors are raised, never printed: any ``TwinlockError`` becomes ``error[code]: sentence`` and ``hint: ...`` on stderr, or
``{"error": ...}`` on stdout, and an exit status (``twinlock.cli.shared.exit_status``). The form of JSON is that of
``twinlock.cli.shared.json_form``; ``docs/schemas`` holds a schema for each command. Passphrases come through
``twinlock.cli.shared.passphrase``, never through arguments.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import traceback
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import click

from twinlock.cli.shared.exit_status import EXIT_READER_GONE, exit_status
from twinlock.cli.shared.foreign import foreign
from twinlock.cli.shared.json_form import json_text
from twinlock.cli.shared.own_input import OwnInputError, own_expiry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from twinlock.trust.errors.base import TwinlockError

# Top-level modules that only `twinlock[server]` installs.
SERVER_MODULES = frozenset({"tuf", "sqlalchemy", "resolvelib", "packaging", "msgspec"})

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Verbatim(str):
    """Text that others read as it is, such as a signed file or a script: it is written without a change."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where one command writes. ``json`` is the user's choice of form; commands never look at it themselves."""

    json: bool = False
    debug: bool = False

    def result(self, value: object, text: str | Iterable[str] = "") -> None:
        """Show what the command found or did: ``value`` as one JSON document, or ``text`` (a line, lines, or ``Verbatim``).

        ``value`` is a mapping or a dataclass (``twinlock.cli.shared.json_form``).
        """
        _write((Verbatim(json_text(value)),) if self.json else _lines(text))

    def event(self, value: Mapping[str, Any], text: str | Iterable[str]) -> None:
        """Show one thing that happened in a command that keeps running: one JSON line, or a line (or lines) of text."""
        _write((Verbatim(json_text(value, indent=None)),) if self.json else _lines(text))

    def note(self, text: str) -> None:
        """Show a person a note on stderr. Programs (``--json``) do not get it."""
        if not self.json:
            _write_error(text)

    def confirm(self, what: str, *, yes: bool, undo: str = "It cannot be undone.") -> None:
        """Ask before something that destroys, unless ``yes``; ``undo`` is a sentence on how to undo it.

        Raises: ConfirmationError without a terminal to ask at, DeclinedError when the answer is no.
        """
        confirm_destructive(what, yes=yes, interactive=not self.json, undo=undo)

    @contextlib.contextmanager
    def progress(self, total: int | None, label: str) -> Iterator[Callable[[int], None]]:
        """A progress bar of ``total`` steps on stderr, or where that is None the bytes so far; yields what advances it.

        It shows nothing with ``--json`` or when stderr is not a terminal.
        """
        if self.json or not sys.stderr.isatty():
            yield lambda _steps: None
            return
        if total is None:
            yield from _counting(_shown(label))
            return
        with click.progressbar(length=total, label=_shown(label), file=sys.stderr) as bar:
            yield bar.update

    def error(self, error: TwinlockError) -> None:
        """Show ``error``: its JSON on stdout, or ``error[code]: sentence`` and what helps on stderr."""
        from twinlock.cli.shared.errors import BrokenOutputError

        if self.json and not isinstance(error, BrokenOutputError):
            _write((Verbatim(json_text({"error": error})),))
            return
        for line in error_lines(error):
            _write_error(line)

    def refused_input(self, refused: OwnInputError) -> None:
        """Show a fault of the user's own input, which is never called an attack."""
        if self.json:
            _write((Verbatim(json_text({"error": refused.as_json()})),))
            return
        _write_error(f"error[{refused.refusal.code}]: {refused}")
        if refused.hint:
            _write_error(f"hint: {refused.hint}")


def _counting(label: str) -> Iterator[Callable[[int], None]]:
    """A line that shows how many bytes there are so far, written again at most four times a second."""
    total, shown = 0, 0.0

    def advance(count: int) -> None:
        nonlocal total, shown
        total += count
        if (now := monotonic()) - shown >= 0.25:
            shown = now
            click.echo(f"\r{label}: {total / 1_000_000:.1f} MB", nl=False, err=True)

    try:
        yield advance
    finally:
        if shown:
            click.echo(f"\r{label}: {total / 1_000_000:.1f} MB", err=True)


def error_lines(error: TwinlockError) -> Iterator[str]:
    """``error`` as a person reads it: code and sentence, then the attack and clause if it names one, then the hint."""
    yield f"error[{error.code}]: {error}"
    described = error.as_json()
    attack, clause = described.get("attack", "none"), described.get("clause")
    if attack != "none":
        yield f"attack: {attack}" + (f" (refused by {clause})" if clause else "")
    if error.hint:
        yield f"hint: {error.hint}"


def _lines(text: str | Iterable[str]) -> Iterable[str]:
    return (text,) if isinstance(text, str) else text


def _shown(line: str) -> str:
    """``line`` as a terminal may have it. Names of vehicles, images and files are other people's text, wherever they come."""
    from twinlock.trust.text.printable import printable

    return line if isinstance(line, Verbatim) else printable(line)


def _write_error(line: str) -> None:
    click.echo(_shown(line), err=True)


def _write(lines: Iterable[str]) -> None:
    """Write lines to stdout at once, each with what is not printable escaped.

    Raises: SystemExit, quietly, if the reader (such as ``head``) has gone; BrokenOutputError if it takes nothing more.
    """
    from twinlock.cli.shared.errors import BrokenOutputError

    if sys.stdout is None:  # it was closed before the command began
        raise BrokenOutputError(reason="standard output is closed")
    try:
        for line in lines:
            click.echo(_shown(line))
        sys.stdout.flush()
    except BrokenPipeError:
        leave_reader()
    except OSError as error:
        discard_output()
        raise BrokenOutputError(reason=error.strerror or str(error)) from None


def leave_reader() -> NoReturn:
    """End because the reader of stdout has gone; what is still buffered is lost. Raises: SystemExit."""
    discard_output()
    raise SystemExit(EXIT_READER_GONE)


def discard_output() -> None:
    """Let what is still buffered for stdout go nowhere, so that the end of the process does not fail on it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a plain table with aligned columns, for ``Output.result``."""
    cells = [[foreign(str(cell)) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


@contextlib.contextmanager
def command_errors(out: Output) -> Iterator[None]:
    """Turn what is raised inside into an error message and an exit status.

    Click's own exceptions pass: the command group renders those. Raises: SystemExit.
    """
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as raised:  # noqa: BLE001 - whatever it is, a person gets one sentence
        if out.debug:
            _write_traceback()
        context = click.get_current_context(silent=True)
        refused = (
            raised if isinstance(raised, OwnInputError) else own_expiry(raised, context.command_path if context else "")
        )
        if refused is not None:
            out.refused_input(refused)
            raise SystemExit(refused.exit_status) from None
        error = as_twinlock_error(raised)
        out.error(error)
        raise SystemExit(exit_status(error)) from None


def _write_traceback() -> None:
    for line in traceback.format_exc().splitlines():
        _write_error(line)


def as_twinlock_error(raised: Exception) -> TwinlockError:
    """``raised`` as an error of ours: itself, a missing extra, what the system refused, or a bug in Twinlock."""
    from twinlock.cli.shared.errors import InternalError, MissingExtraError, SystemFaultError
    from twinlock.trust.errors.base import TwinlockError
    from twinlock.trust.errors.local import StorageError

    if isinstance(raised, TwinlockError):
        return raised
    if isinstance(raised, ModuleNotFoundError) and (raised.name or "").partition(".")[0] in SERVER_MODULES:
        return MissingExtraError(reason=f"this command requires {raised.name}, which only servers install")
    if isinstance(raised, OSError):
        reason = raised.strerror or str(raised)
        if raised.filename is None:
            return SystemFaultError(reason=reason)
        return StorageError(path=str(raised.filename), operation="use", reason=reason)
    return InternalError(exception=type(raised).__name__, reason=str(raised))


def output_options(function: Callable[..., _R]) -> Callable[..., _R]:
    """Add ``--json`` and ``--debug`` to a command, hand it an ``Output`` first, and render what it raises."""

    @click.option("--json", "as_json", is_flag=True, help="Write one JSON document to stdout instead of text.")
    @click.option("--debug", is_flag=True, envvar="TWINLOCK_DEBUG", help="Show the traceback of an error.")
    @functools.wraps(function)
    def run(*args: Any, as_json: bool, debug: bool, **options: Any) -> _R:
        out = Output(json=as_json, debug=debug)
        with command_errors(out):
            return function(out, *args, **options)
        raise AssertionError("command_errors re-raises")  # for the type checker; never reached

    return run


def yes_option(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Add ``--yes``, which ``Output.confirm`` takes as the answer."""
    return click.option("--yes", is_flag=True, help="Do not ask for confirmation.")(function)


def confirm_destructive(what: str, *, yes: bool, interactive: bool = True, undo: str = "It cannot be undone.") -> None:
    """Ask whether to do ``what``, unless ``yes``.

    Raises: ConfirmationError without a terminal to ask at, DeclinedError when the answer is no.
    """
    from twinlock.cli.shared.errors import ConfirmationError, DeclinedError

    if yes:
        return
    if not interactive:
        raise ConfirmationError(reason=f"not confirmed: this will {what}. {undo}")
    try:
        agreed = click.confirm(_shown(f"This will {what}. {undo} Continue?"), err=True)
    except click.Abort as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise
        raise ConfirmationError(reason=f"not confirmed: this will {what}. {undo}") from None
    if not agreed:
        raise DeclinedError(what=what)
