"""Other keys for a role: new Root (or delegation), and everything that those keys sign, in one publication.

Root is signed by its old and its new keys, and every version of it is kept forever. Replacing the keys of Snapshot
and Timestamp together is also the moment when Snapshot forgets roles that are no longer delegated to, since vehicles
drop what they stored from it (Uptane 2.1.0 5.4.4.3 step 4).

Every key that has to sign is opened, and every rule asked, before a new key is written; if something fails later, the
new keys go too.
"""

from __future__ import annotations

from collections.abc import Iterable

from tuf.api.metadata import Root

from twinlock.repository.authoring.delegations import (
    AuthoredDelegation,
    Json,
    read_delegations,
    rekeyed,
    write_delegations,
)
from twinlock.repository.authoring.next_publication import NextPublication
from twinlock.repository.keys.demands import set_demand
from twinlock.repository.keys.keyring import KeyPlan, KeyRecord, Keyring
from twinlock.repository.keys.new_keys import make_keys
from twinlock.repository.model.views import PublishResult
from twinlock.repository.publishing.profiles import open_profiles
from twinlock.repository.publishing.publish import begin_publishing, commit, retire_after_publishing
from twinlock.repository.publishing.revoked_keys import keys_named_by, online_keys
from twinlock.repository.signing.named_keys import NamedKey
from twinlock.repository.signing.sign import SigningAuthority, keyids_of, root_authority
from twinlock.repository.workspace.state import read_state
from twinlock.repository.workspace.workspace import Workspace
from twinlock.trust.errors.base import UsageError
from twinlock.trust.names import ROOT, SNAPSHOT, TIMESTAMP, TOP_LEVEL


def rotate_roles(workspace: Workspace, roles: Iterable[str], plan: KeyPlan | None) -> PublishResult:
    """Give every one of ``roles`` new keys, and publish. ``plan`` None keeps number, threshold and kinds.

    A demand for a post-quantum signature stays unless ``plan`` states one.

    With all Root keys those of the aktualizr chain are replaced too; of ``plan`` they take a kind that its client reads.

    Keys that are elsewhere count as absent: enough of the old keys have to be here, not all. Old Root keys are put aside
    afterwards, other revoked keys are destroyed.
    Raises: UsageError, MissingKeysError, PassphraseError, ProfileError for a kind of keys that clients could not read, and
    as ``commit``; then no key was made.
    """
    names = tuple(dict.fromkeys(roles))
    if not names:
        raise UsageError(reason="name at least one role")
    state = begin_publishing(workspace)
    profiles, candidate = open_profiles(state), NextPublication(state)
    verified = online_keys(candidate, profiles)
    old = {role: current_authority(candidate, role) for role in names}
    _check_signable(workspace, old)
    check_root_signable(workspace.keyring, candidate.published_root)
    plans = {role: _plan_for(role, old[role], plan) for role in names}
    for profile in profiles:
        profile.check_new_keys(plans)
    with workspace.keyring.new_keys() as new:
        for role, wanted in plans.items():
            records = make_keys(new, role, wanted.new_kinds(old[role].keys))
            if role in TOP_LEVEL:
                replace_top_level(candidate, role, records, wanted)
            else:
                _replace_delegated(candidate, role, records, wanted)
        if {SNAPSHOT, TIMESTAMP} <= set(names):
            forget_unreachable(candidate)
        if ROOT in plans and not plans[ROOT].replacing:
            profiles = tuple(profile.with_new_root_keys(new, plans[ROOT]) for profile in profiles)
        publication = commit(candidate, profiles=profiles, keys=new)
    retire_after_publishing(workspace, verified=verified)
    return publication


def check_root_signable(keyring: Keyring, root: Root) -> None:
    """See that enough Root keys are here and open, before a key is made for a new Root.

    Raises: MissingKeysError, PassphraseError, StorageError.
    """
    authority = root_authority(root, ROOT)
    authority.check_held(ROOT, keyids_of(keyring.signers(authority.keyids)))


