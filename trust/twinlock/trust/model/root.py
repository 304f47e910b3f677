"""Root: Uptane 2.1.0 5.2.2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from twinlock.trust.keys import PublicKey
from twinlock.trust.model.base import Signed
from twinlock.trust.names import KeyId, RoleName
from twinlock.trust.signatures import RoleKeys


@dataclass(frozen=True, kw_only=True, slots=True)
class Root(Signed):
    """Keys and thresholds of the four top-level roles, and of the time source where there is one."""

    keys: Mapping[KeyId, PublicKey]
    roles: Mapping[RoleName, RoleKeys]
    time_source: RoleKeys | None = None
    consistent_snapshot: bool = True

    def signers(self, role: RoleName) -> frozenset[bytes]:
        """The key material that may sign for ``role``: what "the keys were rotated" compares."""
        return frozenset(self.keys[keyid].identity for keyid in self.roles[role].keyids if keyid in self.keys)
