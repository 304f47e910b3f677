"""What an import finds about single images: which it has to leave out, and what will not work later.

Everything here is found before anything is written, so that it can be shown first (``--dry-run``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from twinlock.repository.errors import UnacceptableEntryError
from twinlock.repository.model.component import read_component
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import RoleName, TargetPath

OSTREE = "ostree"
HOSTED = "hosted"
NO_COMMIT = "commit-unchecked"
NO_ADDRESS = "address-dropped"
NO_BYTES = "missing-bytes"
OTHER_BYTES = "other-bytes"
NOT_FOR_PROFILE = "not-for-profile"
NO_COUNTER = "no-release-counter"
NO_VERSION = "unreadable-version"
NO_TERMS = "unreadable-terms"


class LeftOutError(UnacceptableEntryError):
    """An entry of another repository that cannot be taken over. ``finding`` is its kind in one word."""

    code = "entry-left-out"
    finding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFinding:
    """One finding: ``role`` lists ``target``; ``code`` is its kind in one word, ``reason`` a sentence."""

    role: str
    target: str
    code: str
    reason: str

    def __str__(self) -> str:
        return f"{self.target} ({self.role}): {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFindings:
    """What an import would do: ``images`` are taken over, ``left_out`` are not; ``warnings`` are about those taken over.

    ``expired`` and ``dropped`` are as in TakeoverView; ``roots`` counts Root versions.
    """

    roots: int
    images: int
    left_out: tuple[EntryFinding, ...]
    warnings: tuple[EntryFinding, ...]
    expired: tuple[RoleName, ...] = ()
    dropped: tuple[RoleName, ...] = ()


def later_problems(
    role: RoleName, path: TargetPath, entry: ImageEntry, custom: Mapping[str, Any], release_counter: int
) -> Iterator[EntryFinding]:
    """What will not work, or not as its author may expect, once the image is ours."""
    component = read_component(custom)
    if entry.release_counter is None:
        reason = f"no release counter is stated, so the image gets {release_counter}; images with equal counters have no order"
        yield EntryFinding(role=role, target=path, code=NO_COUNTER, reason=reason)
    if custom.get("version") is not None and component.version is None:
        reason = "its version cannot be read, so it counts as unknown where another image needs a version of it"
        yield EntryFinding(role=role, target=path, code=NO_VERSION, reason=reason)
    for member in component.unreadable:
        reason = f"its {member} cannot be read, so the Director will not order it; describe it again with image replace"
        yield EntryFinding(role=role, target=path, code=NO_TERMS, reason=reason)
