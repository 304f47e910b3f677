"""A supplier's place: keys that stay, versions that rise, edits that survive."""

from __future__ import annotations

import json
import shutil
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.repository.conftest import START, Acme, HandClock
from twinlock.repository.errors import ConfigMemberError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import KeyKind, KeyPlan
from twinlock.repository.suppliers.workspace import SupplierWorkspace
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import NewerStateError, OperatorFileError, PassphraseError, StorageError
from twinlock.trust.errors.metadata import ThresholdError, UnsafePathError


def signed(acme: Acme) -> dict[str, object]:
    body: dict[str, dict[str, object]] = json.loads((acme.outbox / "metadata/acme.json").read_bytes())
    return body["signed"]


def test_every_signature_raises_the_version(acme: Acme) -> None:
    assert [acme.place.sign() for _ in range(3)] == [1, 2, 3]
    assert SupplierWorkspace.open(acme.place.path, clock=acme.clock).sign() == 4
    assert acme.place.sign(above=10) == 11
    assert signed(acme)["version"] == 11


def test_what_is_signed_says_when_and_for_how_long(tmp_path: Path, clock: HandClock) -> None:
    place = SupplierWorkspace.create(tmp_path / "p", role="acme", valid_for=timedelta(days=30), clock=clock)
    place.sign()
    view = place.show()
    assert view.expires == START + timedelta(days=30)
    assert (
        json.loads((tmp_path / "p/outbox/metadata/acme.json").read_bytes())["signed"]["issued"]
        == "2030-01-01T12:00:00Z"
    )


def test_an_outbox_that_was_moved_away_is_filled_again(acme: Acme, repository: ImageRepository) -> None:
    """A supplier hands the outbox over by moving it: nothing is delisted, and the version goes on."""
    repository.delegate("acme", keys=[acme.place.public_key_file], paths=["acme/*"])
    for number in (1, 2):
        acme.place.add_image(acme.source, f"acme/b-{number}.bin", hardware_ids=["hw-9"], release_counter=number)
    assert acme.place.sign() == 1
    repository.accept(acme.outbox)
    repository.publish()
    shutil.move(acme.outbox, acme.place.path.parent / "stick")
    again = SupplierWorkspace.open(acme.place.path, clock=acme.clock)
    again.add_image(acme.source, "acme/b-3.bin", hardware_ids=["hw-9"], release_counter=3)
    assert again.sign() == 2
    assert repository.accept(acme.outbox) == ("acme",)
    assert repository.delisted() == {}
    repository.publish()
    assert [image.path for image in repository.show().images if image.path.startswith("acme/")] == [
        f"acme/b-{number}.bin" for number in (1, 2, 3)
    ]


def test_staged_edits_survive_and_are_signed_once(acme: Acme) -> None:
    acme.place.add_image(acme.source, "acme/x.bin", hardware_ids=["hw-9"], release_counter=1)
    again = SupplierWorkspace.open(acme.place.path, clock=acme.clock)
    assert again.show().unsigned_changes
    again.sign()
    assert not again.show().unsigned_changes
    assert list(signed(acme)["targets"]) == ["acme/x.bin"]  # type: ignore[call-overload]


def test_images_can_be_replaced_and_removed_by_the_rules_of_the_repository(acme: Acme) -> None:
    acme.sign(counter=3)
    with pytest.raises(UsageError):
        acme.place.add_image(acme.source, "acme/lidar.bin", hardware_ids=["hw-9"], release_counter=2, replace=True)
    with pytest.raises(UsageError):
        acme.place.add_image(acme.source, "acme/other.bin", hardware_ids=["hw-9"], release_counter=2, replace=True)
    with pytest.raises(UnsafePathError):
        acme.place.add_image(acme.source, "../x", hardware_ids=["hw-9"], release_counter=2)
    acme.place.remove_image("acme/lidar.bin")
    with pytest.raises(UsageError):
        acme.place.remove_image("acme/lidar.bin")
    acme.place.sign()
    assert acme.place.show().images == ()


def test_private_keys_are_private_and_public_ones_are_all_that_is_given(tmp_path: Path, clock: HandClock) -> None:
    place = SupplierWorkspace.create(
        tmp_path / "p",
        role="acme",
        plan=KeyPlan(count=3, threshold=2, kind=KeyKind.ECDSA_P256),
        passphrase="x",
        clock=clock,
    )
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "p/keys").iterdir()} == {0o600}
    body = json.loads(place.public_key_file.read_bytes())
    assert (body["role"], body["threshold"], len(body["keys"])) == ("acme", 2, 3)
    assert "PRIVATE" not in place.public_key_file.read_text()
    assert not any(b"PRIVATE" in p.read_bytes() for p in (tmp_path / "p/outbox").rglob("*") if p.is_file())
    with pytest.raises(PassphraseError):
        SupplierWorkspace.open(tmp_path / "p", passphrase="y", clock=clock).sign()
    assert SupplierWorkspace.open(tmp_path / "p", passphrase="x", clock=clock).sign() == 1


