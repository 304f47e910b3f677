"""The device API of vehicles with aktualizr on real sockets with real TLS: who is let in, and what each path answers."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12

from tests.unit.director.device_world import (
    HOST,
    Device,
    TlsSite,
    audited,
    client_context,
    confirm_pending,
    ed25519_public,
    tls_site,
    wire_key,
)
from tests.unit.director.world import ImageSite, TestVehicle
from twinlock.director.api.aktualizr_api import aktualizr_application
from twinlock.director.devices import events
from twinlock.director.devices.ca import CLIENT_AUTH, DeviceCa, Subject
from twinlock.director.devices.credentials import Credential, make_credential, write_files
from twinlock.director.director import Director
from twinlock.io.http.tls import server_context
from twinlock.repository.serving.http import serving
from twinlock.repository.workspace.validity import utc_now
from twinlock.trust.errors.base import UsageError
from twinlock.trust.limits import DEFAULT_LIMITS

EVENT = {
    "id": "5f0a4c6e-0001",
    "deviceTime": "2026-11-22T17:43:41Z",
    "eventType": {"id": "EcuDownloadStarted", "version": 0},
    "event": {"correlationId": "urn:x", "ecu": "gw-7"},
}


@pytest.fixture
def director(tmp_path: Path) -> Iterator[Director]:
    """A Director that lives now, as TLS does."""
    site = ImageSite(tmp_path / "image", now=utc_now())
    site.publish()
    with Director.create(tmp_path / "director", image_root=site.root, image_url=str(site.path)) as made:
        made.devices.create_ca()
        yield made


@pytest.fixture
def device() -> Device:
    return Device()


def run(director: Director, place: Path, scenario: Callable[[TlsSite], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with tls_site(director, place, **options) as site:
            await scenario(site)

    asyncio.run(main())


async def problem(response: aiohttp.ClientResponse, status: int, code: str) -> Any:
    assert response.status == status, await response.text()
    body = await response.json(content_type=None)
    assert body["code"] == code
    return body


async def register(session: aiohttp.ClientSession, device: Device, base: str = "") -> int:
    async with session.post(f"{base}/director/ecus", data=device.registration()) as response:
        return response.status


def test_the_certificate_is_the_vehicle(director: Director, device: Device, tmp_path: Path) -> None:
    credential = director.devices.issue_device("VIN7")

    async def scenario(site: TlsSite) -> None:
        async with site.session(credential) as session:
            assert await register(session, device) == 201
            assert await register(session, device) == 200
            del device.hardware["brake-7"]
            assert await register(session, device) == 200

    run(director, tmp_path, scenario)
    record = director.vehicle("VIN7")
    assert (set(record.ecus), set(record.retired)) == ({"gw-7"}, {"brake-7"})
    assert record.identified_by == "certificate"


def test_without_a_good_certificate_there_is_no_connection(director: Director, device: Device, tmp_path: Path) -> None:
    foreign_ca = DeviceCa.create(tmp_path / "foreign", passphrase=None, valid=timedelta(days=1), now=utc_now())
    subject = Subject(name="VIN7", usage=CLIENT_AUTH)
    foreign = make_credential(foreign_ca, subject, not_after=utc_now() + timedelta(hours=1), now=utc_now())
    old = director.devices.issue_device("VIN7", valid=timedelta(seconds=1), now=utc_now() - timedelta(minutes=5))
    server = director.devices.issue_server(["VIN7"])

    async def scenario(site: TlsSite) -> None:
        for wrong in (None, foreign, old, server):
            async with site.session(wrong) as session:
                with pytest.raises(aiohttp.ClientError):
                    await register(session, device)

    run(director, tmp_path, scenario)
    assert director.vehicles() == ()


def test_tls_is_of_a_version_that_is_still_good(director: Director, tmp_path: Path) -> None:
    credential = director.devices.issue_device("VIN7")

    async def scenario(site: TlsSite) -> None:
        context = client_context(credential, director.devices.ca_pem(), tmp_path)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context.minimum_version = context.maximum_version = version
            url = f"{site.server.url}/livez"
            async with aiohttp.ClientSession() as session, session.get(url, ssl=context) as response:
                assert response.status == 200
            context.minimum_version = ssl.TLSVersion.TLSv1_2

    run(director, tmp_path, scenario)
    folder = tmp_path / "server"
    context = server_context(folder / "server.pem", folder / "server.key.pem", client_ca=folder / "ca.pem")
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_a_certificate_that_was_taken_back_opens_nothing(director: Director, device: Device, tmp_path: Path) -> None:
    credential = director.devices.issue_device("VIN7")

    async def scenario(site: TlsSite) -> None:
        async with site.session(credential) as session:
            assert await register(session, device) == 201
            director.devices.revoke("VIN7")
            async with session.get("/director/1.root.json") as response:
                await problem(response, 403, "device-identity")

    run(director, tmp_path, scenario)


def test_one_vehicle_sees_and_changes_nothing_of_another(director: Director, device: Device, tmp_path: Path) -> None:
    mine, other = director.devices.issue_device("VIN7"), director.devices.issue_device("VIN8")

    async def scenario(site: TlsSite) -> None:
        async with site.session(mine) as session:
            assert await register(session, device) == 201
        async with site.session(other) as session:
            async with session.post("/director/ecus", data=device.registration()) as response:
                await problem(response, 409, "ecu_already_registered")
            async with session.put("/system_info", json={"id": "x"}) as response:
                await problem(response, 404, "unknown-vehicle")
            async with session.get("/director/targets.json") as response:
                await problem(response, 404, "unknown-vehicle")

    run(director, tmp_path, scenario)
    assert director.devices.telemetry("VIN7") == ()
    assert [item.vehicle for item in director.vehicles()] == ["VIN7"]


def test_a_vehicle_of_our_own_wire_is_not_spoken_for(director: Director, tmp_path: Path) -> None:
    director.register(TestVehicle("VIN1", {"ecu-gw": "gw-1"}).description())
    credential = director.devices.issue_device("VIN1")

    async def scenario(site: TlsSite) -> None:
        async with site.session(credential) as session:
            for method, path in (("GET", "/director/1.root.json"), ("PUT", "/director/manifest")):
                async with session.request(method, path) as response:
                    await problem(response, 403, "device-identity")
            assert await register(session, Device("VIN1", {"gw-x": "gateway"})) == 403

    run(director, tmp_path, scenario)


def test_a_changed_key_is_answered_in_a_way_that_the_client_parses(
    director: Director, device: Device, tmp_path: Path
) -> None:
    credential = director.devices.issue_device("VIN7")

    async def scenario(site: TlsSite) -> None:
        async with site.session(credential) as session:
            assert await register(session, device) == 201
            device.keys["gw-7"] = wire_key("ED25519", ed25519_public("new"))
            async with session.post("/director/ecus", data=device.registration()) as response:
                body = await problem(response, 409, "ecu-key-changed")
            assert body["fields"] == {"vehicle": "VIN7", "ecus": ["gw-7"]}
            assert "twinlock director rekey" in body["hint"]
            assert confirm_pending(director, "VIN7") == ["gw-7"]
            assert await register(session, device) == 200

    run(director, tmp_path, scenario)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"ecus": [], "ecus": []}', b"\xff", b"[" * 5000])
def test_a_malformed_registration_is_a_bad_request(director: Director, body: bytes, tmp_path: Path) -> None:
    credential = director.devices.issue_device("VIN7")

    async def scenario(site: TlsSite) -> None:
        async with site.session(credential) as session, session.post("/director/ecus", data=body) as response:
            await problem(response, 400, "malformed")

    run(director, tmp_path, scenario)


def test_what_there_is_no_file_of_is_not_found_and_never_something_else(
    director: Director, device: Device, tmp_path: Path
) -> None:
    credential = director.devices.issue_device("VIN7")

    async def scenario(site: TlsSite) -> None:
        async with site.session(credential) as session:
            assert await register(session, device) == 201
            for name in ("2.root.json", "99.root.json", "0.root.json", "x.json", "manifest", "..%2Fx", "ecus"):
                async with session.get(f"/director/{name}") as response:
                    assert response.status in (404, 405), name
                    assert "signed" not in await response.json(content_type=None)
            for path in ("/", "/director", "/director/", "/devices", "/events", "/repo/1.root.json", "/vehicles/VIN7"):
                async with session.get(path) as response:
                    assert response.status in (404, 405), path

    run(director, tmp_path, scenario)


def test_a_manifest_that_is_none_is_refused_and_kept(director: Director, device: Device, tmp_path: Path) -> None:
    credential = director.devices.issue_device("VIN7")

    async def scenario(site: TlsSite) -> None:
        async with site.session(credential) as session:
            assert await register(session, device) == 201
            async with session.put("/director/manifest", data=b"{}") as response:
                await problem(response, 400, "malformed")
            async with session.put(
                "/director/manifest", data=io.BytesIO(b"x" * (DEFAULT_LIMITS.report_bytes + 1))
            ) as response:
                await problem(response, 413, "endless-data")

    run(director, tmp_path, scenario)
    refused = director.manifests("VIN7")
    assert [(item.data, item.refusal is not None) for item in refused] == [(b"{}", True)]


TELEMETRY = (
    ("PUT", "/system_info", b'{"id": "host", "children": [{"size": 1}]}'),
    ("PUT", "/system_info/network", b'{"hostname": "h", "local_ipv4": "10.0.0.2", "mac": "00:11:22:33:44:55"}'),
    ("POST", "/system_info/config", b'[tls]\nserver = "https://fleet.example"\n'),
    ("PUT", "/core/installed", b'[{"name": "fake-package", "version": "1.0"}]'),
    ("POST", "/events", json.dumps([EVENT]).encode()),
)


def test_what_a_vehicle_tells_of_itself_is_kept(director: Director, device: Device, tmp_path: Path) -> None:
    credential = director.devices.issue_device("VIN7")

    async def scenario(site: TlsSite) -> None:
        async with site.session(credential) as session:
            for method, path, data in TELEMETRY:
                async with session.request(method, path, data=data) as response:
                    await problem(response, 404, "unknown-vehicle")
            assert await register(session, device) == 201
            for method, path, data in TELEMETRY * 2:
                async with session.request(method, path, data=data) as response:
                    assert response.status == 204, path
                    assert await response.read() == b""

    run(director, tmp_path, scenario)
    told = {item.kind: item.value for item in director.devices.telemetry("VIN7")}
    assert told == {
        "system-info": {"id": "host", "children": [{"size": 1}]},
        "network": {"hostname": "h", "local_ipv4": "10.0.0.2", "mac": "00:11:22:33:44:55"},
        "configuration": '[tls]\nserver = "https://fleet.example"\n',
        "installed-packages": [{"name": "fake-package", "version": "1.0"}],
    }
    assert [item.id for item in director.devices.events("VIN7")] == [EVENT["id"]]


def test_too_much_is_cut_off_in_the_way_that_makes_the_client_send_less(
    director: Director, device: Device, tmp_path: Path
) -> None:
    credential = director.devices.issue_device("VIN7")
    batch = [{**EVENT, "id": f"e{number}"} for number in range(2_000)]

    async def scenario(site: TlsSite) -> None:
        async with site.session(credential) as session:
            assert await register(session, device) == 201
            for method, path, _ in TELEMETRY:
                async with session.request(method, path, data=io.BytesIO(b" " * 5_000_000)) as response:
                    await problem(response, 413, "endless-data")
            # As the client does: halve the batch until it is taken.
            size = len(batch)
            while True:
                async with session.post("/events", json=batch[:size]) as response:
                    if response.status == 204:
                        break
                    await problem(response, 413, "endless-data")
                size //= 2
            assert size > 100

    run(director, tmp_path, scenario)
    assert director.devices.events("VIN7", limit=1)


def test_events_have_a_bound_for_each_day(
    director: Director, device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_PER_DAY", 2)
    credential = director.devices.issue_device("VIN7")

    async def scenario(site: TlsSite) -> None:
        async with site.session(credential) as session:
            assert await register(session, device) == 201
            for number, status in ((1, 204), (2, 204), (3, 429), (2, 204)):
                async with session.post("/events", json=[{**EVENT, "id": f"e{number}"}]) as response:
                    assert response.status == status

    run(director, tmp_path, scenario)


def test_a_line_is_logged_for_each_request_and_no_secret_is_in_it(
    director: Director, device: Device, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="twinlock")
    credential, shared = director.devices.issue_device("VIN7"), director.devices.issue_shared()

    async def scenario(site: TlsSite) -> None:
        async with site.session(credential) as session:
            assert await register(session, device) == 201
            for data in (b'p12_password = "sesame"', b'p12_password = "sesame\x00"'):
                async with session.post("/system_info/config", data=data):
                    pass
        wanted = {"deviceId": "VIN8", "ttl": "30"}
        async with site.session(shared) as session, session.post("/devices", json=wanted) as response:
            assert response.status == 200

    run(director, tmp_path, scenario)
    lines = [json.loads(record.message) for record in caplog.records if record.name == "twinlock.director.api.requests"]
    assert [(line["route"], line["vehicle"], line["status"]) for line in lines] == [
        ("/director/ecus", "VIN7", 201),
        ("/system_info/config", "VIN7", 204),
        ("/system_info/config", "VIN7", 400),
        ("/devices", "VIN8", 200),
    ]
    assert lines[0]["change"] == {"added": ["brake-7", "gw-7"]}
    assert "sesame" not in caplog.text
    assert "PRIVATE" not in caplog.text


def test_a_device_gets_its_certificate_with_the_shared_one(director: Director, device: Device, tmp_path: Path) -> None:
    shared = director.devices.issue_shared()
    single = director.devices.issue_device("VIN9")
    got: list[bytes] = []

    async def scenario(site: TlsSite) -> None:
        async with site.session(shared) as session:
            async with session.post("/devices", json={"deviceId": "VIN7", "ttl": "36000"}) as response:
                assert response.status == 200
                assert response.headers["Cache-Control"] == "no-store"
                got.append(await response.read())
            for _ in range(2):
                async with session.post("/devices", json={"deviceId": "VIN7", "ttl": "36000"}) as response:
                    await problem(response, 409, "device_already_registered")
            # Nothing else is open to it.
            assert await register(session, Device("provisioning")) == 403
            for method, path, data in TELEMETRY:
                async with session.request(method, path, data=data) as response:
                    await problem(response, 403, "device-identity")
        wanted = {"deviceId": "VIN8", "ttl": "36000"}
        async with site.session(single) as session, session.post("/devices", json=wanted) as response:
            await problem(response, 403, "device-identity")
        private, certificate, others = pkcs12.load_key_and_certificates(got[0], b"")
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        assert certificate is not None
        assert certificate.not_valid_after_utc - utc_now() < timedelta(days=100)
        own = Credential(private=private, certificate=certificate, ca=others[0])
        async with site.session(own) as session:
            assert await register(session, device) == 201

    run(director, tmp_path, scenario, max_valid=timedelta(days=99))
    assert director.vehicle("VIN7").identified_by == "certificate"
    assert director.devices.certificates("VIN8") == ()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed"),
        (b'{"deviceId": "VIN8"}', 400, "malformed"),
        (b'{"deviceId": "VIN8", "ttl": "-1"}', 400, "malformed"),
        (b'{"deviceId": "VIN8", "ttl": "0"}', 400, "malformed"),
        (b'{"deviceId": "VIN8", "ttl": true}', 400, "malformed"),
        (b'{"deviceId": "VIN8", "ttl": ""}', 400, "malformed"),
        (b'{"deviceId": 8, "ttl": "1"}', 400, "malformed"),
        (b'{"deviceId": "../x", "ttl": "1"}', 422, "unsafe-path"),
        (b'{"deviceId": "' + b"y" * 65 + b'", "ttl": "1"}', 400, "usage"),
        (b'{"deviceId": "VIN8", "ttl": "1"}' + b" " * 5_000, 413, "endless-data"),
    ],
)
def test_a_request_for_a_certificate_is_read_strictly(
    director: Director, body: bytes, status: int, code: str, tmp_path: Path
) -> None:
    shared = director.devices.issue_shared()

    async def scenario(site: TlsSite) -> None:
        async with site.session(shared) as session, session.post("/devices", data=body) as response:
            await problem(response, status, code)

    run(director, tmp_path, scenario)
    assert [item.kind for item in director.devices.certificates()] == ["server", "shared"]


def test_a_serial_is_no_name_unless_the_operator_says_so(director: Director, device: Device, tmp_path: Path) -> None:
    credential = director.devices.issue_device("VIN7")

    async def scenario(site: TlsSite) -> None:
        async with site.session(credential) as session:
            assert await register(session, device, "/serial/gw-7") == 404
        async with site.session(None) as session:
            assert await register(session, device) == 403
            async with session.post("/devices", json={"deviceId": "VIN7", "ttl": "1"}) as response:
                await problem(response, 403, "device-identity")

    run(director, tmp_path, scenario, required=False)
    assert director.vehicles() == ()


def test_where_it_is_a_serial_names_the_vehicle_of_that_primary(director: Director, tmp_path: Path) -> None:
    plain = Device("gw-1", {"gw-1": "gateway", "brake-1": "brake"})

    async def main() -> None:
        application = aktualizr_application(director, allow_serial=True)
        async with serving(application) as server, aiohttp.ClientSession(server.url) as session:
            assert await register(session, plain, "/serial/gw-1") == 201
            assert await register(session, plain, "/serial/gw-1") == 200
            async with session.put("/serial/gw-1/core/installed", data=b"[]") as response:
                assert response.status == 204
            for base, status in (("/serial/brake-1", 422), ("/serial/gw-2", 422), ("", 403), ("/serial/..%2Fx", 422)):
                assert await register(session, plain, base) == status, base
            async with session.put("/serial/brake-1/core/installed", data=b"[]") as response:
                await problem(response, 404, "unknown-vehicle")
            async with session.post("/devices", json={"deviceId": "gw-3", "ttl": "1"}) as response:
                await problem(response, 403, "device-identity")
            async with session.post("/serial/gw-1/devices", json={"deviceId": "gw-3", "ttl": "1"}) as response:
                assert response.status == 404

    asyncio.run(main())
    record = director.vehicle("gw-1")
    assert (record.primary, record.identified_by) == ("gw-1", "serial")
    assert [item.kind for item in director.devices.telemetry("gw-1")] == ["installed-packages"]


def test_a_vehicle_that_has_shown_a_certificate_has_to_show_one(director: Director, tmp_path: Path) -> None:
    device = Device("gw-1", {"gw-1": "gateway"})
    director.devices.issue_device("gw-2")
    other = director.devices.issue_device("VIN8")

    async def scenario(site: TlsSite) -> None:
        async with site.session(None) as session:
            assert await register(session, Device("gw-2", {"gw-2": "gateway"}), "/serial/gw-2") == 403
            assert await register(session, device, "/serial/gw-1") == 201
        own = director.devices.issue_device("gw-1")
        async with site.session(other) as session:
            assert await register(session, device, "/serial/gw-1") == 403
        async with site.session(None) as session:
            assert await register(session, device, "/serial/gw-1") == 200
        async with site.session(own) as session:
            assert await register(session, device, "/serial/gw-1") == 200
            assert await register(session, device) == 200
        async with site.session(None) as session:
            assert await register(session, device, "/serial/gw-1") == 403

    run(director, tmp_path, scenario, required=False, allow_serial=True)
    assert audited(director, "gw-1", "identify") == [{"before": "serial", "now": "certificate"}]


def test_files_that_are_no_certificates_are_an_error(director: Director, tmp_path: Path) -> None:
    write_files(director.devices.issue_server([HOST]), tmp_path / "s", names=("ca.pem", "cert.pem", "key.pem"))
    ca, certificate, key = (tmp_path / "s" / name for name in ("ca.pem", "cert.pem", "key.pem"))
    wrong = tmp_path / "wrong"
    wrong.write_text("nothing")
    for files in ((wrong, key, ca), (certificate, wrong, ca), (certificate, ca, ca), (certificate, key, wrong)):
        with pytest.raises(UsageError):
            server_context(files[0], files[1], client_ca=files[2])
    with pytest.raises(UsageError):
        server_context(certificate, key, client_ca=tmp_path / "none")


def test_a_certificate_that_expires_on_a_kept_connection_opens_nothing_more(director: Director, tmp_path: Path) -> None:
    clock = [utc_now()]

    async def scenario() -> None:
        async with tls_site(director, tmp_path, clock=lambda: clock[0]) as site:
            credential = director.devices.issue_device("VIN7", valid=timedelta(hours=1), now=utc_now())
            context = client_context(credential, director.devices.ca_pem(), tmp_path)
            connector = aiohttp.TCPConnector(ssl=context, limit=1)  # one connection, kept
            async with aiohttp.ClientSession(site.server.url, connector=connector) as session:
                async with session.put("/core/installed", json=[]) as response:
                    before = response.status
                clock[0] += timedelta(hours=2)
                async with session.put("/core/installed", json=[]) as response:
                    assert response.status == 403
                    problem = await response.json(content_type=None)
                assert problem["code"] == "device-identity"
                assert "is valid from" in problem["detail"]
                clock[0] -= timedelta(hours=2)
                async with session.put("/core/installed", json=[]) as response:
                    assert response.status == before

    asyncio.run(scenario())


def test_certificates_are_valid_for_devices_whose_clocks_are_days_behind(director: Director) -> None:
    for credential in (
        director.devices.issue_device("VIN7", now=utc_now()),
        director.devices.issue_server(["127.0.0.1"], now=utc_now()),
    ):
        assert credential.certificate.not_valid_before_utc <= utc_now() - timedelta(days=6)
