"""What every check needs in addition to the file that it judges, in one value so that no check has ten parameters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, TypeVar

from twinlock.trust.errors.metadata import LimitError, procedure_of
from twinlock.trust.keys.signatures import Envelope
from twinlock.trust.limits import Limits
from twinlock.trust.names import RepositoryName, RoleName, VehicleId
from twinlock.trust.policy import Policy
from twinlock.trust.wire.profile import WireProfile

S = TypeVar("S")


class Context(NamedTuple):
    """The repository under check, the time fixed for the cycle (UTC), the bounds, the wire profile, the policy.

    ``vehicle`` is whose metadata this has to be where the repository makes it for single vehicles. ``ceiling`` (UTC) is the
    latest time that a file may prove; only a clock that is itself proven in this boot sets one.
    """

    repository: RepositoryName
    now: datetime
    limits: Limits
    wire: WireProfile
    policy: Policy
    vehicle: VehicleId | None = None
    ceiling: datetime | None = None

    def what(self, role: RoleName) -> str:
        """How an error names a file: ``director/targets``."""
        return f"{self.repository}/{role}"

    def subject(self, role: RoleName) -> str:
        """What a proof is of: the encoding and the role that a file was read as, such as ``tuf/targets``."""
        return f"{self.wire.name}/{role}"

    def decode(self, role: RoleName, decoder: Callable[[bytes, str, Limits], Envelope[S]], data: bytes) -> Envelope[S]:
        """The file of ``role`` in ``data``. Raises: MalformedError; LimitError under the clause of that role's procedure."""
        try:
            return decoder(data, self.what(role), self.limits)
        except LimitError as error:
            error.clause = procedure_of(role)
            raise
