"""A client of aktualizr's kind against this Director on a real socket: what the wire document says of Directors.

The client is the virtual one; where the environment variable AKTUALIZR names a real binary, that one too. The Image
repository is a minimal publisher of the same images; the Director reads its TUF twin.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.aktualizr.client import VirtualAktualizr
from tests.aktualizr.config import Config, Secondary
from tests.aktualizr.publisher import Publisher
from tests.aktualizr.real import BINARY, RealAktualizr
from tests.aktualizr.result import Run
from tests.aktualizr.server import Served
from tests.aktualizr.server import serving as serving_images
from tests.unit.director.device_world import confirm_pending
from tests.unit.director.world import ImageSite, content
from twinlock.director.api.aktualizr_api import aktualizr_application
from twinlock.director.director import Director
from twinlock.director.model.settings import Settings
from twinlock.repository.serving.http import serving
from twinlock.repository.workspace.validity import utc_now

SERIAL = "gw-7"
GATEWAY, BRAKE = "gw-1", "hw-7"
ONE, TWO, THREE = "gw/1.bin", "gw/2.bin", "gw/3.bin"
LEFT, LEFT_TWO = "brake/1.bin", "brake/2.bin"
SECONDARY = Secondary(serial="brake-7", hardware_id=BRAKE)

Client = VirtualAktualizr | RealAktualizr


@contextmanager
def served(director: Director) -> Iterator[str]:
    """The device API on a loop of its own, since the client blocks."""
    loop, started, urls = asyncio.new_event_loop(), threading.Event(), list[str]()
    ended = asyncio.Event()

    async def run() -> None:
        async with serving(aktualizr_application(director, allow_serial=True)) as server:
            urls.append(server.url)
            started.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    started.wait(20)
    try:
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


@dataclass
class World:
    """One vehicle, its Director, and the Image repository in both forms."""

    director: Director
    client: Client
    site: ImageSite
    images: Served

    def add(self, path: str, hardware: str, counter: int) -> None:
        self.site.add(path, hardware=[hardware], counter=counter)
        self.images.publisher.image.add(path, content(path), [hardware])

    def publish(self) -> None:
        self.site.publish()
        self.images.publisher.image.publish()
        self.director.refresh_catalogue()

    def spoil(self, path: str) -> Callable[[], None]:
        """Serve other bytes under ``path``; what is returned repairs it."""
        images = self.images.publisher.image.images
        good, images[path] = images[path], b"x" * len(images[path])

        def repair() -> None:
            images[path] = good

        return repair

    def assign(self, **images: str) -> None:
        self.director.assign(SERIAL, {ecu.replace("_", "-"): path for ecu, path in images.items()})

    @property
    def running(self) -> dict[str, str]:
        return {ecu: report.installed.path for ecu, report in self.director.vehicle(SERIAL).reports.items()}

    @property
    def events(self) -> list[tuple[str, str | None]]:
        return [(event.code, event.ecu) for _, event in self.director.events(SERIAL)]


@pytest.fixture(params=["virtual", *(["real"] if BINARY else [])])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    site = ImageSite(tmp_path / "image", now=utc_now())
    publisher = Publisher()
    director = Director.create(
        tmp_path / "director",
        image_root=site.root,
        image_url=str(site.path),
        settings=Settings(wires=("tuf", "aktualizr"), catalogue_max_age_s=0),
    )
    with director, served(director) as url, serving_images(publisher) as images:
        base = f"{url}/serial/{SERIAL}"
        config = Config(
            server=base,
            repo_server=f"{images.url}/repo",
            primary_serial=SERIAL,
            hardware_id=GATEWAY,
            device_id=SERIAL,
            report_network=False,
            report_config=False,
        )
        client = VirtualAktualizr(config) if request.param == "virtual" else RealAktualizr(config, tmp_path / "car")
        world = World(director, client, site, images)
        for counter, path in enumerate((ONE, TWO, THREE), start=1):
            world.add(path, GATEWAY, counter)
        for counter, path in enumerate((LEFT, LEFT_TWO), start=1):
            world.add(path, BRAKE, counter)
        world.publish()
        yield world


@pytest.fixture
def updated(world: World) -> World:
    """After first contact and a first update of the Primary."""
    assert world.client.once().exit_status == 0
    world.assign(gw_7=ONE)
    assert world.client.once().success
    assert world.running == {SERIAL: ONE}
    return world


def quiet(run: Run) -> bool:
    """Whether a run found everything as it should be and nothing to do."""
    return not run.success and run.said("No new updates found in Uptane metadata")


def test_first_contact_and_one_update_after_the_other(world: World) -> None:
    assert quiet(world.client.once())
    for path in (ONE, TWO, THREE):
        world.assign(gw_7=path)
        run = world.client.once()
        assert run.success
        assert run.installed == {SERIAL: path}
        assert world.running == {SERIAL: path}
        assert world.director.explain(SERIAL).outcome == "nothing"
        assert quiet(world.client.once())
    assert world.events == []


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp", "time"])
def test_it_follows_the_rotation_of_every_key(updated: World, role: str) -> None:
    updated.director.rotate(role)
    updated.director.rotate(role)
    assert quiet(updated.client.once())
    updated.assign(gw_7=TWO)
    assert updated.client.once().installed == {SERIAL: TWO}


def test_a_download_that_failed_is_reported_under_its_order_and_tried_again(updated: World) -> None:
    repair = updated.spoil(TWO)
    updated.assign(gw_7=TWO)
    assert not updated.client.once().success
    assert updated.events == [("install-failed", SERIAL)]
    assert updated.running == {SERIAL: ONE}
    repair()
    assert updated.client.once().success
    assert updated.running == {SERIAL: TWO}


@pytest.mark.parametrize("world", ["virtual"], indirect=True)  # the real one cannot be made to fail here on purpose
def test_an_installation_that_failed_is_told_by_ecu_and_the_next_order_follows(updated: World) -> None:
    updated.client.configure(secondaries=(replace(SECONDARY, install_result="INSTALL_FAILED"),))
    updated.client.once()
    updated.assign(brake_7=LEFT)
    assert not updated.client.once().success
    assert ("install-failed", "brake-7") in updated.events
    assert ("install-failed", SERIAL) not in updated.events
    updated.client.configure(secondaries=(SECONDARY,))
    updated.assign(brake_7=LEFT_TWO)
    updated.client.once()
    updated.client.once()
    assert updated.running == {SERIAL: ONE, "brake-7": LEFT_TWO}


def test_what_waits_for_a_reboot_holds_back_the_next_order(updated: World) -> None:
    updated.client.configure(fake_need_reboot=True)
    updated.assign(gw_7=TWO)
    updated.client.once()
    updated.client.once()
    assert updated.running == {SERIAL: ONE}
    updated.assign(gw_7=THREE)
    assert updated.director.explain(SERIAL).outcome == "held"
    updated.client.reboot()
    updated.client.configure(fake_need_reboot=False)
    updated.client.once()
    assert updated.running == {SERIAL: THREE}
    assert updated.events == []


@pytest.mark.parametrize("world", ["virtual"], indirect=True)  # nobody reaches into the real one's storage
def test_a_refused_manifest_is_answered_with_an_error_and_the_update_goes_on(updated: World) -> None:
    assert isinstance(updated.client, VirtualAktualizr)
    updated.client.storage.report_counters[SERIAL] = 0  # as from a backup
    updated.assign(gw_7=TWO)
    run = updated.client.once()
    refused = [request.status for request in run.requests if request.path.endswith("/director/manifest")]
    assert set(refused) == {422}
    assert run.installed == {SERIAL: TWO}
    assert updated.running == {SERIAL: ONE}
    # It is known by its serial only, and anyone who saw an older manifest can send it: it is counted, and not history.
    assert [item.refusal for item in updated.director.manifests(SERIAL) if item.refusal] == []
    assert [item["code"] for item in updated.director.junk(SERIAL)] == ["report-replay"]
    for _ in range(2):  # it counts on, and is believed again once it has come to a number that is new
        updated.client.once()
    assert updated.running == {SERIAL: TWO}


def test_what_is_installed_already_is_no_reason_to_ask_the_image_repository(updated: World) -> None:
    updated.images.log.clear()
    updated.director.issue(SERIAL, force=True)
    assert quiet(updated.client.once())
    assert [seen for seen in updated.images.log if seen.path.startswith("/repo/")] == []


def test_a_withdrawn_update_is_not_installed_once_it_could_be(updated: World) -> None:
    repair = updated.spoil(TWO)
    updated.assign(gw_7=TWO)
    assert not updated.client.once().success
    updated.director.unassign(SERIAL)
    repair()
    for _ in range(2):
        assert quiet(updated.client.once())
    assert updated.running == {SERIAL: ONE}
    updated.assign(gw_7=THREE)
    assert updated.client.once().installed == {SERIAL: THREE}


def test_an_order_that_is_replaced_before_it_could_be_installed(updated: World) -> None:
    repair = updated.spoil(TWO)
    updated.assign(gw_7=TWO)
    assert not updated.client.once().success
    repair()
    updated.assign(gw_7=THREE)
    updated.client.once()
    updated.client.once()
    assert updated.running == {SERIAL: THREE}


def test_several_ecus_at_once_and_one_that_leaves(updated: World) -> None:
    updated.client.configure(secondaries=(SECONDARY,))
    updated.client.once()
    assert set(updated.director.vehicle(SERIAL).ecus) == {SERIAL, "brake-7"}
    updated.director.rotate("root", "targets")
    updated.director.rotate("root", "targets")
    updated.assign(gw_7=TWO, brake_7=LEFT)
    run = updated.client.once()
    assert run.success
    assert updated.running == {SERIAL: TWO, "brake-7": LEFT}
    updated.client.configure(secondaries=())
    for _ in range(2):
        run = updated.client.once()
        assert not run.said("ECU ID that did not match")
    assert set(updated.director.vehicle(SERIAL).ecus) == {SERIAL}
    updated.assign(gw_7=THREE)
    assert updated.client.once().installed[SERIAL] == THREE


def test_an_ecu_that_leaves_when_it_alone_was_ordered_something(updated: World) -> None:
    updated.client.configure(secondaries=(SECONDARY,))
    updated.client.once()
    updated.director.unassign(SERIAL)
    updated.client.once()
    updated.assign(brake_7=LEFT)
    assert updated.client.once().success
    updated.client.configure(secondaries=())
    updated.client.once()
    assert quiet(updated.client.once())


def test_a_device_that_starts_anew_begins_at_the_first_root(updated: World, tmp_path: Path) -> None:
    updated.director.rotate("root", "targets")
    anew = updated.client.config
    updated.client = (
        VirtualAktualizr(anew)
        if isinstance(updated.client, VirtualAktualizr)
        else RealAktualizr(anew, tmp_path / "another")
    )
    assert not updated.client.once().success  # other keys than the registered ones
    confirm_pending(updated.director, SERIAL)
    assert updated.client.once().installed == {SERIAL: ONE}


def test_the_profile_added_after_years_of_the_other(world: World) -> None:
    """Its chain starts at 1 for every client, whatever the other one has reached."""
    with Director.create(
        world.director.path.parent / "older", image_root=world.site.root, image_url=str(world.site.path)
    ) as older:
        for _ in range(3):
            older.rotate("root")
        older.add_wire("aktualizr")
        older.rotate("targets")
        with served(older) as url:
            world.client.configure(server=f"{url}/serial/{SERIAL}")
            assert quiet(world.client.once())
            older.assign(SERIAL, {SERIAL: ONE})
            assert world.client.once().installed == {SERIAL: ONE}
