"""An image as software: which component in which version, and what it needs and does not tolerate beside it.

Belongs here: reading the ``custom`` fields name, version, dependencies and conflicts. Does not belong here: choosing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from twinlock.trust.canonical import encode_canonical
from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import TargetPath
from twinlock.trust.state import InstalledImage

Terms = tuple[tuple[str, SpecifierSet], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Software:
    """One image as a choice. ``image`` identifies its bytes under its name; ``component`` None: it has no name.

    ``dependencies`` and ``conflicts`` pair component names with version ranges, sorted by name.
    """

    image: str
    path: TargetPath
    release_counter: int | None = None
    component: str | None = None
    version: Version | None = None
    dependencies: Terms = ()
    conflicts: Terms = ()

    @property
    def label(self) -> str:
        """How people call it: ``brake 2.0``, or its path."""
        return f"{self.component} {self.version}" if self.component is not None else self.path

    def is_one_of(self, component: str, versions: SpecifierSet) -> bool:
        """Whether this is ``component`` in one of ``versions``; a pre-release counts like any other version."""
        if self.component != component:
            return False
        return self.version is not None and versions.contains(self.version, prereleases=True)


def fingerprint(path: str, length: int, hashes: Mapping[str, str]) -> str:
    """SHA-256 over what identifies an image: its name, length in bytes and hashes."""
    return hashlib.sha256(encode_canonical([path, length, dict(hashes)])).hexdigest()


def read_software(entry: ImageEntry) -> Software:
    """Read ``entry`` as software. Raises: MalformedError for a version or range that is not PEP 440."""
    component = _text(entry, "name")
    version = _text(entry, "version")
    if component is not None and version is None:
        _fail(entry, "version", "an image with a name has to have a version")
    try:
        parsed = None if version is None else Version(version)
    except InvalidVersion:
        _fail(entry, "version", f"{version!r} is not a version as PEP 440 writes them")
    return Software(
        image=fingerprint(entry.path, entry.length, entry.hashes),
        path=entry.path,
        release_counter=entry.release_counter,
        component=component,
        version=parsed,
        dependencies=_terms(entry, "dependencies"),
        conflicts=_terms(entry, "conflicts"),
    )


def mentioned(software: Software) -> frozenset[str]:
    """The components that an image needs or conflicts with."""
    return frozenset(name for name, _ in (*software.dependencies, *software.conflicts))


def is_image(installed: InstalledImage, path: str, length: int, hashes: Mapping[str, str]) -> bool:
    """Whether an ECU reports precisely this image: name, length in bytes and every hash that both sides know."""
    common = installed.hashes.keys() & hashes.keys()
    return (
        installed.path == path
        and installed.length == length
        and bool(common)
        and all(installed.hashes[name] == hashes[name] for name in common)
    )


def same_image(installed: InstalledImage, entry: ImageEntry) -> bool:
    """Whether an ECU reports precisely the image of ``entry``."""
    return is_image(installed, entry.path, entry.length, entry.hashes)


def show_versions(versions: SpecifierSet) -> str:
    """A range for people: ``>= 1.4, < 2``; ``of any version`` where it is empty."""
    parts = sorted(f"{spec.operator} {spec.version}" for spec in versions)
    return ", ".join(parts) or "of any version"


def _text(entry: ImageEntry, name: str) -> str | None:
    value = entry.custom.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        _fail(entry, name, "a string is required")
    return value


def _terms(entry: ImageEntry, name: str) -> Terms:
    value: Any = entry.custom.get(name) or {}
    if not isinstance(value, dict):
        _fail(entry, name, "an object of version ranges by component is required")
    found = []
    for component, versions in sorted(value.items()):
        try:
            found.append((component, SpecifierSet(versions)))
        except (InvalidSpecifier, TypeError, AttributeError):
            _fail(entry, f"{name}.{component}", f"{versions!r} is not a version range as PEP 440 writes them")
    return tuple(found)


def _fail(entry: ImageEntry, name: str, reason: str) -> NoReturn:
    raise MalformedError(what=f"image {entry.path}", json_path=f"$.custom.{name}", reason=reason)
