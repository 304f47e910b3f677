"""Readiness: what a Director, and an Image repository, cannot do is said before vehicles notice."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from tests.conformance.real import Site, make_site
from tests.unit.director.world import NOW, ImageSite, at
from twinlock.director.api.device_api import director_application
from twinlock.director.director import Director
from twinlock.repository.errors import NotReadyError
from twinlock.repository.serving.app import image_application
from twinlock.repository.serving.http import serving
from twinlock.repository.serving.readiness import is_about_to_expire
from twinlock.repository.serving.renewal import whole_application


@pytest.fixture
def site_of_both(tmp_path: Path) -> Iterator[Site]:
    with make_site(tmp_path) as site:
        yield site


def reasons(director: Director, **when: Any) -> str:
    with pytest.raises(NotReadyError) as caught:
        director.check_ready(**when)
    return "; ".join(caught.value.reasons)


def test_a_director_is_ready(fleet: Director) -> None:
    fleet.check_ready()


def test_it_is_not_where_the_online_keys_are_away_or_the_inventory_cannot_be_written(
    fleet: Director, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (fleet.path / "keys/online").rename(tmp_path / "away")
    with Director.open(fleet.path, clock=lambda: NOW) as opened:
        assert "needs 1 signatures" in reasons(opened)
    (tmp_path / "away").rename(fleet.path / "keys/online")

    class Full(NamedTuple):
        total: int = 1 << 40
        used: int = 1 << 40
        free: int = 1 << 20

    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Full())
    assert "1 MiB are free" in reasons(fleet, now=at(seconds=1))
    monkeypatch.undo()
    fleet.check_ready(now=at(seconds=2))


def test_it_is_not_while_another_process_holds_the_inventory(
    fleet: Director, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    other = sqlite3.connect(fleet.path / "inventory.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with caplog.at_level(logging.ERROR):
            found = reasons(fleet)
        assert "storage failed" in found
        assert str(fleet.path) not in found
        assert str(fleet.path) in caplog.text
    finally:
        other.execute("ROLLBACK")
        other.close()
    fleet.check_ready(now=at(seconds=5))


def test_it_is_not_where_the_image_repository_has_expired_or_soon_will(fleet: Director, site: ImageSite) -> None:
    assert "the Image repository's timestamp expires at 2026-03-31" in reasons(fleet, now=at(days=24))
    assert "the Image repository cannot be used: image/" in reasons(fleet, now=at(days=30, hours=1))
    site.now = at(days=30, hours=1)
    site.publish()
    fleet.check_ready(now=at(days=30, hours=2))


def test_it_is_not_where_root_soon_expires_or_the_clock_is_contradicted(fleet: Director, site: ImageSite) -> None:
    found = reasons(fleet, now=at(days=360))
    assert "the Director's Root expires at 2027-03-01" in found
    assert "the Image repository was kept fresh until 2026-03-31" in found


def test_an_expired_image_repository_is_in_the_log_with_an_order_waiting(
    fleet: Director, caplog: pytest.LogCaptureFixture
) -> None:
    fleet.assign("VIN1", {"ecu-gw": "gw/1.4.bin"})
    with caplog.at_level(logging.WARNING):
        fleet.metadata("VIN1", "timestamp.json", now=at(days=30, hours=1))
    assert '"event": "image-repository-unusable", "code": "expired"' in caplog.text


async def _ready(application: Any) -> tuple[int, dict[str, Any]]:
    async with (
        serving(application) as server,
        aiohttp.ClientSession() as session,
        session.get(f"{server.url}/readyz") as response,
    ):
        return response.status, json.loads(await response.read())


def test_a_probe_gets_every_reason_and_when_to_come_back(fleet: Director, caplog: pytest.LogCaptureFixture) -> None:
    fleet._clock = lambda: at(days=30, hours=13)
    status, body = asyncio.run(_ready(director_application(fleet)))
    assert (status, body["code"]) == (503, "not-ready")
    assert len(body["fields"]["reasons"]) == 2
    assert '"event": "not-ready"' in caplog.text


@pytest.mark.parametrize(
    ("left", "life", "soon"),
    [
        (timedelta(hours=7), timedelta(days=1), False),
        (timedelta(hours=6), timedelta(days=1), True),
        (timedelta(days=8), timedelta(days=365), False),
        (timedelta(days=7), timedelta(days=365), True),
        (timedelta(seconds=-1), timedelta(days=1), True),
    ],
)
def test_when_a_file_is_about_to_expire(left: timedelta, life: timedelta, soon: bool) -> None:
    assert is_about_to_expire(NOW + left, NOW + left - life, NOW) is soon


def test_an_image_server_without_keys_knows_what_expires(site_of_both: Site) -> None:
    store = site_of_both.image.store
    assert asyncio.run(_ready(image_application(store, clock=lambda: NOW)))[0] == 200
    status, body = asyncio.run(_ready(image_application(store, clock=lambda: at(hours=19))))
    assert (status, body["fields"]["reasons"]) == (503, ["timestamp expires at 2026-03-02T12:00:00Z"])
    status, body = asyncio.run(_ready(image_application(store, clock=lambda: at(days=359))))
    assert {reason.split()[0] for reason in body["fields"]["reasons"]} >= {
        "timestamp",
        "snapshot",
        "root",
        "targets",
        "acme",
    }


def test_one_that_renews_needs_the_online_keys(site_of_both: Site, tmp_path: Path) -> None:
    image = site_of_both.image
    application = whole_application(image.store, renewing=image.workspace)
    image.keyring.online.rename(tmp_path / "away")
    image.keyring.forget()
    status, body = asyncio.run(_ready(application))
    assert status == 503
    assert any("snapshot needs 1 signatures" in reason for reason in body["fields"]["reasons"])


def test_the_inventory_is_for_its_owner_alone_even_in_a_directory_that_others_read(
    tmp_path: Path, site: ImageSite
) -> None:
    place = tmp_path / "open"
    place.mkdir(0o755)
    with Director.create(place, image_root=site.root, image_url=str(site.path), clock=lambda: NOW) as director:
        director.check_ready()
        modes = {file.name: oct(file.stat().st_mode & 0o777) for file in place.glob("inventory.sqlite*")}
    assert set(modes.values()) == {"0o600"}
    assert "inventory.sqlite" in modes
