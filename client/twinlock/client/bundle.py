"""What a Primary hands to a Secondary to verify: metadata files by name, byte for byte as the repositories served them.

A Secondary trusts its Primary only to deliver bytes: its own engine verifies them. Source: Uptane 2.1.0 5.4.2.6.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from twinlock.client.storage.metadata import StoredFile, Wires
from twinlock.trust.commands import ABSENT, Absent, Fetch
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.base import NOTHING
from twinlock.trust.names import DIRECTOR, ROOT, TARGETS, TIMESTAMP, TOP_LEVEL, RepositoryName, RoleName, Verification
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.tuf import TUF


def bundle_bytes(limits: Limits) -> int:
    """As much as one Targets file of the largest size that the engine takes, escaped in JSON: no limit on the way is lower."""
    return 2 * limits.targets_bytes


MAX_BUNDLE_BYTES = bundle_bytes(DEFAULT_LIMITS)


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
            raise EndlessDataError(what=f"{command.repository}/{command.role}", limit_bytes=command.max_bytes)
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
    """What one Secondary needs. ``roots`` are the newest Roots that it says it has, which only saves bytes.

    ``visited`` are the delegated roles that its walk opens; None where all have to be sent. ``links`` are Roots between
    its newest and the oldest one stored here, by version.
    """

    roots: Mapping[RepositoryName, int] = field(default_factory=dict)
    visited: Mapping[RepositoryName, Collection[RoleName]] | None = None
    links: Mapping[RepositoryName, Mapping[int, bytes]] = field(default_factory=dict)

    def include(self, name: RepositoryName, file: StoredFile) -> bool:
        """Whether it needs ``file`` of the repository ``name``."""
        if file.role == ROOT:
            return file.version > self.roots.get(name, 0)
        return file.role in TOP_LEVEL or self.visited is None or file.role in self.visited.get(name, ())


def decode_bundle(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Bundle:
    """Unpack a bundle. Raises: MalformedError, EndlessDataError."""
    if len(data) > bundle_bytes(limits):
        raise EndlessDataError(what="metadata bundle", limit_bytes=bundle_bytes(limits))
    try:
        texts = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _malformed(f"it is not JSON: {error}") from None
    if not isinstance(texts, dict) or not all(isinstance(files, dict) for files in texts.values()):
        raise _malformed("an object of objects is required")
    files: dict[RepositoryName, dict[str, bytes]] = {}
    for repository, named in texts.items():
        if not all(isinstance(text, str) for text in named.values()):
            raise _malformed("each file has to be a string")
        try:
            files[RepositoryName(repository)] = {name: text.encode() for name, text in named.items()}
        except UnicodeEncodeError:
            raise _malformed("a file is not valid Unicode") from None
    return Bundle(files)


def make_bundle(
    verification: Verification,
    repositories: Iterable[RepositoryName],
    stored: Callable[[RepositoryName], list[StoredFile]],
    wires: Wires = NOTHING,
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
    name: RepositoryName, files: Iterable[StoredFile], wires: Wires, needs: Needs, *, bare: str
) -> dict[str, bytes]:
    wire = wires.get(name, TUF)
    named = {wire.file_name(ROOT, version): data for version, data in needs.links.get(name, NOTHING).items()}
    return named | {_name(file, wire, bare=bare): file.data for file in files if needs.include(name, file)}


def _name(file: StoredFile, wire: WireProfile, *, bare: str) -> str:
    return wire.file_name(file.role, None if file.role == bare else file.version)


def _malformed(reason: str) -> MalformedError:
    return MalformedError(what="metadata bundle", json_path="$", reason=reason)
