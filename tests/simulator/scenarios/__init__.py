"""The catalogue of attacks, one module a family. Importing this package fills ``scenario.CATALOGUE``."""

from tests.simulator.scenarios import (
    bundles,
    delegations,
    disagreement,
    equivocation,
    fastforward,
    freeze,
    malformed,
    mixandmatch,
    multirole,
    partial,
    replay,
    rollback,
    software,
    supply,
    weakkeys,
    wronghardware,
)

__all__ = [
    "bundles",
    "delegations",
    "disagreement",
    "equivocation",
    "fastforward",
    "freeze",
    "malformed",
    "mixandmatch",
    "multirole",
    "partial",
    "replay",
    "rollback",
    "software",
    "supply",
    "weakkeys",
    "wronghardware",
]
