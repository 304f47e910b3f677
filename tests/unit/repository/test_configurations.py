"""The configurations of an Image repository and of a supplier: their bytes, and what a mistake in them is told as."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.repository.conftest import Acme
from twinlock.repository.errors import ConfigMemberError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.suppliers.workspace import SupplierWorkspace
from twinlock.repository.workspace.config import RepositoryConfig, read_config
from twinlock.repository.workspace.profiles import PublishedProfiles
from twinlock.repository.workspace.validity import Periods
from twinlock.trust.errors.local import StorageError

PLAIN = {
    "format": 1,
    "kind": "image-repository",
    "validity": {"root": 31536000, "targets": 31536000, "snapshot": 604800, "timestamp": 86400},
    "keys": {"offline": "keys/offline", "online": "keys/online"},
    "store": "public",
}
BOTH = {
    **PLAIN,
    "format": 2,
    "wires": ["tuf", "aktualizr"],
    "aktualizr": {"rootOffset": 2},
    "first": {"root": 1, "timestamp": 1, "takenOver": ""},
}
HANDED_OVER = {
    **BOTH,
    "aktualizr": {"rootOffset": 2, "handedOver": 4, "stranded": {"keys": ["aa"], "until": "2026-01-02"}},
}
TAKEN_OVER = {
    **PLAIN,
    "format": 2,
    "wires": ["tuf"],
    "aktualizr": {"rootOffset": 0},
    "first": {"root": 3, "timestamp": 7, "takenOver": "abc"},
}
SECOND = PublishedProfiles().with_aktualizr(root_offset=2)


@pytest.mark.parametrize(
    ("wires", "body"),
    [
        (PublishedProfiles(), PLAIN),
        (SECOND, BOTH),
        (SECOND.with_hand_over(version=4, stranded=["aa"], until=date(2026, 1, 2)), HANDED_OVER),
        (PublishedProfiles(first_root=3, first_timestamp=7, taken_over="abc"), TAKEN_OVER),
    ],
)
def test_a_configuration_is_written_and_read_alike(
    tmp_path: Path, wires: PublishedProfiles, body: dict[str, Any]
) -> None:
    data = RepositoryConfig.new(Periods(), wires).encode()
    assert data == json.dumps(body, indent=2).encode() + b"\n"
    (tmp_path / "config.json").write_bytes(data)
    config = read_config(tmp_path)
    assert (config.profiles, config.validity.periods(Periods())) == (wires, Periods())
    assert config.with_wires(PublishedProfiles()).encode() == json.dumps(PLAIN, indent=2).encode() + b"\n"


def test_a_role_left_out_has_its_usual_validity(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"format": 1, "kind": "image-repository", "validity": {"snapshot": 60}}')
    assert read_config(tmp_path).validity.periods(Periods()) == Periods(snapshot=timedelta(seconds=60))


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    body = json.loads(path.read_bytes())
    edit(body)
    path.write_text(json.dumps(body))


@pytest.mark.parametrize(
    ("edit", "member", "told"),
    [
        (lambda body: body.update(stor="public"), "stor", "the nearest is store"),
        (lambda body: body["validity"].update(timestmp=60), "validity.timestmp", "the nearest is validity.timestamp"),
        (lambda body: body["keys"].update(of_line="x"), "keys.of_line", "the nearest is keys.offline"),
        (lambda body: body["validity"].update(root="60"), "validity.root", 'has to be a whole number, not "60"'),
        (lambda body: body["validity"].update(root=0), "validity.root", "has to be a whole number >= 1, not 0"),
        (lambda body: body["validity"].update(root=10**30), "validity.root", "has to be"),
        (lambda body: body.update(wires="tuf"), "wires", 'has to be a list, not "tuf"'),
        (lambda body: body.update(aktualizr={"root_offset": 1}), "aktualizr.root_offset", "aktualizr.rootOffset"),
        (lambda body: body.update(store=None), "store", "has to be a text, not null"),
        (lambda body: body.update(store=""), "store", "cannot be empty"),
        (lambda body: body.update(store="\0"), "store", "U+0000"),
        (lambda body: body["keys"].update(offline=""), "keys.offline", "cannot be empty"),
        (lambda body: body["keys"].update(online="a\0"), "keys.online", "U+0000"),
    ],
)
def test_a_mistake_in_a_configuration_is_named(
    repository: ImageRepository, edit: Callable[[dict[str, Any]], object], member: str, told: str
) -> None:
    path = repository.path / "config.json"
    change(path, edit)
    with pytest.raises(ConfigMemberError) as caught:
        ImageRepository.open(repository.path)
    assert (caught.value.path, caught.value.member, caught.value.code) == (str(path), member, "usage")
    assert told in caught.value.reason


@pytest.mark.parametrize("text", ['{"format": 1, "format": 1}', '{"format": 1.5}', '{"format": true}', "[" * 10_000])
def test_what_is_no_configuration_is_told_with_its_path(repository: ImageRepository, text: str) -> None:
    (repository.path / "config.json").write_text(text)
    with pytest.raises(StorageError, match=r"config\.json"):
        ImageRepository.open(repository.path)


def test_the_configuration_of_a_supplier_is_written_as_before(acme: Acme) -> None:
    body: dict[str, Any] = {"format": 1, "kind": "supplier", "role": "acme", "threshold": 1, "validity": 31536000}
    path = acme.place.path / "config.json"
    assert path.read_bytes() == json.dumps(body, indent=2).encode() + b"\n"
    acme.place.sign_for_aktualizr()
    assert path.read_bytes() == json.dumps({**body, "wires": ["tuf", "aktualizr"]}, indent=2).encode() + b"\n"
    assert SupplierWorkspace.open(acme.place.path).wires.names == ("tuf", "aktualizr")


def test_a_mistyped_member_of_a_supplier_is_named(acme: Acme) -> None:
    change(acme.place.path / "config.json", lambda body: body.update(treshold=2))
    with pytest.raises(ConfigMemberError) as caught:
        SupplierWorkspace.open(acme.place.path)
    assert caught.value.member == "treshold"
    assert "the nearest is threshold" in caught.value.reason
