"""Which repositories have to agree on which images: Uptane 2.1.0 5.2.6, in the file format of TAP 4."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from twinlock.trust.errors.images import UnmappedImageError
from twinlock.trust.errors.metadata import LimitError, UnsafePathError
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.delegations import path_matches
from twinlock.trust.names import DIRECTOR, IMAGE, RepositoryName, TargetPath, identifier
from twinlock.trust.wire.json.cursor import Node
from twinlock.trust.wire.json.parser import parse_json

_EVERYTHING = "*"


class PathMapping(NamedTuple):
    """Images whose name fits one of ``paths`` need the agreement of all ``repositories``. ``*`` alone fits any name."""

    paths: tuple[str, ...]
    repositories: tuple[RepositoryName, ...]

    def covers(self, path: TargetPath) -> bool:
        """Whether this mapping decides ``path``."""
        return any(pattern == _EVERYTHING or path_matches(path, pattern) for pattern in self.paths)


class RepositoryMap(NamedTuple):
    """Repositories with their URLs, and mappings in order; the first that covers a name decides."""

    repositories: Mapping[RepositoryName, tuple[str, ...]]
    mappings: tuple[PathMapping, ...]

    def agreeing(self, path: TargetPath) -> tuple[RepositoryName, ...]:
        """The repositories other than the Director that have to list ``path``. Raises: UnmappedImageError."""
        for mapping in self.mappings:
            if mapping.covers(path):
                return tuple(name for name in mapping.repositories if name != DIRECTOR)
        raise UnmappedImageError(target=path)


def plain_map(director_url: str, image_url: str) -> RepositoryMap:
    """The basic case of Uptane 2.1.0 5.2.6: every image needs both repositories."""
    return RepositoryMap(
        {DIRECTOR: (director_url,), IMAGE: (image_url,)},
        (PathMapping((_EVERYTHING,), (DIRECTOR, IMAGE)),),
    )


def decode_map(data: bytes, limits: Limits = DEFAULT_LIMITS) -> RepositoryMap:
    """Read a map file. Raises: MalformedError, LimitError.

    Every mapping has to name the Director and at least one other repository, and to want all of them (Uptane knows no
    "two out of three" here), and the first that fits decides; anything else is refused, not reinterpreted.
    """
    if len(data) > limits.map_bytes:
        raise LimitError(
            what="repository map in bytes", value=len(data), limit=limits.map_bytes, clause="Uptane 2.1.0 5.2.6"
        )
    node = Node(parse_json(data, "repository map"), "repository map", "$")
    repositories: dict[RepositoryName, tuple[str, ...]] = {}
    for name, urls in node.get("repositories").members(limits.keys):
        repositories[_name(Node(name, urls.what, urls.path))] = _texts(urls, limits)
    if DIRECTOR not in repositories or len(repositories) < 2:
        node.get("repositories").fail(f"{DIRECTOR!r} and at least one other repository are required")
    mappings = tuple(_mapping(item, repositories, limits) for item in node.get("mapping").items(limits.keys))
    if not mappings:
        node.get("mapping").fail("at least one mapping is required")
    return RepositoryMap(repositories, mappings)


def _mapping(node: Node, repositories: Mapping[RepositoryName, tuple[str, ...]], limits: Limits) -> PathMapping:
    names = tuple(_name(item) for item in node.get("repositories").items(limits.keys))
    if DIRECTOR not in names or len(set(names)) < 2 or len(set(names)) != len(names):
        node.get("repositories").fail(f"{DIRECTOR!r} and at least one other are required, none twice")
    for name in names:
        if name not in repositories:
            node.get("repositories").fail(f"{name!r} is not among the repositories")
    if node.has("threshold") and node.get("threshold").integer(1) != len(names):
        node.get("threshold").fail("all of the listed repositories have to agree")
    if node.has("terminating") and not node.get("terminating").boolean():
        node.get("terminating").fail("the first mapping that fits has to decide")
    return PathMapping(_texts(node.get("paths"), limits), names)


def _texts(node: Node, limits: Limits) -> tuple[str, ...]:
    found = tuple(item.text() for item in node.items(limits.name_patterns))
    if not found:
        node.fail("at least one is required")
    return found


def _name(node: Node) -> RepositoryName:
    try:
        return RepositoryName(identifier(node.text()))
    except UnsafePathError as error:
        node.fail(f"not a name: {error.reason}")
