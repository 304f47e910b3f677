"""The names of ``twinlock.testing.simulator.vehicle``, under the address that the tests of this repository use."""

from twinlock.testing.simulator.vehicle import *  # noqa: F403
