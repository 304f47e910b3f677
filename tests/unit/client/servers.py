"""The names of ``twinlock.testing.servers``, under the address that the tests of the client use."""

from twinlock.testing.servers import *  # noqa: F403
