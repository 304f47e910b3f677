"""How the engine asks its driver for a file, what it holds a driver to, and how it hands over a file to store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from twinlock.trust.checks.context import Context
from twinlock.trust.checks.targets import Authority
from twinlock.trust.engine.commands import ABSENT, Absent, Fetch, FetchElsewhere, Notice, Persist, Steps
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.metadata import IssuedInFutureError, LimitError, MissingMetadataError, procedure_of
from twinlock.trust.keys.signatures import Verified, prove
from twinlock.trust.model.base import FileInfo, Signed
from twinlock.trust.names import DIRECTOR, ROOT, SNAPSHOT, TIMESTAMP, RepositoryName, RoleName
from twinlock.trust.state.floors import Floors, ahead_of, establish
from twinlock.trust.state.trusted import TrustedRepository

R = TypeVar("R")
S = TypeVar("S", bound=Signed)


def fetch(context: Context, role: RoleName, version: int | None, limit: int) -> Steps[bytes | Absent]:
    """Ask for one file. Raises: LimitError for more than ``limit`` bytes."""
    command = Fetch(*_named(context, role, version), limit)
    data = yield command
    if data is None:
        raise TypeError(f"a driver has to answer {command.name} with bytes or ABSENT")
    if data is not ABSENT:
        _check_size(data, role, limit, context)
    return data


def fetch_required(context: Context, role: RoleName, version: int | None, limit: int) -> Steps[bytes]:
    """Ask for one file that has to exist. Raises: LimitError, MissingMetadataError."""
    data = yield from fetch(context, role, version, limit)
    if data is ABSENT:
        name = context.wire.file_name(role, version)
        raise MissingMetadataError(repository=context.repository, role=role, name=name)
    return data


def fetch_checked(
    context: Context, role: RoleName, version: int | None, limit: int, check: Callable[[bytes], R]
) -> Steps[R]:
    """Ask for one file that has to exist and hold it to ``check``, place after place. Raises: see ``accept_from_any``."""
    data = yield from fetch_required(context, role, version, limit)
    return (yield from accept_from_any(context, data, Fetch(*_named(context, role, version), limit), check))


def accept_from_any(context: Context, data: bytes, fetched: Fetch, check: Callable[[bytes], R]) -> Steps[R]:
    """What ``check`` makes of ``data``, the answer to ``fetched``. A refused copy is a reason to ask the next place.

    Each place's copy is judged by itself. Raises: the refusal of the first copy where no place has one that passes;
    LimitError, MissingMetadataError.
    """
    first: RefusalError | None = None
    while True:
        try:
            return check(data)
        except RefusalError as error:
            refusal = error
        first = first or refusal
        other = yield FetchElsewhere(fetched, refusal)
        if not isinstance(other, bytes):
            raise first
        _check_size(other, fetched.role, fetched.max_bytes, context)
        data = other


def bound(context: Context, role: RoleName, listed: FileInfo | None = None) -> int:
    """The most bytes to read of a file of ``role`` that ``listed`` describes, if an index does.

    A Director's files are one vehicle's, and small. Where no index states a length, an attacker on the line chooses it.
    """
    limits, director = context.limits, context.repository == DIRECTOR
    sizes = {ROOT: limits.root_bytes, TIMESTAMP: limits.timestamp_bytes, SNAPSHOT: limits.snapshot_bytes}
    most = sizes.get(role, limits.targets_bytes)
    if director and role not in (ROOT, TIMESTAMP):
        most = min(most, limits.director_bytes)
    length = limits.unlisted_bytes if listed is None or listed.length is None else listed.length
    readable = context.wire.max_bytes(role, director=director)
    return min(most, length) if readable is None else min(most, length, readable)


def accept(trusted: TrustedRepository, verified: Verified[S], authority: Authority, context: Context) -> Steps[Floors]:
    """Store a file that ``authority`` signed, its proof and the floor that it establishes; returns all floors."""
    role = authority.role
    floor = establish(
        trusted.floors,
        role,
        verified,
        keys=authority.keys,
        root=trusted.root.signed.version,
        ceiling=context.ceiling,
    )
    yield from note_issued(verified.signed, role, context)
    files = ((role, verified.signed.version, verified.data),)
    yield Persist(context.repository, files, _proof(verified, authority, context), {role: floor})
    return {**trusted.floors, role: floor}


def note_issued(signed: Signed, role: RoleName, context: Context) -> Steps[None]:
    """Report a file whose stated signing time is later than a proven clock allows. It is accepted nevertheless."""
    if context.ceiling is not None and signed.issued is not None and signed.issued > context.ceiling:
        yield _notice(context, role, signed.version, signed.issued, context.ceiling)


def cap_floors(trusted: TrustedRepository, context: Context) -> Steps[TrustedRepository]:
    """Cap and report the times of floors that were established while no proven clock bounded them.

    Such are the floors of a Root that was followed before there was a time, of the factory's Root, and of files without a
    stored floor. Without a ceiling nothing changes.
    """
    ceiling = context.ceiling
    ahead = {} if ceiling is None else ahead_of(trusted.floors, ceiling)
    if ceiling is None or not ahead:
        return trusted
    for role, floor in ahead.items():
        assert floor.issued is not None
        yield _notice(context, role, floor.version, floor.issued, ceiling)
    capped = {role: floor._replace(issued=ceiling) for role, floor in ahead.items()}
    yield Persist(context.repository, (), floors=capped)
    return trusted._replace(floors={**trusted.floors, **capped})


def _notice(context: Context, role: RoleName, version: int, issued: datetime, latest: datetime) -> Notice:
    return Notice(
        IssuedInFutureError(repository=context.repository, role=role, version=version, issued=issued, latest=latest)
    )


def keep_proof(verified: Verified[S], authority: Authority, context: Context) -> Persist:
    """The command to store the proof of a file that is stored already and whose signatures had to be counted again."""
    return Persist(context.repository, (), _proof(verified, authority, context))


def _proof(verified: Verified[S], authority: Authority, context: Context) -> dict[RoleName, bytes]:
    proof = prove(verified, authority.keys, authority.signers, subject=context.subject(authority.role))
    return {} if proof is None else {authority.role: proof}


def _named(context: Context, role: RoleName, version: int | None) -> tuple[RepositoryName, RoleName, int | None, str]:
    return context.repository, role, version, context.wire.file_name(role, version)


def _check_size(data: bytes, role: RoleName, limit: int, context: Context) -> None:
    # A driver stops reading at the bound. This holds even for one that does not.
    if len(data) > limit:
        what = f"{context.what(role)} in bytes"
        raise LimitError(what=what, value=len(data), limit=limit, clause=procedure_of(role))
