"""Targets in the ``tuf`` profile: image entries with their Uptane custom fields, and delegations of every kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from twinlock.trust.errors.metadata import UnsafePathError
from twinlock.trust.limits import Limits
from twinlock.trust.model.delegations import DelegatedRole, Delegation, Delegations, SuccinctBins
from twinlock.trust.model.targets import ImageEntry, Targets
from twinlock.trust.names import (
    TOP_LEVEL,
    EcuId,
    HardwareId,
    RoleName,
    TargetPath,
    role_file,
    target_path,
)
from twinlock.trust.wire.node import Node, check_text
from twinlock.trust.wire.strict import LocatedMembers
from twinlock.trust.wire.tuf_members import (
    common_fields,
    decode_identifier,
    decode_keys,
    decode_role_keys,
    decode_vehicle,
)

_MAX_BIN_BITS = 32


def decode_targets(signed: Node, limits: Limits) -> Targets:
    """Decode the ``signed`` part of a top-level or delegated Targets file."""
    custom = signed.get("custom") if signed.has("custom") else None
    correlation = None
    if custom is not None and custom.has("correlationId"):
        correlation = custom.text_at("correlationId")
    return Targets(
        **common_fields(signed),
        images=_Images(_located(signed.get("targets")), limits),
        delegations=_delegations(signed.get("delegations"), limits) if signed.has("delegations") else None,
        vehicle=decode_vehicle(signed),
        correlation_id=correlation,
    )


class _Images(Mapping[TargetPath, ImageEntry]):
    """Entries, decoded when looked up: a vehicle wants a handful of the hundred thousand that a file may list.

    Until then only their names are known. A malformed entry raises when it is looked up.
    """

    __slots__ = ("_decoded", "_limits", "_located")

    def __init__(self, located: LocatedMembers, limits: Limits) -> None:
        self._located = located
        self._limits = limits
        self._decoded: dict[str, ImageEntry] = {}

    def __getitem__(self, path: TargetPath) -> ImageEntry:
        if path not in self._decoded:
            located = self._located
            node = Node(located.read(path), located.what, f"{located.path}[{path!r}]")
            self._decoded[path] = _entry(path, node, self._limits)
        return self._decoded[path]

    def __iter__(self) -> Iterator[TargetPath]:
        return (TargetPath(path) for path in self._located.places)

    def __len__(self) -> int:
        return len(self._located.places)

    def __contains__(self, path: object) -> bool:
        return path in self._located.places


def _located(node: Node) -> LocatedMembers:
    if not isinstance(node.value, LocatedMembers):
        node.fail("an object is required")
    return node.value


def _entry(path: str, node: Node, limits: Limits) -> ImageEntry:
    # A hostile name in a signed file raises UnsafePathError here, when somebody asks for that entry.
    name = target_path(path)
    custom = node.get("custom") if node.has("custom") else Node({}, node.what, f"{node.path}.custom")
    agreed = custom.get("mustAgree") if custom.has("mustAgree") else None
    return ImageEntry(
        path=name,
        length=node.get("length").integer(0),
        hashes=node.get("hashes").hashes(limits.hashes),
        release_counter=_release_counter(agreed, custom),
        hardware_ids=_hardware_ids(agreed, custom, limits),
        must_agree=None if agreed is None else agreed.shallow(),
        ecus=_ecus(custom, limits),
        download_url=custom.text_at("downloadUrl") if custom.has("downloadUrl") else None,
        custom=custom.shallow(),
    )


def _stated(name: str, agreed: Node | None, custom: Node) -> Node | None:
    """A field that may stand in the must-agree section or directly in ``custom``, but not in both."""
    if agreed is not None and agreed.has(name):
        if custom.has(name):
            custom.get(name).fail("it stands in mustAgree as well")
        return agreed.get(name)
    return custom.get(name) if custom.has(name) else None


def _release_counter(agreed: Node | None, custom: Node) -> int | None:
    node = _stated("releaseCounter", agreed, custom)
    return None if node is None else node.integer(0)


def _hardware_ids(agreed: Node | None, custom: Node, limits: Limits) -> frozenset[HardwareId] | None:
    node = _stated("hardwareIds", agreed, custom)
    if node is None:
        return None
    return frozenset(HardwareId(decode_identifier(item)) for item in node.items(limits.name_patterns))


def _ecus(custom: Node, limits: Limits) -> dict[EcuId, HardwareId | None]:
    if not custom.has("ecuIdentifiers"):
        return {}
    found: dict[EcuId, HardwareId | None] = {}
    for ecu, node in custom.get("ecuIdentifiers").members(limits.ecus):
        hardware = HardwareId(decode_identifier(node.get("hardwareId"))) if node.has("hardwareId") else None
        found[EcuId(decode_identifier(Node(ecu, node.what, node.path)))] = hardware
    return found


def _delegations(node: Node, limits: Limits) -> Delegations:
    keys = decode_keys(node.get("keys"), limits)
    if node.has("succinct_roles"):
        if node.has("roles"):
            node.fail("roles and succinct_roles exclude each other")
        return Delegations(keys=keys, bins=_bins(node.get("succinct_roles"), limits))
    plain = node.get("roles").items(limits.delegations_per_role) if node.has("roles") else []
    if node.has("prioritized_delegations"):  # TAP 3
        if plain:
            node.fail("roles has to be empty beside prioritized_delegations")
        several = node.get("prioritized_delegations").items(limits.delegations_per_role)
        return Delegations(keys=keys, entries=tuple(_multi_role(item, limits) for item in several))
    return Delegations(keys=keys, entries=tuple(_delegation(item, (_role(item, limits),), limits) for item in plain))


def _multi_role(node: Node, limits: Limits) -> Delegation:
    roles = tuple(_role(item, limits) for item in node.get("roles").items(limits.keys))
    if not roles or len({role.name for role in roles}) != len(roles):
        node.get("roles").fail("at least one role is required, and none twice")
    agreement = node.get("min_roles_in_agreement").integer(1)
    if agreement > len(roles):
        node.get("min_roles_in_agreement").fail(f"only {len(roles)} roles are listed")
    return _delegation(node, roles, limits, agreement)


def _role(node: Node, limits: Limits) -> DelegatedRole:
    return DelegatedRole(_role_name(node.get("name")), decode_role_keys(node, limits))


def _role_name(node: Node) -> RoleName:
    name = node.text()
    if name in TOP_LEVEL:
        node.fail(f"{name!r} is a top-level role")
    try:
        role_file(name)
    except UnsafePathError as error:
        node.fail(f"not a role name: {error.reason}")
    return RoleName(name)


def _delegation(node: Node, roles: tuple[DelegatedRole, ...], limits: Limits, agreement: int = 1) -> Delegation:
    if node.has("paths") == node.has("path_hash_prefixes"):
        node.fail("exactly one of paths and path_hash_prefixes is required")
    hardware = None
    if node.has("hardwareIds"):
        items = node.get("hardwareIds").items(limits.name_patterns)
        hardware = frozenset(HardwareId(decode_identifier(item)) for item in items)
    return Delegation(
        roles=roles,
        terminating=node.get("terminating").boolean(),
        paths=_texts(node, "paths", limits),
        path_hash_prefixes=_texts(node, "path_hash_prefixes", limits),
        hardware_ids=hardware,
        min_roles_in_agreement=agreement,
    )


def _texts(node: Node, name: str, limits: Limits) -> tuple[str, ...] | None:
    if not node.has(name):
        return None
    return node.get(name).texts(limits.name_patterns)


def _bins(node: Node, limits: Limits) -> SuccinctBins:
    bits = node.get("bit_length").integer(1)
    if bits > _MAX_BIN_BITS:
        node.get("bit_length").fail(f"at most {_MAX_BIN_BITS} is allowed")
    prefix = node.get("name_prefix")
    check_text(prefix.text(), prefix)
    _role_name(prefix)
    return SuccinctBins(signers=decode_role_keys(node, limits), bit_length=bits, name_prefix=prefix.value)
