"""What an update cycle did, as values: which ECU installed what, and what was refused, where and why."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from twinlock.client.state import format_time
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.names import EcuId
from twinlock.trust.state import InstalledImage


class Outcome(enum.Enum):
    """How a cycle ended."""

    UP_TO_DATE = "up-to-date"  # nothing to install, nothing refused
    UPDATED = "updated"  # everything that was approved is installed
    INCOMPLETE = "incomplete"  # something was installed or verified, and something failed
    FAILED = "failed"  # refused or broken before anything was installed


class Step(enum.Enum):
    """The steps of Uptane 2.1.0 5.4.2, and the report that every failure jumps to (5.4.3.6)."""

    MANIFEST = "manifest"
    TIME = "time"
    METADATA = "metadata"
    IMAGES = "images"
    SECONDARY_TIME = "secondary-time"
    SECONDARY_METADATA = "secondary-metadata"
    SECONDARY_IMAGES = "secondary-images"
    INSTALL = "install"
    REPORT = "report"


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing that went wrong: at which step, for which ECU if it was one ECU's affair, and the error itself."""

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
    """One update cycle. ``reported`` says whether the Director took the final manifest.

    ``problems`` is in order of occurrence; the first one is why a failed cycle failed. ``weaker`` names the guarantees
    that a lax policy left out. ``now`` is the time the cycle relied on, None if there was none.
    """

    now: datetime | None
    approved: tuple[Installation, ...]
    installed: tuple[Installation, ...]
    problems: tuple[Problem, ...]
    reported: bool
    correlation_id: str | None = None
    weaker: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The one-word answer."""
        if not self.problems:
            return Outcome.UPDATED if self.installed else Outcome.UP_TO_DATE
        return Outcome.INCOMPLETE if self.installed else Outcome.FAILED

    @property
    def error(self) -> TwinlockError | None:
        """The first thing that went wrong, None if nothing did."""
        return self.problems[0].error if self.problems else None

    def as_json(self) -> dict[str, Any]:
        """The whole result as plain JSON values."""
        return {
            "outcome": self.outcome.value,
            "now": format_time(self.now) if self.now else None,
            "approved": [image.as_json() for image in self.approved],
            "installed": [image.as_json() for image in self.installed],
            "problems": [problem.as_json() for problem in self.problems],
            "reported": self.reported,
            "correlationId": self.correlation_id,
            "weaker": list(self.weaker),
        }


def image_as_json(image: InstalledImage) -> dict[str, Any]:
    """An image as the link, the slots and ``--json`` write it."""
    return {
        "path": image.path,
        "length": image.length,
        "hashes": dict(image.hashes),
        "releaseCounter": image.release_counter,
    }
