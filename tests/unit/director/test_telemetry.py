"""What a vehicle with aktualizr tells beside manifests: what is admitted, what is kept, and whose certificate names whom."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.unit.director.device_world import Device
from tests.unit.director.world import NOW, at
from twinlock.director.devices import events
from twinlock.director.devices.telemetry import KINDS
from twinlock.director.director import Director
from twinlock.director.errors.vehicles import DailyLimitError, DeviceIdentityError, UnknownVehicleError
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.metadata import MalformedError

VIN = "VIN7"


@pytest.fixture
def known(director: Director) -> Director:
    """A Director with a registered device."""
    device = Device(VIN)
    director.devices.register(device.identity(), device.registration())
    return director


def event(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"event-{number}",
        "deviceTime": "2026-03-01T11:59:00Z",
        "eventType": {"id": "EcuInstallationCompleted", "version": 1},
        "event": {"correlationId": "urn:x", "ecu": "gw-7", "success": True},
        **changes,
    }


def batch(*items: dict[str, Any]) -> bytes:
    return json.dumps(items).encode()


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("system-info", b""),
        ("system-info", b"{"),
        ("system-info", b'"text"'),
        ("system-info", b"7"),
        ("system-info", b'{"a": 1, "a": 2}'),
        ("system-info", b"[" * 5000),
        ("system-info", b"[" * 65 + b"]" * 65),
        ("network", b"[]"),
        ("network", b'{"hostname": 1}'),
        ("network", b'{"hostname": {}}'),
        ("network", b'{"hostname": "' + b"x" * 2000 + b'"}'),
        ("installed-packages", b"{}"),
        ("installed-packages", b"[1]"),
        ("installed-packages", b'[{"name": "x"}]'),
        ("installed-packages", b'[{"name": "x", "version": 1}]'),
        ("configuration", b"\xff"),
        ("configuration", b"a\x00b"),
        ("configuration", b"a\x1b[31mb"),
    ],
)
def test_what_is_not_of_its_kind_is_refused_and_the_last_stays(known: Director, kind: str, data: bytes) -> None:
    good = {"system-info": b"[]", "network": b"{}", "installed-packages": b"[]", "configuration": b""}[kind]
    known.devices.take_telemetry(VIN, kind, good)
    before = known.devices.telemetry(VIN)
    with pytest.raises(MalformedError):
        known.devices.take_telemetry(VIN, kind, data, now=at(hours=1))
    with pytest.raises(EndlessDataError):
        known.devices.take_telemetry(VIN, kind, b" " * (KINDS[kind].max_bytes + 1))
    assert known.devices.telemetry(VIN) == before


def test_the_newest_of_each_kind_is_kept(known: Director) -> None:
    known.devices.take_telemetry(VIN, "system-info", b'[{"id": "old"}]')
    known.devices.take_telemetry(VIN, "system-info", b'[{"id": "new", "size": 5}]', now=at(hours=1))
    known.devices.take_telemetry(VIN, "configuration", "x = ü\n".encode(), now=at(hours=2))
    assert [(item.kind, item.received_at, item.value) for item in known.devices.telemetry(VIN)] == [
        ("configuration", at(hours=2), "x = ü\n"),
        ("system-info", at(hours=1), [{"id": "new", "size": 5}]),
    ]


def test_nobody_tells_for_an_unknown_vehicle(known: Director) -> None:
    with pytest.raises(UnknownVehicleError):
        known.devices.take_telemetry("VIN9", "network", b"{}")
    with pytest.raises(UnknownVehicleError):
        known.devices.take_events("VIN9", batch(event(1)))
    for read in (known.devices.telemetry, known.devices.events):
        with pytest.raises(UnknownVehicleError):
            read("VIN9")


def test_an_event_is_kept_once_whatever_is_sent_again(known: Director) -> None:
    assert known.devices.take_events(VIN, batch(event(1), event(2), event(1))) == 2
    assert known.devices.take_events(VIN, batch(event(2, event={"other": 1}), event(3)), now=at(hours=1)) == 1
    assert known.devices.take_events(VIN, b"[]") == 0
    found = known.devices.events(VIN)
    assert [item.id for item in found] == ["event-3", "event-2", "event-1"]
    assert found[1].detail == event(2)["event"]
    assert (found[0].kind, found[0].version, found[0].received_at) == ("EcuInstallationCompleted", 1, at(hours=1))
    assert found[0].device_time == datetime(2026, 3, 1, 11, 59, tzinfo=UTC)
    assert [item.id for item in known.devices.events(VIN, limit=1)] == ["event-3"]


def test_a_device_without_a_clock_is_heard_too(known: Director) -> None:
    for number, year in enumerate(("0001", "1970", "9999")):
        known.devices.take_events(VIN, batch(event(number, deviceTime=f"{year}-01-01T00:00:00Z")))
    assert [item.device_time.year for item in known.devices.events(VIN)] == [9999, 1970, 1]


def test_two_vehicles_may_use_one_id(known: Director) -> None:
    other = Device("VIN8", {"gw-8": "gateway"})
    known.devices.register(other.identity(), other.registration())
    assert known.devices.take_events(VIN, batch(event(1))) == 1
    assert known.devices.take_events("VIN8", batch(event(1))) == 1


def test_a_fraction_in_what_nobody_signed_is_taken_and_shown(known: Director) -> None:
    known.devices.take_telemetry(VIN, "system-info", b'{"clock": 2.5e9, "load": [0.25]}')
    assert known.devices.telemetry(VIN)[0].value == {"clock": 2.5e9, "load": [0.25]}
    with pytest.raises(MalformedError):
        known.devices.take_telemetry(VIN, "system-info", b'{"load": NaN}')
    assert known.devices.take_events(VIN, batch(event(1, event={"progress": 0.5}))) == 1
    assert known.devices.events(VIN)[0].detail == {"progress": 0.5}


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": ""},
        {"id": "x" * 65},
        {"id": 7},
        {"deviceTime": "2026-03-01"},
        {"deviceTime": 1},
        {"eventType": "EcuDownloadStarted"},
        {"eventType": {"id": "x"}},
        {"eventType": {"id": "x", "version": "0"}},
        {"eventType": {"id": "x" * 65, "version": 0}},
        {"event": []},
    ],
)
def test_a_malformed_event_refuses_itself_and_no_other(known: Director, wrong: dict[str, Any]) -> None:
    assert known.devices.take_events(VIN, batch(event(1), event(2, **wrong), event(3))) == 2
    assert len(known.devices.events(VIN)) == 2
    with pytest.raises(MalformedError):
        known.devices.take_events(VIN, batch(event(2, **wrong)))
    missing = event(2)
    del missing[next(iter(wrong))]
    with pytest.raises(MalformedError):
        known.devices.take_events(VIN, batch(missing))
    assert len(known.devices.events(VIN)) == 2


def test_too_large_a_batch_is_told_apart_from_a_wrong_one(known: Director) -> None:
    for data in (batch(*(event(number, event={}) for number in range(1_001))), b" " * (events.MAX_BYTES + 1)):
        with pytest.raises(EndlessDataError):
            known.devices.take_events(VIN, data)


def test_the_bound_of_a_day_ends_with_the_day(known: Director, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_PER_DAY", 2)
    assert known.devices.take_events(VIN, batch(event(1), event(2))) == 2
    with pytest.raises(DailyLimitError) as caught:
        known.devices.take_events(VIN, batch(event(2), event(3)))
    assert caught.value.fields() == {"vehicle": VIN, "what": "events", "limit": 2}
    with pytest.raises(DailyLimitError):
        known.devices.take_events(VIN, batch(event(4)), now=at(minutes=1))
    assert [item.code for _, item in known.events(VIN)] == ["daily-limit"], "an operator sees it, once a day"
    assert known.devices.take_events(VIN, batch(event(2), event(3)), now=at(days=1)) == 1


def certificate(*attributes: tuple[x509.ObjectIdentifier, str]) -> bytes:
    """A certificate as some other CA might have issued it."""
    name = x509.Name([x509.NameAttribute(kind, value) for kind, value in attributes])
    key = ec.generate_private_key(ec.SECP256R1())
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def test_a_certificate_of_any_ca_names_one_vehicle_or_none(director: Director) -> None:
    common, unit = NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME
    peer = director.devices.read_peer(certificate((unit, "fleet"), (common, VIN)))
    assert (peer.name, peer.shared) == (VIN, False)
    for wrong in (
        certificate((unit, VIN)),
        certificate((common, VIN), (common, "VIN8")),
        certificate((common, "../VIN7")),
        certificate((common, "VIN7\x00x")),
        b"no certificate",
    ):
        with pytest.raises(DeviceIdentityError):
            director.devices.read_peer(wrong)
