"""Revoked keys of an Image repository: their private halves leave the directory of the live ones.

By what is published and not by what one run changed: after a crash the next command that opens the repository does it.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from tuf.api.metadata import Targets

from twinlock.repository.authoring.next_publication import NextPublication, delegated
from twinlock.repository.errors import StoreTamperedError
from twinlock.repository.keys.private_keys import Passphrase
from twinlock.repository.publishing.profiles import open_profiles
from twinlock.repository.signing.named_keys import NamedKey, keys_of_roles, keys_of_root
from twinlock.repository.store.hosted import OutsideHosts
from twinlock.repository.store.object_names import aktualizr_object, metadata_object, root_object
from twinlock.repository.workspace.prepared_root import PreparedRoot
from twinlock.repository.workspace.state import RepositoryState, open_repository
from twinlock.repository.workspace.validity import Clock
from twinlock.repository.workspace.workspace import Workspace
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import ROOT, RoleName

log = logging.getLogger("twinlock.repository.publishing.revoked_keys")


def open_tidied(path: Path, *, passphrase: Passphrase, clock: Clock, hosts: OutsideHosts) -> Workspace:
    """As ``open_repository``; keys whose retirement was cut off are retired.

    That is left to a later command where it cannot be done now: this user may not write there, or the command that began to
    publish in another profile has to be repeated first.
    """
    state = open_repository(path, passphrase=passphrase, clock=clock, hosts=hosts)
    try:
        retire_revoked(state)
    except TwinlockError as error:
        log.warning("revoked keys are still beside the live ones, and the next command tries again: %s", error)
    return state.workspace


def retire_revoked(state: RepositoryState, *, verified: frozenset[str] = frozenset()) -> None:
    """Take keys that were published, and that nothing published or prepared names, from beside the live ones.

    ``verified`` are the keys that signed for other roles than Root by what this process verified before it published
    (``online_keys``): these are destroyed. All others are put aside, Root keys for vehicles that are stranded at an old Root, and whatever only earlier
    files in the store name, because those are not verified again. New keys that a crash left before they were published are
    deleted. A key that no publication ever named is left alone: it may have been brought here for the next one.
    Raises: StorageError, StoreTamperedError; UsageError where an activation of a profile was interrupted.
    """
    prepared, keyring = PreparedRoot(state.workspace.path), state.workspace.keyring
    if not keyring.has_abandoned and not _unnamed(state):
        return
    with prepared.alone():
        state = state.latest()
        awaited = prepared.named(state.published.root.signed.version)
        keyring.discard_abandoned({*keys_named_by(state), *awaited})
        revoked = _unnamed(state) - awaited
        try:
            earlier = _named_before(state)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise StoreTamperedError(reason="an earlier Root or Targets file is not readable") from None
        keyring.retire(sorted(revoked & verified), destroy=True)
        keyring.retire(sorted(revoked & earlier - verified))


def keys_named_by(state: RepositoryState) -> dict[str, NamedKey]:
    """The keys of all published roles, by id, those of the aktualizr Root chain included."""
    own = [item for profile in open_profiles(state) for item in profile.own_root_keys.items()]
    return keys_of_roles([*NextPublication(state).roles(), *own]) | keys_of_root(state.published.root.signed)


def _unnamed(state: RepositoryState) -> frozenset[str]:
    """The keys on record here that sign for nothing: not for what is published, and not for stranded vehicles."""
    held = frozenset(str(record.keyid) for record in state.workspace.keyring.records())
    left = held - keys_of_root(state.published.root.signed).keys() - state.wires.stranded_keys(state.now)
    # As a rule nothing is left, and then no large Targets file is read for who it delegates to.
    return left - keys_named_by(state).keys() if left else left


def online_keys(state: RepositoryState) -> frozenset[str]:
    """The keys that the verified ``state`` names for any role but Root. Asked before anything newer is published."""
    root = state.published.root.signed
    of_roles = {str(keyid) for _, authority in NextPublication(state).roles() for keyid in authority.keyids}
    of_roles |= {keyid for name, role in root.roles.items() if name != ROOT for keyid in role.keyids}
    own = {
        keyid
        for profile in open_profiles(state)
        for authority in profile.own_root_keys.values()
        for keyid in authority.keyids
    }
    return frozenset(of_roles - set(root.roles[ROOT].keyids) - own)


def _named_before(state: RepositoryState) -> frozenset[str]:
    """The keys that earlier Roots, or the last delegations, name in the store. What they state is not verified again."""
    named = {*state.wires.stranded, *_delegated_before(state)}
    newest = state.published.root.signed.version
    for version in range(state.wires.first_root, newest):
        roles = _signed(state, root_object(version)).get("roles", {})
        named |= {keyid for role in roles.values() for keyid in role["keyids"]}
    for version in range(1, state.wires.chain_version(newest) if state.wires.aktualizr else 1):
        roles = _signed(state, aktualizr_object(ROOT, version)).get("roles", {})
        named |= set(roles[ROOT]["keyids"]) if roles else set()
    return frozenset(named)


def _delegated_before(state: RepositoryState) -> set[str]:
    """The keys that the last version but one of each Targets file named for a role that is still delegated to."""
    found, roles, listed = set[str](), {role for role, _ in NextPublication(state).roles()}, state.published.listed
    for role in roles & listed.keys():
        signed = _signed(state, metadata_object(role, listed[RoleName(role)].version - 1))
        before = Targets.from_dict(signed) if signed else Targets()
        if before.delegations is not None:
            named = delegated(before, before.delegations)
            found |= {keyid for name, authority in named if name in roles for keyid in authority.keyids}
    return found


def _signed(state: RepositoryState, name: str) -> dict[str, Any]:
    """What an earlier file states, which was verified when it was published; nothing where it is gone."""
    stored = state.workspace.store.get(name, max_bytes=DEFAULT_LIMITS.targets_bytes)
    if stored is None:
        return {}
    return dict(json.loads(stored.data)["signed"])
