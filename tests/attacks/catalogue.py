"""The catalogue of attacks: every scenario that a module of this folder tells, by name."""

from __future__ import annotations

from importlib import import_module

from tests.simulator.scenario import CATALOGUE, Scenario

FAMILIES = (
    "agility",
    "aktualizr",
    "arbitrary-software",
    "compromised-director",
    "compromised-image-repository",
    "delegations",
    "drop-request",
    "equivocation",
    "fast-forward",
    "freeze",
    "honest",
    "image-rollback",
    "malformed",
    "mix-and-match",
    "mixed-bundles",
    "multi-role",
    "partial",
    "path-traversal",
    "post-quantum",
    "replay",
    "repository",
    "rollback",
    "target-format",
    "weak-keys",
    "wrong-hardware",
)


def every_scenario() -> dict[str, Scenario]:
    """All scenarios of all families, by name. The module of a family is named like it."""
    for name in FAMILIES:
        import_module(f"tests.attacks.test_{name.replace('-', '_')}")
    return CATALOGUE
