"""Serving and keeping fresh in one: what ``twinlock image serve`` and ``twinlock up`` run."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from twinlock.io.http.bounds import DEFAULT_BOUNDS, Bounds
from twinlock.repository.publishing.refresh import next_renewal, refresh_due
from twinlock.repository.serving.aktualizr_app import add_aktualizr_routes
from twinlock.repository.serving.app import image_application
from twinlock.repository.serving.http import RunningServer, serve_until_stopped
from twinlock.repository.serving.readiness import check_renewal
from twinlock.repository.serving.treehub_app import add_treehub_routes
from twinlock.repository.store.interface import ObjectStore
from twinlock.repository.store.treehub import read_treehub
from twinlock.repository.workspace.workspace import ONLINE_ROLES, Workspace
from twinlock.trust.errors.base import TwinlockError

_RETRY_S = 30.0
_LONGEST_S = 3600.0  # how long a publication by another process, or a step of the clock, may go unnoticed

Renewed = Callable[[int], None]
Failed = Callable[[TwinlockError], None]


def whole_application(
    store: ObjectStore, *, renewing: Workspace | None = None, treehub: Callable[[], Path | None] | None = None
) -> web.Application:
    """A repository in every form that it is published in: for aktualizr below ``/repo``.

    With ``renewing`` it is ready only if the online roles of that workspace can be signed. ``treehub`` names the OSTree
    repository that is served below ``/treehub``; it is asked at each request.
    """
    ready = None if renewing is None else lambda: check_renewal(renewing)
    app = image_application(store, ready=ready)
    add_aktualizr_routes(app, store)  # 404 until that profile is published, which may be while this runs
    if treehub is not None:
        add_treehub_routes(app, treehub)
    return app


async def keep_fresh(
    workspace: Workspace,
    *,
    stop: asyncio.Event,
    renewed: Renewed = lambda _: None,
    failed: Failed = lambda _: None,
) -> None:
    """Renew Snapshot and Timestamp whenever they are due, until ``stop``. A failure is reported and tried again."""
    while not stop.is_set():
        try:
            publication = await asyncio.to_thread(refresh_due, workspace, None, only=ONLINE_ROLES)
            if publication.changed:
                renewed(publication.version)
            due = await asyncio.to_thread(next_renewal, workspace)
            pause = min(_LONGEST_S, max(1.0, (due - workspace.now()).total_seconds()))
        except TwinlockError as error:
            failed(error)
            pause = _RETRY_S
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)


async def serve_repository(  # noqa: PLR0913 - each is one choice of the operator
    workspace: Workspace,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    refresh: bool = True,
    tls: ssl.SSLContext | None = None,
    bounds: Bounds = DEFAULT_BOUNDS,
    started: Callable[[RunningServer], None] = lambda _: None,
    renewed: Renewed = lambda _: None,
    failed: Failed = lambda _: None,
) -> None:
    """Serve a repository until SIGINT or SIGTERM, keeping it fresh meanwhile; for aktualizr below ``/repo`` and ``/treehub``.

    Raises: UsageError for the address.
    """
    stop = asyncio.Event()
    app = whole_application(
        workspace.store,
        renewing=workspace if refresh else None,
        treehub=lambda: read_treehub(workspace.path),
    )
    serving = serve_until_stopped(app, host=host, port=port, tls=tls, bounds=bounds, started=started, stop=stop)
    if not refresh:
        await serving
        return
    loop = asyncio.create_task(keep_fresh(workspace, stop=stop, renewed=renewed, failed=failed))
    try:
        await serving
    finally:
        stop.set()
        await loop
