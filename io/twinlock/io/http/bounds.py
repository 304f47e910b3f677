"""Bounds on what strangers may use of a server: connections, and the time for each step of a request.

The defaults are safe without a reverse proxy. Behind one, all connections come from its address, so raise
``connections_per_address`` to ``connections`` there.
"""

from __future__ import annotations

from dataclasses import dataclass

from twinlock.trust.errors.base import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Times are seconds. An address is an IPv4 address or an IPv6 network of 64 bits."""

    connections: int = 1_000  # each may hold a file, too; the usual limit of descriptors is raised to match
    connections_per_address: int = 100  # many vehicles may share one address of their operator's
    handshake_s: float = 10.0  # for TLS
    header_s: float = 20.0  # for the head of a request, from the connection or the end of the last answer on
    stall_s: float = 30.0  # in which a reader must read ``stall_bytes`` of what is queued for it
    stall_bytes: int = 15_000  # 500 bytes/s: half of what our client demands of a server
    linger_s: float = 2.0  # for which the rest of a refused body is read and thrown away, so that the answer arrives
    linger_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        if min(self.connections, self.connections_per_address) < 1:
            raise UsageError(reason="a server must accept at least one connection")


DEFAULT_BOUNDS = Bounds()
