"""The configuration of a Director: its bytes, and what a mistake in it is told as."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from twinlock.director.director import Director
from twinlock.director.errors.operator import SettingError
from twinlock.director.model.settings import Settings
from twinlock.director.setup.config import CONFIG, read_config, write_config
from twinlock.repository.errors import ConfigMemberError


@pytest.mark.parametrize(
    ("edit", "setting", "told"),
    [
        ({"secnd_person": True}, "secnd_person", "the nearest is second_person"),
        ({"wires": "tuf"}, "wires", 'has to be a list, not "tuf"'),
        ({"wires": [1]}, "wires[0]", "has to be a text, not 1"),
        ({"image_url": "\0"}, "image_url", "U+0000"),
        ({"database": "sqlite:///\0"}, "database", "U+0000"),
        ({"database": ""}, "database", "cannot be empty"),
        ({"offline_keys": ""}, "offline_keys", "cannot be empty"),
        ({"online_keys": "\0"}, "online_keys", "U+0000"),
    ],
)
def test_a_mistake_in_the_configuration_is_named(
    director: Director, edit: dict[str, object], setting: str, told: str
) -> None:
    path = director.path / CONFIG
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **edit}))
    with pytest.raises(SettingError) as caught:
        Director.open(director.path)
    assert (caught.value.setting, caught.value.code) == (setting, "director-setting")
    assert told in caught.value.reason
    assert str(path) in caught.value.reason


@pytest.mark.parametrize(
    ("periods", "member", "told"),
    [
        ({"snapsot": 60}, "periods.snapsot", "the nearest is periods.snapshot"),
        ({"root": "60"}, "periods.root", 'has to be a whole number, not "60"'),
        ({"root": 0}, "periods.root", "has to be a whole number >= 1, not 0"),
        ([], "periods", "has to be an object, not []"),
    ],
)
def test_a_mistake_in_the_periods_is_named_as_an_image_repository_names_it(
    director: Director, periods: object, member: str, told: str
) -> None:
    path = director.path / CONFIG
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "periods": periods}))
    with pytest.raises(ConfigMemberError) as caught:
        Director.open(director.path)
    assert (caught.value.path, caught.value.member, caught.value.code) == (str(path), member, "usage")
    assert told in caught.value.reason


STRANDED = Settings(image_url="x", wires=("tuf", "aktualizr"), stranded=("aa",), stranded_until="2026-01-02")


@pytest.mark.parametrize(("settings", "form"), [(Settings(), 2), (STRANDED, 3)])
def test_a_configuration_is_written_and_read_alike(tmp_path: Path, settings: Settings, form: int) -> None:
    write_config(tmp_path, settings)
    body: dict[str, Any] = {
        "format": form,
        "image_url": settings.image_url,
        "database": "sqlite:///inventory.sqlite",
        "offline_keys": "keys/offline",
        "online_keys": "keys/online",
        "periods": {"root": 31536000, "targets": 86400, "snapshot": 86400, "timestamp": 86400},
        "renew_before_s": 21600,
        "catalogue_max_age_s": 60,
        "report_future_s": 300,
        "report_past_s": 2592000,
        "wires": list(settings.wires),
        "second_person": False,
        "history_days": 0,
        "manifest_bytes_per_day": 67108864,
    }
    if settings.stranded:
        body |= {"stranded": ["aa"], "stranded_until": "2026-01-02"}
    assert (tmp_path / CONFIG).read_bytes() == json.dumps(body, indent=2).encode() + b"\n"
    assert read_config(tmp_path) == settings


def test_a_setting_left_out_has_its_default(tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text('{"format": 2, "image_url": "x", "periods": {"root": 60}}')
    default = Settings()
    expected = replace(default, image_url="x", periods=replace(default.periods, root=timedelta(seconds=60)))
    assert read_config(tmp_path) == expected
