"""Revoked keys of an Image repository: their private halves leave the directory of the live ones.

What is published decides, and not what one run changed: after a crash the next command that publishes retires them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from tuf.api.metadata import Targets

from twinlock.repository.authoring.next_publication import NextPublication, delegated
from twinlock.repository.errors import StoreTamperedError
from twinlock.repository.publishing.profiles import open_profiles
from twinlock.repository.signing.named_keys import NamedKey, keys_of_roles, keys_of_root
from twinlock.repository.signing.profile_writer import ProfileWriter
from twinlock.repository.signing.sign import SigningAuthority
from twinlock.repository.store.object_names import aktualizr_object, metadata_object, root_object
from twinlock.repository.workspace.prepared_root import PreparedRoot
from twinlock.repository.workspace.state import RepositoryState
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import ROOT, RoleName


def retire_revoked(state: RepositoryState, *, verified: frozenset[str] = frozenset()) -> None:
    """Move keys that were published, and that nothing published or prepared names now, out of the directory of the live ones.

    ``verified`` are the keys that signed for other roles than Root by what this process verified before it published
    (``online_keys``): these are destroyed. All others are put aside: Root keys for vehicles that are stranded at an old Root, and
    keys that only earlier files in the store name, because those files are not verified again. New keys that a crash left
    before they were published are deleted. A key that no publication ever named is left alone: it may have been brought here
    for the next one.
    Raises: StorageError, StoreTamperedError; UsageError where an activation of a profile was interrupted.
    """
    prepared, keyring, named = PreparedRoot(state.workspace.path), state.workspace.keyring, _NamedKeys(state)
    if not keyring.has_abandoned and not named.revoked():
        return
    with prepared.alone():
        latest = state.latest()
        named = named if latest is state else _NamedKeys(latest)
        awaited = prepared.named(latest.published.root.signed.version)
        keyring.discard_abandoned({*named.by_id, *awaited})
        revoked = named.revoked() - awaited
        keyring.retire(sorted(revoked & verified), destroy=True)
        if revoked - verified:
            keyring.retire(sorted((revoked - verified) & named.before()))


def keys_named_by(state: RepositoryState) -> dict[str, NamedKey]:
    """The keys of all published roles, by id, those of the aktualizr Root chain included."""
    return _NamedKeys(state).by_id


def online_keys(candidate: NextPublication, profiles: Iterable[ProfileWriter]) -> frozenset[str]:
    """The keys that a verified publication names for any role but Root. Asked before anything is edited in ``candidate``."""
    root = candidate.published_root
    of_roles = {str(keyid) for _, authority in candidate.roles() for keyid in authority.keyids}
    of_roles |= {keyid for name, role in root.roles.items() if name != ROOT for keyid in role.keyids}
    own = {keyid for profile in profiles for authority in profile.own_root_keys.values() for keyid in authority.keyids}
    return frozenset(of_roles - set(root.roles[ROOT].keyids) - own)


class _NamedKeys:
    """The keys that the publication ``state`` names, and that earlier ones named. Each file is read at most once."""

    def __init__(self, state: RepositoryState) -> None:
        self._state = state
        self._root = state.published.root.signed

    @cached_property
    def by_id(self) -> dict[str, NamedKey]:
        """The keys of all published roles, those of other Root chains included."""
        own = [item for profile in open_profiles(self._state) for item in profile.own_root_keys.items()]
        return keys_of_roles([*self._roles, *own]) | keys_of_root(self._root)

    @cached_property
    def _roles(self) -> tuple[tuple[str, SigningAuthority], ...]:
        return tuple(NextPublication(self._state).roles())

    def revoked(self) -> frozenset[str]:
        """The keys on record here that sign for nothing: not for what is published, and not for stranded vehicles."""
        state = self._state
        held = frozenset(str(record.keyid) for record in state.workspace.keyring.records())
        left = held - keys_of_root(self._root).keys() - state.wires.stranded_keys(state.now)
        # Usually nothing is left, and then no large Targets file is read for the roles to which it delegates.
        return left - self.by_id.keys() if left else left

    def before(self) -> frozenset[str]:
        """The keys that earlier Roots, or the last delegations, name in the store. What they state is not verified again.

        Raises: StoreTamperedError.
        """
        try:
            return frozenset({*self._state.wires.stranded, *self._earlier_roots(), *self._earlier_delegations()})
        except (ValueError, KeyError, TypeError, AttributeError):
            raise StoreTamperedError(reason="an earlier Root or Targets file is not readable") from None

    def _earlier_roots(self) -> Iterator[str]:
        wires, newest = self._state.wires, self._root.version
        for version in range(wires.first_root, newest):
            roles = self._signed(root_object(version)).get("roles", {})
            yield from (keyid for role in roles.values() for keyid in role["keyids"])
        for version in range(1, wires.chain_version(newest) if wires.aktualizr else 1):
            roles = self._signed(aktualizr_object(ROOT, version)).get("roles", {})
            yield from roles[ROOT]["keyids"] if roles else ()

    def _earlier_delegations(self) -> Iterator[str]:
        """The keys that the last version but one of each Targets file named for a role that is still delegated to."""
        roles, listed = {role for role, _ in self._roles}, self._state.published.listed
        for role in roles & listed.keys():
            signed = self._signed(metadata_object(role, listed[RoleName(role)].version - 1))
            before = Targets.from_dict(signed) if signed else Targets()
            if before.delegations is not None:
                named = delegated(before, before.delegations)
                yield from (keyid for name, authority in named if name in roles for keyid in authority.keyids)

    def _signed(self, name: str) -> dict[str, Any]:
        """What an earlier file states, which was verified when it was published; nothing where it is gone."""
        stored = self._state.workspace.store.get(name, max_bytes=DEFAULT_LIMITS.targets_bytes)
        return {} if stored is None else dict(json.loads(stored.data)["signed"])
