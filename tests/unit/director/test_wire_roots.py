"""A Director's Roots in the aktualizr profile: a chain of its own that follows every Root. Judged by a reader made here."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.unit.director.aktualizr_vehicle import AktualizrVehicle, canonical
from tests.unit.director.world import NOW, ImageSite, TestVehicle, at
from twinlock.director.director import Director
from twinlock.director.errors.operator import (
    NewChainError,
    NoRootError,
    SettingError,
    UnknownProfileError,
    UnknownRootError,
)
from twinlock.director.errors.vehicles import WireDisabledError
from twinlock.director.model.settings import Settings
from twinlock.director.setup.config import CONFIG, read_config
from twinlock.director.signing import publish_root
from twinlock.director.signing.roots import next_root
from twinlock.repository.errors import MissingKeysError
from twinlock.repository.keys.keyring import KeyKind, KeyPlan
from twinlock.trust.errors.local import ConflictError, ProfileError, StorageError

VIN = "VIN7"
BOTH = Settings(wires=("tuf", "aktualizr"))


def make(tmp_path: Path, site: ImageSite, settings: Settings = BOTH, **options: Any) -> Director:
    place = tmp_path / "made"
    url = str(site.path)
    return Director.create(place, image_root=site.root, image_url=url, settings=settings, clock=lambda: NOW, **options)


def translated(director: Director, version: int | None = None) -> dict[str, Any]:
    data = director.root_bytes(version, profile="aktualizr")
    body: dict[str, Any] = json.loads(data)
    assert canonical(body) == data, "the client hashes the canonical form of what it is served"
    return body


def signers(body: dict[str, Any], by: dict[str, Any]) -> set[str]:
    """The keys of the Root role in ``by`` that signed ``body``."""
    found = set()
    for entry in body["signatures"]:
        if entry["keyid"] in by["roles"]["root"]["keyids"]:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(by["keys"][entry["keyid"]]["keyval"]["public"]))
            try:
                key.verify(base64.b64decode(entry["sig"]), canonical(body["signed"]))
            except InvalidSignature:
                continue
            found.add(entry["keyid"])
    return found


def check_chain(director: Director, length: int) -> None:
    """Each Root is signed by its own keys and by those before it, and is numbered without a gap; then there is none."""
    before = None
    for version in range(1, length + 1):
        body = translated(director, version)
        signed = body["signed"]
        assert (signed["_type"], signed["version"]) == ("Root", version)
        assert len(signed["expires"]) == 20
        for by in (signed, before or signed):
            assert len(signers(body, by)) >= by["roles"]["root"]["threshold"]
        before = signed
    with pytest.raises(UnknownRootError) as caught:
        director.root_bytes(length + 1, profile="aktualizr")
    assert caught.value.version == length + 1


def test_a_director_can_be_made_with_both(wired: Director) -> None:
    check_chain(wired, 1)
    ours, theirs = json.loads(wired.root_bytes())["signed"], translated(wired)["signed"]
    for role in ("targets", "snapshot", "timestamp"):
        assert theirs["roles"][role]["keyids"] == ours["roles"][role]["keyids"]
    # Root keys of its own, so that no Root of one chain is one of the other.
    assert not set(theirs["roles"]["root"]["keyids"]) & set(ours["keys"])
    assert set(theirs["roles"]) == {"root", "targets", "snapshot", "timestamp"}
    assert theirs["expires"] == ours["expires"]
    assert read_config(wired.path).wires == ("tuf", "aktualizr")


def test_one_without_has_none_and_serves_no_such_vehicle(director: Director) -> None:
    with pytest.raises(NoRootError) as absent:
        director.root_bytes(profile="aktualizr")
    assert absent.value.fields() == {"profile": "aktualizr"}
    van = AktualizrVehicle()
    van.register(director)
    assert director.metadata(VIN, "1.root.json") is None
    for act in (lambda: director.metadata(VIN, "targets.json"), lambda: director.assign(VIN, {"gw-7": "gw/1.4.bin"})):
        with pytest.raises(WireDisabledError) as caught:
            act()
        assert caught.value.fields()["vehicle"] == VIN


def test_a_new_chain_is_refused_over_vehicles_that_may_trust_another_one(director: Director) -> None:
    van = AktualizrVehicle()
    van.register(director)
    before = sorted((director.path / "keys").rglob("*"))
    with pytest.raises(NewChainError) as caught:
        director.add_wire("aktualizr")
    assert caught.value.fields() == {"profile": "aktualizr", "count": 1, "vehicle": VIN}
    assert "--go-on-from" in (caught.value.hint or "")
    assert sorted((director.path / "keys").rglob("*")) == before
    assert read_config(director.path).wires == ("tuf",)
    with pytest.raises(NoRootError):
        director.root_bytes(profile="aktualizr")
    assert director.add_wire("aktualizr", new_chain=True) == 1
    assert director.add_wire("aktualizr") == 1, "the chain exists; repeating binds nothing"


def test_vehicles_that_are_retired_or_read_the_other_profile_hold_up_no_new_chain(director: Director) -> None:
    van = AktualizrVehicle()
    van.register(director)
    director.register(TestVehicle("VIN1", {"ecu-gw": "gw-1"}).description())
    director.ways_out.retire(VIN)
    assert director.add_wire("aktualizr") == 1


def test_a_profile_that_is_added_later_starts_at_version_1(director: Director) -> None:
    director.rotate("root", "targets")
    director.refresh_root()
    assert director.add_wire("aktualizr") == 1
    check_chain(director, 1)
    assert director.settings.wires == read_config(director.path).wires == ("tuf", "aktualizr")
    own = {"added": translated(director)["signed"]["roles"]["root"]["keyids"], "removed": [], "threshold": 1}
    expected = {"wire": "aktualizr", "version": 1, "keys": {"aktualizr-root": own}}
    assert director.audit()[0]["detail"] == expected
    assert director.add_wire("aktualizr") == 1
    director.rotate("root")
    check_chain(director, 2)
    assert director.add_wire("aktualizr") == 2


def test_there_is_no_other_profile(director: Director) -> None:
    for wire in ("tuf", "x"):
        with pytest.raises(UnknownProfileError):
            director.add_wire(wire)
    with pytest.raises(SettingError):
        Settings(wires=("aktualizr",))


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp", "time"])
def test_every_key_can_be_rotated_in_both_at_once(wired: Director, role: str) -> None:
    old = translated(wired)["signed"]
    assert wired.rotate(role) == 2
    check_chain(wired, 2)
    new = translated(wired)["signed"]
    changed = {name for name in old["roles"] if old["roles"][name]["keyids"] != new["roles"][name]["keyids"]}
    assert changed == ({role} if role != "time" else set())
    detail = wired.audit()[0]["detail"]
    assert set(detail.pop("keys")) == ({"root", "aktualizr-root"} if role == "root" else {role})
    assert detail == {"roles": [role], "version": 2, "aktualizr": 2}
    assert set(new["keys"]) == {
        keyid for entry in (*new["roles"].values(), new["custom"]["timeSource"]) for keyid in entry["keyids"]
    }


def test_thresholds_hold_in_both(tmp_path: Path, site: ImageSite) -> None:
    with make(tmp_path, site, keys={"root": KeyPlan(count=3, threshold=2)}) as director:
        director.rotate("root")
        check_chain(director, 2)
        assert translated(director)["signed"]["roles"]["root"]["threshold"] == 2


def test_a_refreshed_root_is_refreshed_in_both(wired: Director) -> None:
    wired.refresh_root(now=at(days=30))
    check_chain(wired, 2)
    assert translated(wired)["signed"]["expires"] == json.loads(wired.root_bytes())["signed"]["expires"]


@pytest.mark.parametrize("kind", [KeyKind.ECDSA_P256, KeyKind.ML_DSA_44])
def test_keys_that_the_client_cannot_read_are_refused_before_anything_is_made(
    tmp_path: Path, site: ImageSite, wired: Director, kind: KeyKind
) -> None:
    with pytest.raises(ProfileError) as caught:
        make(tmp_path, site, keys={"targets": KeyPlan(kind=kind)})
    assert (caught.value.profile, caught.value.what) == ("aktualizr", "targets")
    assert not (tmp_path / "made").exists()

    files = sorted((wired.path / "keys").rglob("*"))
    with pytest.raises(ProfileError):
        wired.rotate("snapshot", plan=KeyPlan(kind=kind))
    assert sorted((wired.path / "keys").rglob("*")) == files
    check_chain(wired, 1)
    wired.rotate("snapshot", plan=KeyPlan(kind=KeyKind.RSA_PSS))
    assert translated(wired)["signed"]["version"] == 2


def test_a_director_with_such_keys_cannot_add_the_profile_until_they_are_replaced(
    tmp_path: Path, site: ImageSite
) -> None:
    plans = {"timestamp": KeyPlan(kind=KeyKind.ECDSA_P256)}
    with make(tmp_path, site, Settings(), keys=plans) as director:
        (keyid,) = json.loads(director.root_bytes())["signed"]["roles"]["timestamp"]["keyids"]
        with pytest.raises(ProfileError) as caught:
            director.add_wire("aktualizr")
        assert caught.value.what == keyid
        assert read_config(director.path).wires == ("tuf",)
        director.rotate("timestamp", plan=KeyPlan())
        director.add_wire("aktualizr")
        check_chain(director, 1)


def test_time_is_none_of_the_clients_business(tmp_path: Path, site: ImageSite) -> None:
    with make(tmp_path, site, keys={"time": KeyPlan(kind=KeyKind.ECDSA_P256)}) as director:
        check_chain(director, 1)
        assert "custom" not in translated(director)["signed"]
        director.rotate("time", plan=KeyPlan(kind=KeyKind.ECDSA_P384))
        check_chain(director, 2)
        assert {key["keytype"] for key in translated(director)["signed"]["keys"].values()} == {"ED25519"}


def test_without_the_root_keys_neither_is_published(wired: Director) -> None:
    for path in (wired.path / "keys" / "offline").iterdir():
        path.unlink()
    with Director.open(wired.path, clock=lambda: NOW) as opened:
        with pytest.raises(MissingKeysError):
            opened.rotate("targets")
        check_chain(opened, 1)


def test_a_root_published_meanwhile_breaks_neither_chain(wired: Director, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*arguments: Any, **options: Any) -> bytes:
        monkeypatch.undo()
        with Director.open(wired.path, clock=lambda: NOW) as other:
            other.rotate("targets")
        return next_root(*arguments, **options)

    monkeypatch.setattr(publish_root, "next_root", slow)
    with pytest.raises(ConflictError):
        wired.rotate("snapshot")
    check_chain(wired, 2)
    wired.rotate("snapshot")
    check_chain(wired, 3)


def test_a_profile_added_while_a_root_is_made_breaks_neither_chain(
    director: Director, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*arguments: Any, **options: Any) -> bytes:
        monkeypatch.undo()
        with Director.open(director.path, clock=lambda: NOW) as other:
            other.add_wire("aktualizr")
        return next_root(*arguments, **options)

    monkeypatch.setattr(publish_root, "next_root", slow)
    with pytest.raises(ConflictError):
        director.rotate("root")
    director.rotate("root")
    check_chain(director, 2)


def test_a_death_between_the_root_and_the_configuration_is_mended(
    director: Director, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise StorageError(path="config.json", operation="write", reason="no space")

    monkeypatch.setattr(director.roots, "_save", dies)
    with pytest.raises(StorageError):
        director.add_wire("aktualizr")
    monkeypatch.undo()
    with Director.open(director.path, clock=lambda: NOW) as opened:
        assert "aktualizr" not in opened.settings.wires
        opened.rotate("root")
        check_chain(opened, 2)
        assert opened.add_wire("aktualizr") == 2
        assert "aktualizr" in opened.settings.wires


def test_a_configuration_of_the_first_format_is_read(director: Director) -> None:
    path = director.path / CONFIG
    body = json.loads(path.read_bytes())
    assert body["format"] == 2
    del body["wires"]
    path.write_text(json.dumps({**body, "format": 1}))
    assert read_config(director.path).wires == ("tuf",)
