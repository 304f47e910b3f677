"""The load of the check-ins is what it claims to be: real signatures, vehicles in order, and no unexpected answer passes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bench.checkin_fleet import ReportingVehicle
from bench.checkin_floor import prepare, verify
from bench.checkin_load import CheckIn, UnexpectedAnswerError, read_head, run, share
from bench.checkin_server import Server, cores, cpu_ticks
from bench.checkins import percentile

TIMESTAMP = {"signed": {"meta": {"snapshot.json": {"version": 3}}}}
SNAPSHOT = {"signed": {"meta": {"targets.json": {"version": 2}}}}
FILES = {
    "timestamp.json": json.dumps(TIMESTAMP).encode(),
    "snapshot.json": json.dumps(SNAPSHOT).encode(),
    "targets.json": b"{}",
}


def floor(place: Path, vehicle: ReportingVehicle, *, signs: bool) -> Server:
    prepare(place, {vehicle.name: vehicle.public_keys()}, FILES)
    order = json.dumps({"folder": str(place), "signs": signs})
    return Server(["-m", "bench.checkin_floor", order], core=cores()[0], log=place / "log")


@pytest.mark.parametrize("follow", [False, True])
def test_every_check_in_is_answered_in_its_order(follow: bool, tmp_path: Path) -> None:
    vehicle = ReportingVehicle("V", 2)
    check_ins = [vehicle.check_in() for _ in range(3)]
    with floor(tmp_path / "floor", vehicle, signs=follow) as server:
        done = run(server, check_ins, connections=2, follow=follow)
        assert server.cpu_s() > 0
        assert server.resident_mib() > 1
    assert [each.vehicle for each in done.answered] == ["V"] * 3
    assert {each.timestamp for each in done.answered} == {FILES["timestamp.json"]}
    assert all(each.seconds > 0 for each in done.answered)
    assert done.cpu_s >= 0


def test_an_unexpected_status_ends_the_benchmark_with_the_log_of_the_server(tmp_path: Path) -> None:
    vehicle = ReportingVehicle("V", 1)
    stranger = ReportingVehicle("W", 1).check_in()
    with (
        pytest.raises(UnexpectedAnswerError, match="status 500, not 204") as caught,
        floor(tmp_path / "floor", vehicle, signs=False) as server,
    ):
        run(server, [CheckIn("V", stranger.manifest)], connections=1, follow=False)
    assert "KeyError" in caught.value.__notes__[0]


def test_a_server_that_does_not_listen_is_named_with_its_log(tmp_path: Path) -> None:
    server = Server(["-c", "import sys; sys.exit('it broke')"], core=cores()[0], log=tmp_path / "log")
    with pytest.raises(RuntimeError, match="does not listen: it broke"), server:
        pass


def test_every_signature_of_a_manifest_counts() -> None:
    vehicle = ReportingVehicle("V", 3)
    keys = {
        keyid: Ed25519PublicKey.from_public_bytes(bytes.fromhex(raw)) for keyid, raw in vehicle.public_keys().items()
    }
    manifest: dict[str, Any] = json.loads(vehicle.check_in().manifest)
    verify(manifest, keys)
    parts = [manifest, *manifest["signed"]["reports"]]
    assert len(parts) == 4
    for part in parts:
        entry = part["signatures"][0]
        genuine = entry["sig"]
        entry["sig"] = bytes(64).hex()
        with pytest.raises(InvalidSignature):
            verify(manifest, keys)
        entry["sig"] = genuine


def test_all_check_ins_of_a_vehicle_are_on_one_connection() -> None:
    check_ins = [CheckIn(vehicle, b"%d" % number) for number in range(2) for vehicle in ("a", "b", "c")]
    shares = share(check_ins, 2)
    assert [[(each.vehicle, each.manifest) for each in own] for own in shares] == [
        [("a", b"0"), ("c", b"0"), ("a", b"1"), ("c", b"1")],
        [("b", b"0"), ("b", b"1")],
    ]
    assert len(share(check_ins, 32)) == 3


def test_the_head_of_an_answer_gives_status_and_length() -> None:
    assert read_head(b"HTTP/1.1 404 Not Found\r\ncontent-length: 12\r\n\r\n") == (404, 12)
    assert read_head(b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n") == (204, 0)
    with pytest.raises(UnexpectedAnswerError):
        read_head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


def test_user_and_system_time_are_found_behind_any_name() -> None:
    fields = ["S", *(str(number) for number in range(4, 53))]
    assert cpu_ticks(f"12 (a) b (c) {' '.join(fields)}\n") == 14 + 15


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(number) for number in range(1, 201)]
    assert (percentile(values, 50), percentile(values, 99), percentile([7.0], 99)) == (100.0, 198.0, 7.0)
