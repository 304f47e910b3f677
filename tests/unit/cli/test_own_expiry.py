"""An own repository that expired is a state with a remedy, not an attack; the remedy works."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.plain_keys import plain_keys
from tests.unit.director.world import ImageSite, TestVehicle
from twinlock.cli.main import main
from twinlock.director.director import Director
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.workspace.validity import utc_now

AGES_AGO = timedelta(days=1000)


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TWINLOCK_PASSPHRASE", raising=False)


def run(*words: str, status: int) -> str:
    answer = CliRunner().invoke(main, plain_keys(words))
    assert answer.exit_code == status, answer.output
    return answer.output


def expiry(*words: str) -> dict[str, Any]:
    """The expiry that a command reports: no attack, as text and for programs."""
    said = run(*words, status=1)
    assert "error[expired]" in said
    assert "attack" not in said
    error: dict[str, Any] = json.loads(run(*words, "--json", status=1))["error"]
    assert (error["code"], error["attack"], error["kind"]) == ("expired", "none", "refusal")
    assert error["hint"] in said
    return error


@pytest.fixture
def expired_image() -> ImageRepository:
    return ImageRepository.create("image", clock=lambda: utc_now() - AGES_AGO)


def test_publishing_an_expired_image_repository_names_its_renewal(
    expired_image: ImageRepository, tmp_path: Path
) -> None:
    (tmp_path / "b.bin").write_bytes(b"b")
    expired_image.add_image("b.bin", "b.bin", hardware_ids=["hw-1"], release_counter=1)
    error = expiry("image", "publish", "image")
    assert (error["fields"]["repository"], error["fields"]["role"]) == ("image", "root")
    assert "twinlock image refresh DIRECTORY" in error["hint"]
    run("image", "refresh", "image", status=0)
    run("image", "publish", "image", status=0)


def test_a_director_whose_root_expired_names_its_renewal(tmp_path: Path) -> None:
    created = utc_now() - AGES_AGO
    site = ImageSite(tmp_path / "site", now=utc_now())
    site.publish()
    with Director.create("director", image_root=site.root, image_url=str(site.path), clock=lambda: created) as director:
        car = TestVehicle("VIN1", {"ecu-gw": "gw-1"})
        director.register(car.description(), now=created)
    error = expiry("director", "refresh", "director", "VIN1")
    assert (error["fields"]["repository"], error["fields"]["role"]) == ("director", "root")
    assert "twinlock director refresh DIRECTORY --root" in error["hint"]
    run("director", "refresh", "director", "VIN1", "--root", status=0)


def test_a_director_whose_image_repository_expired_names_its_renewal(tmp_path: Path) -> None:
    site = ImageSite(tmp_path / "site", now=utc_now())
    site.publish()
    Director.create("director", image_root=site.root, image_url=str(site.path)).close()
    site.now -= AGES_AGO
    site.publish()
    error = expiry("director", "refresh", "director")
    assert (error["fields"]["repository"], error["fields"]["role"]) == ("image", "timestamp")
    assert "twinlock image refresh DIRECTORY" in error["hint"]


@pytest.mark.usefixtures("expired_image")
def test_the_status_of_an_expired_repository_names_what_expired_and_fails() -> None:
    for more in ((), ("--within", "1d")):
        said = run("image", "status", "image", *more, status=1)
        assert {line.split()[3] for line in said.splitlines() if line.startswith("expired ")} == {
            "root",
            "timestamp",
            "snapshot",
            "targets",
        }
        assert "expires " not in said
    run("image", "refresh", "image", status=0)
    assert "expired" not in run("image", "status", "image", status=0)
    run("image", "status", "image", "--within", "2d", status=6)
