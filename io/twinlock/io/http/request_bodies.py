"""Request bodies that a server holds: how many at once, how many bytes, and which one is ended for a new one.

Anyone who reaches a server can open a connection and send its body as slowly as the floor allows. So no request is
handled before its body has arrived; when places or bytes run out, the slowest body of the address with the most of them is ended.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

GRACE_S = 2.0
"""After this time in transit a body may be ended for any new one; before it, only for one from another address with fewer."""


@dataclass(eq=False, slots=True)
class RequestBody:
    """One body. ``complete`` is set by the server that holds it; from then on it is not ended for another."""

    address: str
    begun: float
    scope: asyncio.Timeout
    received: int = 0
    complete: bool = False

    def rate(self, now: float) -> float:
        """Bytes per second since it began."""
        return self.received / max(now - self.begun, GRACE_S)


class RequestBodies:
    """The bodies of one sort. Use it from one event loop."""

    def __init__(
        self,
        places: int,
        max_bytes: int | None = None,
        *,
        busy: Callable[[BaseException | None], Exception],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """At most ``places`` bodies at once, and ``max_bytes`` of all of them together where they are held in memory.

        ``busy`` makes the error of a request that gets no place; its argument is the TimeoutError that ended its body, if one did.
        """
        self._busy = busy
        self._places = places
        self._max_bytes = max_bytes
        self._clock = clock
        self._open: list[RequestBody] = []
        self._held = 0  # bytes of all that are open: each piece of each body is counted, so they are not added up again

    @asynccontextmanager
    async def place(self, address: str) -> AsyncIterator[RequestBody]:
        """A place for one body from ``address``. Raises: what ``busy`` makes, at once or when the body must yield its place."""
        if len(self._open) >= self._places:
            self._dismiss(address)
        scope = asyncio.timeout(None)
        body = RequestBody(address, self._clock(), scope)
        self._open.append(body)
        try:
            async with scope:
                yield body
        except TimeoutError as ended:
            if body in self._open:
                raise  # of something inside
            raise self._busy(ended) from None
        finally:
            self._close(body)

    def count(self, body: RequestBody, received: int) -> None:
        """Count a piece of a body. Raises: what ``busy`` makes if the total exceeds the memory bound."""
        body.received += received
        self._held += received if body in self._open else 0
        while self._max_bytes is not None and self._held > self._max_bytes:
            waiting = self._waiting()
            greediest = _greediest({item: item.received for item in waiting})
            slowest = self._slowest([item for item in waiting if item.address in greediest])
            if slowest is None or slowest is body:
                raise self._busy(None)
            self._end(slowest)

    def _dismiss(self, address: str) -> None:
        """End the body that yields its place to a new one from ``address``. Raises: what ``busy`` makes if none does."""
        waiting, now = self._waiting(), self._clock()
        held = Counter(item.address for item in waiting)
        greediest = _greediest(dict.fromkeys(waiting, 1))
        slowest = self._slowest(
            [
                item
                for item in waiting
                if item.address in greediest
                and (now - item.begun >= GRACE_S or (item.address != address and held[item.address] > 1))
            ]
        )
        if slowest is None:
            raise self._busy(None)
        self._end(slowest)

    def _waiting(self) -> list[RequestBody]:
        return [item for item in self._open if not item.complete]

    def _slowest(self, among: list[RequestBody]) -> RequestBody | None:
        now = self._clock()
        return min(among, key=lambda item: item.rate(now), default=None)

    def _close(self, body: RequestBody) -> None:
        if body in self._open:
            self._open.remove(body)
            self._held -= body.received

    def _end(self, body: RequestBody) -> None:
        self._close(body)
        body.scope.reschedule(asyncio.get_running_loop().time())


def _greediest(weights: Mapping[RequestBody, int]) -> set[str]:
    """The addresses whose bodies have the largest total weight."""
    held: Counter[str] = Counter()
    for body, weight in weights.items():
        held[body.address] += weight
    most = max(held.values(), default=0)
    return {address for address, weight in held.items() if weight == most}
