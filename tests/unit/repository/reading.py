"""A vehicle that reads an object store with the trust engine: what the tests judge a repository by."""

from __future__ import annotations

from datetime import datetime

from twinlock.repository.aktualizr.resolving import Resolver
from twinlock.repository.store.interface import ObjectStore
from twinlock.repository.store.object_names import METADATA, served_name
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, drive
from twinlock.trust.engine.delegation import Found, find_image
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.names import IMAGE, HardwareId, TargetPath
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.tuf.metadata import TUF


class Reader:
    """One vehicle, built with ``root``, that remembers what it trusted."""

    def __init__(self, store: ObjectStore, root: bytes, wire: WireProfile = TUF) -> None:
        self.store = store
        self.trusted: TrustedRepository = bootstrap_repository(IMAGE, root, wire=wire)

    def refresh(self, now: datetime) -> TrustedRepository:
        self.trusted = drive(refresh_repository(self.trusted, now), self._answer)
        return self.trusted

    def find(self, path: str, now: datetime, hardware: str | None = None) -> Found:
        self.refresh(now)
        wanted = HardwareId(hardware) if hardware else None
        return drive(find_image(self.trusted, TargetPath(path), wanted, now), self._answer)

    def _answer(self, command: Command) -> Answer:
        if not isinstance(command, Fetch):
            return None
        stored = self.store.get(METADATA + served_name(command.name), max_bytes=command.max_bytes)
        return stored.data if stored else ABSENT


class AktualizrReader(Reader):
    """The same for the aktualizr profile: it asks for the names of that client, and knows its Root 1 or a later one."""

    def __init__(self, store: ObjectStore, root: bytes | None = None) -> None:
        self.resolver = Resolver(store)
        self.asked: list[str] = []
        super().__init__(store, root or self.file(store, "1.root.json") or b"", AKTUALIZR)

    def file(self, store: ObjectStore, name: str) -> bytes | None:
        found = self.resolver.metadata(name)
        stored = store.get(found, max_bytes=10**8) if found else None
        return stored.data if stored else None

    def _answer(self, command: Command) -> Answer:
        if not isinstance(command, Fetch):
            return None
        self.asked.append(command.name)
        return self.file(self.store, command.name) or ABSENT
