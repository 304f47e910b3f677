"""Uptane 2.1.0 5 to 5.3.1: what both repositories publish, looked at from outside and with python-tuf."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tuf.api.metadata import Metadata
from tuf.ngclient import Updater, UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface

from tests.conformance.real import IMAGES, VIN, Site, keyid_of, make_site, tree
from tests.unit.director.world import NOW, TestVehicle, content
from tests.unit.repository.reading import Reader
from twinlock.director.director import Director
from twinlock.director.signing.sign import SigningRequest, sign_set
from twinlock.repository.authoring.delegations import AuthoredDelegation
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.serving.app import image_application
from twinlock.repository.serving.http import serving
from twinlock.repository.suppliers.workspace import SupplierWorkspace
from twinlock.trust.errors.base import RefusalError, UsageError
from twinlock.trust.errors.metadata import UnsafePathError

TOP = ("root", "targets", "snapshot", "timestamp")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Looked at and not changed."""
    with make_site(tmp_path_factory.mktemp("site")) as site:
        site.director.assign(VIN, {"ecu-brake": "brake/2.0.bin"})
        yield site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """To be changed."""
    with make_site(tmp_path) as made:
        yield made


def both_roots(site: Site) -> list[dict[str, Any]]:
    return [site.metadata("1.root.json"), json.loads(site.director.root_bytes())]


def test_both_repositories_have_keys_for_four_roles(made: Site) -> None:
    for root in both_roots(made):
        assert set(root["signed"]["roles"]) == set(TOP)
        for role in root["signed"]["roles"].values():
            assert role["threshold"] >= 1
            assert len(role["keyids"]) >= role["threshold"]
            assert set(role["keyids"]) <= set(root["signed"]["keys"])


def test_no_key_signs_for_two_roles(made: Site) -> None:
    for root in both_roots(made):
        used = [keyid for role in root["signed"]["roles"].values() for keyid in role["keyids"]]
        assert len(used) == len(set(used))


def test_a_key_id_is_a_digest_of_the_whole_key(made: Site) -> None:
    roots = both_roots(made)
    delegations = made.metadata("3.targets.json")["signed"]["delegations"]
    for keys in (*(root["signed"]["keys"] for root in roots), delegations["keys"]):
        assert keys
        for keyid, key in keys.items():
            assert keyid == keyid_of(key)


def test_every_published_file_is_signed_as_root_and_delegations_say(made: Site) -> None:
    """By python-tuf, file for file."""
    public = made.public / "metadata"
    root = Metadata.from_file(str(public / "1.root.json"))
    for name in ("1.root.json", "3.targets.json", "3.snapshot.json", "timestamp.json"):
        role = name.removesuffix(".json").rpartition(".")[2]
        root.verify_delegate(role, Metadata.from_file(str(public / name)))
    targets = Metadata.from_file(str(public / "3.targets.json"))
    acme = Metadata.from_file(str(public / "2.acme.json"))
    targets.verify_delegate("acme", acme)
    acme.verify_delegate("sub", Metadata.from_file(str(public / "1.sub.json")))
    director = Metadata.from_bytes(made.director.root_bytes())
    for name in ("root.json", "targets.json", "snapshot.json", "timestamp.json"):
        data = made.director.metadata(VIN, name)
        assert data is not None
        director.verify_delegate(name.removesuffix(".json"), Metadata.from_bytes(data))


def test_snapshot_lists_exactly_the_targets_files_there_are(made: Site) -> None:
    listed = made.metadata("3.snapshot.json")["signed"]["meta"]
    newest: dict[str, int] = {}
    for name in tree(made.public / "metadata"):
        found = re.fullmatch(r"(\d+)\.(.+\.json)", name)
        if found and found[2] not in ("root.json", "snapshot.json"):
            newest[found[2]] = max(int(found[1]), newest.get(found[2], 0))
    assert {name: info["version"] for name, info in listed.items()} == newest
    assert set(newest) == {"targets.json", "acme.json", "sub.json"}


