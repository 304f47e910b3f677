"""Members of ``signed.custom`` that restrict the roles in a file: hardware restrictions, post-quantum demands.

They are in ``custom`` because readers that encode a file again before they verify it keep that member, and drop unknown
members of a delegation.
"""

from __future__ import annotations

from collections.abc import Iterable

from twinlock.trust.limits import Limits
from twinlock.trust.model.delegations import DelegatedRole, Delegation, Delegations
from twinlock.trust.names import HardwareId
from twinlock.trust.wire.json.cursor import Node
from twinlock.trust.wire.tuf.members import custom_member
from twinlock.trust.wire.tuf.uptane_fields import decode_hardware_ids

HARDWARE = "delegatedHardware"
POST_QUANTUM = "postQuantum"


def complete_delegations(signed: Node, delegations: Delegations, limits: Limits) -> Delegations:
    """``delegations`` with what ``signed.custom`` adds: hardware restrictions and post-quantum demands.

    A restriction holds wherever it is stated; stated in both places it has to be equal.
    Raises: MalformedError, LimitError. Source: Uptane 2.1.0 5.2.3.2.
    """
    named = [role.name for entry in delegations.entries for role in entry.roles]
    bins = delegations.bins
    demanded = post_quantum_roles(signed, named if bins is None else [bins.name_prefix], limits)
    restricted = _restrictions(signed, delegations, limits)
    entries = delegations.entries
    if restricted is not None:
        entries = tuple(map(_with_hardware, entries, restricted))
    if demanded:
        entries = tuple(
            entry._replace(roles=tuple(_with_demand(role, demanded) for role in entry.roles)) for entry in entries
        )
    if bins is not None and bins.name_prefix in demanded:
        bins = bins._replace(signers=bins.signers._replace(post_quantum=True))
    return delegations._replace(entries=entries, bins=bins)


def post_quantum_roles(signed: Node, named: Iterable[str], limits: Limits) -> frozenset[str]:
    """The roles among ``named`` whose files need a post-quantum signature. Raises: MalformedError for any other."""
    member = custom_member(signed, POST_QUANTUM)
    if member is None:
        return frozenset()
    demanded = frozenset(member.texts(limits.delegations_per_role))
    unknown = sorted(demanded.difference(named))
    if unknown:
        member.fail(f"the file names no role {unknown[0]!r}")
    return demanded


def _restrictions(
    signed: Node, delegations: Delegations, limits: Limits
) -> list[tuple[Node, frozenset[HardwareId] | None]] | None:
    """One restriction for each delegation, in the same order, with its place; None where the member is missing."""
    member = custom_member(signed, HARDWARE)
    if member is None:
        return None
    items = member.items(limits.delegations_per_role)
    if len(items) != len(delegations.entries):
        member.fail(f"it has {len(items)} items for {len(delegations.entries)} delegations")
    found = []
    for item, entry in zip(items, delegations.entries, strict=True):
        if item.get("roles").texts(limits.keys) != tuple(role.name for role in entry.roles):
            item.get("roles").fail("these are not the roles of the delegation at the same place")
        stated = item.has("hardwareIds")
        found.append((item, decode_hardware_ids(item.get("hardwareIds"), limits) if stated else None))
    return found


def _with_hardware(entry: Delegation, restriction: tuple[Node, frozenset[HardwareId] | None]) -> Delegation:
    item, hardware = restriction
    if hardware is None or hardware == entry.hardware_ids:
        return entry
    if entry.hardware_ids is not None:
        item.get("hardwareIds").fail("the delegation itself states other hardware ids")
    return entry._replace(hardware_ids=hardware)


def _with_demand(role: DelegatedRole, demanded: frozenset[str]) -> DelegatedRole:
    return role._replace(signers=role.signers._replace(post_quantum=True)) if role.name in demanded else role
