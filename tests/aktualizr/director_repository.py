"""The Director repository as the client sees it: Root and Targets, nothing else (wire 0 fact 5; wire 5, items 1 to 3).

Belongs here: verifying the Director's Targets, and what of them is new. Does not belong here: the Image repository.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from tests.aktualizr.metadata import Log, Root, Target, Targets, parse_targets, untrusted_version
from tests.aktualizr.refusals import (
    ROLLBACK,
    BadEcuId,
    BadHardwareId,
    FetchFailure,
    InvalidMetadata,
    TargetContentMismatch,
    UptaneError,
)
from tests.aktualizr.storage import RepositoryStore
from tests.aktualizr.verification import (
    DIRECTOR_TARGETS_LIMIT,
    Fetch,
    check_expiry,
    read,
    stored_root,
    update_root,
)


@dataclass
class DirectorRepository:
    """One look at the Director. ``targets`` is the list in use, which an empty newer list does not replace."""

    store: RepositoryStore
    now: datetime
    log: Log
    targets: Targets | None = None

    def update(self, fetch: Fetch) -> None:
        """Fetch, verify and store. A newer version is stored before its expiry is looked at.

        Same version with other content: used now, but not stored (wire 6, first point).
        """
        root = update_root(self.store, "director", fetch, self.now, self.log)
        stored = self.store.roles.get("targets")
        document = fetch("targets.json", DIRECTOR_TARGETS_LIMIT)
        if document is None:
            raise FetchFailure("targets", "director")
        floor = -1
        if stored is not None:
            floor = untrusted_version(stored)
            self._take(stored, root)
        latest = self._take(document, root)
        if latest.version < floor:
            raise UptaneError(ROLLBACK)
        if latest.version > floor and self.targets is latest:
            self.store.roles["targets"] = document
        self._check(latest)

    def check_stored(self) -> None:
        """The same checks on what is stored, before a download and before an installation."""
        root = stored_root(self.store, self.log)
        self._check(self._take(self.store.roles["targets"], root))

    def drop(self) -> None:
        """Forget the assignment, and with it the floor against rollback (wire 5, last point; wire 6)."""
        self.store.forget_non_root()
        self.targets = None

    def _take(self, document: bytes, root: Root) -> Targets:
        """Verify a list and use it, unless it is empty and the one in use is not (wire 6, second point)."""
        try:
            latest = read(document, "targets", root, parse_targets, self.log)
        except UptaneError:
            self.log("Signature verification for Director Targets metadata failed")
            raise
        if latest.targets or not (self.targets and self.targets.targets):
            self.targets = latest
        return latest

    def _check(self, latest: Targets) -> None:
        """Expiry; no delegations; no ECU twice."""
        check_expiry(latest.expires, "targets", self.now)
        assert self.targets is not None
        if self.targets.delegated:
            raise InvalidMetadata("Found unexpected delegation.", "targets")
        counts = Counter(serial for target in self.targets.targets for serial in target.ecus)
        for serial, times in counts.items():
            if times > 1:
                self.log(f"ECU {serial} appears twice in Director's Targets")
                raise InvalidMetadata("Found repeated ECU ID.", "targets")

    def new_targets(self, ecus: Mapping[str, str], installed: Mapping[str, Target]) -> list[Target]:
        """Targets that some ECU does not have yet (wire 5, item 3). One without ECUs is ignored."""
        assert self.targets is not None
        found = []
        for target in self.targets.targets:
            news = [self._is_new(target, *ecu, ecus, installed) for ecu in sorted(target.ecus.items())]
            if any(news):
                found.append(target)
        return found

    def _is_new(
        self, target: Target, serial: str, hardware: str, ecus: Mapping[str, str], installed: Mapping[str, Target]
    ) -> bool:
        """Whether this ECU of the vehicle lacks ``target``."""
        if serial not in ecus:
            self.log(f"Unknown ECU ID in Director Targets metadata: {serial}")
            raise BadEcuId
        if ecus[serial] != hardware:
            self.log(f"Wrong hardware identifier for ECU {serial}")
            raise BadHardwareId
        current = installed.get(serial)
        if current is None:
            self.log(f"Current version for ECU ID: {serial} is unknown")
            return True
        if current.name != target.name:
            return True
        if not current.same_content(target):
            self.log("Director Target filename matches currently installed version, but content differs!")
            raise TargetContentMismatch(target.name)
        return False
