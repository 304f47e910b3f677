"""What every check needs beside the file it judges, bundled so that no check has ten parameters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from twinlock.trust.limits import Limits
from twinlock.trust.names import RepositoryName, RoleName
from twinlock.trust.policy import Policy
from twinlock.trust.wire.profile import WireProfile


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """The repository under check, the time fixed for the cycle (UTC), the bounds, the wire profile, the policy."""

    repository: RepositoryName
    now: datetime
    limits: Limits
    wire: WireProfile
    policy: Policy

    def what(self, role: RoleName) -> str:
        """How an error names a file: ``director/targets``."""
        return f"{self.repository}/{role}"
