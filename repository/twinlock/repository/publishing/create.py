"""The first publication of a repository: keys for every role, Root 1, empty Targets, Snapshot, Timestamp.

Creating is safe to repeat: what a crash left is used, never made twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from twinlock.io.files.durable import locked
from twinlock.io.files.near_names import suggestion
from twinlock.repository.authoring.next_publication import NextPublication
from twinlock.repository.keys.demands import set_demand
from twinlock.repository.keys.keyring import KeyPlan, KeyRecord, Keyring
from twinlock.repository.keys.new_keys import NewKeys
from twinlock.repository.keys.private_keys import kind_of
from twinlock.repository.publishing.profiles import profile_rules
from twinlock.repository.publishing.publish import commit
from twinlock.repository.store.publication_log import timestamp_version
from twinlock.repository.workspace.profiles import PublishedProfiles
from twinlock.repository.workspace.state import read_begun
from twinlock.repository.workspace.workspace import Workspace
from twinlock.trust.errors.base import UsageError
from twinlock.trust.names import TARGETS, TOP_LEVEL


def check_creation(path: Path, plans: Mapping[str, KeyPlan], wires: Iterable[str]) -> PublishedProfiles:
    """Check what is wanted of a new repository, before anything is asked or made; returns the wire profiles with ``tuf``.

    Raises: UsageError for roles that do not exist, and if there is a repository already; ProfileError.
    """
    wanted = PublishedProfiles(names=tuple(dict.fromkeys(("tuf", *wires))))
    for profile in profile_rules(wanted):
        profile.check_plans(plans)
    unknown = set(plans) - set(TOP_LEVEL)
    if unknown:
        near = suggestion(min(unknown), sorted(TOP_LEVEL)) if len(unknown) == 1 else ""
        raise UsageError(reason=f"{', '.join(sorted(unknown))} is not a top-level role{near}")
    # Timestamp is written last: without it, an earlier attempt was cut off.
    if (path / "public" / "metadata" / "timestamp.json").exists():
        raise UsageError(reason=f"{path} is an Image repository already")
    return wanted


def create_first(workspace: Workspace, plans: Mapping[str, KeyPlan], wires: PublishedProfiles) -> None:
    """Make the first publication. Raises: UsageError if there is one."""
    with locked(workspace.path / ".init.lock"):
        _create(workspace, plans, wires)


def ensure_keys(keyring: Keyring, new: NewKeys | Keyring, role: str, plan: KeyPlan) -> tuple[KeyRecord, ...]:
    """The keys made for ``role`` earlier, and ``new`` ones of the kinds that the plan has in addition."""
    present = list(keyring.records(role))
    records = []
    for kind in plan.kinds:
        fitting = next((record for record in present if kind_of(record.keytype, record.scheme) is kind), None)
        if fitting is not None:
            present.remove(fitting)
        records.append(fitting or new.generate(role, kind=kind)[0])
    return tuple(records)


def _create(workspace: Workspace, plans: Mapping[str, KeyPlan], wires: PublishedProfiles) -> None:
    begun = timestamp_version(workspace.store) == 0
    state = read_begun(workspace)
    if state.newest is not None:
        if begun:  # an earlier attempt was cut off after its decision, and has just been finished
            return
        raise UsageError(reason=f"{workspace.path} is an Image repository already")
    if state.wires != wires:  # an earlier attempt, of which nothing was published, was started with other profiles
        workspace.set_wires(wires)
        state = replace(state, wires=wires)
    candidate = NextPublication(state)
    root = candidate.edit_root()
    with workspace.keyring.new_keys() as new:
        for role in TOP_LEVEL:
            plan = plans.get(role, KeyPlan()).for_role(role, demanded=False)
            for record in ensure_keys(workspace.keyring, new, role, plan):
                root.add_key(record.authoring_key, role)
            root.roles[role].threshold = plan.threshold
            set_demand(root, role, demanded=bool(plan.post_quantum))
        candidate.edit_targets(TARGETS)
        commit(candidate, keys=new)