def test_creating_twice_is_refused_and_a_creation_that_was_cut_off_is_finished(
    tmp_path: Path, clock: HandClock
) -> None:
    place = SupplierWorkspace.create(tmp_path / "p", role="acme", clock=clock)
    with pytest.raises(UsageError):
        SupplierWorkspace.create(tmp_path / "p", role="acme", clock=clock)
    keys = place.keyring.records()
    place.public_key_file.unlink()  # as if the power had gone before it was written
    again = SupplierWorkspace.create(tmp_path / "p", role="acme", clock=clock)
    assert again.keyring.records() == keys
    assert again.public_key_file.exists()
    again.public_key_file.unlink()
    with pytest.raises(UsageError):
        SupplierWorkspace.create(tmp_path / "p", role="other", clock=clock)


def test_a_further_delegation_needs_a_file_that_its_keys_signed(acme: Acme, tmp_path: Path, clock: HandClock) -> None:
    sub = SupplierWorkspace.create(tmp_path / "sub", role="sub", clock=clock)
    with pytest.raises(UsageError):
        acme.place.delegate("sub", keys=[sub.public_key_file], paths=["acme/*"], outbox=sub.path / "outbox")
    sub.sign()
    with pytest.raises(ThresholdError):
        acme.place.delegate("sub", keys=[acme.place.public_key_file], paths=["acme/*"], outbox=sub.path / "outbox")
    assert acme.place.show().delegations == ()
    acme.place.delegate("sub", keys=[sub.public_key_file], paths=["acme/*"], outbox=sub.path / "outbox")
    acme.place.sign()
    assert [view.name for view in acme.place.show().delegations] == ["sub"]
    acme.place.undelegate("sub")
    acme.place.sign()
    assert acme.place.show().delegations == ()
    with pytest.raises(UsageError):
        acme.place.undelegate("sub")


def test_what_a_further_supplier_signed_is_judged_before_any_of_it_is_taken(
    acme: Acme, tmp_path: Path, clock: HandClock
) -> None:
    """The last of several roles lists an image with other bytes: nothing of the others is taken either."""
    tier3, sub = (SupplierWorkspace.create(tmp_path / name, role=name, clock=clock) for name in ("tier3", "sub"))
    for place, name in ((tier3, "tier3"), (sub, "sub")):
        source = tmp_path / f"{name}.bin"
        source.write_bytes(name.encode())
        place.add_image(source, f"acme/{name}.bin", hardware_ids=["hw-9"], release_counter=1)
        place.sign()
    sub.delegate("tier3", keys=[tier3.public_key_file], paths=["acme/*"], outbox=tier3.path / "outbox")
    sub.sign()
    damaged = [*(sub.path / "outbox/targets").rglob("*.tier3.bin")]
    for path in damaged:
        path.write_bytes(b"other")
    acme.sign()
    before = held(acme.outbox)

    def delegate() -> None:
        acme.place.delegate("sub", keys=[sub.public_key_file], paths=["acme/*"], outbox=sub.path / "outbox")

    assert damaged
    with pytest.raises(StorageError):
        delegate()
    assert held(acme.outbox) == before
    for path in damaged:
        path.write_bytes(b"tier3")
    delegate()
    assert len(held(acme.outbox).keys() - before.keys()) == len(held(sub.path / "outbox"))


def held(outbox: Path) -> dict[str, bytes]:
    files = (path for path in outbox.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(outbox)): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{}", OperatorFileError),
        ("x", OperatorFileError),
        ('{"format": 9, "kind": "supplier"}', NewerStateError),
        ('{"format": 1, "kind": "image-repository"}', UsageError),
        ('{"format": 1, "kind": "supplier"}', ConfigMemberError),
    ],
)
def test_a_place_that_cannot_be_read(acme: Acme, text: str, error: type[Exception]) -> None:
    (acme.place.path / "config.json").write_text(text)
    with pytest.raises(error):
        SupplierWorkspace.open(acme.place.path)


def test_what_is_no_place(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        SupplierWorkspace.open(tmp_path)
