"""The names of ``twinlock.testing.simulator.wires``, under the address that the tests of this repository use."""

from twinlock.testing.simulator.wires import *  # noqa: F403
