"""Rules that more than one role's procedure applies: expiry, floors, and agreement with the index that lists a file."""

from __future__ import annotations

import hashlib
from typing import TypeVar

from twinlock.trust.checks.context import Context
from twinlock.trust.errors.metadata import EquivocationError, ExpiredError, MixAndMatchError, RollbackError
from twinlock.trust.keys.signatures import Envelope, Verified, reduce_to_signed
from twinlock.trust.model.base import FileInfo, Signed
from twinlock.trust.names import RoleName
from twinlock.trust.state.floors import Floor
from twinlock.trust.wire.json.cursor import DIGEST_DIGITS

S = TypeVar("S", bound=Signed)


def check_expiry(signed: Signed, role: RoleName, context: Context) -> None:
    """The time has to be before the expiry. Raises: ExpiredError.

    Source: Uptane 2.1.0 5.4.4.3 step 3, 5.4.4.4 step 4, 5.4.4.5 step 7, 5.4.4.6 step 5.
    """
    if context.now >= signed.expires:
        raise ExpiredError(
            repository=context.repository,
            role=role,
            version=signed.version,
            expires=signed.expires,
            now=context.now,
        )


def check_listed_bytes(data: bytes, listed: FileInfo, role: RoleName, context: Context) -> None:
    """``data`` has the length and every hash that its index lists. Raises: MixAndMatchError, MalformedError.

    An index need not list any hash; where it lists some, at least one has to be of a known algorithm. An encoding may
    hash another form of the file than the bytes that are served; then the length is a bound on those bytes.
    Source: Uptane 2.1.0 5.4.4.5 step 2; TUF 1.0.34 5.5.2 and 5.6.2.
    """
    try:
        _check_length(data, listed, role, context)
        _check_hashes(data, listed, role, context)
    except MixAndMatchError:
        reencoded = context.wire.reencoded(data) if listed.hashes else None
        if reencoded is None or (listed.length is not None and len(data) > listed.length):
            raise
        _check_hashes(reencoded, listed, role, context)


def _check_length(data: bytes, listed: FileInfo, role: RoleName, context: Context) -> None:
    if listed.length is not None and listed.length != len(data):
        raise _mismatch(context, role, "length", listed.length, len(data))


def _check_hashes(data: bytes, listed: FileInfo, role: RoleName, context: Context) -> None:
    known = [algorithm for algorithm in listed.hashes if algorithm in DIGEST_DIGITS]
    if listed.hashes and not known:
        raise _mismatch(context, role, "hashes", ", ".join(listed.hashes), "no known algorithm")
    for algorithm in known:
        computed = hashlib.new(algorithm, data).hexdigest()
        if computed != listed.hashes[algorithm]:
            raise _mismatch(context, role, f"hashes.{algorithm}", listed.hashes[algorithm], computed)


def check_listed_version(signed: Signed, listed: FileInfo, role: RoleName, context: Context) -> None:
    """The file has the version that its index lists. Raises: MixAndMatchError.

    Source: Uptane 2.1.0 5.4.4.5 step 2, 5.4.4.6 step 2.
    """
    if signed.version != listed.version:
        raise _mismatch(context, role, "version", listed.version, signed.version)


def is_listed(stored: Verified[S], listed: FileInfo, role: RoleName, context: Context) -> bool:
    """Whether a stored file is the one that its index lists, so that it need not be fetched again.

    Source: Uptane 2.1.0 5.4.4.2 steps 4 and 8, for the Snapshot; the same is asked of Targets of every level.
    """
    try:
        check_listed_version(stored.signed, listed, role, context)
        check_listed_bytes(stored.data, listed, role, context)
    except MixAndMatchError:
        return False
    return True


def check_floor(
    offered: Verified[S], envelope: Envelope[S], floor: Floor | None, role: RoleName, context: Context
) -> None:
    """A verified file is not older than ``floor``, nor other content under its version.

    Raises: RollbackError, EquivocationError. Source: Uptane 2.1.0 5.4.4.4 step 3, 5.4.4.5 step 4, 5.4.4.6 step 4.
    """
    if floor is None:
        return
    check_not_older(offered.signed.version, floor.version, role, context)
    if offered.signed.version == floor.version and not is_same_content(offered, envelope, floor):
        raise EquivocationError(repository=context.repository, role=role, version=floor.version)


def check_not_older(version: int, trusted: int, role: RoleName, context: Context, *, clause: str = "") -> None:
    """``version`` is at least the one that was ``trusted``. Raises: RollbackError.

    ``clause`` is that of an index which lists the version of another file; empty: ``role``'s own file is judged.
    """
    if version < trusted:
        raise RollbackError(repository=context.repository, role=role, offered=version, trusted=trusted, clause=clause)


def is_same_content(offered: Verified[S], envelope: Envelope[S], floor: Floor) -> bool:
    """Whether the signed part of ``offered``, decoded as ``envelope``, is the content of ``floor``.

    White space, unsigned members and other signatures do not count. Where a signer signed another spelling than the
    canonical one, the canonical form decides.
    """
    if offered.content == floor.content:
        return True
    return envelope.canonical is not None and hashlib.sha256(envelope.canonical()).digest() == floor.content


def as_stored(offered: Verified[S], envelope: Envelope[S], listed: FileInfo | None) -> Verified[S]:
    """``offered`` with the bytes to store and to forward: as served where an index holds readers to their digest or length.

    Any other file is reduced to its signed part and its signatures.
    """
    if envelope.bare is None or (listed is not None and (listed.hashes or listed.length is not None)):
        return offered
    return reduce_to_signed(offered, envelope)


def _mismatch(context: Context, role: RoleName, field: str, listed: object, offered: object) -> MixAndMatchError:
    return MixAndMatchError(
        repository=context.repository,
        role=role,
        field=field,
        listed=str(listed),
        offered=str(offered),
    )
