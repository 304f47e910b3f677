"""The boundary to files that an operator wrote: configuration, map, keys, Roots, tokens.

Only a regular file of a sensible size is read, so that a pipe, a device or a wrong name neither hangs nor fills memory;
on request also a pipe that a process writes to, as a shell's ``<(command)`` is one. A byte order mark, which some editors write, is skipped in all of them alike.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from twinlock.io.files.durable import reason_of
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import OperatorFileError
from twinlock.trust.errors.usage import InvalidJsonFileError
from twinlock.trust.text.printable import printable

MAX_FILE_BYTES = 1_000_000
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SHOWN_CHARACTERS = 120
_SHOWN_LINES = 20


def read_operator_file(path: Path, what: str, max_bytes: int = MAX_FILE_BYTES, *, pipe: bool = False) -> bytes:
    """The bytes of ``path`` without a byte order mark. ``what`` is what it should hold, such as ``the map``.

    With ``pipe`` a pipe is read too, as long as a process has it open for writing.
    Raises: OperatorFileError if it is missing, unreadable, not a regular file, or longer than ``max_bytes``.
    """
    data = find_operator_file(path, what, max_bytes, pipe=pipe)
    if data is None:
        raise OperatorFileError(path=str(path), operation=f"read {what} from", reason="no such file or directory")
    return data


def find_operator_file(path: Path, what: str, max_bytes: int = MAX_FILE_BYTES, *, pipe: bool = False) -> bytes | None:
    """As ``read_operator_file``; None if the file does not exist."""
    operation = f"read {what} from"
    check_path(path, operation)
    try:
        # Without O_NONBLOCK opening a pipe waits for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            first = _first_of_pipe(file, path, operation) if pipe and stat.S_ISFIFO(status.st_mode) else None
            if first is None and not stat.S_ISREG(status.st_mode):
                raise OperatorFileError(path=str(path), operation=operation, reason="not a regular file")
            data = b"" if status.st_size > max_bytes else (first or b"") + file.read(max_bytes + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OperatorFileError(path=str(path), operation=operation, reason=reason_of(error)) from error
    if status.st_size > max_bytes or len(data) > max_bytes:
        reason = f"larger than {max_bytes} bytes; check that it is the right file"
        raise OperatorFileError(path=str(path), operation=operation, reason=reason)
    return data.removeprefix(BYTE_ORDER_MARK)


def _first_of_pipe(file: BinaryIO, path: Path, operation: str) -> bytes:
    """What a pipe holds already, once a process has it open for writing; reading the rest may wait for that process."""
    try:
        first = os.read(file.fileno(), 1)
    except BlockingIOError:
        first = None
    if first == b"":
        raise OperatorFileError(path=str(path), operation=operation, reason="no process is writing to this pipe")
    os.set_blocking(file.fileno(), True)
    return first or b""


def read_json_object(path: Path, what: str) -> dict[str, Any]:
    """The JSON object in ``path``. Raises: OperatorFileError; InvalidJsonFileError if it is not one, or names a member twice."""
    data = read_operator_file(path, what)
    try:
        value = json.loads(data.decode(), object_pairs_hook=_distinct)
    except _DoubledError as error:
        reason = f"names the member {error.args[0]!r} twice; remove one"
        raise InvalidJsonFileError(path=str(path), reason=reason) from None
    except (ValueError, RecursionError) as error:
        reason = f"is not JSON: {printable(str(error)[:_SHOWN_CHARACTERS])}"
        raise InvalidJsonFileError(path=str(path), reason=reason) from None
    if not isinstance(value, dict):
        raise InvalidJsonFileError(path=str(path), reason="must hold a JSON object")
    return value


def check_directory_of(file: Path, what: str) -> None:
    """Check that the directory exists into which ``what`` is to be written as ``file``. Raises: UsageError."""
    if not file.parent.is_dir():
        raise UsageError(reason=f"the directory {file.parent} for {what} does not exist")


def faults_of_lines(faults: Sequence[str]) -> str:
    """The faults of a list or manifest in one sentence: the first twenty, and the number of the others."""
    if len(faults) == 1:
        return faults[0]
    more = len(faults) - _SHOWN_LINES
    others = f"; and {more} more" if more > 0 else ""
    return f"{len(faults)} lines are wrong: {'; '.join(faults[:_SHOWN_LINES])}{others}"


def check_path(path: Path, operation: str) -> None:
    """Refuse a path that no system call accepts: with a U+0000, or half a character. Raises: OperatorFileError."""
    try:
        usable = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise OperatorFileError(path=str(path), operation=operation, reason="not a valid file name")


class _DoubledError(Exception):
    """A duplicate member: readers disagree which of the two counts."""


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        raise _DoubledError(next(name for name in names if names.count(name) > 1))
    return members
