"""Root: Uptane 2.1.0 5.2.2."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from twinlock.trust.keys import PublicKey
from twinlock.trust.names import KeyId, RoleName
from twinlock.trust.signatures import RoleKeys


class Root(NamedTuple):
    """Keys and thresholds of the four top-level roles, and of the time source where there is one."""

    version: int
    expires: datetime
    issued: datetime | None
    keys: Mapping[KeyId, PublicKey]
    roles: Mapping[RoleName, RoleKeys]
    time_source: RoleKeys | None = None
    consistent_snapshot: bool = True

    def signers(self, role: RoleName) -> frozenset[bytes]:
        """The key material that may sign for ``role``: what "the keys were rotated" compares."""
        return frozenset(self.keys[keyid].identity for keyid in self.roles[role].keyids if keyid in self.keys)
