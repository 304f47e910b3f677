"""tough, a TUF client in Rust, reads our repositories, restricted delegations included.

It encodes metadata again before it verifies them and drops unknown members of a delegation, so a restriction inside one made
every image unreadable for it. The crate in ``tough/`` is built once, which takes minutes and asks its registry.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.suppliers.workspace import SupplierWorkspace

CRATE = Path(__file__).parent / "tough"
BUILT = Path(__file__).parents[2] / ".venv" / "tough"

pytestmark = [pytest.mark.peers, pytest.mark.needs("cargo"), pytest.mark.timeout(1_800)]


@pytest.fixture(scope="module")
def reader() -> Path:
    """The program of ``tough/src/main.rs``."""
    settings = {**os.environ, "CARGO_TARGET_DIR": str(BUILT)}
    subprocess.run(["cargo", "build", "--quiet", "--locked"], cwd=CRATE, env=settings, check=True, timeout=1_500)
    return BUILT / "debug" / "reads"


def read(reader: Path, repository: Path, *names: str) -> str:
    """What tough lists, and with a name the image itself."""
    published = repository / "public"
    urls = [(published / folder).as_uri() + "/" for folder in ("metadata", "targets")]
    command = [str(reader), str(published / "metadata" / "1.root.json"), *urls, *names]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout.decode()


def test_a_restricted_delegation_and_the_images_beside_it(reader: Path, tmp_path: Path) -> None:
    repository = ImageRepository.create(tmp_path / "image")
    (tmp_path / "brake.bin").write_text("TEST brake image")
    (tmp_path / "lidar.bin").write_text("TEST lidar image")
    repository.add_image(tmp_path / "brake.bin", "brake.bin", hardware_ids=["hw-7"], release_counter=1)
    place = SupplierWorkspace.create(tmp_path / "acme", role="acme")
    place.add_image(tmp_path / "lidar.bin", "acme/lidar.bin", hardware_ids=["hw-9"], release_counter=1)
    place.sign()
    repository.delegate("acme", keys=[place.public_key_file], paths=["acme/*"], hardware_ids=["hw-9"])
    repository.accept(place.path / "outbox")
    repository.publish()
    assert sorted(read(reader, tmp_path / "image").splitlines()) == ["acme/lidar.bin 16", "brake.bin 16"]
    # An image in a folder is not fetched here: tough puts the digest before the folder, and TUF before the file's name.
    assert read(reader, tmp_path / "image", "brake.bin").endswith("TEST brake image")
