"""The same kills as in ``deaths``, where a repository publishes for aktualizr too: both kinds of vehicles look each time.

python -m tests.faults.repository.aktualizr_deaths SCENARIO DIRECTORY
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.faults.repository.deaths import DIED, Work, die_at
from tests.unit.repository.conftest import START, HandClock
from tests.unit.repository.foreign_repository import Foreign
from tests.unit.repository.reading import AktualizrReader, Reader
from twinlock.repository.aktualizr.resolving import Resolver
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.importing.plan import Takeover
from twinlock.repository.store.directory import DirectoryStore
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, drive
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.names import IMAGE
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR

IMAGES = ("a.bin", "b.bin", "acme/c.bin")


def opened(path: Path) -> ImageRepository:
    return ImageRepository.open(path / "image", clock=HandClock())


def publish(path: Path) -> None:
    opened(path).publish()


def rotate(path: Path) -> None:
    opened(path).rotate("root", "targets", "snapshot", "timestamp")


def wire(path: Path) -> None:
    opened(path).publish_for_aktualizr()


def take_over(path: Path) -> None:
    wanted = Takeover(source=path / "theirs/repo", keys=path / "theirs/keys")
    try:
        ImageRepository.take_over(path / "image", wanted, clock=HandClock())
    except TwinlockError:
        if opened(path).show().publication != 8:  # done already, and not to be done again
            raise
        opened(path).refresh()


SCENARIOS: dict[str, Work] = {"publish": publish, "rotate": rotate, "wire": wire, "import": take_over}


def prepare(directory: Path, scenario: str) -> TrustedRepository | None:
    """A repository to work on, and what a device that followed has stored of the profile."""
    if scenario == "import":
        foreign = Foreign(directory / "theirs")
        foreign.add("a.bin", b"a" * 100)
        foreign.add("acme/c.bin", b"c" * 100, role="acme")
        foreign.write()
        return _stored(foreign)
    wires = () if scenario == "wire" else ("aktualizr",)
    repository = ImageRepository.create(directory / "image", wires=wires, clock=HandClock())
    for name in ("a", "b"):
        (directory / name).write_bytes(name.encode() * 1000)
        repository.add_image(directory / name, f"{name}.bin", hardware_ids=["hw-7"], release_counter=1)
        if name == "a":
            repository.publish()
    return None if scenario == "wire" else AktualizrReader(repository.store).refresh(START)


def _stored(foreign: Foreign) -> TrustedRepository:
    def answer(command: Command) -> Answer:
        path = foreign.repo / command.name if isinstance(command, Fetch) else foreign.base
        return path.read_bytes() if path.is_file() else ABSENT

    start = bootstrap_repository(IMAGE, (foreign.repo / "1.root.json").read_bytes(), wire=AKTUALIZR)
    return drive(refresh_repository(start, START), answer)


def see(path: Path, followed: TrustedRepository | None) -> dict[str, Any]:
    """What the vehicles see in the store as it lies there; None where nothing is published for their kind."""
    if not (path / "public").is_dir():
        return {}
    store = DirectoryStore(path / "public")
    readers: dict[str, Reader] = {}
    if (path / "public/metadata/timestamp.json").is_file():
        first = min((path / "public/metadata").glob("*.root.json"))
        readers["tuf"] = Reader(store, first.read_bytes())
    if followed is not None and Resolver(store).metadata("timestamp.json"):
        follower = AktualizrReader(store)
        follower.trusted = followed
        readers |= {"follower": follower, "fresh": AktualizrReader(store)}
    return {kind: _look(reader) for kind, reader in readers.items()}


def _look(reader: Reader) -> dict[str, Any]:
    try:
        reader.refresh(START)
        assert reader.trusted.timestamp is not None
        listed = [name for name in IMAGES if reader.find(name, START).entry]
        return {"timestamp": reader.trusted.timestamp.signed.version, "images": listed}
    except TwinlockError as error:
        return {"error": error.code, "message": str(error)}


def main(scenario: str, directory: Path) -> None:
    prepared = directory / "prepared"
    followed = prepare(prepared, scenario)
    work, number, status = SCENARIOS[scenario], 0, DIED
    while status == DIED:
        number += 1
        with tempfile.TemporaryDirectory(dir=directory) as temporary:
            copy = Path(temporary) / "copy"
            shutil.copytree(prepared, copy)
            status = die_at(work, copy, number)
            after_death = see(copy / "image", followed)
            repeated = die_at(work, copy, -1)
            whole = AktualizrReader(DirectoryStore(copy / "image/public"))
            result = {
                "n": number,
                "status": status,
                "after_death": after_death,
                "repeated": repeated,
                "after_repeat": see(copy / "image", followed) | {"fresh": _look(whole)},
                "left_behind": [p.name for p in (copy / "image").rglob(".tmp-*")],
            }
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
