"""The database: what it refuses by itself, whoever asks, and its version."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from tests.unit.director.world import NOW, TestVehicle
from twinlock.director.director import Director
from twinlock.director.errors.operator import NoDirectorError, OccupiedError, SettingError
from twinlock.director.inventory import schema
from twinlock.director.inventory.database import Inventory
from twinlock.director.model.records import VehicleSummary
from twinlock.trust.errors.local import ConflictError, NewerStateError, StorageError
from twinlock.trust.names import EcuId, VehicleId


@pytest.fixture
def filled(fleet: Director, car: TestVehicle) -> Director:
    """At least one row in every table of history."""
    fleet.receive_manifest(car.manifest(attack="freeze"))
    fleet.assign("VIN1", {"ecu-gw": "gw/1.4.bin"})
    fleet.issue("VIN1")
    with open_database(fleet) as database, database.writing() as connection:
        for name, row in OF_OTHER_WIRES.items():
            connection.execute(insert(schema.metadata.tables[name]).values(**row))
    return fleet


# Rows that only a fleet with aktualizr has.
OF_OTHER_WIRES: dict[str, dict[str, Any]] = {
    "wire_roots": {"profile": "aktualizr", "version": 1, "data": b"{}", "published_at": NOW},
    "device_events": {
        "vehicle": "VIN1",
        "event": "e1",
        "received_at": NOW,
        "device_time": NOW,
        "kind": "EcuDownloadStarted",
        "kind_version": 0,
        "detail": {},
    },
    "issued_certificates": {
        "kind": "single",
        "name": "VIN1",
        "serial": "01",
        "fingerprint": "aa",
        "issued_at": NOW,
        "not_after": NOW,
        "actor": "operator",
    },
    "revoked_certificates": {"fingerprint": "aa", "revoked_at": NOW, "actor": "operator"},
}


def open_database(director: Director) -> Inventory:
    return Inventory.connect("sqlite:///inventory.sqlite", directory=director.path)


@pytest.mark.parametrize("name", [table.name for table in schema.APPEND_ONLY])
@pytest.mark.parametrize("operation", ["update", "delete"])
def test_history_cannot_be_changed_or_deleted_even_by_hand(filled: Director, name: str, operation: str) -> None:
    with closing(sqlite3.connect(filled.path / "inventory.sqlite")) as connection:
        before = connection.execute(f"SELECT * FROM {name}").fetchall()
        assert before
        column = connection.execute(f"SELECT * FROM {name}").description[-1][0]
        statement = f"UPDATE {name} SET {column} = {column}" if operation == "update" else f"DELETE FROM {name}"
        with pytest.raises(sqlite3.IntegrityError, match=f"{name} is append-only"):
            connection.execute(statement)
        assert connection.execute(f"SELECT * FROM {name}").fetchall() == before


def test_every_table_of_history_is_among_the_append_only_ones() -> None:
    mutable = {
        "schema_version",
        "vehicles",
        "ecus",
        "enrolment_tokens",
        "assignments",
        "outstanding",
        "trusted_files",
        "trusted_floors",
        "telemetry",
        "rekey_permissions",
        "report_counters",
        "acknowledged_reports",
        "spent_reports",
        "counter_resets",
        "key_changes",
        "pending_keys",
        "serial_owners",
        "delivered_software",
        "junk",
        "pruning",
        "signing_clock",
    }
    assert {table.name for table in schema.APPEND_ONLY} == schema.metadata.tables.keys() - mutable


def test_the_database_itself_refuses_a_counter_or_nonce_twice(filled: Director) -> None:
    with open_database(filled) as database:
        row = {
            "manifest": 1,
            "ecu": "ecu-gw",
            "key_identity": "a" * 64,
            "reported_time": NOW,
            "path": "x",
            "length": 1,
            "hashes": {},
            "attack": "",
            "detail": "",
        }
        for counter, nonce, again in ((900, "aa", {"counter": 900}), (901, "bb", {"nonce": "bb", "counter": 902})):
            with database.writing() as connection:
                connection.execute(insert(schema.reports).values(**row, counter=counter, nonce=nonce))
            with pytest.raises(ConflictError), database.writing() as connection:
                connection.execute(insert(schema.reports).values(**{**row, **again}))


def test_an_ecu_needs_a_vehicle_and_a_key_of_its_own(filled: Director) -> None:
    with open_database(filled) as database:
        row = {
            "ecu": "ecu-new",
            "vehicle": "VIN1",
            "hardware_id": "hw",
            "primary_ecu": False,
            "verification": "full",
            "keyid": "k",
            "keytype": "ed25519",
            "scheme": "ed25519",
            "public": "00",
            "key_identity": "id",
        }
        for wrong in ({"vehicle": "VIN9"}, {"ecu": "ecu-gw"}, {"public": None}, {"keyid": None}):
            with pytest.raises(ConflictError), database.writing() as connection:
                connection.execute(insert(schema.ecus).values(**{**row, **wrong}))


def test_signed_metadata_has_one_file_for_each_version(filled: Director) -> None:
    with open_database(filled) as database:
        row = {"vehicle": "VIN1", "role": "targets", "version": 1, "data": b"other"}
        with pytest.raises(ConflictError), database.writing() as connection:
            connection.execute(insert(schema.signed_metadata).values(**row))


def test_what_fails_half_way_leaves_nothing(filled: Director) -> None:
    with open_database(filled) as database:
        with pytest.raises(RuntimeError), database.writing() as connection:
            connection.execute(delete(schema.assignments))
            raise RuntimeError
        assert len(filled.assignments("VIN1")) == 1


def test_the_settings_that_make_it_durable_are_on(filled: Director) -> None:
    with open_database(filled) as database:
        with database.reading() as connection:
            pragmas = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            }
        assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_newer_schema_is_refused_and_not_touched(filled: Director) -> None:
    with open_database(filled) as database, database.writing() as connection:
        connection.execute(update(schema.schema_version).values(version=schema.SCHEMA_VERSION + 1))
    filled.close()
    path = filled.path / "inventory.sqlite"
    before = path.read_bytes()
    with pytest.raises(NewerStateError) as caught:
        Director.open(filled.path)
    assert (caught.value.found, caught.value.supported) == (schema.SCHEMA_VERSION + 1, schema.SCHEMA_VERSION)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("name", "error"), [("noise", StorageError), ("empty", StorageError), ("none", SettingError)])
def test_what_is_no_inventory_is_an_error(tmp_path: Path, name: str, error: type[Exception]) -> None:
    (tmp_path / "noise.sqlite").write_bytes(b"this is no database" * 100)
    (tmp_path / "empty.sqlite").write_bytes(b"")
    with Inventory.connect(f"sqlite:///{name}.sqlite", directory=tmp_path) as database, pytest.raises(error):
        database.check_version()
    assert not (tmp_path / "none.sqlite").exists()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "not a url"])
def test_a_database_that_would_forget_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingError):
        Inventory.connect(url, directory=tmp_path)


def test_vehicles_are_listed_with_what_they_have(filled: Director) -> None:
    other = TestVehicle("VIN0", {"ecu-z": "gw-1"})
    filled.register(other.description())
    assert filled.vehicles() == (
        VehicleSummary(
            vehicle=VehicleId("VIN0"),
            primary=EcuId("ecu-z"),
            ecus=1,
            registered_at=NOW,
            last_manifest_at=None,
            assignments=0,
        ),
        VehicleSummary(
            vehicle=VehicleId("VIN1"),
            primary=EcuId("ecu-gw"),
            ecus=2,
            registered_at=NOW,
            last_manifest_at=NOW,
            assignments=1,
        ),
    )


def test_a_second_director_in_one_place_is_refused(director: Director) -> None:
    with pytest.raises(OccupiedError):
        Director.create(director.path, image_root=b"", image_url="x")


def test_a_place_without_a_director_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoDirectorError):
        Director.open(tmp_path / "nothing")
