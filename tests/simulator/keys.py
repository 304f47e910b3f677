"""The names of ``twinlock.testing.simulator.keys``, under the address that the tests of this repository use."""

from twinlock.testing.simulator.keys import *  # noqa: F403
