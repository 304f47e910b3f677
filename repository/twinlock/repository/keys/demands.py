"""Demands for a post-quantum signature: which roles of a Root have one, and whether its keys can meet it.

The demand is in the file that names the role's keys (``signed.custom.postQuantum``), where the trust engine reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from twinlock.trust.errors.base import UsageError
from twinlock.trust.keys.public_keys import is_post_quantum
from twinlock.trust.wire.tuf.delegation_members import POST_QUANTUM

if TYPE_CHECKING:
    from tuf.api.metadata import Root, Targets

_CUSTOM = "custom"


def check_demand(role: str, keytypes: Iterable[str], threshold: int) -> None:
    """Refuse a demand for a post-quantum signature that cannot be met, or that replaces the classical one.

    Raises: UsageError.
    """
    if threshold < 2:
        reason = "a threshold of 1 would be met by that key alone; ask for 2 or more, so that a classical key signs too"
        raise UsageError(reason=f"{role} cannot demand a post-quantum signature: {reason}")
    if not any(map(is_post_quantum, keytypes)):
        raise UsageError(
            reason=f"{role} cannot demand a post-quantum signature: none of its keys is of a kind ml-dsa-*"
        )


def demanding_roles(signed: Root | Targets) -> frozenset[str]:
    """The roles of which ``signed`` demands a post-quantum signature."""
    return frozenset(signed.unrecognized_fields.get(_CUSTOM, {}).get(POST_QUANTUM, ()))


def set_demand(root: Root, role: str, *, demanded: bool) -> None:
    """Write or remove the demand on ``role`` in ``root``, once the role has its keys and threshold. Raises: UsageError."""
    roles = demanding_roles(root) - {role} | ({role} if demanded else set())
    custom = {name: value for name, value in root.unrecognized_fields.get(_CUSTOM, {}).items() if name != POST_QUANTUM}
    if roles:
        custom[POST_QUANTUM] = sorted(roles)
    root.unrecognized_fields.pop(_CUSTOM, None)
    if custom:
        root.unrecognized_fields[_CUSTOM] = custom
    check_demands(root)


def check_demands(root: Root) -> None:
    """Refuse a Root with a demand that its own keys and thresholds cannot meet. Raises: UsageError."""
    for role in sorted(demanding_roles(root)):
        named = root.roles[role]
        check_demand(role, (root.keys[keyid].keytype for keyid in named.keyids), named.threshold)
