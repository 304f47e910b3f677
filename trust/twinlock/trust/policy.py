"""Which optional guarantees are demanded. STRICT is the default; LAX exists for interop and says what it gave up."""

from __future__ import annotations

from typing import NamedTuple


class Policy(NamedTuple):
    """What an entry has to state. A field that is stated is always checked, whatever the policy."""

    require_vehicle: bool = True
    require_hardware_ids: bool = True
    require_release_counter: bool = True
    require_must_agree: bool = True
    require_snapshot_hashes: bool = True
    require_director_index: bool = True

    @property
    def weaker(self) -> tuple[str, ...]:
        """The guarantees that this policy leaves to the publisher, for the report."""
        gaps = {
            "vehicle-id-not-required": self.require_vehicle,
            "hardware-ids-not-required": self.require_hardware_ids,
            "release-counter-not-required": self.require_release_counter,
            "must-agree-not-required": self.require_must_agree,
            "snapshot-hashes-not-required": self.require_snapshot_hashes,
            "director-index-not-required": self.require_director_index,
        }
        return tuple(gap for gap, required in gaps.items() if not required)


STRICT = Policy()
LAX = Policy(
    require_vehicle=False,
    require_hardware_ids=False,
    require_release_counter=False,
    require_must_agree=False,
    require_snapshot_hashes=False,
    require_director_index=False,
)
