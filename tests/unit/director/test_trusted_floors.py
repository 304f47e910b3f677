"""Floors of the Image repository in the Director's database, with several processes that work on it at once."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tuf.api.metadata import Metadata, Root

from tests.unit.director.world import NOW, ImageSite, entry, test_key
from twinlock.director.catalogue.catalogue import CatalogueKeeper
from twinlock.director.catalogue.source import open_source
from twinlock.director.catalogue.trusted_files import load_files, load_floors, store_files
from twinlock.director.director import Director
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, Persist, drive
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import restore_repository
from twinlock.trust.errors.metadata import RollbackError
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, HardwareId, RoleName, TargetPath
from twinlock.trust.policy import LAX
from twinlock.trust.state.trusted import TrustedRepository

Files = Mapping[str, bytes]


class Process:
    """A process that read the inventory, refreshes from ``files``, and stores what it asked for later."""

    def __init__(self, director: Director) -> None:
        self.database = director._database
        with self.database.reading() as connection:
            files, floors = load_files(connection, IMAGE), load_floors(connection, IMAGE)
        self.trusted: TrustedRepository = restore_repository(IMAGE, files, floors=floors)
        self.waiting: list[Persist] = []

    def refresh(self, files: Files) -> None:
        def answer(command: Command) -> Answer:
            if isinstance(command, Persist):
                self.waiting.append(command)
            return files.get(command.name, ABSENT) if isinstance(command, Fetch) else None

        drive(refresh_repository(self.trusted, NOW, policy=LAX), answer)

    def store(self) -> None:
        for command in self.waiting:
            with self.database.writing() as connection:
                store_files(connection, command)


def published(site: ImageSite) -> Files:
    return {path.name: path.read_bytes() for path in (site.path / "metadata").iterdir()}


def floors(director: Director) -> dict[RoleName, tuple[int, int]]:
    with director._database.reading() as connection:
        return {role: (floor.version, floor.root) for role, floor in load_floors(connection, IMAGE).items()}


def next_root(site: ImageSite, *rotated: str) -> None:
    """Publish Root 2, with another key for each of ``rotated``, and everything else again."""
    root = Metadata[Root].from_bytes(site.root).signed
    root.version = 2
    for role in rotated:
        root.revoke_key(site.keys[role].public_key.keyid, role)
        site.keys[role] = test_key(f"image {role} 2")
        root.add_key(site.keys[role].public_key, role)
    site._write("2.root.json", root, "root")


def test_a_slower_process_leaves_the_floors_of_a_faster_one(director: Director, site: ImageSite) -> None:
    director.refresh_catalogue()
    site.publish()
    older = published(site)
    site.publish()
    newer = published(site)
    slow, fast = Process(director), Process(director)
    slow.refresh(older)
    fast.refresh(newer)
    fast.store()
    assert floors(director)[TIMESTAMP] == (3, 1)
    slow.store()
    assert {floors(director)[role] for role in (TIMESTAMP, SNAPSHOT, TARGETS)} == {(3, 1)}
    # The older files are refused by whoever starts now, and the newest are taken.
    again = Process(director)
    assert again.trusted.timestamp is not None
    with pytest.raises(RollbackError) as caught:
        again.refresh(older)
    assert (caught.value.role, caught.value.offered, caught.value.trusted) == ("timestamp", 2, 3)
    again.refresh(newer)


def test_a_new_root_lowers_nothing_that_another_process_raised(director: Director, site: ImageSite) -> None:
    director.refresh_catalogue()
    slow, fast = Process(director), Process(director)
    site.publish()
    site.publish()
    fast.refresh(published(site))
    fast.store()
    # The slow one follows Root 2, which replaces no key, and is shown older files than the fast one has seen.
    site.version = 1
    next_root(site)
    site.publish()
    slow.refresh(published(site))
    slow.store()
    assert floors(director)[ROOT] == (2, 2)
    assert floors(director)[TIMESTAMP] == (3, 1)


def test_a_rotation_lowers_the_stored_floors_and_not_those_that_the_process_knew(
    director: Director, site: ImageSite
) -> None:
    director.refresh_catalogue()
    slow, fast = Process(director), Process(director)
    site.publish()
    site.publish()
    fast.refresh(published(site))
    fast.store()
    next_root(site, "timestamp")
    site.version = 0
    site.publish()
    slow.refresh(published(site))
    slow.store()
    # Timestamp and Snapshot fell together, and with them what they led to; the new key counts from 1.
    assert {role: version for role, (version, _) in floors(director).items()} == {
        ROOT: 2,
        TIMESTAMP: 1,
        SNAPSHOT: 1,
        TARGETS: 1,
    }
    Process(director).refresh(published(site))


def test_lookups_of_an_overtaken_view_are_not_stored(director: Director, site: ImageSite) -> None:
    site.suppliers["acme"] = {"acme/lamp.bin": entry("acme/lamp.bin", hardware=["hw-7"], counter=1)}
    site.publish()
    slow, fast = (CatalogueKeeper(director._database, open_source(str(site.path)), max_age_s=60) for _ in range(2))
    slow.refresh(NOW).find(TargetPath("acme/lamp.bin"), HardwareId("hw-7"))
    site.publish()
    fast.refresh(NOW).find(TargetPath("acme/lamp.bin"), HardwareId("hw-7"))
    fast.save()
    slow.save()
    assert floors(director)[RoleName("acme")] == (3, 1)
