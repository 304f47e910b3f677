"""python-tuf's client as a measured subject, on the same files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from bench.layout import FRESH_TIMESTAMP, WANTED, Repository
from bench.task import Task

# Its default bound on Targets is 5 MB, about 25,000 images.
CONFIG = replace(UpdaterConfig(), targets_max_length=100_000_000, snapshot_max_length=10_000_000)


def tasks(mode: str, repositories: list[Repository], folder: Path) -> dict[str, Task]:
    """One task, ``python-tuf``: refresh and search each repository in turn. It keeps no state between refreshes, so
    ``kept`` and ``fresh`` start from what is stored, like ``stored``."""
    clients = [
        Client(repository, folder / str(number), fresh=mode == "fresh")
        for number, repository in enumerate(repositories)
    ]

    def prepare() -> None:
        for client in clients:
            client.empty()
            if mode != "first":
                client.fill()

    def run() -> None:
        for client in clients:
            client.cycle(anchored=mode == "first")

    return {"python-tuf": Task(run, prepare)}


class Client:
    """One Updater's worth of folders."""

    def __init__(self, repository: Repository, folder: Path, *, fresh: bool) -> None:
        self.repository = repository
        self.folder = folder
        self.fetcher = FolderFetcher(fresh=fresh)

    def empty(self) -> None:
        """A store with nothing in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def fill(self) -> None:
        """A store after a refresh."""
        for role, path in self.repository.stored().items():
            shutil.copyfile(path, self.folder / f"{role}.json")

    def cycle(self, *, anchored: bool) -> None:
        """What is measured. Anchored in the first Root; else in the stored one, as our engine is."""
        bootstrap = self.repository.first_root.read_bytes() if anchored else None
        updater = Updater(
            str(self.folder),
            str(self.repository.folder),
            fetcher=self.fetcher,
            config=CONFIG,
            bootstrap=bootstrap,
        )
        updater.refresh()
        assert updater.get_targetinfo(WANTED) is not None


class FolderFetcher(FetcherInterface):
    """URLs are paths."""

    def __init__(self, *, fresh: bool) -> None:
        self.fresh = fresh

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = Path(url)
        if self.fresh and path.name == "timestamp.json":
            path = path.with_name(FRESH_TIMESTAMP)
        if not path.is_file():
            raise DownloadHTTPError("not found", 404)
        return iter([path.read_bytes()])
