"""Targets in the ``tuf`` profile: image entries with their Uptane custom fields, and delegations of every kind."""

from __future__ import annotations

from collections.abc import Iterator

from twinlock.trust.errors.metadata import UnsafePathError
from twinlock.trust.limits import Limits
from twinlock.trust.model.delegations import DelegatedRole, Delegation, Delegations, SuccinctBins
from twinlock.trust.model.targets import ImageEntry, Targets
from twinlock.trust.names import (
    TOP_LEVEL,
    RoleName,
    role_file,
    target_path,
)
from twinlock.trust.wire.json.cursor import Node, check_text
from twinlock.trust.wire.tuf.delegation_members import complete_delegations
from twinlock.trust.wire.tuf.members import (
    common_fields,
    decode_acknowledged,
    decode_acknowledged_reports,
    decode_correlation,
    decode_keys,
    decode_resets,
    decode_role_keys,
    decode_vehicle,
)
from twinlock.trust.wire.tuf.uptane_fields import (
    LazyImages,
    custom_of,
    decode_hardware_ids,
    ecus,
    hardware_ids,
    release_counter,
)

_MAX_BIN_BITS = 32


def decode_targets(signed: Node, limits: Limits) -> Targets:
    """Decode the ``signed`` part of a top-level or delegated Targets file."""
    return Targets(
        **common_fields(signed),
        images=LazyImages(signed.get("targets"), limits, _entry),
        delegations=_delegations(signed, limits) if signed.has("delegations") else None,
        vehicle=decode_vehicle(signed),
        correlation_id=decode_correlation(signed),
        acknowledged=decode_acknowledged(signed, limits),
        acknowledged_reports=decode_acknowledged_reports(signed, limits),
        resets=decode_resets(signed, limits),
    )


def _entry(path: str, node: Node, limits: Limits) -> ImageEntry:
    # A hostile name in a signed file raises UnsafePathError here, when that entry is asked for.
    name = target_path(path)
    custom, agreed = custom_of(node)
    return ImageEntry(
        path=name,
        length=node.get("length").integer(0),
        hashes=node.get("hashes").hashes(limits.hashes),
        release_counter=release_counter(agreed, custom),
        hardware_ids=hardware_ids(agreed, custom, limits),
        must_agree=None if agreed is None else agreed.shallow(),
        ecus=ecus(custom, limits),
        download_url=custom.text_at("downloadUrl") if custom.has("downloadUrl") else None,
        custom=custom.shallow(),
    )


def _delegations(signed: Node, limits: Limits) -> Delegations:
    node = signed.get("delegations")
    keys = decode_keys(node.get("keys"), limits)
    found = Delegations(keys=keys.usable, unusable=keys.unusable)
    if node.has("succinct_roles"):
        if node.has("roles"):
            node.fail("roles and succinct_roles exclude each other")
        found = found._replace(bins=_bins(node.get("succinct_roles"), limits))
    else:
        found = found._replace(entries=tuple(_entries(node, limits)))
    return complete_delegations(signed, found, limits)


def _entries(node: Node, limits: Limits) -> Iterator[Delegation]:
    plain = node.get("roles").items(limits.delegations_per_role) if node.has("roles") else []
    if node.has("prioritized_delegations"):  # TAP 3
        if plain:
            node.fail("roles has to be empty where prioritized_delegations is given")
        several = node.get("prioritized_delegations").items(limits.delegations_per_role)
        return (_multi_role(item, limits) for item in several)
    return (_delegation(item, (_role(item, limits),), limits) for item in plain)


def _multi_role(node: Node, limits: Limits) -> Delegation:
    roles = tuple(_role(item, limits) for item in node.get("roles").items(limits.keys))
    if not roles or len({role.name for role in roles}) != len(roles):
        node.get("roles").fail("at least one role is required, and none twice")
    agreement = node.get("min_roles_in_agreement").integer(1)
    if agreement > len(roles):
        node.get("min_roles_in_agreement").fail(f"only {len(roles)} roles are listed")
    return _delegation(node, roles, limits, agreement)


def _role(node: Node, limits: Limits) -> DelegatedRole:
    return DelegatedRole(decode_role_name(node.get("name")), decode_role_keys(node, limits))


def decode_role_name(node: Node) -> RoleName:
    """The name of a delegated role. Raises: MalformedError for that of a top-level role, in whatever case.

    A name that cannot be the name of a file does not spoil the file: the search that asks for that role refuses it.
    """
    name = node.text()
    if name.lower() in TOP_LEVEL:
        node.fail(f"{name!r} is a top-level role")
    return RoleName(name)


def _delegation(node: Node, roles: tuple[DelegatedRole, ...], limits: Limits, agreement: int = 1) -> Delegation:
    if node.has("paths") == node.has("path_hash_prefixes"):
        node.fail("exactly one of paths and path_hash_prefixes is required")
    hardware = None
    if node.has("hardwareIds"):
        hardware = decode_hardware_ids(node.get("hardwareIds"), limits)
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
    decode_role_name(prefix)
    try:
        role_file(prefix.value)
    except UnsafePathError as error:
        prefix.fail(f"not a prefix of role names: {error.reason}")
    return SuccinctBins(signers=decode_role_keys(node, limits), bit_length=bits, name_prefix=prefix.value)
