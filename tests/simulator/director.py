"""The names of ``twinlock.testing.simulator.director``, under the address that the tests of this repository use."""

from twinlock.testing.simulator.director import *  # noqa: F403
