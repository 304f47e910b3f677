"""Configuration files: every mistake gives one sentence that names the field."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.client.vehicle import roots
from twinlock.client.ecu.config import load_primary, load_secondary
from twinlock.client.ecu.provision import EcuPlan, KnownRepositories, provision_primary, provision_secondary
from twinlock.client.model.errors import ConfigurationError, SecondaryDescriptionError, ServerUrlError
from twinlock.client.primary.secondaries import manifest_share
from twinlock.testing.simulator.world import ADAS, BRAKE, GATEWAY, VIN, World
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import StorageError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import Verification
from twinlock.trust.policy import LAX, STRICT


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a provisioned Primary (gw) and Secondaries (brake: full, adas: partial)."""
    directory = tmp_path_factory.mktemp("ecus")
    world = World()
    descriptions = [
        provision_secondary(
            directory / part.folder,
            EcuPlan(vehicle=VIN, ecu=part.ecu, hardware_id=part.hardware_id),
            roots(world),
            verification=kind,
            listen=listen,
        )
        for part, kind, listen in ((BRAKE, "full", "unix:link.sock"), (ADAS, "partial", "http://127.0.0.1:9102/"))
    ]
    plan = EcuPlan(vehicle=VIN, ecu=GATEWAY.ecu, hardware_id=GATEWAY.hardware_id, accepts=("gateway/*",))
    provision_primary(directory / "gw", plan, roots(world), secondaries=descriptions)
    return directory


def changed(made: Path, tmp_path: Path, change: dict[str, Any], role: str = "gw/primary.json") -> Path:
    """A copy of a configuration with members replaced; None removes one."""
    values = json.loads((made / role).read_text()) | change
    path = tmp_path / "config.json"
    path.write_text(json.dumps({name: value for name, value in values.items() if value is not None}))
    return path


def test_what_init_writes_can_be_read(made: Path) -> None:
    primary = load_primary(made / "gw" / "primary.json")
    assert primary.ecu.accepts == ("gateway/*",)
    assert primary.state == made / "gw" / "state.db"
    assert primary.hold_incomplete_bundles
    assert primary.policy is STRICT
    brake, adas = primary.secondaries
    assert brake.address == f"unix:{made}/brake/link.sock"
    assert (brake.verification, adas.verification) == (Verification.FULL, Verification.PARTIAL)
    assert adas.address == "http://127.0.0.1:9102"
    assert load_secondary(made / "adas" / "secondary.json").map is None
    assert load_secondary(made / "brake" / "secondary.json").map == made / "brake" / "map.json"


def test_paths_are_relative_to_the_file_and_lax_can_be_chosen(made: Path, tmp_path: Path) -> None:
    config = load_primary(changed(made, tmp_path, {"state": "elsewhere/s.db", "policy": "lax"}))
    assert config.state == tmp_path / "elsewhere" / "s.db"
    assert config.policy is LAX


def test_sizes_follow_from_the_counts_that_are_provisioned(made: Path, tmp_path: Path) -> None:
    assert load_primary(made / "gw" / "primary.json").limits == DEFAULT_LIMITS
    small = load_primary(changed(made, tmp_path, {"limits": {"ecus": 8, "orderBytes": 1_024}})).limits
    assert (small.ecus, small.order_bytes) == (8, 1_024)
    assert small.director_bytes < small.timestamp_bytes + 8 * 1_024 + 1 < DEFAULT_LIMITS.director_bytes
    assert small.report_bytes == 126_550  # of eight ECUs
    assert small.root_bytes == DEFAULT_LIMITS.root_bytes
    given = load_primary(changed(made, tmp_path, {"limits": {"ecus": 8, "directorBytes": 50_000}})).limits
    assert given.director_bytes == 50_000


def test_bundles_follow_from_the_files_unless_they_are_given(made: Path, tmp_path: Path) -> None:
    default, full, partial = DEFAULT_LIMITS, "full_bundle_bytes", "partial_bundle_bytes"
    assert getattr(default, full) == 2 * default.targets_bytes
    assert getattr(default, partial) == 2 * (default.director_bytes + default.root_bytes)
    small = load_primary(changed(made, tmp_path, {"limits": {"ecus": 8, "targetsBytes": 9_000}})).limits
    assert getattr(small, full) == 18_000
    assert getattr(small, partial) == 2 * (small.director_bytes + small.root_bytes) < getattr(default, partial)
    change = {"limits": {"ecus": 8, "partialBundleBytes": 7, "fullBundleBytes": 8}}
    given = load_primary(changed(made, tmp_path, change)).limits
    assert (getattr(given, partial), getattr(given, full)) == (7, 8)


