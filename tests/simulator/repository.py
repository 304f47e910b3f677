"""The names of ``twinlock.testing.simulator.repository``, under the address that the tests of this repository use."""

from twinlock.testing.simulator.repository import *  # noqa: F403
