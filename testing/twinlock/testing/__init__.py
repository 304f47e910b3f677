"""A test bench for integrators: both repositories on a real socket, a vehicle, a clock and an attacker.

The pytest plugin ``pytest_twinlock`` makes a fixture of each. All keys are TEST keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twinlock.trust.lazy import lazy_exports

if TYPE_CHECKING:
    from twinlock.testing.attacker import Attacker
    from twinlock.testing.clock import BenchClock
    from twinlock.testing.repositories import Repositories
    from twinlock.testing.vehicle import TestVehicle
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "attacker": ("Attacker",),
            "clock": ("BenchClock",),
            "repositories": ("Repositories",),
            "vehicle": ("TestVehicle",),
        },
    )

__all__ = [
    "Attacker",
    "BenchClock",
    "Repositories",
    "TestVehicle",
]
