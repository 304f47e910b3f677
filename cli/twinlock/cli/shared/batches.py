"""Input and output of commands that work on many vehicles at once: files, folders, JSON lines, standard input, lists.

A batch is stored as a whole or not at all, unless --skip-refused is given; every item has a result.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinlock.cli.shared.counts import some_of
from twinlock.cli.shared.exit_status import EXIT_CONFLICT, EXIT_REFUSED
from twinlock.cli.shared.foreign import foreign
from twinlock.cli.shared.output import Output, table
from twinlock.cli.shared.own_input import STANDARD_INPUT, read_own_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from twinlock.cli.shared.errors import InputError
    from twinlock.director.operator.batch import BatchResult

LIST = click.Path(path_type=Path, dir_okay=False, allow_dash=True)
_SUFFIXES = (".json", ".jsonl", ".ndjson")
_MAX_BYTES = 1 << 30  # of one input; the items in it have bounds of their own
_SHOWN = 20

skip_refused_option = click.option(
    "--skip-refused", is_flag=True, help="Store the other items even if some are refused (default: all or none)."
)


def read_documents(sources: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Every JSON document in files, in folders of them, and in JSON lines, with where it is. Raises: InputError."""
    for source in sources:
        for file in _files(source):
            yield from _documents(str(file), read_input(file))


def read_lines(source: Path) -> Iterator[tuple[str, str]]:
    """The lines of a list with where each is, without blank ones and comments (#). Raises: InputError, naming every wrong line."""
    from twinlock.cli.shared.errors import InputError
    from twinlock.io.files.operator_files import faults_of_lines

    lines = list(read_each_line(source))
    wrong = [line for _, line in lines if isinstance(line, InputError)]
    if len(wrong) > 1:
        raise InputError(source=str(source), reason=faults_of_lines([str(error) for error in wrong]))
    for name, line in lines:
        if isinstance(line, InputError):
            raise line
        yield name, line


def read_each_line(source: Path) -> Iterator[tuple[str, str | InputError]]:
    """As ``read_lines``, with an InputError in the place of a line that is not text, so that the others are still read."""
    from twinlock.cli.shared.errors import InputError

    for number, line in enumerate(read_input(source).split(b"\n"), 1):
        name = f"{source}:{number}"
        try:
            text = line.decode().strip()
        except UnicodeDecodeError as error:
            yield (
                name,
                InputError(source=name, reason=f"not UTF-8 text: {error.reason} at byte {error.start} of the line"),
            )
            continue
        if text and not text.startswith("#"):
            yield name, text


def read_input(source: Path) -> bytes:
    """The bytes of a file, or of standard input for ``-``, without a byte order mark. Raises: OperatorFileError."""
    return read_own_file(source, "the items", max_bytes=_MAX_BYTES)


def show_batch(out: Output, result: BatchResult, verb: str) -> None:
    """Show a batch and end the command: status 0 if everything was accepted, else 1 (3: only conflicts). Raises: SystemExit."""
    out.result(result.as_json(), _lines(result, verb))
    if result.refused:
        conflicts = all(item.error is not None and item.error.code == "conflict" for item in result.refused)
        raise SystemExit(EXIT_CONFLICT if conflicts else EXIT_REFUSED)


def _files(source: Path) -> list[Path]:
    from twinlock.cli.shared.errors import InputError

    if str(source) == STANDARD_INPUT or not source.is_dir():
        return [source]
    files = sorted(file for file in source.iterdir() if file.suffix in _SUFFIXES and file.is_file())
    if not files:
        raise InputError(
            source=str(source), reason=f"the directory has no file whose name ends in {', '.join(_SUFFIXES)}"
        )
    return files


def _documents(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """One document, or one for each line where the first line is a whole object by itself."""
    lines = [(number, line) for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    if len(lines) < 2 or not _is_object(lines[0][1]):
        yield name, data
        return
    for number, line in lines:
        yield f"{name}:{number}", line


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _lines(result: BatchResult, verb: str) -> Iterator[str]:
    counts = ", ".join(f"{number} {outcome}" for outcome, number in result.counts.items())
    if result.refused:
        rows = [(item.source, item.vehicle or "-", foreign(str(item.error))) for item in result.refused[:_SHOWN]]
        yield from table(("REFUSED", "VEHICLE", "REASON"), rows)
        if len(result.refused) > _SHOWN:
            yield f"and {len(result.refused) - _SHOWN} more; --json lists all of them"
    refused = f"{some_of(len(result.refused), len(result.items), 'item')} refused"
    if len(result.refused) == len(result.items):
        yield f"nothing was stored: {refused}"
    elif result.stored:
        yield f"{verb}: {counts}"
    else:
        yield f"nothing was stored, because {refused}; correct them, or store the others with --skip-refused"
