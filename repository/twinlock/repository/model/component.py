"""The component that an image's ``custom`` member describes, read from whatever its author wrote there.

No check depends on these members, so nothing here refuses an entry: what cannot be read is named, and planning refuses where it needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from twinlock.repository.model.versions import SoftwareVersion, VersionRange, read_range, read_version
from twinlock.trust.errors.base import UsageError

TERMS = ("dependencies", "conflicts")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadComponent:
    """A component as far as it can be read. ``unreadable`` are those of ``TERMS`` that are written in another way."""

    name: str | None = None
    version: SoftwareVersion | None = None
    dependencies: Mapping[str, VersionRange] = field(default_factory=dict)
    conflicts: Mapping[str, VersionRange] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()


def read_component(custom: Mapping[str, Any]) -> ReadComponent:
    """Read ``custom``, the plain JSON of one entry. A whole number is as good a version as text."""
    name = custom.get("name")
    terms = {member: _read_terms(custom.get(member)) for member in TERMS}
    return ReadComponent(
        name=name if isinstance(name, str) and name else None,
        version=_read_version(custom.get("version")),
        dependencies=terms["dependencies"] or {},
        conflicts=terms["conflicts"] or {},
        unreadable=tuple(member for member, parsed in terms.items() if parsed is None),
    )


def _read_version(value: object) -> SoftwareVersion | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 1 << 63 else None
    if not isinstance(value, str):
        return None
    try:
        return read_version(value)
    except UsageError:
        return None


def _read_terms(value: object) -> dict[str, VersionRange] | None:
    """Component to range; None where ``value`` is something else."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(versions, str) for versions in value.values()):
        return None
    try:
        return {str(component): read_range(versions) for component, versions in value.items()}
    except UsageError:
        return None
