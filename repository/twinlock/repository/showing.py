"""The published state and the draft as views for people and programs. Belongs here: reading only."""

from __future__ import annotations

from collections.abc import Iterator

from twinlock.repository.candidate import Candidate, root_authority
from twinlock.repository.delegating import read_delegations
from twinlock.repository.entries import entry_view
from twinlock.repository.keyring import Keyring
from twinlock.repository.published import Published
from twinlock.repository.signing import Authority
from twinlock.repository.views import DelegationView, ImageView, RepositoryView, RoleView
from twinlock.repository.workspace import Workspace
from twinlock.trust.model.base import Signed
from twinlock.trust.names import ROOT, SNAPSHOT, TIMESTAMP, HardwareId, KeyId, RoleName


def show_repository(workspace: Workspace) -> RepositoryView:
    """Everything that is published now."""
    published = workspace.published()
    candidate = Candidate(published, workspace.keyring, workspace.periods, workspace.now())
    images: list[ImageView] = []
    delegations: list[DelegationView] = []
    for role, _ in published.walk():
        targets = published.targets(role).signed
        images += [entry_view(role, entry) for entry in targets.targets.values()]
        for entry in read_delegations(targets):
            delegations += [
                DelegationView(
                    name=RoleName(member.name),
                    delegator=role,
                    paths=entry.paths or tuple(f"sha256:{prefix}*" for prefix in entry.path_hash_prefixes),
                    threshold=member.threshold,
                    keyids=tuple(map(KeyId, member.keys)),
                    terminating=entry.terminating,
                    hardware_ids=None if entry.hardware_ids is None else tuple(map(HardwareId, entry.hardware_ids)),
                )
                for member in entry.members
            ]
    return RepositoryView(
        publication=published.version,
        roles=tuple(role_views(published, candidate, workspace.keyring)),
        images=tuple(images),
        delegations=tuple(delegations),
    )


def role_views(published: Published, candidate: Candidate, keyring: Keyring) -> Iterator[RoleView]:
    """Every role with its published file: Root, Timestamp, Snapshot, then the Targets roles."""
    root, trusted = published.root.signed, published.trusted
    assert trusted.timestamp is not None
    assert trusted.snapshot is not None
    yield _role(ROOT, trusted.root.signed, root_authority(root, ROOT), keyring)
    yield _role(TIMESTAMP, trusted.timestamp.signed, root_authority(root, TIMESTAMP), keyring)
    yield _role(SNAPSHOT, trusted.snapshot.signed, root_authority(root, SNAPSHOT), keyring)
    authorities = dict(candidate.roles())
    for role, targets in published.walk():
        yield _role(role, targets.signed, authorities[role], keyring)


def _role(name: RoleName, signed: Signed, authority: Authority, keyring: Keyring) -> RoleView:
    return RoleView(
        name=name,
        version=signed.version,
        expires=signed.expires,
        issued=signed.issued,
        threshold=authority.threshold,
        keyids=tuple(map(KeyId, authority.keyids)),
        held=len(keyring.held(authority.keyids)),
    )
