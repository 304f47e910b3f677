"""An installer blocks, so cycles and servers call it in worker threads and the event loop goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.unit.client.vehicle import Car, running_car
from twinlock.client.install.installer import Installer
from twinlock.client.model.results import Outcome
from twinlock.client.secondary.server import start_secondary
from twinlock.testing.simulator.world import BRAKE, GATEWAY
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.targets import ImageEntry


class Recording:
    """An installer that keeps the method and the thread of each call, and how many ran at once."""

    def __init__(self, inner: Installer) -> None:
        self._inner = inner
        self.calls: list[tuple[str, bool]] = []

    @contextmanager
    def _called(self, name: str) -> Iterator[None]:
        self.calls.append((name, threading.current_thread() is threading.main_thread()))
        yield

    def installed(self) -> InstalledImage:
        with self._called("installed"):
            return self._inner.installed()

    def install(self, entry: ImageEntry, source: Path) -> InstalledImage:
        with self._called("install"):
            return self._inner.install(entry, source)

    def rollback(self) -> InstalledImage:
        raise NotImplementedError


def recorded(car: Car) -> dict[str, Recording]:
    """Every ECU of ``car`` gets such an installer around its own."""
    made = {GATEWAY.ecu: Recording(car.primary._services.installer)}
    object.__setattr__(car.primary._services, "installer", made[GATEWAY.ecu])
    for ecu, secondary in car.secondaries.items():
        made[ecu] = Recording(secondary._installer)
        secondary._installer = made[ecu]
    return made


def on_the_loop(made: dict[str, Recording]) -> list[tuple[str, str]]:
    return [(ecu, name) for ecu, item in made.items() for name, main in item.calls if main]


def test_a_cycle_calls_every_installer_in_a_worker_thread(tmp_path: Path) -> None:
    async def run() -> None:
        async with running_car(tmp_path) as car:
            made = recorded(car)
            assert (await car.primary.update_cycle()).outcome is Outcome.UPDATED
            for item in made.values():
                assert {name for name, _ in item.calls} == {"installed", "install"}
            assert on_the_loop(made) == []

    asyncio.run(run())


class Interrupted(BaseException):
    """The power goes."""


def test_what_was_begun_is_completed_in_a_worker_thread(tmp_path: Path) -> None:
    async def run() -> None:
        async with running_car(tmp_path, with_secondaries=False) as car:
            made = recorded(car)
            whole = made[GATEWAY.ecu]._inner.install

            def cut_off(_entry: ImageEntry, _source: Path) -> InstalledImage:
                raise Interrupted

            made[GATEWAY.ecu]._inner.install = cut_off  # type: ignore[method-assign,assignment]
            with pytest.raises(Interrupted):
                await car.primary.update_cycle()
            made[GATEWAY.ecu]._inner.install = whole  # type: ignore[method-assign]
            result = await car.primary.update_cycle()
            assert [done.ecu for done in result.installed] == [GATEWAY.ecu]
            assert on_the_loop(made) == []

    asyncio.run(run())


def test_the_link_of_a_secondary_answers_one_request_at_a_time_off_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reports, questions and bundles change the same state: in threads they exclude each other as they did on the loop."""

    async def run() -> None:
        async with running_car(tmp_path) as car:
            secondary = car.secondaries[BRAKE.ecu]
            running, most, threads = 0, 0, set()

            def watched(name: str) -> None:
                whole = getattr(secondary, name)

                def call(*arguments: Any) -> Any:
                    nonlocal running, most
                    threads.add(threading.current_thread() is threading.main_thread())
                    running += 1
                    most = max(most, running)
                    try:
                        return whole(*arguments)
                    finally:
                        threading.Event().wait(0.02)
                        running -= 1

                monkeypatch.setattr(secondary, name, call)

            for name in ("report", "identity", "accept_metadata", "accept_time"):
                watched(name)
            server, address = await start_secondary(secondary)
            try:
                async with aiohttp.ClientSession(address) as session:

                    async def ask(method: str, path: str, body: bytes) -> None:
                        async with session.request(method, path, data=body) as reply:
                            await reply.read()

                    requests = [
                        ("POST", "/v1/report"),
                        ("GET", "/v1/identity"),
                        ("PUT", "/v1/metadata"),
                        ("POST", "/v1/time"),
                    ]
                    await asyncio.gather(*(ask(*request, b"{}") for request in requests * 3))
            finally:
                await server.cleanup()
            assert (threads, most) == ({False}, 1)

    asyncio.run(run())