def test_the_director_s_snapshot_lists_its_targets(made: Site) -> None:
    snapshot = made.ordered("snapshot.json")["signed"]
    assert set(snapshot["meta"]) == {"targets.json"}
    assert snapshot["meta"]["targets.json"]["version"] == made.ordered("targets.json")["signed"]["version"]


def test_timestamp_describes_the_snapshot(made: Site) -> None:
    stated = made.metadata("timestamp.json")["signed"]["meta"]["snapshot.json"]
    data = (made.public / "metadata" / f"{stated['version']}.snapshot.json").read_bytes()
    assert stated["hashes"]["sha256"] == hashlib.sha256(data).hexdigest()
    stated = made.ordered("timestamp.json")["signed"]["meta"]["snapshot.json"]
    served = made.director.metadata(VIN, "snapshot.json")
    assert served is not None
    assert stated["hashes"]["sha256"] == hashlib.sha256(served).hexdigest()
    assert stated["version"] == json.loads(served)["signed"]["version"]


def test_a_publication_moves_targets_snapshot_and_timestamp_together(site: Site) -> None:
    before = site.metadata("timestamp.json")["signed"]
    image = site.path / "new.bin"
    image.write_bytes(b"new")
    site.image.add_image(image, "new.bin", hardware_ids=["hw-7"], release_counter=1)
    site.image.publish()
    after = site.metadata("timestamp.json")["signed"]
    assert after["version"] == before["version"] + 1
    assert after["meta"]["snapshot.json"] != before["meta"]["snapshot.json"]
    snapshot = site.metadata(f"{after['meta']['snapshot.json']['version']}.snapshot.json")["signed"]
    version = snapshot["meta"]["targets.json"]["version"]
    assert "new.bin" in site.metadata(f"{version}.targets.json")["signed"]["targets"]
    assert site.metadata(f"{version}.targets.json")["signed"]["version"] == version


def test_the_director_s_three_files_move_together(site: Site) -> None:
    before = [site.ordered(f"{role}.json")["signed"]["version"] for role in TOP[1:]]
    site.director.assign(VIN, {"ecu-brake": "brake/2.0.bin"})
    after = [site.ordered(f"{role}.json")["signed"]["version"] for role in TOP[1:]]
    assert after == [version + 1 for version in before]


def test_a_delegated_role_s_new_version_is_listed(site: Site) -> None:
    place = SupplierWorkspace.open(site.path / "acme", clock=site.clock)
    lidar = site.path / "lidar-2.bin"
    lidar.write_bytes(b"lidar 2")
    place.add_image(lidar, "acme/lidar-2.bin", hardware_ids=["hw-9"], release_counter=2)
    version = place.sign()
    site.image.accept(place.path / "outbox")
    site.image.publish()
    newest = site.metadata("timestamp.json")["signed"]["meta"]["snapshot.json"]["version"]
    assert site.metadata(f"{newest}.snapshot.json")["signed"]["meta"]["acme.json"]["version"] == version


def test_every_name_follows_the_rules_and_every_version_stays(site: Site) -> None:
    seen = tree(site.public)
    for number in range(3):
        image = site.path / "more.bin"
        image.write_bytes(b"more" * number or b"first")
        site.image.add_image(image, f"more-{number}.bin", hardware_ids=["hw-7"], release_counter=1)
        site.image.publish()
        now = tree(site.public)
        changed = {name for name, data in seen.items() if now.get(name) != data}
        assert changed == {"metadata/timestamp.json"}
        seen = now
    for name in seen:
        folder, _, rest = name.partition("/")
        if folder == "metadata":
            assert rest == "timestamp.json" or re.fullmatch(r"[1-9]\d*\.[^/]+\.json", rest), name
        elif folder == "targets":
            digest = rest.rpartition("/")[2].partition(".")[0]
            algorithm = {64: "sha256", 128: "sha512"}[len(digest)]
            assert hashlib.new(algorithm, seen[name]).hexdigest() == digest, name
        else:
            assert re.fullmatch(r"publications/[1-9]\d*\.json|\.lock", name), name


