"""What the client keeps between runs: the ``sql.db`` and the image files of the real one, in memory (wire 1.2, 5).

Belongs here: state, and the few rules about forgetting. Does not belong here: deciding what may be stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.aktualizr.config import TlsFiles
from tests.aktualizr.metadata import Target
from tests.aktualizr.wire import SigningKey


@dataclass
class RepositoryStore:
    """Verified metadata of one repository: every Root by version, and the newest of each other role."""

    roots: dict[int, bytes] = field(default_factory=dict)
    roles: dict[str, bytes] = field(default_factory=dict)

    def forget_non_root(self) -> None:
        """After any new Root: all floors against rollback are gone with the files (wire 5, item 1)."""
        self.roles.clear()


@dataclass
class ImageFile:
    """An image, or the beginning of one, under its name and the hash it should have (wire 2.4).

    ``pulled``: it is an OSTree commit, all of which is in the sysroot.
    """

    content: bytes = b""
    touched: bool = False
    pulled: bool = False


@dataclass(frozen=True)
class Result:
    """The outcome on one ECU or of the whole vehicle, as reports carry it (wire 3)."""

    code: str
    description: str = ""

    @property
    def success(self) -> bool:
        """Whether ``code`` is a good one; NEED_COMPLETION is neither good nor bad, and counts as success here."""
        return self.code in {"OK", "ALREADY_PROCESSED", "NEED_COMPLETION"}

    @property
    def json(self) -> dict[str, Any]:
        """The three members."""
        return {"success": self.success, "code": self.code, "description": self.description}


@dataclass
class InstallationReport:
    """What is reported with the next manifest, and kept until one is accepted."""

    result: Result
    correlation: str
    raw: str = ""
    items: dict[str, Result] = field(default_factory=dict)


@dataclass
class Storage:
    """Everything a vehicle remembers."""

    director: RepositoryStore = field(default_factory=RepositoryStore)
    image: RepositoryStore = field(default_factory=RepositoryStore)
    delegations: dict[str, bytes] = field(default_factory=dict)
    installed: dict[str, Target] = field(default_factory=dict)
    pending: dict[str, Target] = field(default_factory=dict)
    pending_correlation: str = ""
    images: dict[tuple[str, str], ImageFile] = field(default_factory=dict)
    report: InstallationReport | None = None
    report_counters: dict[str, int] = field(default_factory=dict)
    registered: list[tuple[str, str]] | None = None
    """Serial and hardware id of each ECU as the Director knows them."""
    key: SigningKey | None = None
    device_id: str = ""
    credentials: TlsFiles | None = None
    accepted: dict[str, str] = field(default_factory=dict)
    """Hash of the device data that the server took, by path; the same data is not sent again."""
    events: list[dict[str, Any]] = field(default_factory=list)
