"""The A/B installer: the old image stays until the new one is whole, and `active.json` is the truth."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.client.test_staging import entry_of
from twinlock.client.install.ab_slots import UNKNOWN, SlotInstaller, as_installed
from twinlock.client.model.errors import PreconditionError
from twinlock.io.files.durable import TEMPORARY
from twinlock.trust.errors.images import DigestError, ReleaseCounterError
from twinlock.trust.errors.local import StorageError
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import EcuId

ECU = EcuId("ecu-1")
OLD, NEW, NEWER = (name * 50_000 for name in (b"old ", b"new ", b"newer "))


def image(tmp_path: Path, data: bytes, counter: int | None) -> tuple[ImageEntry, Path]:
    entry = entry_of(data, f"brake/{data.split()[0].decode()}.bin")
    path = tmp_path / entry.path.replace("/", "-")
    path.write_bytes(data)
    return ImageEntry(entry.path, entry.length, entry.hashes, release_counter=counter), path


@pytest.fixture
def slots(tmp_path: Path) -> SlotInstaller:
    return SlotInstaller.provision(tmp_path / "slots", ECU, *image(tmp_path, OLD, 1))


def test_installing_switches_to_the_other_slot_and_keeps_the_old(tmp_path: Path, slots: SlotInstaller) -> None:
    before = slots.path
    entry, source = image(tmp_path, NEW, 2)
    assert slots.install(entry, source) == as_installed(entry) == slots.installed()
    assert slots.path != before
    assert slots.path.read_bytes() == NEW
    assert before.read_bytes() == OLD


def test_truth_is_on_the_disk_and_not_in_memory(tmp_path: Path, slots: SlotInstaller) -> None:
    slots.install(*image(tmp_path, NEW, 2))
    again = SlotInstaller(slots.directory, ECU)
    assert again.installed() == slots.installed()
    assert again.installed().release_counter == 2


def test_going_back_and_forth(tmp_path: Path, slots: SlotInstaller) -> None:
    with pytest.raises(StorageError):
        slots.rollback()
    slots.install(*image(tmp_path, NEW, 2))
    assert slots.rollback().path == "brake/old.bin"
    assert slots.path.read_bytes() == OLD
    assert slots.rollback().path == "brake/new.bin"
    assert slots.path.read_bytes() == NEW


def test_a_third_image_takes_the_place_of_the_first(tmp_path: Path, slots: SlotInstaller) -> None:
    slots.install(*image(tmp_path, NEW, 2))
    slots.install(*image(tmp_path, NEWER, 3))
    assert slots.path.read_bytes() == NEWER
    assert slots.rollback().path == "brake/new.bin"


def test_a_source_that_changed_since_it_was_verified_is_refused(tmp_path: Path, slots: SlotInstaller) -> None:
    entry, source = image(tmp_path, NEW, 2)
    source.write_bytes(NEW[:-1] + b"!")
    with pytest.raises(DigestError):
        slots.install(entry, source)
    assert slots.installed().path == "brake/old.bin"
    assert slots.path.read_bytes() == OLD


def test_after_a_failed_install_there_is_no_way_back_to_what_was_overwritten(
    tmp_path: Path, slots: SlotInstaller
) -> None:
    slots.install(*image(tmp_path, NEW, 2))
    entry, source = image(tmp_path, NEWER, 3)
    source.write_bytes(b"")
    with pytest.raises(Exception, match="received"):
        slots.install(entry, source)
    assert slots.path.read_bytes() == NEW
    with pytest.raises(StorageError):
        slots.rollback()


def test_an_older_release_never_gets_in(tmp_path: Path, slots: SlotInstaller) -> None:
    slots.install(*image(tmp_path, NEW, 5))
    with pytest.raises(ReleaseCounterError) as refused:
        slots.install(*image(tmp_path, NEWER, 4))
    assert (refused.value.ecu, refused.value.offered, refused.value.installed) == (ECU, 4, 5)
    assert slots.path.read_bytes() == NEW
    slots.install(*image(tmp_path, NEWER, 5))
    assert slots.path.read_bytes() == NEWER


def test_a_precondition_holds_it_back(tmp_path: Path, slots: SlotInstaller) -> None:
    parked = False
    guarded = SlotInstaller(slots.directory, ECU, lambda _entry: None if parked else "not parked")
    with pytest.raises(PreconditionError) as refused:
        guarded.install(*image(tmp_path, NEW, 2))
    assert (refused.value.ecu, refused.value.reason) == (ECU, "not parked")
    assert guarded.installed().path == "brake/old.bin"
    parked = True
    guarded.install(*image(tmp_path, NEW, 2))
    assert guarded.installed().path == "brake/new.bin"


def test_a_damaged_old_slot_is_not_gone_back_to(tmp_path: Path, slots: SlotInstaller) -> None:
    old = slots.path
    slots.install(*image(tmp_path, NEW, 2))
    old.write_bytes(OLD[:-1])
    with pytest.raises(StorageError) as refused:
        slots.rollback()
    assert "damaged" in refused.value.reason
    assert slots.path.read_bytes() == NEW


DAMAGED = ["", "{}", "[]", '{"format": 1, "active": {"slot": "c"}}', "null", None]


@pytest.mark.parametrize("content", DAMAGED)
def test_without_its_record_an_ecu_reports_what_it_measures_and_takes_an_order(
    tmp_path: Path, slots: SlotInstaller, content: str | None
) -> None:
    slots.install(*image(tmp_path, NEW, 2))
    record = slots.directory / "active.json"
    record.unlink() if content is None else record.write_text(content)
    again = SlotInstaller(slots.directory, ECU)
    hashes = {name: hashlib.new(name, NEW).hexdigest() for name in ("sha256", "sha512")}
    assert again.installed() == InstalledImage(UNKNOWN, len(NEW), hashes)
    with pytest.raises(StorageError):
        again.rollback()
    entry, source = image(tmp_path, NEWER, 3)
    assert again.install(entry, source) == again.installed() == as_installed(entry)
    assert again.path.read_bytes() == NEWER


def test_without_record_and_slots_it_says_so(slots: SlotInstaller) -> None:
    for path in slots.directory.iterdir():
        path.unlink()
    with pytest.raises(StorageError) as refused:
        slots.installed()
    assert "provision this ECU again" in refused.value.reason


def test_a_newer_record_is_said_and_not_guessed(slots: SlotInstaller) -> None:
    (slots.directory / "active.json").write_text('{"format": 9}')
    with pytest.raises(StorageError) as refused:
        slots.installed()
    assert "format 9" in refused.value.reason


def test_a_flipped_bit_is_not_what_was_installed(tmp_path: Path, slots: SlotInstaller) -> None:
    slots.install(*image(tmp_path, NEW, 2))
    path = slots.path
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    found = slots.installed()
    assert (found.path, found.length, found.release_counter) == (UNKNOWN, len(NEW), None)
    assert found.hashes["sha256"] == hashlib.sha256(data).hexdigest()
    assert SlotInstaller(slots.directory, ECU).installed() == found
    slots.install(*image(tmp_path, NEW, 2))  # the same image again, into the other slot
    assert slots.installed().path == "brake/new.bin"


def test_a_slot_is_read_once_and_again_when_it_was_touched(
    slots: SlotInstaller, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    new = hashlib.new

    def noted(name: str) -> Any:
        made.append(name)
        return new(name)

    monkeypatch.setattr(hashlib, "new", noted)
    for _ in range(3):
        assert slots.installed().path == "brake/old.bin"
    assert made == ["sha256", "sha512"]
    os.utime(slots.path, ns=(1, 1))
    assert slots.installed().path == "brake/old.bin"
    assert len(made) == 4


def test_the_image_is_on_the_disk_before_the_switch(
    tmp_path: Path, slots: SlotInstaller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash of the power comes after any step: what the switch names has to be flushed before it is named."""
    log: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def noted_fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        log.append("flush active.json" if name.startswith(TEMPORARY) else f"flush {name}")
        fsync(descriptor)

    def noted_rename(self: Path, target: Path) -> Any:
        log.append(f"switch {json.loads(self.read_text())['active']['slot']}")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    slots.install(*image(tmp_path, NEW, 2))
    assert log == ["flush slot-b", "flush slots", "flush active.json", "switch b", "flush slots"]


def test_what_a_power_cut_left_of_the_switch_is_removed(slots: SlotInstaller, tmp_path: Path) -> None:
    left = slots.directory / f"{TEMPORARY}0011223344556677"
    left.write_bytes(b"{")
    slots.install(*image(tmp_path, NEW, 2))
    assert not left.exists()
