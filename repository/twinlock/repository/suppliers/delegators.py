"""Who delegates to whom, as a draft will have it: what an outbox is judged by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from twinlock.repository.authoring.delegations import AuthoredDelegation, Member, read_delegations, read_staged
from twinlock.repository.authoring.next_publication import NextPublication
from twinlock.repository.workspace.draft import Draft


def all_delegations(candidate: NextPublication, draft: Draft) -> dict[str, tuple[AuthoredDelegation, ...]]:
    """Delegations by delegator, as the draft will have them, those included that wait for a first file."""
    by_delegator: dict[str, tuple[AuthoredDelegation, ...]] = {}
    for role, _ in candidate.roles():
        targets = candidate.view_targets(role)
        by_delegator[role] = read_delegations(targets) if targets else ()
    for role, edits in draft.roles.items():
        staged = {name: read_staged(edit).delegation for name, edit in edits.delegations.items() if edit}
        kept = tuple(entry for entry in by_delegator.get(role, ()) if entry.name not in edits.delegations)
        by_delegator[role] = (*kept, *staged.values())
    return by_delegator


def members_of(delegations: Mapping[str, tuple[AuthoredDelegation, ...]], role: str) -> Iterator[tuple[str, Member]]:
    """The delegations to ``role``, each with its delegator."""
    for delegator, entries in delegations.items():
        for delegation in entries:
            yield from ((delegator, member) for member in delegation.members if member.name == role)


def allowed_hardware(chain: tuple[AuthoredDelegation, ...]) -> set[str] | None:
    """The hardware ids that all links allow; None for any."""
    limits = [set(link.hardware_ids) for link in chain if link.hardware_ids is not None]
    return set.intersection(*limits) if limits else None
