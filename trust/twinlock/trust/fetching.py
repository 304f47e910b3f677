"""How the engine asks its driver for a file, and what it holds a driver to."""

from __future__ import annotations

from twinlock.trust.checks.context import Context
from twinlock.trust.commands import ABSENT, Absent, Fetch, Steps
from twinlock.trust.errors.metadata import LimitError, MissingMetadataError
from twinlock.trust.names import RoleName


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
