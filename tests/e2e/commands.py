"""Typing ``twinlock`` commands, and keeping the ones that run on: what the end-to-end tests hold in their hands.

Belongs here: processes. Does not belong here: what a fleet consists of (``fleet.py``).
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.plain_keys import plain_keys
from tests.published_schemas import check_output, published, schema_path

TWINLOCK = (sys.executable, "-m", "twinlock.cli")
_COMMAND_S = 60.0
_START_S = 30.0

OK, FAILED, USAGE, CONFLICT, TRANSPORT, BROKEN, DUE = range(7)  # the exit statuses that the command promises


def environment() -> dict[str, str]:
    """The environment of a command: nobody's passphrase, no colours, no terminal width that changes a table."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TWINLOCK_")}
    return {**kept, "NO_COLOR": "1", "COLUMNS": "200"}


def twinlock(*words: str | Path, status: int = OK, stdin: bytes = b"", env: dict[str, str] | None = None) -> Any:
    """Run a command with ``--json`` to its end; what it wrote, decoded. Fails unless it ends with ``status``.

    A command that failed gives its ``error`` object.
    """
    typed = plain_keys(words, passphrase="TWINLOCK_PASSPHRASE" in (env or {}))
    command = [*TWINLOCK, *map(str, typed), "--json"]
    done = subprocess.run(
        command, input=stdin, capture_output=True, timeout=_COMMAND_S, check=False, env=environment() | (env or {})
    )
    said = f"{' '.join(map(str, words))}\n{done.stdout.decode()}\n{done.stderr.decode()}"
    assert done.returncode == status, f"exit status {done.returncode}, not {status}: {said}"
    assert b"Traceback" not in done.stderr, said
    document = json.loads(done.stdout)
    _check_schema(words, document)
    return document.get("error", document) if status else document


def _check_schema(words: tuple[str | Path, ...], document: dict[str, Any]) -> None:
    """Hold what a command wrote to its published schema: the longest that its first words name (`show` may be omitted)."""
    named = [" ".join(map(str, words[:count])) for count in (3, 2, 1)]
    names = [*named[:2], f"{named[1]} show", named[2]]
    name = next((name for name in names if schema_path(name).is_file()), names[0])
    check_output(name, document, published("error" if "error" in document else name))


@dataclass(slots=True)
class Running:
    """A command that keeps running. Entering starts it and waits for its first event; leaving stops it."""

    words: tuple[str | Path, ...]
    log: Path
    env: dict[str, str] = field(default_factory=dict)
    event: dict[str, Any] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process, which was started."""
        assert self._process is not None
        return self._process

    @property
    def url(self) -> str:
        """Where it listens, by its first event."""
        return str(self.event["url"])

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def launch(self) -> None:
        """Start it; ``ready`` waits for it."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*TWINLOCK, *map(str, plain_keys(self.words, passphrase="TWINLOCK_PASSPHRASE" in self.env)), "--json"],
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment() | self.env,
            )

    def ready(self) -> None:
        """Wait until it says something."""
        out = self.process.stdout
        assert out is not None
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            assert selector.select(_START_S), f"{self.words} said nothing for {_START_S} s: {self.log.read_text()}"
        line = out.readline()
        assert line, f"{self.words} ended: {self.log.read_text()}"
        self.event = json.loads(line)

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.launch()
        self.ready()

    def stop(self) -> int:
        """Ask it to end, as an operator does; its exit status."""
        if self._process is None:
            return 0
        if self.alive:
            self.resume()
            self.process.terminate()
        try:
            return self.process.wait(_COMMAND_S)
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()

    def kill(self) -> None:
        """End it without a chance to tidy up, as a power failure does."""
        self.process.kill()
        self.process.wait(_COMMAND_S)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def pause(self) -> None:
        """Stop it from answering, while its socket stays open."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo ``pause``."""
        self.process.send_signal(signal.SIGCONT)


def wait_until(condition: Any, what: str, *, seconds: float = 20.0) -> None:
    """Wait until ``condition()`` holds; fail with ``what`` if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.02)
