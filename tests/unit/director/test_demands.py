"""Demands for a post-quantum signature in a Director's Root, and the commands that make, keep and show them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.plain_keys import plain_keys
from tests.unit.director.test_issuing import Client
from tests.unit.director.world import NOW, ImageSite, TestVehicle, at
from twinlock.cli.main import main
from twinlock.director.director import Director
from twinlock.director.model.settings import Settings
from twinlock.repository.errors import MissingPostQuantumKeyError
from twinlock.repository.keys.keyring import KeyKind, KeyPlan, Keyring
from twinlock.repository.publishing.root_signing import sign_root
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.names import DIRECTOR

VIN, GW = "VIN1", "gw/1.4.bin"
MIXED = KeyPlan(count=3, threshold=2, also=(KeyKind.ML_DSA_44,), post_quantum=True)
SCHEMES = ("ed25519", "ed25519", "ml-dsa-44/1")
ONLINE = ("targets", "snapshot", "timestamp")


def make(path: Path, site: ImageSite, **options: Any) -> Director:
    return Director.create(path / "made", image_root=site.root, image_url=str(site.path), clock=lambda: NOW, **options)


def demanded(director: Director) -> list[str]:
    trusted = bootstrap_repository(DIRECTOR, director.root_bytes()).root.signed
    found = sorted(str(role) for role, signers in trusted.roles.items() if signers.post_quantum)
    assert found == sorted(role.name for role in director.roots.roles() if role.post_quantum)
    return found


def take_away(director: Director, role: str, place: Path) -> None:
    """Move the ML-DSA keys of a role elsewhere, and forget them."""
    place.mkdir()
    for record in director._keyring.records(role):
        if record.keytype == "ml-dsa":
            for file in record.files:
                file.rename(place / file.name)
    director._keyring.forget()


def test_orders_are_signed_as_the_root_demands(tmp_path: Path, site: ImageSite, car: TestVehicle) -> None:
    with make(tmp_path, site, keys=dict.fromkeys(("root", *ONLINE), MIXED)) as director:
        assert demanded(director) == sorted(("root", *ONLINE))
        director.register(car.description())
        director.receive_manifest(car.manifest())
        director.assign(VIN, {"ecu-gw": GW})
        client = Client(director, site, car)
        assert client.installs() == {"ecu-gw": GW}
        director.rotate("root", *ONLINE, "time", plan=None)
        assert demanded(director) == sorted(("root", *ONLINE))
        assert {role.name: role.schemes for role in director.roots.roles()}["targets"] == SCHEMES
        assert client.installs(at(minutes=1)) == {"ecu-gw": GW}


def test_a_key_of_time_leaves_the_demands(tmp_path: Path, site: ImageSite) -> None:
    """Both are in the Root's ``custom``."""
    with make(tmp_path, site, keys={"root": MIXED}) as director:
        director.rotate("time")
        custom = json.loads(director.root_bytes())["signed"]["custom"]
        assert (custom["postQuantum"], len(custom["timeSource"]["keyids"])) == (["root"], 1)


def test_a_demand_is_never_dropped_in_silence(tmp_path: Path, site: ImageSite) -> None:
    with make(tmp_path, site, keys={"targets": MIXED}) as director:
        with pytest.raises(UsageError, match="targets cannot demand a post-quantum signature"):
            director.rotate("targets", plan=KeyPlan())
        assert demanded(director) == ["targets"]
        director.rotate("targets", plan=KeyPlan(post_quantum=False))
        assert demanded(director) == []


def test_a_new_demand_has_what_is_in_force_signed_again(tmp_path: Path, site: ImageSite, car: TestVehicle) -> None:
    with make(tmp_path, site) as director:
        director.register(car.description())
        director.receive_manifest(car.manifest())
        client = Client(director, site, car)
        assert client.installs() == {}
        director.rotate("targets", plan=MIXED)
        assert client.installs(at(minutes=1)) == {}
        signatures = json.loads(client.trusted[DIRECTOR].targets.data)["signatures"]  # type: ignore[union-attr]
        assert len(signatures) == 3


def test_the_demanded_key_is_elsewhere(tmp_path: Path, site: ImageSite) -> None:
    with make(tmp_path, site, keys={"root": MIXED}) as director:
        take_away(director, "root", tmp_path / "elsewhere")
        with pytest.raises(MissingPostQuantumKeyError) as caught:
            director.rotate("timestamp")
        assert (caught.value.role, caught.value.held) == ("root", 2)
        file = tmp_path / "next.json"
        view = director.prepare_root(file, {"timestamp": None})
        assert (view.missing, view.lacks_post_quantum, view.post_quantum) == (1, True, ("root",))
        assert sign_root(file, Keyring(offline=tmp_path / "elsewhere")).missing == 0
        assert director.publish_root(file) == 2
        assert demanded(director) == ["root"]


def test_root_alone_may_demand_it_beside_aktualizr(tmp_path: Path, site: ImageSite) -> None:
    both = Settings(wires=("tuf", "aktualizr"))
    with pytest.raises(ProfileError) as caught:
        make(tmp_path, site, keys={"snapshot": MIXED}, settings=both)
    assert caught.value.what == "snapshot"
    assert not (tmp_path / "made").exists()
    with make(tmp_path, site, keys={"root": MIXED}, settings=both) as director:
        assert demanded(director) == ["root"]
        other = json.loads(director.root_bytes(profile="aktualizr"))["signed"]
        assert {key["keytype"] for key in other["keys"].values()} == {"ED25519"}
        assert "postQuantum" not in other.get("custom", {})
        director.rotate("root")
        assert demanded(director) == ["root"]