def test_an_image_is_stored_once_for_each_digest(made: Site) -> None:
    files = tree(made.public / "targets")
    listed = made.metadata("3.targets.json")["signed"]["targets"]
    assert set(listed) == {name for name, _, _ in IMAGES}
    for path, entry in listed.items():
        folder, _, name = path.rpartition("/")
        assert set(entry["hashes"]) == {"sha256", "sha512"}
        for digest in entry["hashes"].values():
            assert files[f"{folder}/{digest}.{name}".lstrip("/")] == content(path)
        assert entry["length"] == len(content(path))


def test_counter_and_hardware_stand_in_the_section_that_must_agree(made: Site) -> None:
    listed = made.metadata("3.targets.json")["signed"]["targets"]
    for path, hardware, counter in IMAGES:
        agreed = listed[path]["custom"]["mustAgree"]
        assert agreed == {"hardwareIds": sorted(hardware), "releaseCounter": counter}
    for path, entry in made.ordered("targets.json")["signed"]["targets"].items():
        assert entry["custom"]["mustAgree"] == listed[path]["custom"]["mustAgree"]


def test_every_order_names_registered_ecus(made: Site) -> None:
    orders = made.ordered("targets.json")["signed"]["targets"]
    assert orders
    for entry in orders.values():
        assert entry["custom"]["ecuIdentifiers"]
        assert set(entry["custom"]["ecuIdentifiers"]) <= set(made.car.hardware)


def test_the_director_delegates_nothing_and_has_no_way_to(made: Site) -> None:
    assert "delegations" not in made.ordered("targets.json")["signed"]
    assert not [name for name in dir(Director) if "delegat" in name]
    assert "delegations" not in SigningRequest.__dataclass_fields__
    assert "delegations" not in sign_set.__annotations__


def test_a_delegation_is_not_terminating_unless_it_is_asked_for(made: Site, site: Site) -> None:
    roles = made.metadata("3.targets.json")["signed"]["delegations"]["roles"]
    assert [(role["name"], role["terminating"]) for role in roles] == [("acme", False)]
    assert signature(AuthoredDelegation).parameters["terminating"].default is False
    role = site.metadata("3.targets.json")["signed"]["delegations"]["roles"][0]
    assert {"name", "keyids", "threshold", "terminating", "paths"} <= set(role)


@pytest.mark.parametrize(
    "wrong",
    [{"keys": []}, {"paths": []}, {"name": ""}, {"name": "root"}, {"threshold": 0}, {"threshold": 2}],
    ids=str,
)
def test_no_delegation_is_written_that_lacks_something(site: Site, wrong: dict[str, Any]) -> None:
    key = SupplierWorkspace.open(site.path / "acme", clock=site.clock).public_key_file
    good = {"name": "other", "keys": [key], "paths": ["other/*"]}
    before = tree(site.public)
    with pytest.raises((RefusalError, UsageError)):
        site.image.delegate(**(good | wrong))
    assert tree(site.public) == before


def test_delegating_is_added_listed_and_taken_back(site: Site) -> None:
    assert [view.name for view in site.image.show().delegations] == ["acme", "sub"]
    site.image.undelegate("acme")
    site.image.publish()
    assert [view.name for view in site.image.show().delegations] == []


@pytest.mark.parametrize("path", ["../../etc/x", "/etc/x", "C:\\x", "a\x00b", "a/../b"], ids=ascii)
def test_the_tool_lists_no_name_that_leaves_the_store(site: Site, path: str) -> None:
    before = tree(site.public)
    with pytest.raises(UnsafePathError):
        site.image.add_image(site.path / "files" / "factory.bin", path, hardware_ids=["hw-7"], release_counter=1)
    assert tree(site.public) == before


def test_a_name_takes_other_bytes_only_when_told_and_keeps_the_old_ones(site: Site) -> None:
    """Uptane 2.1.0 5.3.1: written under a unique name, read back by that name."""
    other = site.path / "other.bin"
    other.write_bytes(b"other")
    with pytest.raises(UsageError):
        site.image.add_image(other, "brake/2.0.bin", hardware_ids=["hw-7"], release_counter=2)
    before = tree(site.public / "targets")
    site.image.add_image(other, "brake/2.0.bin", hardware_ids=["hw-7"], release_counter=3, replace=True)
    site.image.publish()
    assert {name: data for name, data in tree(site.public / "targets").items() if name in before} == before


