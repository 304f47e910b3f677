"""Which optional guarantees are demanded. STRICT is the default; LAX exists for interop.

What a verification under LAX went without is named by ``engine/guarantees.py``.
"""

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
    require_consistent_snapshot: bool = True


STRICT = Policy()
LAX = Policy(
    require_vehicle=False,
    require_hardware_ids=False,
    require_release_counter=False,
    require_must_agree=False,
    require_snapshot_hashes=False,
    require_director_index=False,
    require_consistent_snapshot=False,
)
