"""How the engine asks its driver for a file, what it holds a driver to, and how it hands a file over to be kept."""

from __future__ import annotations

from typing import TypeVar

from twinlock.trust.checks.context import Context
from twinlock.trust.checks.targets import Authority
from twinlock.trust.commands import ABSENT, Absent, Fetch, Persist, Steps
from twinlock.trust.errors.metadata import LimitError, MissingMetadataError
from twinlock.trust.floors import Floors, establish
from twinlock.trust.model.base import Signed
from twinlock.trust.names import RoleName
from twinlock.trust.signatures import Verified, prove
from twinlock.trust.state import TrustedRepository

S = TypeVar("S", bound=Signed)


def fetch(context: Context, role: RoleName, version: int | None, limit: int) -> Steps[bytes | Absent]:
    """Ask for one file. Raises: LimitError for more than ``limit`` bytes."""
    name = context.wire.file_name(role, version)
    data = yield Fetch(context.repository, role, version, name, limit)
    if data is None:
        raise TypeError(f"a driver has to answer {name} with bytes or ABSENT")
    if data is not ABSENT and len(data) > limit:
        # A driver stops reading at the bound. This holds even for one that does not.
        raise LimitError(what=f"{context.what(role)} in bytes", value=len(data), limit=limit)
    return data


def fetch_required(context: Context, role: RoleName, version: int | None, limit: int) -> Steps[bytes]:
    """Ask for one file that has to exist. Raises: LimitError, MissingMetadataError."""
    data = yield from fetch(context, role, version, limit)
    if data is ABSENT:
        name = context.wire.file_name(role, version)
        raise MissingMetadataError(repository=context.repository, role=role, name=name)
    return data


def accept(trusted: TrustedRepository, verified: Verified[S], authority: Authority, context: Context) -> Steps[Floors]:
    """Store a file that ``authority`` signed, its proof and the floor that it establishes; returns all floors."""
    role = authority.role
    floor = establish(trusted.floors, role, verified, keys=authority.keys, root=trusted.root.signed.version)
    files = ((role, verified.signed.version, verified.data),)
    yield Persist(context.repository, files, _proof(verified, authority, context), {role: floor})
    return {**trusted.floors, role: floor}


def keep_proof(verified: Verified[S], authority: Authority, context: Context) -> Persist:
    """The command to store the proof of a file that is stored already and whose signatures had to be counted again."""
    return Persist(context.repository, (), _proof(verified, authority, context))


def _proof(verified: Verified[S], authority: Authority, context: Context) -> dict[RoleName, bytes]:
    proof = prove(verified, authority.keys, authority.signers, subject=context.subject(authority.role))
    return {} if proof is None else {authority.role: proof}
