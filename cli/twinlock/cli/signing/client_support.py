"""Clients that cannot read a kind of key, or that ignore a demand, for the commands that choose these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinlock.cli.shared.output import Output
    from twinlock.repository.keys.keyring import KeyPlan

_POST_QUANTUM = ("aktualizr", "go-tuf", "tough", "tuf-js", "python-tuf before 7")
CANNOT_READ = {
    "ecdsa-p256": ("aktualizr",),
    "ecdsa-p384": ("aktualizr", "tough"),
    "ml-dsa-44": _POST_QUANTUM,
    "ml-dsa-65": _POST_QUANTUM,
    "ml-dsa-87": _POST_QUANTUM,
}
"""By kind of key. Most of these clients then refuse the whole file that names such a key. Others read every kind."""

IGNORES_DEMAND = ("aktualizr", "go-tuf", "python-tuf", "tough", "tuf-js", "Twinlock before 0.2")
"""Clients that ignore a demand for a post-quantum signature, which therefore does not protect them."""


def note_kinds(out: Output, plans: Mapping[str, KeyPlan]) -> None:
    """Name the clients that cannot read the keys of ``plans``, and those that ignore the demands in them."""
    for kind in dict.fromkeys(kind.value for plan in plans.values() for kind in plan.kinds):
        if kind in CANNOT_READ:
            out.note(
                f"note: {', '.join(CANNOT_READ[kind])} cannot read {kind} keys, and refuse every file that names one"
            )
    demanding = [role for role, plan in plans.items() if plan.post_quantum]
    if demanding:
        out.note(demand_note(demanding))


def demand_note(roles: Iterable[str]) -> str:
    """The line for a demand on ``roles``."""
    clients = ", ".join(IGNORES_DEMAND)
    return f"note: {clients} ignore the demand for a post-quantum signature by {', '.join(roles)} and accept files without one"
