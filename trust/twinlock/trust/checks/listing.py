"""Rules that more than one role's procedure applies: expiry, and agreement with the index that lists a file."""

from __future__ import annotations

import hashlib
from typing import TypeVar

from twinlock.trust.checks.context import Context
from twinlock.trust.errors.metadata import ExpiredError, MixAndMatchError
from twinlock.trust.model.base import FileInfo, Signed
from twinlock.trust.names import RoleName
from twinlock.trust.signatures import Verified
from twinlock.trust.wire.node import DIGEST_DIGITS

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
    """``data`` has the length and every hash that its index lists. Raises: MixAndMatchError.

    An index need not list any hash; where it lists some, at least one has to be of a known algorithm.
    Source: Uptane 2.1.0 5.4.4.5 step 2; TUF 1.0.34 5.5.2 and 5.6.2.
    """
    if listed.length is not None and listed.length != len(data):
        raise _mismatch(context, role, "length", listed.length, len(data))
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


def _mismatch(context: Context, role: RoleName, field: str, listed: object, offered: object) -> MixAndMatchError:
    return MixAndMatchError(
        repository=context.repository,
        role=role,
        field=field,
        listed=str(listed),
        offered=str(offered),
    )
