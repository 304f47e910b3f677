"""The Director's view of the Image repository: only what the trust engine finds counts, and floors are kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.director.world import NOW, ImageSite, at, entry
from twinlock.director.catalogue.catalogue import CatalogueKeeper
from twinlock.director.catalogue.source import open_source
from twinlock.director.catalogue.trusted_files import load_files
from twinlock.director.director import Director
from twinlock.director.errors.operator import SettingError
from twinlock.director.inventory.database import Inventory
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.local import StorageError
from twinlock.trust.errors.metadata import ExpiredError, MissingMetadataError, RollbackError
from twinlock.trust.names import IMAGE, HardwareId, TargetPath

HW7 = HardwareId("hw-7")


@pytest.fixture
def keeper(director: Director, site: ImageSite) -> Iterator[CatalogueKeeper]:
    with Inventory.connect("sqlite:///inventory.sqlite", directory=director.path) as database:
        yield CatalogueKeeper(database, open_source(str(site.path)), max_age_s=60)


def offered(keeper: CatalogueKeeper, hardware: HardwareId = HW7) -> set[str]:
    return {item.path for item in keeper.refresh(NOW).offers(hardware)}


def test_an_image_is_offered_only_for_its_hardware(keeper: CatalogueKeeper) -> None:
    assert offered(keeper) == {"factory.bin", "brake/1.0.bin", "brake/2.0.bin"}
    assert offered(keeper, HardwareId("hw-0")) == set()


def test_delegated_images_count_as_far_as_the_delegation_goes(keeper: CatalogueKeeper, site: ImageSite) -> None:
    site.suppliers["acme"] = {
        "acme/lamp.bin": entry("acme/lamp.bin", hardware=["hw-7"], counter=1),
        "brake/3.0.bin": entry("brake/3.0.bin", hardware=["hw-7"], counter=9),
    }
    site.publish()
    assert "acme/lamp.bin" in offered(keeper)
    assert "brake/3.0.bin" not in offered(keeper)
    assert keeper.refresh(NOW).find(TargetPath("brake/3.0.bin"), HW7) is None


def test_a_broken_supplier_is_noted_and_does_not_hide_the_others(keeper: CatalogueKeeper, site: ImageSite) -> None:
    site.suppliers["acme"] = {"acme/lamp.bin": entry("acme/lamp.bin", hardware=["hw-7"], counter=1)}
    site.publish()
    broken = site.path / "metadata" / "2.acme.json"
    broken.write_bytes(broken.read_bytes().replace(b"lamp", b"limp"))
    catalogue = keeper.refresh(NOW)
    assert {item.path for item in catalogue.offers(HW7)} == {"factory.bin", "brake/1.0.bin", "brake/2.0.bin"}
    assert set(catalogue.problems) == {"acme/limp.bin"}


def test_a_malformed_entry_is_noted_and_not_offered(keeper: CatalogueKeeper, site: ImageSite) -> None:
    site.images["bad.bin"] = entry("bad.bin", hardware=["hw-7"], counter=-1)
    site.publish()
    catalogue = keeper.refresh(NOW)
    assert "bad.bin" not in {item.path for item in catalogue.offers(HW7)}
    assert set(catalogue.problems) == {"bad.bin"}


def test_a_rolled_back_repository_is_refused_also_after_a_restart(
    keeper: CatalogueKeeper, site: ImageSite, director: Director, tmp_path: Path
) -> None:
    shutil.copytree(site.path, tmp_path / "old")
    site.publish()
    keeper.refresh(NOW)
    with Inventory.connect("sqlite:///inventory.sqlite", directory=director.path) as database:
        restarted = CatalogueKeeper(database, open_source(str(tmp_path / "old")), max_age_s=60)
        with pytest.raises(RollbackError) as caught:
            restarted.refresh(NOW)
    assert (caught.value.repository, caught.value.role) == ("image", "timestamp")
    assert (caught.value.offered, caught.value.trusted) == (1, 2)


def test_expired_metadata_is_refused(keeper: CatalogueKeeper) -> None:
    with pytest.raises(ExpiredError):
        keeper.refresh(at(days=31))


def test_while_the_repository_is_away_what_was_verified_counts_until_it_expires(
    keeper: CatalogueKeeper, site: ImageSite
) -> None:
    keeper.refresh(NOW)
    site.path.rename(site.path.with_name("gone"))
    with pytest.raises(StorageError):
        keeper.refresh(at(minutes=2))
    assert keeper.current(at(minutes=2)).find(TargetPath("brake/1.0.bin"), HW7) is not None
    with pytest.raises(ExpiredError):
        keeper.current(at(days=31))


def test_a_repository_that_was_never_seen_is_an_error(keeper: CatalogueKeeper, site: ImageSite) -> None:
    site.path.rename(site.path.with_name("gone"))
    with pytest.raises(StorageError):
        keeper.current(NOW)


def test_a_repository_without_timestamp_is_refused(keeper: CatalogueKeeper, site: ImageSite) -> None:
    (site.path / "metadata" / "timestamp.json").unlink()
    with pytest.raises(MissingMetadataError):
        keeper.refresh(NOW)


def test_a_view_is_kept_for_its_time_and_no_longer(keeper: CatalogueKeeper, site: ImageSite) -> None:
    first = keeper.current(NOW)
    site.publish()
    assert keeper.current(at(seconds=60)) is first
    assert keeper.current(at(seconds=61)).versions["timestamp"] == 2


def test_delegated_files_that_were_looked_up_are_stored(
    keeper: CatalogueKeeper, site: ImageSite, director: Director
) -> None:
    site.suppliers["acme"] = {"acme/lamp.bin": entry("acme/lamp.bin", hardware=["hw-7"], counter=1)}
    site.publish()
    keeper.refresh(NOW).find(TargetPath("acme/lamp.bin"), HW7)
    keeper.save()
    with (
        Inventory.connect("sqlite:///inventory.sqlite", directory=director.path) as database,
        database.reading() as connection,
    ):
        assert "acme" in load_files(connection, IMAGE)


def test_a_file_that_does_not_end_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "timestamp.json").write_bytes(b"x" * 100)
    with pytest.raises(EndlessDataError) as caught:
        open_source(str(tmp_path))("timestamp.json", 99)
    assert caught.value.limit_bytes == 99


@pytest.mark.parametrize("location", ["ftp://example.org/x", "gopher://x"])
def test_only_directories_and_http_are_read(location: str) -> None:
    with pytest.raises(SettingError):
        open_source(location)
