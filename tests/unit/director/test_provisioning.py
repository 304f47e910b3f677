"""aktualizr itself against the device API: how it comes by credentials, registers, and tells of itself, over real TLS.

The client is the virtual one; where ``AKTUALIZR`` names a binary, the same with the real one. What it installs is no
part of this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.aktualizr.client import VirtualAktualizr
from tests.aktualizr.config import Config, Secondary, SharedCredentials, TlsFiles
from tests.aktualizr.real import BINARY, RealAktualizr
from tests.aktualizr.result import Run
from tests.unit.director.device_world import DEVICE_FILES, TlsSite, audited, confirm_pending, tls_site
from tests.unit.director.world import ImageSite
from twinlock.director.api.aktualizr_api import aktualizr_application
from twinlock.director.devices.credentials import provisioning_archive, write_files
from twinlock.director.director import Director
from twinlock.repository.serving.http import serving
from twinlock.repository.workspace.validity import utc_now

BRAKE = Secondary(serial="brake-7", hardware_id="brake")
KINDS = {"virtual", "real"} if BINARY else {"virtual"}
Start = Callable[[Config, str], VirtualAktualizr | RealAktualizr]


@pytest.fixture(params=sorted(KINDS))
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    """Makes a vehicle with an empty storage."""
    if request.param == "virtual":
        return lambda config, _: VirtualAktualizr(config)
    return lambda config, name: RealAktualizr(config, tmp_path / name)


@pytest.fixture
def director(tmp_path: Path) -> Iterator[Director]:
    site = ImageSite(tmp_path / "image", now=utc_now())
    site.publish()
    with Director.create(tmp_path / "director", image_root=site.root, image_url=str(site.path)) as made:
        made.devices.create_ca()
        yield made


def run(director: Director, place: Path, scenario: Callable[[TlsSite], Awaitable[None]]) -> None:
    async def main() -> None:
        async with tls_site(director, place) as site:
            await scenario(site)

    asyncio.run(main())


async def once(client: VirtualAktualizr | RealAktualizr) -> Run:
    return await asyncio.to_thread(client.once)


def archive(director: Director, site: TlsSite, place: Path) -> SharedCredentials:
    """A copy of the archive, which the client changes."""
    place.write_bytes(provisioning_archive(director.devices.issue_shared(), site.server.url))
    return SharedCredentials(place)


def test_with_imported_credentials_it_registers_and_changes_its_ecus(
    director: Director, start: Start, tmp_path: Path
) -> None:
    write_files(director.devices.issue_device("VIN7"), tmp_path / "import", names=DEVICE_FILES)
    tls = TlsFiles(*(tmp_path / "import" / name for name in DEVICE_FILES))

    async def scenario(site: TlsSite) -> None:
        config = Config(server=site.server.url, tls=tls, primary_serial="gw-7", secondaries=(BRAKE,))
        client = start(config, "vehicle")
        assert (await once(client)).exit_status == 0
        assert set(director.vehicle("VIN7").ecus) == {"gw-7", "brake-7"}
        client.configure(secondaries=())
        assert (await once(client)).exit_status == 0
        assert set(director.vehicle("VIN7").ecus) == {"gw-7"}
        client.configure(secondaries=(BRAKE,))
        assert (await once(client)).exit_status == 0
        assert set(director.vehicle("VIN7").ecus) == {"gw-7", "brake-7"}

    run(director, tmp_path, scenario)
    assert [sorted(detail) for detail in audited(director, "VIN7", "change-ecus")] == [
        ["primary", "retired"],
        ["primary", "returned"],
    ]
    assert director.vehicle("VIN7").primary == "gw-7"
    assert [item.kind for item in director.devices.telemetry("VIN7")] == [
        "configuration",
        "installed-packages",
        "network",
        "system-info",
    ]


def test_with_shared_credentials_it_gets_its_own_and_nobody_else_gets_them(
    director: Director, start: Start, tmp_path: Path
) -> None:
    async def scenario(site: TlsSite) -> None:
        shared = archive(director, site, tmp_path / "first.zip")
        first = start(Config(device_id="VIN7", primary_serial="gw-7", shared=shared), "first")
        assert (await once(first)).exit_status == 0
        assert set(director.vehicle("VIN7").ecus) == {"gw-7"}
        again = start(
            Config(device_id="VIN7", primary_serial="gw-7", shared=archive(director, site, tmp_path / "second.zip")),
            "second",
        )
        assert (await once(again)).exit_status == 1
        before = director.vehicle("VIN7")
        # The device was wiped: an operator lets it come with a new certificate and a new key, once each.
        director.devices.allow_certificate("VIN7")
        assert (await once(again)).exit_status == 1
        assert confirm_pending(director, "VIN7") == [before.primary]
        assert (await once(again)).exit_status == 0
        after = director.vehicle("VIN7")
        assert after.primary == before.primary
        assert after.ecus[after.primary].key != before.ecus[before.primary].key
        # Whoever has the old certificate is not that vehicle any more.
        assert (await once(first)).exit_status == 0
        assert director.vehicle("VIN7") == after

    run(director, tmp_path, scenario)
    singles = [item for item in director.devices.certificates("VIN7") if item.kind == "single"]
    assert [item.revoked_at is None for item in singles] == [True, False]


def test_with_nothing_but_its_serial_where_that_is_allowed(director: Director, start: Start) -> None:
    async def main() -> None:
        async with serving(aktualizr_application(director, allow_serial=True)) as server:
            client = start(Config(server=f"{server.url}/serial/gw-7", primary_serial="gw-7"), "vehicle")
            assert (await once(client)).exit_status == 0

    asyncio.run(main())
    assert director.vehicle("gw-7").identified_by == "serial"
    assert len(director.devices.telemetry("gw-7")) == 4
