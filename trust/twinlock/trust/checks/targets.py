"""Targets, top-level and delegated: Uptane 2.1.0 5.4.4.6. The rules that only a Director obeys are in ``director.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from twinlock.trust.checks.context import Context
from twinlock.trust.checks.index import (
    as_stored,
    check_expiry,
    check_floor,
    check_listed_bytes,
    check_listed_version,
)
from twinlock.trust.keys.proofs import authority_digest
from twinlock.trust.keys.public_keys import PublicKey
from twinlock.trust.keys.signatures import Envelope, RoleKeys, Verified, recall, verify_signatures
from twinlock.trust.model.base import FileInfo
from twinlock.trust.model.targets import Targets
from twinlock.trust.names import KeyId, RoleName
from twinlock.trust.state.floors import Floor, Signers, role_signers


class Authority(NamedTuple):
    """Who signs for a Targets role: Root names them for the top level, the delegating file for a delegated role."""

    role: RoleName
    keys: Mapping[KeyId, PublicKey]
    signers: RoleKeys

    @property
    def digest(self) -> bytes:
        """Equal for the same threshold of the same keys under the same demand for a post-quantum signature only."""
        signers = self.signers
        return authority_digest(signers.keyids, signers.threshold, self.keys, post_quantum=signers.post_quantum)

    @property
    def current(self) -> Signers:
        """Its key material and threshold, as ``lower_floors`` compares them."""
        return role_signers(self.signers, self.keys)


def check_targets(
    data: bytes,
    *,
    authority: Authority,
    listed: FileInfo | None,
    floor: Floor | None,
    context: Context,
) -> Verified[Targets]:
    """Decide whether ``data`` may become the trusted Targets file of ``authority.role``.

    ``listed`` is Snapshot's entry; None where there is no Snapshot, which step 2 allows in partial verification.
    ``floor`` is that of earlier files of the role under the same authority. The same content with other signatures is
    the same file.
    Raises: MixAndMatchError, MalformedError, LimitError, ThresholdError, RollbackError, EquivocationError, ExpiredError.
    """
    role = authority.role
    if listed is not None:
        check_listed_bytes(data, listed, role, context)
    envelope = context.decode(role, context.wire.decode_targets, data)
    # Step 2.
    if listed is not None:
        check_listed_version(envelope.signed, listed, role, context)
    # Step 3.
    offered = _verified(envelope, authority, context)
    # Step 4.
    check_floor(offered, envelope, floor, role, context)
    # Step 5.
    check_expiry(offered.signed, role, context)
    return as_stored(offered, envelope, listed)


def read_targets(
    data: bytes, *, authority: Authority, context: Context, proof: bytes | None = None
) -> Verified[Targets]:
    """Decode and count signatures only, or not even those where ``proof`` holds for ``authority``.

    Raises: MalformedError, LimitError, ThresholdError, PostQuantumError.
    """
    role = authority.role
    envelope = context.decode(role, context.wire.decode_targets, data)
    known = recall(envelope, authority.keys, authority.signers, subject=context.subject(role), proof=proof)
    return known or _verified(envelope, authority, context)


def _verified(envelope: Envelope[Targets], authority: Authority, context: Context) -> Verified[Targets]:
    return verify_signatures(
        envelope,
        authority.keys,
        authority.signers,
        repository=context.repository,
        role_name=authority.role,
    )
