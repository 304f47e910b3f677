"""The pytest plugin: one fixture for each piece of the test bench ``twinlock.testing``.

pytest loads it wherever Twinlock is installed, so it imports nothing of ours before a fixture is used. It is a module by itself
because pytest takes the parts of a namespace package that has a plugin for packages of their own, and warns about ``io``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from twinlock.testing.attacker import Attacker
    from twinlock.testing.clock import BenchClock
    from twinlock.testing.repositories import Repositories
    from twinlock.testing.vehicle import TestVehicle


@pytest.fixture
def twinlock_repositories() -> Iterator[Repositories]:
    """Both repositories on a real socket, with release 1 published and assigned."""
    from twinlock.testing.repositories import Repositories

    with Repositories() as repositories:
        yield repositories


@pytest.fixture
def twinlock_clock(twinlock_repositories: Repositories) -> BenchClock:
    """The clock that the repositories and the vehicle share."""
    return twinlock_repositories.clock


@pytest.fixture
def twinlock_vehicle(twinlock_repositories: Repositories, tmp_path: Path) -> TestVehicle:
    """A vehicle that was provisioned for these repositories and has not updated yet."""
    from twinlock.testing.vehicle import TestVehicle

    return TestVehicle(twinlock_repositories, tmp_path / "vehicle")


@pytest.fixture
def twinlock_attacker(twinlock_repositories: Repositories) -> Attacker:
    """The attacker on the way between these repositories and their vehicle."""
    from twinlock.testing.attacker import Attacker

    return Attacker(twinlock_repositories)
