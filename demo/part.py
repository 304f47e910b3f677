"""What runs inside the processes of the play: ``python -m demo.part KIND PLACE CLOCK``.

Each is the product and nothing else, except that it reads the time from the stage's clock. It writes one JSON line when
it is ready, one for each line that it is sent, and ends when its input does. Belongs here: starting the four kinds.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from demo.clock import StageClock

Answer = Callable[[str], Any]


@asynccontextmanager
async def _image(place: Path, _clock: StageClock) -> AsyncIterator[Mapping[str, Any]]:
    from twinlock.repository.image_repository import ImageRepository
    from twinlock.repository.serving.app import image_application
    from twinlock.repository.serving.http import serving

    async with serving(image_application(ImageRepository.open(place).store)) as server:
        yield {"url": server.url}


@asynccontextmanager
async def _director(place: Path, clock: StageClock) -> AsyncIterator[Mapping[str, Any]]:
    from twinlock.director.api.device_api import director_application
    from twinlock.director.director import Director
    from twinlock.repository.serving.http import serving

    with Director.open(place, clock=clock) as director:
        async with serving(director_application(director)) as server:
            yield {"url": server.url}


@asynccontextmanager
async def _secondary(place: Path, clock: StageClock) -> AsyncIterator[Mapping[str, Any]]:
    from twinlock.client.secondary.secondary import Secondary
    from twinlock.client.secondary.server import start_secondary

    with Secondary.open(place, wall=clock) as secondary:
        runner, address = await start_secondary(secondary)
        try:
            yield {"url": address}
        finally:
            await runner.cleanup()


@asynccontextmanager
async def _primary(place: Path, clock: StageClock) -> AsyncIterator[Mapping[str, Any]]:
    from twinlock.client.model.results import image_as_json
    from twinlock.client.primary.primary import Primary

    async with Primary.open(place, wall=clock) as primary:

        async def cycle() -> dict[str, Any]:
            return (await primary.update_cycle()).as_json()

        async def installed() -> dict[str, Any]:
            return image_as_json((await asyncio.to_thread(primary.installed))[primary.config.ecu.ecu])

        yield {"cycle": cycle, "installed": installed}


PARTS: Mapping[str, Callable[[Path, StageClock], AbstractAsyncContextManager[Mapping[str, Any]]]] = {
    "image": _image,
    "director": _director,
    "secondary": _secondary,
    "primary": _primary,
}


async def run(kind: str, place: Path, clock: Path) -> None:
    """Run one part until its input ends."""
    async with PARTS[kind](place, StageClock(clock)) as part:
        _say({name: value for name, value in part.items() if isinstance(value, str)})
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        while line := await lines.readline():
            _say(await part[line.decode().strip()]())


def _say(value: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
