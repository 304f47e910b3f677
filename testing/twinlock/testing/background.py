"""An aiohttp application that is served from a thread, so that synchronous tests and other processes can reach it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web


class Background:
    """Serves ``application`` on a free port of 127.0.0.1 until ``stop``; ``url`` is its base URL."""

    def __init__(self, application: web.Application) -> None:
        started: Future[str] = Future()
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(application, started), daemon=True)
        self._thread.start()
        self.url: str = started.result()

    def stop(self) -> None:
        """Close the port and end the thread. Stopping twice does nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def _run(self, application: web.Application, started: Future[str]) -> None:
        try:
            self._loop.run_until_complete(self._serve(application, started))
        except BaseException as error:  # noqa: BLE001 - the thread that started this one raises it
            started.set_exception(error)
        finally:
            self._loop.close()

    async def _serve(self, application: web.Application, started: Future[str]) -> None:
        from twinlock.testing.servers import serving

        async with serving(application) as url:
            started.set_result(url)
            await self._stopping.wait()
