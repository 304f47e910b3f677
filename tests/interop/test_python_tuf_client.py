"""python-tuf's own client reads our Image repository, over real HTTP, and python-tuf agrees with every refusal."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.ngclient import Updater, UpdaterConfig

from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import KeyKind, KeyPlan
from twinlock.repository.serving.app import image_application
from twinlock.repository.serving.http import RunningServer, serving
from twinlock.repository.store.interface import ObjectStore
from twinlock.repository.suppliers.workspace import SupplierWorkspace


@contextmanager
def served(store: ObjectStore) -> Iterator[RunningServer]:
    """Serve ``store`` from a thread, since python-tuf's client blocks."""
    ready: list[RunningServer] = []
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        async with serving(image_application(store)) as server:
            ready.append(server)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        assert started.wait(10)
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


class Client:
    """One installation of python-tuf's client; each ``updater`` is one run of it."""

    def __init__(self, directory: Path, server: RunningServer, root: bytes) -> None:
        self.metadata, self.targets = directory / "metadata", directory / "targets"
        for path in (self.metadata, self.targets):
            path.mkdir(parents=True)
        self.server = server
        self.root = root

    def updater(self) -> Updater:
        return Updater(
            str(self.metadata),
            f"{self.server.url}/metadata/",
            str(self.targets),
            f"{self.server.url}/targets/",
            config=UpdaterConfig(timestamp_max_length=65_536),  # two ML-DSA-87 signatures take 18 kB of hex
            bootstrap=self.root,
        )

    def download(self, path: str) -> bytes | None:
        updater = self.updater()
        info = updater.get_targetinfo(path)
        return None if info is None else Path(updater.download_target(info)).read_bytes()


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    path = tmp_path / "brake.bin"
    path.write_bytes(os.urandom(300_000))
    return path


@pytest.mark.parametrize("kind", list(KeyKind))
def test_an_image_signed_with_keys_of_every_kind(tmp_path: Path, firmware: Path, kind: KeyKind) -> None:
    plan = KeyPlan(count=2, threshold=2, kind=kind)
    roles = ("root", "targets", "snapshot", "timestamp")
    repository = ImageRepository.create(tmp_path / "image", keys=dict.fromkeys(roles, plan))
    repository.add_image(firmware, "brake/brake 2.0.bin", hardware_ids=["hw-7"], release_counter=3)
    repository.publish()
    with served(repository.store) as server:
        client = Client(tmp_path / "client", server, repository.root_bytes())
        assert client.download("brake/brake 2.0.bin") == firmware.read_bytes()
        assert client.download("brake/other.bin") is None


def test_a_client_follows_every_kind_of_change(tmp_path: Path, firmware: Path) -> None:
    repository = ImageRepository.create(tmp_path / "image")
    repository.add_image(firmware, "a.bin", hardware_ids=["hw-7"], release_counter=1)
    repository.publish()
    acme = SupplierWorkspace.create(tmp_path / "acme", role="acme supplies/lidar")
    acme.add_image(firmware, "acme/lidar.bin", hardware_ids=["hw-9"], release_counter=1)
    acme.sign()
    with served(repository.store) as server:
        client = Client(tmp_path / "client", server, repository.root_bytes(1))
        assert client.download("a.bin") == firmware.read_bytes()
        assert client.download("acme/lidar.bin") is None
        repository.delegate(acme.role, keys=[acme.public_key_file], paths=["acme/*"], hardware_ids=["hw-9"])
        repository.accept(tmp_path / "acme/outbox")
        repository.publish()
        assert client.download("acme/lidar.bin") == firmware.read_bytes()
        for role in ("timestamp", "snapshot", "targets", "root"):
            repository.rotate(role)
            assert client.download("acme/lidar.bin") == firmware.read_bytes(), role
        repository.remove_image("a.bin")
        repository.undelegate(acme.role)
        repository.publish()
        assert client.download("a.bin") is None
        assert client.download("acme/lidar.bin") is None
        repository.rotate("snapshot", "timestamp")
        assert client.download("a.bin") is None
        late = Client(tmp_path / "late", server, repository.root_bytes(1))
        late.updater().refresh()


def test_a_changed_image_or_file_is_refused_by_python_tuf_too(tmp_path: Path, firmware: Path) -> None:
    repository = ImageRepository.create(tmp_path / "image")
    repository.add_image(firmware, "a.bin", hardware_ids=["hw-7"], release_counter=1)
    repository.publish()
    for name in repository.store.names("targets"):
        path = repository.path / "public" / name
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    with served(repository.store) as server:
        client = Client(tmp_path / "client", server, repository.root_bytes())
        with pytest.raises(RepositoryError):
            client.download("a.bin")
        timestamp = repository.path / "public/metadata/timestamp.json"
        timestamp.write_bytes(timestamp.read_bytes().replace(b'"version":2', b'"version":3'))
        with pytest.raises((RepositoryError, DownloadError)):
            client.updater().refresh()
