"""Uptane's custom fields of an image entry, which the profiles write alike, and entries that are decoded when wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from twinlock.trust.limits import Limits
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import EcuId, HardwareId, TargetPath
from twinlock.trust.wire.json.cursor import Node
from twinlock.trust.wire.json.parser import LocatedMembers
from twinlock.trust.wire.tuf.members import decode_identifier


class LazyImages(Mapping[TargetPath, ImageEntry]):
    """Entries, decoded when looked up: a vehicle wants a handful of the hundred thousand that a file may list.

    Until then only their names are known. A malformed entry raises when it is looked up.
    """

    __slots__ = ("_decode", "_decoded", "_limits", "_located")

    def __init__(self, node: Node, limits: Limits, decode: Callable[[str, Node, Limits], ImageEntry]) -> None:
        """``node`` is the located ``targets`` member; ``decode`` makes one entry of its name and value."""
        if not isinstance(node.value, LocatedMembers):
            node.fail("an object is required")
        self._located: LocatedMembers = node.value
        self._limits = limits
        self._decode = decode
        self._decoded: dict[str, ImageEntry] = {}

    def __getitem__(self, path: TargetPath) -> ImageEntry:
        if path not in self._decoded:
            located = self._located
            node = Node(located.read(path), located.what, f"{located.path}[{path!r}]")
            self._decoded[path] = self._decode(path, node, self._limits)
        return self._decoded[path]

    def __iter__(self) -> Iterator[TargetPath]:
        return (TargetPath(path) for path in self._located.places)

    def __len__(self) -> int:
        return len(self._located.places)

    def __contains__(self, path: object) -> bool:
        return path in self._located.places


def custom_of(entry: Node) -> tuple[Node, Node | None]:
    """The ``custom`` member of an entry (empty if there is none), and the section of it that has to agree."""
    custom = entry.get("custom") if entry.has("custom") else Node({}, entry.what, f"{entry.path}.custom")
    return custom, custom.get("mustAgree") if custom.has("mustAgree") else None


def release_counter(agreed: Node | None, custom: Node) -> int | None:
    """The release counter, wherever it is stated."""
    node = _stated("releaseCounter", agreed, custom)
    return None if node is None else node.integer(0)


def hardware_ids(agreed: Node | None, custom: Node, limits: Limits) -> frozenset[HardwareId] | None:
    """The hardware ids, wherever they are stated."""
    node = _stated("hardwareIds", agreed, custom)
    return None if node is None else decode_hardware_ids(node, limits)


def decode_hardware_ids(node: Node, limits: Limits) -> frozenset[HardwareId]:
    """A list of hardware ids."""
    return frozenset(HardwareId(decode_identifier(item)) for item in node.items(limits.name_patterns))


def ecus(custom: Node, limits: Limits) -> dict[EcuId, HardwareId | None]:
    """The ECUs that a Director's entry is for, each with the hardware id that it states for them."""
    if not custom.has("ecuIdentifiers"):
        return {}
    found: dict[EcuId, HardwareId | None] = {}
    for ecu, node in custom.get("ecuIdentifiers").members(limits.ecus):
        hardware = HardwareId(decode_identifier(node.get("hardwareId"))) if node.has("hardwareId") else None
        found[EcuId(decode_identifier(Node(ecu, node.what, node.path)))] = hardware
    return found


def _stated(name: str, agreed: Node | None, custom: Node) -> Node | None:
    """A field that may be in the must-agree section or directly in ``custom``, but not in both."""
    if agreed is not None and agreed.has(name):
        if custom.has(name):
            custom.get(name).fail("mustAgree states it as well")
        return agreed.get(name)
    return custom.get(name) if custom.has(name) else None
