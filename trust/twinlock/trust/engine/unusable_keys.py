"""Notices of keys that a newly trusted file names and that this engine cannot use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from twinlock.trust.checks.context import Context
from twinlock.trust.engine.commands import Notice, Steps
from twinlock.trust.errors.metadata import KeyLeftOutError
from twinlock.trust.keys.signatures import RoleKeys
from twinlock.trust.model.root import Root
from twinlock.trust.model.targets import Targets
from twinlock.trust.names import ROOT, KeyId, RoleName

_MOST = 8  # notices about one file: enough to show the fault, too few to fill a report


def note_root_keys(root: Root, context: Context) -> Steps[None]:
    """Report the keys of ``root`` that count for nothing, as far as a role names them."""
    named = [*root.roles.values(), *([] if root.time_source is None else [root.time_source])]
    return _note(ROOT, named, root.unusable, context)


def note_delegated_keys(targets: Targets, role: RoleName, context: Context) -> Steps[None]:
    """The same for the delegations of ``targets``, which is the file of ``role``."""
    delegations = targets.delegations
    if delegations is None or not delegations.unusable:
        return _note(role, (), {}, context)
    bins = () if delegations.bins is None else (delegations.bins.signers,)
    named = [delegated.signers for entry in delegations.entries for delegated in entry.roles]
    return _note(role, [*named, *bins], delegations.unusable, context)


def _note(role: RoleName, named: Iterable[RoleKeys], unusable: Mapping[KeyId, str], context: Context) -> Steps[None]:
    used = dict.fromkeys(keyid for signers in named for keyid in signers.keyids if keyid in unusable)
    for keyid in list(used)[:_MOST]:
        yield Notice(
            KeyLeftOutError(repository=context.repository, role=role, keyid=keyid[:128], reason=unusable[keyid][:200])
        )
