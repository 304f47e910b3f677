"""Every path that a program gives a public name may be a string too."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.public_names import listed
from tests.unit.repository.conftest import HandClock
from tests.unit.repository.foreign_repository import Foreign
from tests.unit.repository.ostree_repository import make_repository
from twinlock.client.ecu.provision import EcuPlan, KnownRepositories, provision_primary, provision_secondary
from twinlock.director.director import Director
from twinlock.director.model.profiles import OldChain
from twinlock.repository.authoring.image_requests import ImageRequest
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.importing.plan import Takeover
from twinlock.repository.importing.run import foresee
from twinlock.repository.publishing.root_ceremony import RootChanges
from twinlock.repository.suppliers.config import read_config
from twinlock.repository.suppliers.workspace import SupplierWorkspace
from twinlock.repository.workspace.validity import utc_now
from twinlock.trust.errors.base import UsageError

# What Twinlock itself makes or calls: there a Path comes from us.
OURS = (
    "Director.__init__",
    "Installer.install",
    "PrimaryConfig.__init__",
    "SecondaryConfig.__init__",
    "SecondaryLink.send_image",
)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def parameters() -> Iterator[tuple[str, str, str]]:
    """Every parameter of a public name or its methods, with its annotation."""
    for package, names in listed().items():
        for name in names:
            value = getattr(importlib.import_module(package), name)
            members: dict[str, Any] = dict(vars(value)) if inspect.isclass(value) else {"": value}
            for member, held in members.items():
                function = getattr(held, "__func__", held)
                if inspect.isfunction(function) and (not member.startswith("_") or member == "__init__"):
                    for parameter, kind in function.__annotations__.items():
                        yield f"{name}.{member}".rstrip("."), parameter, str(kind)


def test_no_public_name_insists_on_a_path() -> None:
    found = list(parameters())
    assert ("ImageRepository.open", "path", "str | Path") in found
    strict = [
        (name, parameter)
        for name, parameter, kind in found
        if parameter != "return"
        and name not in OURS
        and "Path" in kind.replace("TargetPath", "").replace("str | Path", "")
    ]
    assert strict == []


def test_a_repository_and_a_supplier(clock: HandClock) -> None:
    repository = ImageRepository.create("image", clock=clock)
    Path("a.bin").write_bytes(b"a")
    request = ImageRequest(source="a.bin", name="a.bin", hardware_ids=("h",), release_counter=1)
    assert [result.error for result in repository.add_images([request])] == [None]
    repository.prepare_root("next.json", RootChanges())
    assert repository.publish_root("next.json").changed
    acme = SupplierWorkspace.create("acme", role="acme", clock=clock)
    same = SupplierWorkspace("acme", read_config(acme.path / "config.json"), acme.keyring, clock)
    assert same.path == Path("acme")
    assert same.sign() == 1


@pytest.mark.parametrize("given", ["image", Path("image")])
def test_a_path_in_place_of_an_opened_repository_is_refused_at_once(given: Any) -> None:
    ImageRepository.create("image")
    with pytest.raises(UsageError, match=r"ImageRepository\.open"):
        ImageRepository(given)


def test_a_director_and_its_old_chain() -> None:
    Foreign(Path("theirs")).write().keep_roots()
    root = ImageRepository.create("image").root_bytes()
    with Director.create("director", image_root=root, image_url="image") as director:
        assert director.add_wire("aktualizr", continue_from=OldChain(roots="theirs/repo", keys="theirs/keys")) == 3
        assert director.prepare_root("next.json", {"timestamp": None}).version == 2
        path: Any = "director"
        same = Director(path, director.settings, director._database, None, utc_now, actor="x")
        assert same.path == Path("director")


def test_a_repository_that_is_taken_over(clock: HandClock) -> None:
    Foreign(Path("theirs")).write()
    treehub = os.fspath(make_repository(Path("treehub")))
    wanted = Takeover(source="theirs/repo", keys="theirs/keys", treehub=treehub)
    assert foresee(wanted, now=clock()).roots == 2
    repository, view = ImageRepository.take_over("image", wanted, clock=clock)
    assert (view.roots, repository.path) == (2, Path("image"))


def test_ecus_that_are_provisioned() -> None:
    repository = ImageRepository.create("image")
    with Director.create("director", image_root=repository.root_bytes(), image_url="image") as director:
        roots = {"director": director.root_bytes(), "image": repository.root_bytes()}
    Path("anchor").mkdir()
    for name, data in roots.items():
        Path(f"anchor/{name}.root.json").write_bytes(data)
    known = KnownRepositories(
        director_root=roots["director"],
        image_root=roots["image"],
        director_url="http://127.0.0.1:1/d",
        image_url="http://127.0.0.1:1/i",
        anchor="anchor",
    )
    Path("factory.bin").write_bytes(b"factory")
    plan = EcuPlan(vehicle="VIN1", ecu="gw", hardware_id="h", factory_image=("factory", "factory.bin"))
    assert provision_primary("primary", plan, known) == Path("primary/primary.json")
    brake = EcuPlan(vehicle="VIN1", ecu="brake", hardware_id="h")
    made = provision_secondary("secondary", brake, known, verification="full", listen="http://127.0.0.1:8099")
    assert made["ecu"] == "brake"
