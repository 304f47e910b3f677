"""The result of an update cycle: which ECU installed what, and what was refused, where and why."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from twinlock.client.model.errors import ManifestRefusedError, SecondaryRefusedError
from twinlock.trust.errors.base import Kind, TwinlockError
from twinlock.trust.errors.images import DigestError, EndlessDataError, LengthError
from twinlock.trust.errors.local import SlowRetrievalError
from twinlock.trust.errors.metadata import (
    LimitError,
    MalformedError,
    MissingMetadataError,
    MixAndMatchError,
    ThresholdError,
    UnsafePathError,
)
from twinlock.trust.errors.reports import AttestationError
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import EcuId
from twinlock.trust.text.times import format_time


class Outcome(enum.Enum):
    """How a cycle ended."""

    UP_TO_DATE = "up-to-date"  # nothing to install, nothing refused
    UPDATED = "updated"  # everything approved is installed
    INCOMPLETE = "incomplete"  # the metadata passed, and part of the rest failed
    FAILED = "failed"  # the metadata was refused or unavailable, or nothing of what was approved was installed


class Step(enum.Enum):
    """The steps of Uptane 2.1.0 5.4.2, and the report that every failure jumps to (5.4.3.6)."""

    MANIFEST = "manifest"
    TIME = "time"
    METADATA = "metadata"
    IMAGES = "images"
    SECONDARY_TIME = "secondary-time"
    SECONDARY_METADATA = "secondary-metadata"
    SECONDARY_IMAGES = "secondary-images"
    LAST_LOOK = "last-look"
    INSTALL = "install"
    REPORT = "report"


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing that went wrong: at which step, for which ECU if it concerns one ECU, and the error."""

    step: Step
    error: TwinlockError
    ecu: EcuId | None = None

    def as_json(self) -> dict[str, Any]:
        """For machines: ``step``, ``ecu`` and ``error`` (see ``TwinlockError.as_json``)."""
        return {"step": self.step.value, "ecu": self.ecu, "error": self.error.as_json()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Installation:
    """One ECU runs a new image."""

    ecu: EcuId
    image: InstalledImage

    def as_json(self) -> dict[str, Any]:
        """For machines: ``ecu``, ``path``, ``length``, ``hashes`` and ``releaseCounter``."""
        return {"ecu": self.ecu, **image_as_json(self.image)}


@dataclass(frozen=True, kw_only=True, slots=True)
class CycleResult:
    """One update cycle. ``reported`` is whether the Director accepted the final manifest.

    ``verified`` is whether the metadata passed: if not, ``approved`` is empty for want of a verdict. ``problems``
    and ``notices`` are in order of occurrence; a notice goes into the report and stopped nothing. ``missing_guarantees`` names the
    guarantees that a lax policy dropped. ``now`` is the time that the cycle relied on, None if it had none.
    """

    now: datetime | None
    verified: bool
    approved: tuple[Installation, ...]
    installed: tuple[Installation, ...]
    problems: tuple[Problem, ...]
    notices: tuple[TwinlockError, ...]
    reported: bool
    correlation_id: str | None = None
    missing_guarantees: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The one-word answer."""
        if not self.problems:
            return Outcome.UPDATED if self.installed else Outcome.UP_TO_DATE
        if not self.verified or (self.approved and not self.installed):
            return Outcome.FAILED
        return Outcome.INCOMPLETE

    @property
    def error(self) -> TwinlockError | None:
        """What went wrong, None if nothing did. See ``most_severe``."""
        worst = most_severe(self.problems)
        return worst.error if worst else None

    def as_json(self) -> dict[str, Any]:
        """The whole result as plain JSON values."""
        return {
            "outcome": self.outcome.value,
            "now": format_time(self.now) if self.now else None,
            "approved": [image.as_json() for image in self.approved],
            "installed": [image.as_json() for image in self.installed],
            "verified": self.verified,
            "problems": [problem.as_json() for problem in self.problems],
            "notices": [notice.as_json() for notice in self.notices],
            "reported": self.reported,
            "correlationId": self.correlation_id,
            "weaker": list(self.missing_guarantees),
        }


def most_severe(problems: Sequence[Problem]) -> Problem | None:
    """The first attack, else the first refusal, else the first failure; of one kind, this ECU's own errors come first.

    A Secondary that refuses or is dead must not hide what its Primary found.
    """
    order = list(Kind)
    ranked = sorted(problems, key=lambda problem: (order.index(problem.error.kind), is_relayed(problem.error)))
    return next(iter(ranked), None)


def is_relayed(error: TwinlockError) -> bool:
    """Whether the error relays a refusal of another party."""
    return isinstance(error, (SecondaryRefusedError, ManifestRefusedError))


def is_unproven(error: TwinlockError) -> bool:
    """Whether anyone on the network path can cause the error without a key and without a file that a key once signed."""
    return isinstance(error, _UNPROVEN)


_UNPROVEN = (
    AttestationError,
    DigestError,
    EndlessDataError,
    LengthError,
    LimitError,
    MalformedError,
    MissingMetadataError,
    MixAndMatchError,
    SlowRetrievalError,
    ThresholdError,
    UnsafePathError,
)


def image_as_json(image: InstalledImage) -> dict[str, Any]:
    """An image as the link, the slots and ``--json`` write it."""
    return {
        "path": image.path,
        "length": image.length,
        "hashes": dict(image.hashes),
        "releaseCounter": image.release_counter,
    }
