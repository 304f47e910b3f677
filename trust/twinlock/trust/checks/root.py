"""Root: Uptane 2.1.0 5.4.4.3."""

from __future__ import annotations

from twinlock.trust.checks.context import Context
from twinlock.trust.checks.index import as_stored, check_floor
from twinlock.trust.errors.metadata import OtherChainError, RootVersionError
from twinlock.trust.keys.signatures import Verified, verify_signatures
from twinlock.trust.model.root import Root
from twinlock.trust.names import ROOT, RoleName
from twinlock.trust.state.floors import Floor


def check_next_root(
    data: bytes, *, trusted: Verified[Root], context: Context, floor: Floor | None = None
) -> Verified[Root]:
    """Decide whether ``data`` may follow the trusted Root. ``floor`` is the newest Root that was ever trusted.

    A chain that is walked again, since stored files were lost, leads over the same Roots. Expiry is not looked at: only
    the last Root of a chain has to be unexpired, and its reader checks that.
    Raises: MalformedError, LimitError, ThresholdError, PostQuantumError, OtherChainError, RootVersionError,
    EquivocationError.
    Source: Uptane 2.1.0 5.4.4.3 steps 2.3 and 2.4.
    """
    offered = context.decode(ROOT, context.wire.decode_root, data)
    # Step 2.3: a threshold of distinct keys of the Root that is trusted, and of the one on offer.
    old, new = trusted.signed, offered.signed
    # Where both name the same keys and threshold, the one count below is both.
    if not _same_signers(ROOT, old, new):
        verify_signatures(offered, old.keys, old.roles[ROOT], repository=context.repository, role_name=ROOT)
    verified = verify_signatures(offered, new.keys, new.roles[ROOT], repository=context.repository, role_name=ROOT)
    _check_same_chain(old, new, context)
    # Step 2.4: exactly one more. A gap would let a Root slip by that revokes a key.
    if new.version != old.version + 1:
        raise RootVersionError(repository=context.repository, offered=new.version, expected=old.version + 1)
    if floor is not None and new.version == floor.version:
        check_floor(verified, offered, floor, ROOT, context)
    return as_stored(verified, offered, None)


def _check_same_chain(old: Root, new: Root, context: Context) -> None:
    """A chain that spells its type as its profile does never follows a Root that spells it as another profile does.

    Two profiles of one publisher may share Root keys, and then only this member distinguishes their Roots. A chain that
    begins with the tolerated spelling may change to the proper one, and not back.
    """
    if new.written_type != old.written_type and new.written_type == ROOT:
        raise OtherChainError(
            repository=context.repository, offered=new.version, found=new.written_type, expected=old.written_type
        )


def _same_signers(role: RoleName, old: Root, new: Root) -> bool:
    """Whether the same threshold of the same keys, under the same key ids, signs for ``role``, which both name."""
    if role not in old.roles or role not in new.roles:
        return False
    signers = old.roles[role]
    return signers == new.roles[role] and [*map(old.keys.get, signers.keyids)] == [*map(new.keys.get, signers.keyids)]
