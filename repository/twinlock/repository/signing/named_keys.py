"""The public keys that published metadata name, by role: what a list of private keys is compared with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from twinlock.trust.names import TOP_LEVEL

if TYPE_CHECKING:
    from tuf.api.metadata import Key, Root

    from twinlock.repository.signing.sign import SigningAuthority

OWN_ROOT = "aktualizr-root"  # in place of a role: the Root keys of the aktualizr chain, where it has its own
TIME = "time"  # in place of a role: the keys of the time source


class NamedKey(NamedTuple):
    """A public key, and the first role that it signs for; ``threshold`` of that role's keys have to sign, where that is known here."""

    role: str
    key: Key
    threshold: int | None = None


def keys_of_root(root: Root) -> dict[str, NamedKey]:
    """The keys of the top-level roles and of the time source, by id."""
    keys: dict[str, NamedKey] = {}
    for role in TOP_LEVEL:
        for keyid in root.roles[role].keyids:
            keys.setdefault(keyid, NamedKey(role, root.keys[keyid], root.roles[role].threshold))
    source = root.unrecognized_fields.get("custom", {}).get("timeSource") or {}
    for keyid in source.get("keyids", ()):
        keys.setdefault(keyid, NamedKey(TIME, root.keys[keyid], source["threshold"]))
    return keys


def keys_of_roles(roles: Iterable[tuple[str, SigningAuthority]]) -> dict[str, NamedKey]:
    """The keys of other roles, by id."""
    return {
        keyid: NamedKey(role, key, authority.threshold)
        for role, authority in roles
        for keyid, key in authority.keys.items()
    }
