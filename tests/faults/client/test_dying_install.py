"""Killed at any moment of an installation, an ECU runs the old image or the new one, whole; and can go on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.faults.client.dying import every_death, in_child
from tests.unit.client.test_slots import NEW, OLD, image
from twinlock.client.install.ab_slots import SlotInstaller
from twinlock.client.storage.staging import Staging
from twinlock.trust.names import EcuId

ECU = EcuId("ecu-1")
OLDER = b"older " * 40_000


def whole(slots: SlotInstaller) -> str:
    """Which image runs; its slot holds exactly that."""
    path = slots.installed().path
    assert slots.path.read_bytes() == {"brake/old.bin": OLD, "brake/new.bin": NEW, "brake/older.bin": OLDER}[path]
    return path


@pytest.mark.slow
def test_dying_while_installing(tmp_path: Path) -> None:
    SlotInstaller.provision(tmp_path / "first", ECU, *image(tmp_path, OLDER, 1))
    SlotInstaller(tmp_path / "first", ECU).install(*image(tmp_path, OLD, 2))  # so that an old slot is overwritten
    new = image(tmp_path, NEW, 3)
    seen = []

    def install() -> None:
        SlotInstaller(tmp_path / "slots", ECU).install(*new)

    shutil.copytree(tmp_path / "first", tmp_path / "slots")
    for _number in every_death(install):
        slots = SlotInstaller(tmp_path / "slots", ECU)
        seen.append(whole(slots))
        before_rollback = shutil.copytree(tmp_path / "slots", tmp_path / "rollback")
        back = SlotInstaller(before_rollback, ECU)
        try:
            back.rollback()
        except Exception as error:  # noqa: BLE001 - refusing to go back is right, going back to rubbish is not
            assert "old image" in str(error)
        else:
            whole(back)
        shutil.rmtree(tmp_path / "rollback")
        assert in_child(install) == 0, "after any death, the same installation goes through"
        assert whole(SlotInstaller(tmp_path / "slots", ECU)) == "brake/new.bin"
        shutil.rmtree(tmp_path / "slots")
        shutil.copytree(tmp_path / "first", tmp_path / "slots")
    assert set(seen) == {"brake/old.bin", "brake/new.bin"}, "some deaths come before the switch and some after"
    assert seen == sorted(seen, reverse=True), "there is one switch, and no way back"
    assert len(seen) > 10


def test_dying_while_going_back(tmp_path: Path) -> None:
    SlotInstaller.provision(tmp_path / "slots", ECU, *image(tmp_path, OLD, 1))
    SlotInstaller(tmp_path / "slots", ECU).install(*image(tmp_path, NEW, 2))
    seen = [whole(SlotInstaller(tmp_path / "slots", ECU))]
    for _number in every_death(lambda: SlotInstaller(tmp_path / "slots", ECU).rollback()):
        seen.append(whole(SlotInstaller(tmp_path / "slots", ECU)))
    assert "brake/new.bin" in seen
    assert "brake/old.bin" in [*seen, whole(SlotInstaller(tmp_path / "slots", ECU))]


def test_dying_while_an_image_arrives(tmp_path: Path) -> None:
    """Under the verified name there is the whole image or nothing, and receiving it again always works."""
    entry, _source = image(tmp_path, NEW, 1)

    def receive() -> None:
        staging = Staging(tmp_path / "staging")
        with staging.arrival(entry) as arrival:
            arrival.resume()
            for start in range(arrival.received, len(NEW), 9000):
                arrival.write(NEW[start : start + 9000])
            arrival.finish()

    deaths = 0
    for _number in every_death(receive):
        deaths += 1
        for path in (tmp_path / "staging").glob("*.image"):
            assert path.read_bytes() == NEW
    assert deaths > 5
    assert Staging(tmp_path / "staging").find(entry) is not None
