"""The bundle for each Secondary: only what it states that it lacks and its own walk visits, or everything."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from twinlock.client.ecu.config import SecondarySettings
from twinlock.client.net.metadata import MetadataFetcher
from twinlock.client.storage.bundle import Bundle, Needs, bundle_setting, make_bundle
from twinlock.client.storage.metadata import RepositoryProfiles, StoredFile
from twinlock.client.storage.needed_files import fetch_links, visited_roles
from twinlock.client.storage.state import TrustedState
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.local import TransportError
from twinlock.trust.errors.metadata import LimitError
from twinlock.trust.limits import Limits
from twinlock.trust.names import DIRECTOR, ROOT, RepositoryName, Verification
from twinlock.trust.policy import Policy
from twinlock.trust.state.repository_map import RepositoryMap
from twinlock.trust.state.trusted import Decision
from twinlock.trust.wire.tuf.metadata import TUF

_OLD_BUNDLE_BYTES = 16_000_000  # the bound of a Secondary that does not state one
Links = dict[tuple[RepositoryName, int], bytes]
"""Roots older than those stored here, by repository and version, that Secondaries need."""


class SecondaryBundles:
    """Bundles after one ``decision``. Stored files are read once for all Secondaries; ``links`` are what a cycle fetched so far."""

    def __init__(
        self,
        decision: Decision,
        repositories: RepositoryMap,
        *,
        state: TrustedState,
        wires: RepositoryProfiles,
        limits: Limits,
        policy: Policy,
        fetcher: MetadataFetcher,
        links: Links,
    ) -> None:
        self._decision = decision
        self._map = repositories
        self._state = state
        self._wires = wires
        self._limits = limits
        self._policy = policy
        self._fetcher = fetcher
        self._links = links
        self._stored: dict[RepositoryName, list[StoredFile]] = {}
        self._fetching = asyncio.Lock()  # a fetcher looks for one file at a time, and each file is fetched once

    async def trimmed(self, secondary: SecondarySettings, stated: Mapping[str, Any]) -> Bundle:
        """What ``secondary`` needs, without what it ``stated`` that it has. Raises: LimitError, StorageError."""
        has = _stated_roots(stated)
        full = secondary.verification is Verification.FULL
        names = tuple(self._map.repositories) if full else (DIRECTOR,)
        links = {name: await self._links_to(name, has[name]) for name in names if name in has}
        visited = (
            visited_roles(self._decision, self._map, secondary.ecu, limits=self._limits, policy=self._policy)
            if full
            else None
        )
        return self._bundle(secondary, stated, Needs(roots=has, visited=visited, links=links))

    async def whole(self, secondary: SecondarySettings, stated: Mapping[str, Any]) -> Bundle:
        """Everything stored, whatever it stated. Raises: LimitError, StorageError."""
        has = _stated_roots(stated)
        links = {name: await self._links_to(name, has[name]) for name in self._map.repositories if name in has}
        return self._bundle(secondary, stated, Needs(links=links))

    def _bundle(self, secondary: SecondarySettings, stated: Mapping[str, Any], needs: Needs) -> Bundle:
        bundle = make_bundle(secondary.verification, self._map.repositories, self._files, self._wires, needs=needs)
        limit = stated.get("bundleBytes")
        limit = limit if isinstance(limit, int) and limit > 0 else _OLD_BUNDLE_BYTES
        size = sum(len(data) for files in bundle.files.values() for data in files.values())
        if size > limit:
            setting = bundle_setting(secondary.verification)
            what = f"the metadata for {secondary.ecu.ecu} in bytes, which {setting} of that ECU bounds"
            raise LimitError(what=what, value=size, limit=limit)
        return bundle

    def _files(self, name: RepositoryName) -> list[StoredFile]:
        if name not in self._stored:
            files = self._state.files(name)
            if all(file.role != ROOT for file in files):
                files = [self._state.newest_root(name), *files]  # the anchor's: the stored ones were lost
            self._stored[name] = files
        return self._stored[name]

    async def _links_to(self, name: RepositoryName, newest: int) -> dict[int, bytes]:
        """The Roots between the newest of a Secondary and the oldest stored here."""
        oldest = min((file for file in self._files(name) if file.role == ROOT), key=lambda file: file.version)
        missing = range(oldest.version - 1, newest, -1)
        if not missing or len(missing) > self._limits.root_rotations:
            return {}
        async with self._fetching:
            if any((name, version) not in self._links for version in missing):
                wire, fetch, elsewhere = self._wires.get(name, TUF), self._fetcher.fetch, self._fetcher.elsewhere
                try:
                    fetched = await fetch_links(
                        name,
                        missing,
                        oldest.data,
                        wire=wire,
                        limits=self._limits,
                        fetch=fetch,
                        elsewhere=elsewhere,
                    )
                except (TransportError, RefusalError):
                    return {}
                self._links |= {(name, version): data for version, data in fetched.items()}
        return {version: self._links[name, version] for version in missing if (name, version) in self._links}


def _stated_roots(stated: Mapping[str, Any]) -> dict[RepositoryName, int]:
    roots = stated.get("roots")
    if not isinstance(roots, Mapping):
        return {}
    return {
        RepositoryName(str(name)): version
        for name, version in roots.items()
        if isinstance(version, int) and not isinstance(version, bool) and version > 0
    }
