"""What operators are told: by commands at the wrong directory, about ids, junk, marks in files, and what is due."""

from __future__ import annotations

import codecs
import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from tuf.api.metadata import Metadata, Root

from tests.unit.director.world import ImageSite, TestVehicle
from twinlock.cli.image.publish import _status_lines
from twinlock.cli.main import main
from twinlock.director.director import Director
from twinlock.director.errors.vehicles import RegistrationError
from twinlock.director.model.vehicle_description import read_description
from twinlock.repository.errors import NotReadyError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.model.views import ClockView, DueView, StatusView
from twinlock.repository.workspace.validity import utc_now
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.names import RoleName

RUN = CliRunner()
CAR = TestVehicle("VIN1", {"ecu-gw": "gw-1"})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    site = ImageSite(tmp_path / "image", now=utc_now())
    site.add("factory.bin", hardware=["gw-1"], counter=0)
    site.publish()
    Director.create(tmp_path / "director", image_root=site.root, image_url=str(site.path)).close()
    return tmp_path / "director"


def test_a_command_at_an_image_repository_says_whose_directory_it_is(tmp_path: Path) -> None:
    ImageRepository.create(tmp_path / "image")
    told = RUN.invoke(main, ["director", "vehicles", str(tmp_path / "image")])
    assert told.exit_code == 2
    assert "not the configuration of a Director" in told.output
    assert "__init__" not in told.output


def test_a_setting_whose_name_is_mistyped_is_named(place: Path) -> None:
    config = place / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_bytes()), "secnd_person": True}))
    result = RUN.invoke(main, ["director", "vehicles", str(place)])
    assert result.exit_code == 2
    assert "setting secnd_person is unknown" in result.output


@pytest.mark.parametrize("vehicle", ["VIN 1", "VIN#1", "VIN%41", "VÍN1"])
def test_an_id_that_no_url_carries_is_refused_at_registration(vehicle: str) -> None:
    with pytest.raises(RegistrationError, match="URL") as caught:
        read_description({**CAR.description(), "vehicle": vehicle})
    assert caught.value.field == "vehicle"
    assert "under another id" in caught.value.hint
    assert read_description({**CAR.description(), "vehicle": "VIN-1.a_b~c"}).vehicle == "VIN-1.a_b~c"


def test_what_is_wrong_with_a_description_itself_is_not_mended_by_changing_a_vehicle() -> None:
    described = CAR.description()
    for wrong in ({"primary": "ecu-other"}, {"ecus": [*described["ecus"], *described["ecus"]]}):
        with pytest.raises(RegistrationError) as caught:
            read_description({**described, **wrong})
        assert caught.value.hint == "correct the description and register again"


def test_a_byte_order_mark_in_a_description_is_passed_over(place: Path, tmp_path: Path) -> None:
    (tmp_path / "car.json").write_bytes(codecs.BOM_UTF8 + json.dumps(CAR.description()).encode())
    told = RUN.invoke(main, ["director", "register", str(place), str(tmp_path / "car.json")])
    assert told.exit_code == 0, told.output


def test_status_shows_what_unproven_senders_sent(place: Path) -> None:
    with Director.open(place) as director:
        director.register(CAR.description())
        for data in (b"\x1b[31mnonsense", b"nonsense again"):
            with pytest.raises(RefusalError):
                director.receive_manifest(data, vehicle="VIN1")
    told = RUN.invoke(main, ["director", "status", str(place)])
    assert "UNPROVEN SENDERS TO" in told.output
    assert "\x1b" not in told.output
    junk = json.loads(RUN.invoke(main, ["director", "status", str(place), "--json"]).stdout)["junk"]
    assert [(item["vehicle"], item["count"], item["lastSample"]) for item in junk] == [("VIN1", 2, "nonsense again")]


def test_readiness_fails_on_the_root_that_status_calls_due(place: Path) -> None:
    with Director.open(place) as director:
        expires = Metadata[Root].from_bytes(director.root_bytes()).signed.expires
        soon = expires - timedelta(days=29)
        assert director.status(now=soon).due
        with pytest.raises(NotReadyError, match="Root expires"):
            director.check_ready(now=soon)


@pytest.mark.parametrize(
    ("role", "command"), [("acme", "twinlock supplier sign"), ("targets", "twinlock image refresh")]
)
def test_who_signs_what_expires_is_named(role: str, command: str) -> None:
    due = DueView(role=RoleName(role), expires=utc_now(), can_sign=False)
    view = StatusView(
        staged_images=(),
        staged_removals=(),
        staged_delegations=(),
        staged_undelegations=(),
        accepted=(),
        unpublishable=None,
        waiting=(),
        due=(due,),
        damaged=(),
        clock=ClockView(now=utc_now(), source=None, answered=False, last_signed=None, problem=None),
        prepared_root=None,
    )
    line = next(line for line in _status_lines(view) if line.startswith("expired"))
    assert command in line
    assert ("image refresh" in line) == (role == "targets")
