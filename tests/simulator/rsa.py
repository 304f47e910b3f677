"""The names of ``twinlock.testing.simulator.rsa``, under the address that the tests of this repository use."""

from twinlock.testing.simulator.rsa import *  # noqa: F403
