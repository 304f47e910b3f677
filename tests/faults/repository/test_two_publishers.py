"""Several publishers at once, as processes: one wins each publication, losers are told, nothing is mixed or lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.unit.repository.conftest import START, HandClock
from tests.unit.repository.reading import Reader
from twinlock.repository.image_repository import ImageRepository

PUBLISHERS = 4

# Each publisher stages an image of its own, waits for the start, and publishes until it got through.
PUBLISHER = """
import sys, time
from pathlib import Path
from tests.unit.repository.conftest import HandClock
from twinlock.repository.image_repository import ImageRepository
from twinlock.trust.errors.local import ConflictError
path, number = Path(sys.argv[1]), sys.argv[2]
repository = ImageRepository.open(path / "image", clock=HandClock())
print("ready", flush=True)
sys.stdin.readline()
conflicts = 0
while True:
    try:
        repository.rotate("timestamp") if number == "rotate" else repository.publish()
    except ConflictError as error:
        assert error.what == "the repository", error
        conflicts += 1
        continue
    break
print(conflicts, flush=True)
"""


def test_publishers_at_once(tmp_path: Path) -> None:
    repository = ImageRepository.create(tmp_path / "image", clock=HandClock())
    for number in range(PUBLISHERS):
        (tmp_path / str(number)).write_bytes(str(number).encode() * 100)
        repository.add_image(tmp_path / str(number), f"{number}.bin", hardware_ids=["hw-7"], release_counter=1)
    follower = Reader(repository.store, repository.root_bytes(1))
    follower.refresh(START)
    names = ["rotate", *(str(number) for number in range(PUBLISHERS))]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PUBLISHER, str(tmp_path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0] * len(running), outputs
    final = ImageRepository.open(repository.path, clock=HandClock())
    for reader in (follower, Reader(repository.store, repository.root_bytes(1))):
        for number in range(PUBLISHERS):
            assert reader.find(f"{number}.bin", START).entry is not None
    # Every publication that took place is in the log, each number once, and Timestamp is the last of them.
    log = sorted(int(name.split("/")[1].removesuffix(".json")) for name in final.store.names("publications"))
    assert log == list(range(1, final.show().publication + 1))
    assert final.status().staged_images == ()
