"""An image as software: a component in a version, what it needs, and what it conflicts with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from twinlock.repository.model.component import read_component
from twinlock.repository.model.versions import SoftwareVersion, VersionRange
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import TargetPath
from twinlock.trust.wire.json.olpc import encode_canonical

Terms = tuple[tuple[str, VersionRange], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Software:
    """One image as a choice. ``image`` identifies its bytes under its name; ``component`` None: the image names none.

    ``dependencies`` and ``conflicts`` pair component names with version ranges, sorted by name. ``unreadable`` are the
    members of ``custom`` among these two that planning cannot read.
    """

    image: str
    path: TargetPath
    release_counter: int | None = None
    component: str | None = None
    version: SoftwareVersion | None = None
    dependencies: Terms = ()
    conflicts: Terms = ()
    unreadable: tuple[str, ...] = ()

    def __hash__(self) -> int:
        # Planning looks images up millions of times; the terms of an image would be hashed each time.
        return hash(self.image)

    @property
    def label(self) -> str:
        """Its name for people: ``brake 2.0``, or its path."""
        return self.path if self.component is None or self.version is None else f"{self.component} {self.version}"

    def is_one_of(self, component: str, versions: VersionRange) -> bool:
        """Whether this is ``component`` in one of ``versions``; a pre-release counts like any other version."""
        return self.component == component and self.version is not None and self.version in versions


def fingerprint(path: str, length: int, hashes: Mapping[str, str]) -> str:
    """SHA-256 over what identifies an image: its name, length in bytes and hashes."""
    return hashlib.sha256(encode_canonical([path, length, dict(hashes)])).hexdigest()


def read_software(entry: ImageEntry) -> Software:
    """Read ``entry`` as software. An author may have written anything into it; what cannot be read is ``unreadable``."""
    component = read_component(entry.custom)
    return Software(
        image=fingerprint(entry.path, entry.length, entry.hashes),
        path=entry.path,
        release_counter=entry.release_counter,
        component=component.name,
        version=component.version,
        dependencies=tuple(sorted(component.dependencies.items())),
        conflicts=tuple(sorted(component.conflicts.items())),
        unreadable=component.unreadable,
    )


def mentioned(software: Software) -> frozenset[str]:
    """The components that an image needs or conflicts with."""
    return frozenset(name for name, _ in (*software.dependencies, *software.conflicts))


def is_image(installed: InstalledImage, path: str, length: int, hashes: Mapping[str, str]) -> bool:
    """Whether an ECU reports exactly this image: name, length in bytes and every hash that both sides know."""
    common = installed.hashes.keys() & hashes.keys()
    return (
        installed.path == path
        and installed.length == length
        and bool(common)
        and all(installed.hashes[name] == hashes[name] for name in common)
    )


def same_image(installed: InstalledImage, entry: ImageEntry) -> bool:
    """Whether an ECU reports exactly the image of ``entry``."""
    return is_image(installed, entry.path, entry.length, entry.hashes)