def named_keys(workspace: Workspace) -> dict[str, NamedKey]:
    """The keys of all published roles, by id, those of the aktualizr Root chain included."""
    return keys_named_by(read_state(workspace))


def current_plan(workspace: Workspace, role: str) -> KeyPlan:
    """Number, threshold and kind of the keys that a role has now. Raises: UsageError if there is no such role."""
    candidate = NextPublication(read_state(workspace))
    return _plan_for(role, current_authority(candidate, role), None)


def current_authority(candidate: NextPublication, role: str) -> SigningAuthority:
    """Who signs for any role now. Raises: UsageError if there is no such role."""
    assert candidate.published is not None
    if role in TOP_LEVEL:
        return root_authority(candidate.published.root.signed, role)
    return candidate.authority(role)


def replace_top_level(candidate: NextPublication, role: str, records: Iterable[KeyRecord], plan: KeyPlan) -> None:
    """Put new keys for a top-level role into the next Root, and have the role signed again by them."""
    root = candidate.edit_root()
    for keyid in filter(plan.goes, list(root.roles[role].keyids)):
        root.revoke_key(keyid, role)
    for record in records:
        root.add_key(record.authoring_key, role)
    root.roles[role].threshold = plan.threshold
    set_demand(root, role, demanded=bool(plan.post_quantum))
    if role != ROOT:
        candidate.renew(role)


def renew_changed(candidate: NextPublication, old: Root, new: Root) -> None:
    """Have every role signed again whose keys or threshold differ between two Roots."""
    for role in TOP_LEVEL:
        if role != ROOT and root_authority(old, role).rule != root_authority(new, role).rule:
            candidate.renew(role)


def forget_unreachable(candidate: NextPublication) -> None:
    """Leave roles without a delegation out of the next Snapshot."""
    assert candidate.published is not None
    reachable = {name for name, _ in candidate.roles()}
    for role in candidate.published.listed:
        if role not in reachable:
            candidate.forget(role)


def _replace_delegated(candidate: NextPublication, role: str, records: Iterable[KeyRecord], plan: KeyPlan) -> None:
    keys: dict[str, Json] = {record.keyid: record.public_json()["key"] for record in records}
    replaced = False
    for delegator, _ in list(candidate.roles()):
        view = candidate.view_targets(delegator)
        entries = read_delegations(view) if view else ()
        if any(member.name == role for entry in entries for member in entry.members):
            demanded = bool(plan.post_quantum)
            kept = _kept(entries, role, plan)
            changed = [
                rekeyed(entry, role, {**kept, **keys}, plan.threshold, post_quantum=demanded) for entry in entries
            ]
            write_delegations(candidate.edit_targets(delegator), changed)
            replaced = True
    if not replaced:
        raise UsageError(reason=f"{role} is a hash bin, so its keys are named by its delegator; rotate the delegator")
    candidate.renew(role)


def _kept(entries: Iterable[AuthoredDelegation], role: str, plan: KeyPlan) -> dict[str, Json]:
    """The keys of a delegated role that stay."""
    members = (member for entry in entries for member in entry.members if member.name == role)
    return {keyid: dict(key) for member in members for keyid, key in member.keys.items() if not plan.goes(keyid)}


def _check_signable(workspace: Workspace, old: dict[str, SigningAuthority]) -> None:
    """The holder of its keys rotates a delegated role; its delegator then delegates to the new ones."""
    for role, authority in old.items():
        held = (record.keyid for record in workspace.keyring.held(authority.keyids))
        if role not in TOP_LEVEL and not authority.is_met_by(held):
            reason = f"the keys of {role} are not held here; have its owner make new ones and delegate to those"
            raise UsageError(reason=reason)


def _plan_for(role: str, old: SigningAuthority, plan: KeyPlan | None) -> KeyPlan:
    """The plan for the next keys of ``role``; without one as many as now, of the same kinds. Raises: UsageError."""
    wanted = plan or KeyPlan.like(old.keys.values(), old.threshold)
    return wanted.for_role(role, demanded=old.post_quantum)
