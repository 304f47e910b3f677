"""The names of ``twinlock.testing.simulator.world``, under the address that the tests of this repository use."""

from twinlock.testing.simulator.world import *  # noqa: F403