def test_every_ecu_of_a_full_manifest_has_room_for_the_largest_signature() -> None:
    limits = DEFAULT_LIMITS
    assert manifest_share(limits.ecus, limits.report_bytes) > 2 * limits.signature_bytes + 2_048


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"format": 2}, "format"),
        ({"role": "secondary"}, "role"),
        ({"vehicle": None}, "vehicle is missing"),
        ({"vehicle": "../x"}, "vehicle is not usable"),
        ({"ecu": 7}, "ecu must be a string"),
        ({"map": None}, "map is missing"),
        ({"accepts": "gateway/*"}, "accepts must be a list"),
        ({"accepts": [1]}, "accepts must be a list of patterns"),
        ({"policy": "careless"}, "policy"),
        ({"time": {"source": "sundial"}}, "time.source"),
        ({"time": {"toleranceSeconds": -1}}, "time.toleranceSeconds"),
        ({"fetch": {"attempts": 0}}, "fetch.attempts"),
        ({"fetch": {"attempts": True}}, "fetch.attempts"),
        ({"fetch": {"windowSeconds": 0}}, "fetch.windowSeconds"),
        ({"fetch": {"windowseconds": 1}}, "fetch.windowseconds is unknown"),
        ({"tls": {"certificate": "c.pem"}}, "tls.certificate"),
        ({"secondaries": {}}, "secondaries must be a list"),
        ({"secondaries": [3]}, "secondaries[0] must be an object"),
        ({"secondaries": [{}]}, "secondaries[0].keyid is missing"),
        ({"hold": True}, "hold is unknown"),
        ({"limits": {"images": 5}}, "limit images: no such limit"),
        ({"limits": {"orderByte": 5}}, "limit orderByte: no such limit; the limits are signatures"),
        ({"limits": {"orderBytes": 0}}, "limit orderBytes: an integer from 1 is required"),
        ({"limits": {"ecus": 0}}, "limit ecus: an integer from 1 is required"),
        ({"limits": {"ecus": "8"}}, "limits.ecus"),
        ({"limits": [8]}, "limits must be an object"),
    ],
)
def test_a_mistake_is_named(made: Path, tmp_path: Path, change: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_primary(changed(made, tmp_path, change))
    assert named in str(refused.value)
    assert refused.value.path == str(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"verification": "none"}, "verification"),
        ({"listen": "serial:/dev/ttyS0"}, "listen"),
        ({"listen": None}, "listen is missing"),
        ({"secondaries": []}, "secondaries is unknown"),
    ],
)
def test_a_mistake_of_a_secondary_is_named(made: Path, tmp_path: Path, change: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_secondary(changed(made, tmp_path, change, "brake/secondary.json"))
    assert named in str(refused.value)


def test_a_weak_key_of_a_secondary_is_refused(made: Path, tmp_path: Path) -> None:
    secondary = json.loads((made / "gw" / "primary.json").read_text())["secondaries"][0]
    secondary["key"]["keyval"]["public"] = "00" * 32
    with pytest.raises(ConfigurationError) as refused:
        load_primary(changed(made, tmp_path, {"secondaries": [secondary]}))
    assert refused.value.field == "secondaries[0].key"


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000], ids=["empty", "list", "cut", "deep"])
def test_what_is_no_object_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "primary.json"
    path.write_text(content)
    with pytest.raises(UsageError) as refused:
        load_primary(path)
    assert str(path) in str(refused.value)


def test_a_missing_file_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        load_primary(tmp_path / "primary.json")


# Provisioning


def test_a_description_without_a_key_is_refused(tmp_path: Path) -> None:
    plan = EcuPlan(vehicle=VIN, ecu="e", hardware_id="h")
    urls = replace(roots(World()), director_url=f"http://d/vehicles/{VIN}", image_url="http://i")
    with pytest.raises(SecondaryDescriptionError) as refused:
        provision_primary(tmp_path / "gw", plan, urls, secondaries=[{"ecu": "brake", "hardwareId": "b"}])
    assert refused.value.missing == ("verification", "address", "keyid", "key")
    assert not (tmp_path / "gw").exists()


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    plan = EcuPlan(vehicle=VIN, ecu="e", hardware_id="h")
    urls = replace(roots(World()), director_url="gw.example/vehicles/v", image_url="http://i")
    with pytest.raises(ServerUrlError) as refused:
        provision_primary(tmp_path / "gw", plan, urls)
    assert refused.value.url == "gw.example/vehicles/v"


def test_a_directory_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    plan = EcuPlan(vehicle=VIN, ecu="e", hardware_id="h")
    with pytest.raises(UsageError, match="is not empty"):
        provision_primary(tmp_path, plan, roots(World()))
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_full_verification_needs_both_roots(tmp_path: Path) -> None:
    only = KnownRepositories(director_root=World().director.files["1.root.json"])
    plan = EcuPlan(vehicle=VIN, ecu="e", hardware_id="h")
    with pytest.raises(UsageError):
        provision_secondary(tmp_path / "s", plan, only, verification="full", listen="unix:s")
    with pytest.raises(UsageError):
        provision_primary(tmp_path / "p", plan, only)
    provision_secondary(tmp_path / "q", plan, only, verification="partial", listen="unix:s")


def test_the_factory_image_is_what_runs_first(tmp_path: Path) -> None:
    from twinlock.client.install.ab_slots import SlotInstaller
    from twinlock.trust.names import EcuId

    (tmp_path / "firmware").write_bytes(b"factory" * 100_000)
    plan = EcuPlan(
        vehicle=VIN,
        ecu="e",
        hardware_id="h",
        factory_image=("brake/factory.bin", tmp_path / "firmware"),
        factory_release_counter=4,
    )
    provision_primary(tmp_path / "p", plan, roots(World()))
    slots = SlotInstaller(tmp_path / "p" / "slots", EcuId("e"))
    assert slots.installed().path == "brake/factory.bin"
    assert slots.installed().release_counter == 4
    assert slots.path.read_bytes() == b"factory" * 100_000