def run(*words: str, status: int = 0) -> str:
    answer = CliRunner().invoke(main, plain_keys(words))
    assert answer.exit_code == status, answer.output
    return answer.output


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commands_of_both_repositories(place: Path) -> None:
    words = ("--keys", "root=2/3:ed25519+ml-dsa-65", "--demand-post-quantum", "root")
    said = run("image", "init", "image", *words)
    assert "note: aktualizr, go-tuf, python-tuf, tough, tuf-js, Twinlock before 0.2 ignore the demand" in said
    assert "cannot read ml-dsa-65 keys" in said
    assert "2 of 3, one ml-dsa" in run("image", "show", "image")
    Path("root.json").write_bytes(Path("image/public/metadata/1.root.json").read_bytes())
    init = ("director", "init", "director", "--image-root", "root.json", "--image", "image", "--offline")
    assert "ignore the demand" in run(*init, *words)
    shown = run("director", "root", "roles", "director")
    assert "2 of 3, one ml-dsa" in shown
    assert "ed25519, ed25519, ml-dsa-65/1" in shown
    for party in ("image", "director"):
        run(party, "rotate", party, "root", "--yes")
        said = run(
            party, "rotate", party, "targets", "--keys", "2/2:ed25519+ml-dsa-44", "--demand-post-quantum", "--yes"
        )
        assert "by targets and accept files without" in said
        prepared = run(party, "rotate", party, "root", "--prepare", f"{party}.json")
        assert "2 of 3, one ml-dsa" in prepared
        run(party, "root", "publish", party, f"{party}.json")
        run(party, "rotate", party, "targets", "--keys", "1/1", "--no-demand-post-quantum", "--yes")
    roles = json.loads(run("director", "root", "roles", "director", "--json"))["roles"]
    assert {role["name"]: role["postQuantum"] for role in roles} == {
        "root": True,
        **dict.fromkeys(("targets", "snapshot", "timestamp", "time"), False),
    }


@pytest.mark.parametrize("party", ["image", "director"])
def test_what_commands_refuse(place: Path, party: str) -> None:
    run("image", "init", "site")
    words = ("--image-root", "site/public/metadata/1.root.json", "--image", "site", "--offline")
    init = (party, "init", "made", *(words if party == "director" else ()))
    for given, reason in {
        ("--demand-post-quantum", "root"): "root cannot demand a post-quantum signature: a threshold of 1",
        (
            "--keys",
            "targets=2/2",
            "--demand-post-quantum",
            "targets",
        ): "targets cannot demand a post-quantum signature: none",
        ("--keys", "root=1/1:ed25519+ml-dsa-44"): "2 kinds of keys were named for 1 keys",
        ("--keys", "root=2/2:ed25519+kyber"): "is not ROLE=THRESHOLD/COUNT[:KIND[+KIND]]",
    }.items():
        assert reason in run(*init, *given, status=2)
        assert not Path("made").exists()
    given = ("--keys", "targets=2/2:ed25519+ml-dsa-44", "--demand-post-quantum", "targets", "--wire", "aktualizr")
    assert "ed25519 and rsa-pss-3072 can be read" in run(*init, *given, status=1)
    assert not Path("made").exists()
    run(*init)
    assert "--demand-post-quantum requires --keys" in run(
        party, "rotate", "made", "root", "--demand-post-quantum", status=2
    )


def test_a_lost_key_is_replaced_where_the_others_are(place: Path) -> None:
    """In both repositories: one of three Root keys goes, in a Root that travels to the holders of the others."""
    keys = ("--keys", "root=2/3:ed25519+ml-dsa-44", "--demand-post-quantum", "root")
    run("image", "init", "image", *keys)
    Path("root.json").write_bytes(Path("image/public/metadata/1.root.json").read_bytes())
    run("director", "init", "director", "--image-root", "root.json", "--image", "image", "--offline", *keys)
    for party in ("image", "director"):
        root = json.loads(run(party, "keys", "list", party, "--json"))["keys"]
        classical = [key["keyid"] for key in root if key["role"] == "root" and key["keytype"] == "ed25519"]
        lost = classical[0][:16]
        run(party, "keys", "mark", party, lost, "lost", "--yes")
        assert "matches no keys of root" in run(
            party, "rotate", party, "root", "--replace", "00" * 8, "--yes", status=2
        )
        both = ("root", "--replace", lost, "--keys", "1/1")
        assert "omit --keys" in run(party, "rotate", party, *both, "--yes", status=2)
        assert "one role at a time" in run(party, "rotate", party, "root", "targets", "--replace", lost, status=2)
        view = json.loads(
            run(party, "rotate", party, "root", "--replace", lost, "--prepare", f"{party}.json", "--json")
        )
        assert (view["missing"], view["postQuantum"], len(view["keys"]["root"])) == (0, ["root"], 3)
        assert classical[1] in view["keys"]["root"]
        assert classical[0] not in view["keys"]["root"]
        run(party, "root", "publish", party, f"{party}.json")
