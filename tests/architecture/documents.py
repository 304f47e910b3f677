"""Runs the code blocks of a Markdown file, so that no document shows what does not work.

Blocks of ``console``, ``bash`` and ``python`` are run, each file in its own empty directory, from top to bottom in one
shell. In a ``console`` block the lines after ``$ `` (continued by ``> ``) are commands; the lines below a command must
appear in its output in that order, with ``...`` for any text. A ``text`` block right below a ``python`` block is that
block's output. A command must succeed, unless an ``error[`` is shown.
``<!-- no-run: reason -->`` on the line above a block leaves it out; ``<!-- setup: command -->`` runs unseen.

Belongs here: finding and running blocks. Does not belong here: which documents there are.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNNABLE = frozenset({"console", "bash", "sh", "shell", "python"})
TIMEOUT_S = 240
_FENCE = re.compile(r"^(?P<mark>`{3,}|~{3,})(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=mark)[ ]*$", re.M | re.S)
_COMMENT = re.compile(r"<!--\s*(?P<kind>no-run|setup):\s*(?P<text>.*?)\s*-->", re.S)
_END = "\x1e"  # a control character that no command prints, written between their outputs


@dataclass(frozen=True)
class Command:
    """One thing to run. ``expected`` is what the document shows below it; ``line`` is where it stands."""

    line: int
    script: str
    expected: tuple[str, ...] = ()

    @property
    def fails(self) -> bool:
        """Whether the document shows it failing."""
        return any("error[" in line for line in self.expected)


def commands(text: str) -> list[Command]:
    """Every command of a document, in order."""
    found: list[Command] = []
    end, above = 0, ""
    for block in _FENCE.finditer(text):
        before, line = text[end : block.start()], _line(text, block.start()) + 1
        comments = list(_COMMENT.finditer(before))
        setups = [comment for comment in comments if comment["kind"] == "setup"]
        found.extend(Command(_line(text, end + comment.start()), comment["text"]) for comment in setups)
        skipped = comments and comments[-1]["kind"] == "no-run" and not before[comments[-1].end() :].strip()
        language = "" if skipped else block["language"]
        if language in RUNNABLE:
            found.extend(_block(language, block["body"], line))
        elif language == "text" and above == "python" and not before.strip():
            found[-1] = replace(found[-1], expected=tuple(block["body"].splitlines()))
        end, above = block.end(), language
    return found


def _block(language: str, body: str, line: int) -> Iterator[Command]:
    if language == "console":
        yield from _session(body, line)
    elif language == "python":
        yield Command(line, f"{sys.executable} - <<'END_OF_BLOCK'\n{body}END_OF_BLOCK")
    else:
        yield Command(line, body)


def _session(body: str, first: int) -> Iterator[Command]:
    script: list[str] = []
    shown: list[str] = []
    start = first
    for number, line in enumerate(body.splitlines(), first):
        if line.startswith("$ "):
            if script:
                yield Command(start, "\n".join(script), tuple(shown))
            script, shown, start = [line[2:]], [], number
        elif line.startswith("> ") and script and not shown:
            script.append(line[2:])
        elif line.strip():
            shown.append(line)
    if script:
        yield Command(start, "\n".join(script), tuple(shown))


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def run(found: list[Command], directory: Path) -> list[str]:
    """Run the commands in ``directory`` in one shell and return what is wrong, as ``line N: ...``."""
    script = "\n".join(f"{{ {command.script}\n}} 2>&1\nprintf '{_END}%s{_END}' $?" for command in found)
    output = _shell(script, directory)
    parts = output.split(_END)
    wrong: list[str] = []
    for number, command in enumerate(found):
        if 2 * number + 1 >= len(parts):
            return [*wrong, f"line {command.line}: did not finish: {command.script}\n{parts[-1]}"]
        wrong.extend(_judge(command, parts[2 * number], int(parts[2 * number + 1])))
    return wrong


def _judge(command: Command, output: str, status: int) -> Iterator[str]:
    if (status != 0) != command.fails:
        yield f"line {command.line}: exit status {status}: {command.script}\n{output}"
    rest = output
    for line in command.expected:
        pattern = ".*?".join(re.escape(piece.strip()) for piece in line.split("..."))
        match = re.search(pattern, rest)
        if match is None:
            yield f"line {command.line}: the output lacks {line!r}: {command.script}\n{output}"
            return
        rest = rest[match.end() :]


def _shell(script: str, directory: Path) -> str:
    """The output of ``script``. Whatever it leaves running in the background is ended with it."""
    log = directory.parent / f"{directory.name}.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TWINLOCK_", "PYTEST_"))}
    environment |= {"HOME": str(directory), "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}"}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
        with contextlib.suppress(subprocess.TimeoutExpired):  # the output that is there shows which command it was
            process.wait(TIMEOUT_S)
        _end_group(process)
    return log.read_text(errors="replace")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
