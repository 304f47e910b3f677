"""Files and directories that are not what they look like: nothing of theirs is staged, and nothing elsewhere is deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.repository.conftest import Acme
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.store.directory import DirectoryStore
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.metadata import UnsafePathError


@pytest.mark.parametrize("source", ["/proc/self/environ", "/proc/self/maps", "/dev/null", "/proc"])
def test_only_files_on_a_disk_become_images(filled: ImageRepository, source: str) -> None:
    with pytest.raises(UsageError) as caught:
        filled.add_image(source, "x/x.bin", hardware_ids=["hw-7"], release_counter=1)
    assert source in caught.value.reason
    assert filled.status().staged_images == ()


def test_an_outbox_with_a_link_for_temporary_files_deletes_nothing_elsewhere(
    filled: ImageRepository, acme: Acme, tmp_path: Path
) -> None:
    acme.sign()
    filled.delegate("acme", keys=[acme.place.public_key_file], paths=["acme/*"])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    kept = elsewhere / ".tmp-0123456789abcdef"
    kept.write_text("somebody's")
    temporary = acme.outbox / ".tmp"
    if temporary.exists():
        temporary.rmdir()
    temporary.symlink_to(elsewhere)
    assert filled.accept(acme.outbox) == ("acme",)
    assert kept.read_text() == "somebody's"
    with pytest.raises(UnsafePathError):
        DirectoryStore(acme.outbox).put_new("metadata/x.json", b"x")
    assert list(elsewhere.iterdir()) == [kept]
