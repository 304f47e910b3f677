"""How long the Image repository keeps its askers waiting: one waits for it, and what others need does not.

A thread that asks it holds a lock meanwhile. The others wait for that lock as long as the answers come; when one is late
they continue with what they have, so that an Image repository that stalls delays one request and not all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Protocol, TypeVar

from twinlock.trust.errors.local import TransportError

T = TypeVar("T")

PATIENCE_S = 1.0
"""How late one answer may be before others stop waiting for the thread that asked."""
AWAY_S = 30.0
"""How long a repository whose answer was late and never came is not asked again by a lookup."""
_POLL_S = 0.1
SOURCE = "the Image repository"


class _Lock(Protocol):
    def acquire(self, *, timeout: float) -> bool: ...

    def release(self) -> None: ...


class Waiting:
    """Watches the questions that are open. Threads share it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._open: dict[int, float] = {}
        self._next = 0
        self._away_until = 0.0

    @property
    def is_late(self) -> bool:
        """Whether some question has been open for longer than ``PATIENCE_S``."""
        with self._guard:
            return any(monotonic() - since > PATIENCE_S for since in self._open.values())

    @property
    def is_away(self) -> bool:
        """Whether a late question failed less than ``AWAY_S`` ago."""
        return monotonic() < self._away_until

    def ask(self, question: Callable[[], T]) -> T:
        """The answer to ``question``, which is open until then. Raises: what it raises."""
        with self._guard:
            self._next, number, since = self._next + 1, self._next, monotonic()
            self._open[number] = since
        try:
            answer = question()
        except TransportError:
            if monotonic() - since > PATIENCE_S:
                self._away_until = monotonic() + AWAY_S
            raise
        finally:
            with self._guard:
                del self._open[number]
        self._away_until = 0.0
        return answer

    @contextmanager
    def turn(self, lock: _Lock) -> Iterator[None]:
        """Hold ``lock``. Raises: TransportError while its holder waits for a late answer."""
        while not lock.acquire(timeout=_POLL_S):
            if self.is_late:
                raise TransportError(url=SOURCE, reason="another request is waiting for its answer, which is late")
        try:
            yield
        finally:
            lock.release()