def test_python_tuf_verifies_a_repository_and_downloads_from_it(made: Site, tmp_path: Path) -> None:
    """Uptane 2.1.0 5: from nothing to a repository that another implementation accepts."""
    mirror = tmp_path / "mirror"
    shutil.copytree(made.public, mirror)
    updater = Updater(
        str(tmp_path),
        metadata_base_url=f"{mirror}/metadata/",
        target_dir=str(tmp_path),
        target_base_url=f"{mirror}/targets/",
        fetcher=FromDisk(),
        config=UpdaterConfig(prefix_targets_with_hash=True),
        bootstrap=made.image.root_bytes(1),
    )
    updater._trusted_set.reference_time = NOW
    for path in ("brake/2.0.bin", "acme/lidar.bin", "acme/sub/sensor.bin"):
        info = updater.get_targetinfo(path)
        assert info is not None
        assert Path(updater.download_target(info)).read_bytes() == content(path)


class FromDisk(FetcherInterface):
    """Serves python-tuf from a directory."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        from tuf.api.exceptions import DownloadHTTPError

        try:
            yield Path(url).read_bytes()
        except FileNotFoundError:
            raise DownloadHTTPError("not found", 404) from None


def test_a_vehicle_reads_everything_and_nobody_writes_anything(made: Site) -> None:
    """Uptane 2.1.0 5.3.1: anonymous reading; there is no way to write over HTTP at all."""
    files = tree(made.public)

    async def visit() -> None:
        async with serving(image_application(made.image.store)) as server, aiohttp.ClientSession() as session:
            for name, data in files.items():
                if name.startswith(("metadata/", "targets/")):
                    async with session.get(f"{server.url}/{name}") as answer:
                        assert answer.status == 200
                        assert await answer.read() == data
            for method in ("PUT", "POST", "DELETE", "PATCH"):
                for name in ("metadata/timestamp.json", "metadata/9.root.json", "targets/new.bin"):
                    headers = {"Authorization": "Bearer anything"}
                    async with session.request(method, f"{server.url}/{name}", data=b"x", headers=headers) as answer:
                        assert answer.status == 405

    asyncio.run(visit())
    assert tree(made.public) == files


def test_the_chain_verifies_end_to_end(made: Site) -> None:
    found = Reader(made.image.store, made.image.root_bytes(1)).find("acme/sub/sensor.bin", NOW, "hw-9")
    assert found.chain == ("targets", "acme", "sub")


def test_images_are_only_found_where_a_role_lists_them(made: Site) -> None:
    reader = Reader(made.image.store, made.image.root_bytes(1))
    assert reader.find("never/listed.bin", NOW).entry is None
    assert reader.find("acme/lidar.bin", NOW, "hw-9").entry is not None
    assert reader.find("brake/2.0.bin", NOW, "hw-7").entry is not None


def test_metadata_is_for_one_vehicle_alone(site: Site) -> None:
    other = TestVehicle("VIN2", {"other-gw": "gw-1"})
    site.director.register(other.description())
    site.director.receive_manifest(other.manifest())
    site.director.assign(VIN, {"ecu-brake": "brake/2.0.bin"})
    assert site.ordered("targets.json", "VIN2")["signed"]["targets"] == {}
    assert site.ordered("targets.json", "VIN2")["signed"]["custom"]["vehicleIdentifier"] == "VIN2"


def test_a_repository_from_an_empty_directory(tmp_path: Path) -> None:
    repository = ImageRepository.create(tmp_path / "image", clock=lambda: NOW)
    assert set(tree(tmp_path / "image" / "public" / "metadata")) == {
        "1.root.json",
        "1.targets.json",
        "1.snapshot.json",
        "timestamp.json",
    }
    assert Reader(repository.store, repository.root_bytes()).refresh(NOW).targets is not None
