"""Secondaries with full verification, in process: what passes between them and the Primary no server sees (wire 6).

Belongs here: what a Secondary verifies, installs and says of itself. Does not belong here: its report's form.
"""

from __future__ import annotations

from datetime import datetime

from tests.aktualizr.config import Secondary
from tests.aktualizr.director_repository import DirectorRepository
from tests.aktualizr.image_repository import ImageRepository
from tests.aktualizr.metadata import Log, Target
from tests.aktualizr.refusals import UptaneError
from tests.aktualizr.storage import RepositoryStore, Result
from tests.aktualizr.verification import Fetch
from tests.aktualizr.wire import SigningKey

NO_MATCH = "Targets metadata from the Director and Image repositories do not match"


def forwarded(store: RepositoryStore) -> Fetch:
    """What the Primary hands on: Roots, and its stored roles, but never a delegation."""

    def fetch(name: str, _limit: int) -> bytes | None:
        if name.endswith(".root.json"):
            return store.roots.get(int(name.partition(".")[0]))
        return store.roles.get(name.removesuffix(".json"))

    return fetch


class SecondaryEcu:
    """One Secondary with metadata and floors of its own.

    What was refused goes into the reports of the same run, and only a ``virtual`` one tells (wire 3).
    """

    def __init__(self, config: Secondary) -> None:
        self.config = config
        self.serial = config.serial
        self.hardware_id = config.hardware_id
        self.key = SigningKey.generate(config.key_type)
        self.installed: Target | None = None
        self.attacks = ""
        self.no_image = "unknown" if config.kind == "ip" else "noimage"
        self.director = RepositoryStore()
        self.image = RepositoryStore()

    def put_metadata(self, director: RepositoryStore, image: RepositoryStore, now: datetime, log: Log) -> Result:
        """Verify what the Primary forwards."""
        try:
            self._verify(forwarded(director), forwarded(image), now, log)
        except UptaneError as error:
            self.attacks = str(error) if self.config.kind == "virtual" else ""
            return Result("VERIFICATION_FAILED", str(error))
        return Result("OK")

    def _verify(self, from_director: Fetch, from_image: Fetch, now: datetime, log: Log) -> None:
        """Both repositories in full; one target for this ECU; and *every* target of the Director at the top level."""
        director = DirectorRepository(self.director, now, log)
        director.update(from_director)
        assert director.targets is not None
        mine = [target for target in director.targets.targets if self.serial in target.ecus]
        if len(mine) != 1:
            raise UptaneError(f"Invalid number of targets (should be 1): {len(mine)}")
        image = ImageRepository(self.image, {}, now, log)
        image.update(from_image)
        if not all(image.find_top_level(target) for target in director.targets.targets):
            log(NO_MATCH)
            raise UptaneError(NO_MATCH)

    def install(self, target: Target) -> Result:
        """Install, or fail as configured."""
        result = Result(self.config.install_result)
        if result.success:
            self.installed = target
        return result
