"""Our engine around a single repository, behind the three commands of the tuf-conformance client protocol.

Belongs here: the protocol, files in a directory and plain HTTP. Nothing is decided here; the engine asks and is answered.
The suite starts this once per step, so imports are few: no aiohttp, no securesystemslib.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from twinlock.trust.checks.image import ImageVerifier
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, Persist, drive
from twinlock.trust.engine.delegation import find_image
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import restore_repository
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.errors.images import EndlessDataError, ImageNotFoundError
from twinlock.trust.errors.local import FetchError, TransportError
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import IMAGE, RoleName, target_path
from twinlock.trust.policy import LAX
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.tuf.metadata import TUF

_CHUNK = 65_536
_TIMEOUT_S = 30


def read_chunks(url: str, limit: int) -> Iterator[bytes] | None:
    """The body of ``url`` in chunks, or None where the server says that it does not exist."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", parts.path)
        response = connection.getresponse()
    except OSError as error:
        raise TransportError(url=url, reason=str(error)) from None
    if response.status in (403, 404):
        return None
    if response.status != 200:
        raise FetchError(url=url, status=response.status, reason=response.reason)

    def body() -> Iterator[bytes]:
        received = 0
        while chunk := response.read(_CHUNK):
            received += len(chunk)
            if received > limit:
                raise EndlessDataError(what=url, limit_bytes=limit)
            yield chunk

    return body()


class Store:
    """The trusted files under their bare names in one directory, each replaced atomically."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self) -> TrustedRepository:
        files = {RoleName(_role_of(path)): path.read_bytes() for path in self.folder.glob("*.json")}
        return restore_repository(IMAGE, files)

    def persist(self, command: Persist) -> None:
        for role, _, data in command.files:
            path = self.folder / TUF.file_name(role, None)
            if data is None:
                path.unlink(missing_ok=True)
            else:
                write_atomically(path, data)


def _role_of(path: Path) -> str:
    return unquote(path.name.removesuffix(".json"))


def write_atomically(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` or leave what was there."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_bytes(data)
    temporary.replace(path)


class Client:
    """One run of ``refresh`` or ``download``."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.store = Store(Path(arguments.metadata_dir))
        self.now = datetime.now(UTC)
        self.trusted = self.store.load()

    def answer(self, command: Command) -> Answer:
        """Do what the engine asks."""
        if isinstance(command, Fetch):
            # The name is already one encoded segment; "%2F" in it has to be asked for as it stands.
            chunks = read_chunks(f"{self.arguments.metadata_url.rstrip('/')}/{command.name}", command.max_bytes)
            return ABSENT if chunks is None else b"".join(chunks)
        if isinstance(command, Persist):
            self.store.persist(command)
        else:
            print(f"notice: {command.error}", file=sys.stderr)
        return None

    def refresh(self) -> None:
        """Bring the top-level roles up to date."""
        self.trusted = drive(refresh_repository(self.trusted, self.now, policy=LAX), self.answer)

    def download(self, name: str) -> None:
        """Find, fetch and store one artifact, unless it is there already."""
        found = drive(find_image(self.trusted, target_path(name), None, self.now, policy=LAX), self.answer)
        self.trusted = found.trusted
        if found.entry is None:
            raise ImageNotFoundError(target=name, repository=IMAGE, hardware_id="any")
        path = Path(self.arguments.target_dir) / quote(name, safe="")
        if not _is_there(path, found.entry):
            write_atomically(path, self._fetch_image(found.entry))

    def _fetch_image(self, entry: ImageEntry) -> bytes:
        verifier = ImageVerifier(entry)
        name = TUF.image_file_names(entry)[0] if self.trusted.root.signed.consistent_snapshot else entry.path
        url = f"{self.arguments.target_base_url.rstrip('/')}/{quote(name)}"
        chunks = read_chunks(url, entry.length)
        if chunks is None:
            raise FetchError(url=url, status=404, reason="the repository lists the artifact and does not have it")
        kept = []
        for chunk in chunks:
            verifier.update(chunk)
            kept.append(chunk)
        verifier.finish()
        return b"".join(kept)


def _is_there(path: Path, entry: ImageEntry) -> bool:
    if not path.exists():
        return False
    data = path.read_bytes()
    return all(hashlib.new(name, data).hexdigest() == digest for name, digest in entry.hashes.items())


def main() -> int:
    """Run one command of the protocol; 0 is done, 1 is refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("--metadata-url", "--metadata-dir", "--target-dir", "--target-base-url"):
        parser.add_argument(option)
    parser.add_argument("--target-name", action="append", default=[])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("trusted_root")
    commands.add_parser("refresh")
    commands.add_parser("download")
    arguments = parser.parse_args()
    try:
        if arguments.command == "init":
            write_atomically(Path(arguments.metadata_dir) / "root.json", Path(arguments.trusted_root).read_bytes())
            return 0
        client = Client(arguments)
        client.refresh()
        for name in arguments.target_name if arguments.command == "download" else ():
            client.download(name)
    except TwinlockError as error:
        print(f"error[{error.code}]: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
