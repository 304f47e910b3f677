"""Targets in the ``aktualizr`` profile: image entries and delegations."""

from __future__ import annotations

from twinlock.trust.limits import Limits
from twinlock.trust.model.delegations import DelegatedRole, Delegation, Delegations
from twinlock.trust.model.targets import ImageEntry, Targets
from twinlock.trust.names import HardwareId, target_path
from twinlock.trust.wire.aktualizr import form
from twinlock.trust.wire.aktualizr.members import decode_hashes, decode_keys, decode_signers
from twinlock.trust.wire.json.cursor import Node
from twinlock.trust.wire.tuf.delegation_members import complete_delegations
from twinlock.trust.wire.tuf.members import common_fields, decode_correlation, decode_vehicle
from twinlock.trust.wire.tuf.targets import decode_role_name
from twinlock.trust.wire.tuf.uptane_fields import LazyImages, custom_of, decode_hardware_ids, ecus

_NO_URL = "https://example.com/"  # what generators of this profile write where there is no address


def decode_targets(signed: Node, limits: Limits) -> Targets:
    """Decode the ``signed`` part of a top-level or delegated Targets file."""
    return Targets(
        **common_fields(signed),
        images=LazyImages(signed.get("targets"), limits, _entry),
        delegations=_delegations(signed, limits) if _has_delegations(signed) else None,
        vehicle=decode_vehicle(signed),
        correlation_id=decode_correlation(signed),
    )


def _has_delegations(signed: Node) -> bool:
    """Generators of this profile write an empty object where nothing is delegated."""
    return signed.has("delegations") and signed.get("delegations").value != {}


def _entry(path: str, node: Node, limits: Limits) -> ImageEntry:
    name = target_path(path)
    custom, agreed = custom_of(node)
    url = custom.get("uri").text() if custom.has("uri") else ""
    return ImageEntry(
        path=name,
        length=node.get("length").integer(0),
        hashes=decode_hashes(node.get("hashes"), limits),
        release_counter=_release_counter(custom, agreed),
        hardware_ids=_hardware_ids(custom, agreed, limits),
        must_agree=None if agreed is None else agreed.shallow(),
        ecus=ecus(custom, limits),
        download_url=url if url not in ("", _NO_URL) else None,
        custom=custom.shallow(),
    )


def _release_counter(custom: Node, agreed: Node | None) -> int | None:
    holder = agreed if agreed is not None and agreed.has("releaseCounter") else custom
    return holder.get("releaseCounter").integer(0) if holder.has("releaseCounter") else None


def _hardware_ids(custom: Node, agreed: Node | None, limits: Limits) -> frozenset[HardwareId] | None:
    """The hardware ids. The client reads them in ``custom``, so there they are outside the section that has to agree."""
    stated = [
        decode_hardware_ids(holder.get("hardwareIds"), limits)
        for holder in (custom, agreed)
        if holder is not None and holder.has("hardwareIds")
    ]
    if len(stated) == 2 and stated[0] != stated[1]:
        custom.get("hardwareIds").fail("mustAgree states other hardware")
    return stated[0] if stated else None


def _delegations(signed: Node, limits: Limits) -> Delegations:
    node = signed.get("delegations")
    keys = decode_keys(node.get("keys"), limits)
    entries = tuple(_delegation(item, limits) for item in node.get("roles").items(limits.delegations_per_role))
    return complete_delegations(signed, Delegations(keys.usable, entries, unusable=keys.unusable), limits)


def _delegation(node: Node, limits: Limits) -> Delegation:
    name = decode_role_name(node.get("name"))
    return Delegation(
        roles=(DelegatedRole(name, decode_signers(node, limits)),),
        terminating=node.get("terminating").boolean() if node.has("terminating") else False,
        # Without patterns, as a delegation by digests of names has none, it covers nothing: so the client reads it too.
        paths=tuple(map(_pattern, node.get("paths").items(limits.name_patterns))) if node.has("paths") else (),
        hardware_ids=decode_hardware_ids(node.get("hardwareIds"), limits) if node.has("hardwareIds") else None,
        crossing=True,
    )


def _pattern(node: Node) -> str:
    """A pattern as ``fnmatch`` of C has it, of the kind that every reader understands alike."""
    text = node.text()
    if not form.is_plain_pattern(text):
        node.fail("a backslash, a class of characters or a set that excludes by ^ has more than one meaning")
    return text
