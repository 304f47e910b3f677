"""Root: Uptane 2.1.0 5.2.2."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from twinlock.trust.keys.public_keys import PublicKey
from twinlock.trust.keys.signatures import RoleKeys
from twinlock.trust.model.base import NOTHING
from twinlock.trust.names import SNAPSHOT, TIMESTAMP, KeyId, RoleName


class Root(NamedTuple):
    """Keys and thresholds of the top-level roles, and of the time source where there is one.

    ``keys`` are those that this engine can use; ``unusable`` are the others, each with the reason.
    An encoding may know Directors without Timestamp and Snapshot; the verification that follows such a Root decides whether it may.
    ``written_type`` is ``_type`` as the file spells it: the one signed member that differs between two wire profiles.
    """

    version: int
    expires: datetime
    issued: datetime | None
    keys: Mapping[KeyId, PublicKey]
    roles: Mapping[RoleName, RoleKeys]
    time_source: RoleKeys | None = None
    consistent_snapshot: bool = True
    written_type: str = "root"
    unusable: Mapping[KeyId, str] = NOTHING

    def signers(self, role: RoleName) -> frozenset[bytes]:
        """The key material that may sign for ``role``: what "the keys were rotated" compares."""
        named = self.roles[role].keyids if role in self.roles else ()
        return frozenset(self.keys[keyid].identity for keyid in named if keyid in self.keys)

    @property
    def has_index(self) -> bool:
        """Whether it names Timestamp and Snapshot, the index of what else is current."""
        return TIMESTAMP in self.roles and SNAPSHOT in self.roles
