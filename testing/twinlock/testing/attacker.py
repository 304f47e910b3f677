"""An attacker who controls the network of a test bench, and holds the keys that each attack names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from twinlock.testing.simulator.world import GATEWAY

if TYPE_CHECKING:
    from twinlock.testing.repositories import Repositories
    from twinlock.testing.servers import Lie


class Attacker:
    """Each attack is a context manager: the servers lie inside the block and are honest again after it.

    ``repository`` is ``"director"`` or ``"image"``. During an attack a new release is pending, so that the vehicle asks both
    repositories. Afterwards honest people withdraw that release and sign everything again, with higher versions.
    """

    def __init__(self, repositories: Repositories) -> None:
        self._repositories = repositories
        self._world = repositories.world

    @contextmanager
    def rollback(self, repository: str = "director") -> Iterator[None]:
        """Serve the Timestamp before the current one. Needs no key.

        A vehicle that has seen the current one refuses with ``RollbackError``.
        """
        with self._pending():
            self._world.repositories[repository].rewind("timestamp", 2)
            yield

    @contextmanager
    def image_rollback(self) -> Iterator[None]:
        """Assign release 1, genuine and old. Needs the Director's online keys.

        A vehicle that runs a newer release refuses with ``ReleaseCounterError``.
        """
        with self._pending():
            self._world.order_release(1)
            self._world.director.publish("targets")
            yield

    @contextmanager
    def arbitrary_software(self) -> Iterator[None]:
        """Assign an image that the Image repository does not list. Needs the Director's online keys.

        The vehicle refuses with ``ImageNotFoundError``.
        """
        world, release = self._world, self._world.releases + 1_000
        with self._pending():
            world.list_release(release)  # unpublished: only the Director refers to it
            world.order_release(release)
            world.director.publish("targets")
            yield

    @contextmanager
    def forged_signature(self, repository: str = "director") -> Iterator[None]:
        """Serve a next Timestamp that a stranger's key signed. Needs no key.

        The vehicle refuses with ``ThresholdError``.
        """
        with self._pending():
            server = self._world.repositories[repository]
            server.bump("timestamp")
            server.put("timestamp", signers=[self._world.keys("stranger")])
            yield

    @contextmanager
    def mix_and_match(self, repository: str = "director") -> Iterator[None]:
        """Serve the newest Timestamp with the Snapshot before it. Needs no key.

        The vehicle refuses with ``MixAndMatchError``.
        """
        with self._pending():
            self._world.repositories[repository].rewind("snapshot")
            yield

    @contextmanager
    def freeze(self, **by: float) -> Iterator[None]:
        """Withhold new metadata while the clock advances ``by`` (arguments of ``timedelta``, two days by default).

        Needs no key. The vehicle refuses with ``ExpiredError``. The time that passed stays passed.
        """
        self._repositories.clock.advance(**(by or {"days": 2}))
        try:
            yield
        finally:
            self._repositories.sign_again()

    @contextmanager
    def endless_data(self, repository: str = "director") -> Iterator[None]:
        """Answer the request for the Timestamp with bytes that do not end. Needs no key.

        The vehicle stops reading at its limit and refuses with ``EndlessDataError``.
        """
        with self._pending(), self._lie(self._metadata_path(repository, "timestamp.json"), _endless):
            yield

    @contextmanager
    def tampered_image(self) -> Iterator[None]:
        """Serve the pending release's image with its first byte changed. Needs no key.

        The vehicle refuses with ``DigestError``.
        """
        with self._pending():
            release = self._world.releases
            data, blobs = GATEWAY.image(release), self._repositories.servers.blobs
            self._repositories.servers.add_blob(GATEWAY.path(release), data)
            names = [name for name, blob in blobs.items() if blob == data]
            blobs.update(dict.fromkeys(names, bytes([data[0] ^ 1]) + data[1:]))
            try:
                yield
            finally:
                blobs.update(dict.fromkeys(names, data))

    @contextmanager
    def _pending(self) -> Iterator[None]:
        """A published release that the vehicle has not seen; honest people withdraw it on leaving and sign again."""
        world, releases = self._world, self._world.releases
        try:
            with world.attack():
                world.release()
                yield
        finally:
            world.releases = releases
            self._repositories.sign_again()

    def _metadata_path(self, repository: str, name: str) -> str:
        servers, server = self._repositories.servers, self._world.repositories[repository]
        url = servers.director_url if repository == "director" else servers.image_url
        return f"{url.removeprefix(servers.base)}/{server.wire.profile.folder}{name}"

    @contextmanager
    def _lie(self, path: str, answer: Lie) -> Iterator[None]:
        lies = self._repositories.servers.lies
        lies[path] = answer
        try:
            yield
        finally:
            del lies[path]


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" " * 10_000)
