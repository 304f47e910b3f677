"""Root: Uptane 2.1.0 5.4.4.3."""

from __future__ import annotations

from twinlock.trust.checks.context import Context
from twinlock.trust.errors.metadata import RootVersionError
from twinlock.trust.model.root import Root
from twinlock.trust.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RoleName
from twinlock.trust.signatures import Verified, verify_signatures
from twinlock.trust.state import TrustedRepository


def check_next_root(data: bytes, *, trusted: Verified[Root], context: Context) -> Verified[Root]:
    """Decide whether ``data`` may follow the trusted Root.

    Expiry is not looked at: only the last Root of a chain has to be unexpired, and its reader checks that.
    Raises: MalformedError, LimitError, ThresholdError, PostQuantumError, RootVersionError.
    Source: Uptane 2.1.0 5.4.4.3 steps 2.3 and 2.4.
    """
    what = context.what(ROOT)
    offered = context.wire.decode_root(data, what, context.limits)
    # Step 2.3: a threshold of distinct keys of the Root that is trusted, and of the one on offer.
    old, new = trusted.signed, offered.signed
    # Where both name the same keys and threshold, the one count below is both.
    if not _same_signers(ROOT, old, new):
        verify_signatures(offered, old.keys, old.roles[ROOT], repository=context.repository, role_name=ROOT)
    verified = verify_signatures(offered, new.keys, new.roles[ROOT], repository=context.repository, role_name=ROOT)
    # Step 2.4: exactly one more. A gap would let a Root slip by that revokes a key.
    if new.version != old.version + 1:
        raise RootVersionError(repository=context.repository, offered=new.version, expected=old.version + 1)
    return verified


def _same_signers(role: RoleName, old: Root, new: Root) -> bool:
    """Whether the same threshold of the same keys, under the same key ids, signs for ``role``, which both name."""
    if role not in old.roles or role not in new.roles:
        return False
    signers = old.roles[role]
    return signers == new.roles[role] and [*map(old.keys.get, signers.keyids)] == [*map(new.keys.get, signers.keyids)]


def roles_to_drop(trusted: TrustedRepository, new: Root) -> tuple[RoleName, ...]:
    """The stored files, by role, that have to go because ``new`` rotates keys (recovery from fast-forward attacks).

    New keys of Timestamp or Snapshot drop everything: what is current is then said by the next Snapshot. An ECU that
    stores no Snapshot (partial verification) has nobody to say it, so for Targets it forgets the version that it saw
    only when the keys of Targets themselves change; otherwise old Targets could be replayed to it.
    Source: Uptane 2.1.0 5.4.4.3 step 4.
    """
    online = _rotated(trusted.root.signed, new, TIMESTAMP, SNAPSHOT)
    if trusted.snapshot is None and trusted.targets is not None:
        targets = (TARGETS,) if _rotated(trusted.root.signed, new, TARGETS) else ()
        return ((TIMESTAMP, SNAPSHOT) if online else ()) + targets
    return (TIMESTAMP, SNAPSHOT, TARGETS, *trusted.delegated) if online else ()


def _rotated(old: Root, new: Root, *roles: RoleName) -> bool:
    return any(not _same_signers(role, old, new) and old.signers(role) != new.signers(role) for role in roles)
