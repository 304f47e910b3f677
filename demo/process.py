"""One process of the play, seen from the stage: start it, wait until it is ready, ask it something, stop it.

Belongs here: the life of a process and its pipe of JSON lines. Does not belong here: what runs inside (``part.py``).
A part ends when its input does, so none outlives the demonstration, whatever happens to that.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_START_S = 30.0
_ANSWER_S = 30.0
_STOP_S = 5.0
_LINE_BYTES = 1_000_000


class PartError(Exception):
    """A process of the play died or did not answer; its standard error says why."""


@dataclass(slots=True)
class Part:
    """``kind`` is one of ``part.PARTS``, ``place`` its directory or configuration file."""

    kind: str
    place: Path
    clock: Path
    _process: Process | None = None
    _log: Path = field(init=False)

    def __post_init__(self) -> None:
        self._log = (self.place if self.place.is_dir() else self.place.parent) / f"{self.kind}.log"

    async def start(self) -> None:
        """Start the process; ``ready`` waits for it."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "demo.part", self.kind, str(self.place), str(self.clock)),
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
                limit=_LINE_BYTES,
                cwd=Path(__file__).parents[1],
                start_new_session=True,  # Ctrl-C is for the stage, which then stops its parts in order
            )

    async def ready(self) -> dict[str, Any]:
        """Wait until it serves; what it says about itself, such as its ``url``. Raises: PartError."""
        return await self._read(_START_S)

    async def ask(self, command: str) -> dict[str, Any]:
        """Send a command and wait for its answer. Raises: PartError."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")
        with suppress(ConnectionError):  # a dead process is reported by the read
            await self._process.stdin.drain()
        return await self._read(_ANSWER_S)

    async def stop(self) -> None:
        """Close its input and wait; kill it if it does not end."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _read(self, timeout_s: float) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), timeout_s)
        except TimeoutError:
            raise PartError(f"{self.kind} gave no answer for {timeout_s:g} s\n{self._log_end()}") from None
        if not line:
            raise PartError(f"{self.kind} ended\n{self._log_end()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _log_end(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]
