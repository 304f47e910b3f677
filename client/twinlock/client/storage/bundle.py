"""The bundle that a Primary sends to a Secondary: metadata files by name, byte for byte as the repositories served them.

A Secondary trusts its Primary only to deliver bytes: its own engine verifies them. Source: Uptane 2.1.0 5.4.2.6.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from twinlock.client.storage.bundle_reader import WHAT, BundleReader, malformed
from twinlock.client.storage.metadata import RepositoryProfiles, StoredFile
from twinlock.trust.engine.commands import ABSENT, Absent, Fetch
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.metadata import LimitError
from twinlock.trust.limits import Limits
from twinlock.trust.model.base import NOTHING
from twinlock.trust.names import DIRECTOR, ROOT, TARGETS, TIMESTAMP, TOP_LEVEL, RepositoryName, RoleName, Verification
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.tuf.metadata import TUF

N = TypeVar("N", bound=str)
_REPOSITORIES = 64


def max_bundle_bytes(verification: Verification, limits: Limits) -> int:
    """The longest bundle that an ECU with these ``limits`` takes, in bytes."""
    return limits.partial_bundle_bytes if verification is Verification.PARTIAL else limits.full_bundle_bytes


def bundle_setting(verification: Verification) -> str:
    """The name of that limit in the configuration of an ECU."""
    return f"limits.{verification.value}BundleBytes"


def derived_bundle_limits(limits: Limits) -> dict[str, int]:
    """The limits of bundles that follow from the sizes of files, which JSON makes at most twice as long.

    Full: one Targets file. Partial: Director Targets and one Root, each of the largest size, which is room for hundreds of
    ordinary ones.
    """
    partial = limits.director_bytes + limits.root_bytes
    return {"full_bundle_bytes": 2 * limits.targets_bytes, "partial_bundle_bytes": 2 * partial}


def bounded_bundle(verification: Verification) -> str:
    """A bundle as the error for a longer one names it, with the setting that bounds it."""
    return f"{WHAT}, which {bundle_setting(verification)} bounds"


def max_bundle_files(limits: Limits) -> int:
    """The most files of all repositories together: Root chains, and all delegated roles of two repositories."""
    return 2 * (limits.root_rotations + limits.delegations_per_role)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Files by repository and file name."""

    files: Mapping[RepositoryName, Mapping[str, bytes]]

    def fetch(self, command: Fetch) -> bytes | Absent:
        """The answer to the engine's ``Fetch``. Raises: EndlessDataError for a file over its bound."""
        data = self.files.get(command.repository, {}).get(command.name)
        if data is None:
            return ABSENT
        if len(data) > command.max_bytes:
            what = f"{command.repository}/{command.role}"
            raise EndlessDataError(what=what, limit_bytes=command.max_bytes, clause=command.clause)
        return data

    def encode(self) -> bytes:
        """The bundle as the link carries it."""
        texts = {
            repository: {name: data.decode() for name, data in files.items()}
            for repository, files in self.files.items()
        }
        return json.dumps(texts, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Needs:
    """What one Secondary needs. ``roots`` are the newest Roots that it states, which only saves bytes.

    ``visited`` are the delegated roles that its walk opens; None if all must be sent. ``links`` are Roots between
    its newest and the oldest one stored here, by version.
    """

    roots: Mapping[RepositoryName, int] = field(default_factory=dict)
    visited: Mapping[RepositoryName, Collection[RoleName]] | None = None
    links: Mapping[RepositoryName, Mapping[int, bytes]] = field(default_factory=dict)

    def include(self, name: RepositoryName, file: StoredFile) -> bool:
        """Whether the Secondary needs ``file`` of the repository ``name``."""
        if file.role == ROOT:
            return file.version > self.roots.get(name, 0)
        return file.role in TOP_LEVEL or self.visited is None or file.role in self.visited.get(name, ())


def decode_bundle(data: bytes, verification: Verification, limits: Limits) -> Bundle:
    """Unpack a bundle for an ECU that verifies by ``verification``; nothing in it is verified.

    It is read in the one shape that it may have, and counted meanwhile, so that a sender without a key cannot make this ECU build
    millions of members. Raises: MalformedError, EndlessDataError, LimitError.
    """
    most = max_bundle_bytes(verification, limits)
    if len(data) > most:
        raise EndlessDataError(what=bounded_bundle(verification), limit_bytes=most)
    reader = BundleReader(data)
    files: dict[RepositoryName, dict[str, bytes]] = {}
    count = 0
    for repository in reader.members():
        _check_count("repositories", len(files) + 1, _REPOSITORIES)
        named = files[_new(RepositoryName(repository), files)] = {}
        for name in reader.members():
            count += 1
            _check_count("files", count, max_bundle_files(limits))
            named[_new(name, named)] = reader.string(most, "bytes of a file")
    reader.end()
    return Bundle(files)


def _check_count(what: str, count: int, limit: int) -> None:
    if count > limit:
        raise LimitError(what=f"{WHAT}: {what}", value=count, limit=limit)


def _new(name: N, known: Mapping[N, object]) -> N:
    if name in known:
        raise malformed("duplicate name")
    return name


def make_bundle(
    verification: Verification,
    repositories: Iterable[RepositoryName],
    stored: Callable[[RepositoryName], list[StoredFile]],
    wires: RepositoryProfiles = NOTHING,
    *,
    needs: Needs | None = None,
) -> Bundle:
    """What a Secondary that verifies by ``verification`` needs of what this Primary has stored and verified.

    Partial: the Director's Root chain and its Targets under the bare name. Full: the files of every repository, each
    under its name in that repository's profile. ``needs`` leaves out what this one Secondary can do without.
    """
    needs = needs or Needs()
    if verification is Verification.PARTIAL:
        needed = [file for file in stored(DIRECTOR) if file.role in (ROOT, TARGETS)]
        return Bundle({DIRECTOR: _named(DIRECTOR, needed, wires, needs, bare=TARGETS)})
    return Bundle({name: _named(name, stored(name), wires, needs, bare=TIMESTAMP) for name in repositories})


def _named(
    name: RepositoryName, files: Iterable[StoredFile], wires: RepositoryProfiles, needs: Needs, *, bare: str
) -> dict[str, bytes]:
    wire = wires.get(name, TUF)
    named = {wire.file_name(ROOT, version): data for version, data in needs.links.get(name, NOTHING).items()}
    return named | {_name(file, wire, bare=bare): file.data for file in files if needs.include(name, file)}


def _name(file: StoredFile, wire: WireProfile, *, bare: str) -> str:
    return wire.file_name(file.role, None if file.role == bare else file.version)
