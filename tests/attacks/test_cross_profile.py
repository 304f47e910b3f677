"""Two Root chains of one publisher, one for each wire profile: no file of one is ever a file of the other.

The signed part of a Root does not name its chain. An old, public Root of the tuf chain, its signatures spelt in base64, was
the next Root for a vehicle of the aktualizr chain that waited for that number; revoked online keys were back with it, and
nobody had needed a key. Here every file of each profile is offered, in every spelling that needs no key, to the readers of
the other at every Root that a vehicle may trust: to our engine, and to the simulated aktualizr, which checks less.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Metadata, Root

from tests.aktualizr.metadata import parse_root, parse_snapshot, parse_targets, parse_timestamp
from tests.aktualizr.refusals import UptaneError
from tests.aktualizr.storage import RepositoryStore
from tests.aktualizr.verification import read, stored_root, update_root
from tests.simulator.respelling import respelt
from tests.unit.director.legacy_chain import begin_with_shared_keys as director_with_shared_keys
from tests.unit.director.world import NOW, ImageSite
from tests.unit.repository.conftest import START, HandClock
from tests.unit.repository.foreign_repository import Foreign
from tests.unit.repository.legacy_chain import begin_with_shared_keys
from twinlock.director.director import Director
from twinlock.director.model.profiles import OldChain
from twinlock.director.model.settings import Settings
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.importing.plan import Takeover
from twinlock.testing.simulator.world import World
from twinlock.trust.checks.context import Context
from twinlock.trust.checks.root import check_next_root
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.base import Attack, RefusalError
from twinlock.trust.errors.metadata import OtherChainError, ThresholdError
from twinlock.trust.keys.signatures import verify_signatures
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import IMAGE, TIMESTAMP
from twinlock.trust.policy import LAX
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.tuf.metadata import TUF

PARSERS = {"root": parse_root, "timestamp": parse_timestamp, "snapshot": parse_snapshot, "targets": parse_targets}


@dataclass
class History:
    """All that one publisher ever published, by role and in order. ``exposed`` are the Roots of the aktualizr chain that
    vehicles trusted before it was handed over, which no publisher can protect in a client that is not ours."""

    tuf: dict[str, list[bytes]]
    aktualizr: dict[str, list[bytes]]
    exposed: set[int] = field(default_factory=set)


# Histories of an Image repository.


def rotated_before(repository: ImageRepository, _: pytest.MonkeyPatch) -> None:
    for _number in range(3):
        repository.rotate("targets", "snapshot", "timestamp")
    repository.publish_for_aktualizr()


def rotated_before_and_after(repository: ImageRepository, patch: pytest.MonkeyPatch) -> None:
    repository.rotate("root")
    rotated_before(repository, patch)
    repository.rotate("root", "timestamp")
    repository.rotate("targets")


def from_its_second_root(repository: ImageRepository, _: pytest.MonkeyPatch) -> None:
    repository.publish_for_aktualizr()
    repository.rotate("root", "targets")
    repository.rotate("timestamp")


def handed_over(repository: ImageRepository, patch: pytest.MonkeyPatch) -> None:
    for _number in range(3):
        repository.rotate("targets", "snapshot", "timestamp")
    begin_with_shared_keys(repository, patch)
    repository.hand_over()
    repository.rotate("root", "timestamp")
    repository.rotate("targets")


def handed_over_with_equal_numbers(repository: ImageRepository, patch: pytest.MonkeyPatch) -> None:
    begin_with_shared_keys(repository, patch)
    repository.rotate("targets")
    repository.hand_over()
    repository.rotate("targets")


IMAGE_HISTORIES = (
    rotated_before,
    rotated_before_and_after,
    from_its_second_root,
    handed_over,
    handed_over_with_equal_numbers,
)


def _of_repository(repository: ImageRepository) -> History:
    history = History(_empty(), _empty())
    for name in sorted([*repository.store.names("metadata"), *repository.store.names("aktualizr")], key=_numbered):
        place, _, file = name.partition("/")
        _, _, role = file.removesuffix(".json").rpartition(".")
        kept = {"metadata": history.tuf, "aktualizr": history.aktualizr}.get(place)
        if kept is None or "/" in file or role not in kept | {"": 0} or file.startswith("newcomer"):
            continue
        stored = repository.store.get(name, max_bytes=10**8)
        assert stored is not None
        kept[role or file.removesuffix(".json")].append(stored.data)
    history.exposed = _exposed(history)
    return history


def _empty() -> dict[str, list[bytes]]:
    return {role: [] for role in PARSERS}


def _numbered(name: str) -> tuple[str, int]:
    place, _, file = name.rpartition("/")
    number = file.partition(".")[0]
    return place, int(number) if number.isdigit() else 0


def _exposed(history: History) -> set[int]:
    """The Roots of the aktualizr chain whose Root keys are Root keys of the tuf chain too."""
    ours = {keyid for data in history.tuf["root"] for keyid in _root_keys(data)}
    return {_version(data) for data in history.aktualizr["root"] if ours & set(_root_keys(data))}


def _root_keys(data: bytes) -> list[str]:
    found: list[str] = json.loads(data)["signed"]["roles"]["root"]["keyids"]
    return found


def _version(data: bytes) -> int:
    return int(json.loads(data)["signed"]["version"])


@pytest.fixture
def make_image(tmp_path: Path) -> Callable[..., History]:
    def make(history: Callable[..., None], patch: pytest.MonkeyPatch) -> History:
        repository = ImageRepository.create(tmp_path / "image", clock=HandClock())
        history(repository, patch)
        return _of_repository(repository)

    return make


@pytest.fixture
def taken_over(tmp_path: Path) -> History:
    """A repository for aktualizr of another tool, gone on with: its Root 1 and 2, and then ours."""
    foreign = Foreign(tmp_path / "theirs")
    foreign.add("fw-1.0.bin", b"one")
    foreign.write()
    wanted = Takeover(source=foreign.repo, keys=foreign.keys)
    repository, _ = ImageRepository.take_over(tmp_path / "image", wanted, clock=HandClock())
    repository.rotate("targets", "timestamp")
    repository.rotate("root")
    return _of_repository(repository)


# Histories of a Director, whose other files are for one vehicle each and of one profile.


def director_rotated_before(director: Director, _path: Path, _patch: pytest.MonkeyPatch) -> None:
    director.rotate("targets", "snapshot", "timestamp", "time")
    director.rotate("targets", "snapshot", "timestamp", "time")
    director.add_wire("aktualizr")
    director.rotate("root")


def director_handed_over(director: Director, _path: Path, patch: pytest.MonkeyPatch) -> None:
    director.rotate("targets", "snapshot", "timestamp", "time")
    director.rotate("root")
    director_with_shared_keys(director, patch)
    director.hand_over()
    director.rotate("root", "targets")


def director_gone_on_from(director: Director, path: Path, _patch: pytest.MonkeyPatch) -> None:
    foreign = Foreign(path / "theirs")
    foreign.write().keep_roots()
    for _number in range(4):
        director.rotate("targets", "timestamp")
    director.add_wire("aktualizr", continue_from=OldChain(roots=foreign.repo, keys=foreign.keys))
    director.rotate("targets")


DIRECTOR_HISTORIES = (director_rotated_before, director_handed_over, director_gone_on_from)


@pytest.fixture
def make_director(tmp_path: Path) -> Callable[..., History]:
    def make(story: Callable[..., None], patch: pytest.MonkeyPatch) -> History:
        site = ImageSite(tmp_path / "site")
        site.publish()
        settings = Settings()
        place = tmp_path / "director"
        with Director.create(
            place, image_root=site.root, image_url=str(site.path), settings=settings, clock=lambda: NOW
        ) as director:
            story(director, tmp_path, patch)
            found = History(_empty(), _empty())
            for wire, kept in (("tuf", found.tuf), ("aktualizr", found.aktualizr)):
                newest = _version(director.root_bytes(profile=wire))
                kept["root"] = [director.root_bytes(number, profile=wire) for number in range(1, newest + 1)]
        found.exposed = _exposed(found)
        return found

    return make


# What has to hold in each of them.


def check_apart(history: History) -> None:
    """No reader of either profile takes a file of the other, and each takes its own."""
    assert history.tuf["root"]
    assert history.aktualizr["root"]
    _check_engine(history)
    _check_virtual_client(history)
    _check_tuf_readers(history)


def _check_engine(history: History) -> None:
    """Our reader of the aktualizr profile, at every Root, those from before a hand-over too."""
    context = Context(repository=IMAGE, now=START, limits=DEFAULT_LIMITS, wire=AKTUALIZR, policy=LAX)
    trusted = [bootstrap_repository(IMAGE, data, wire=AKTUALIZR).root for data in history.aktualizr["root"]]
    for root in trusted:
        for offered in _all(history.tuf["root"]):
            with pytest.raises(RefusalError):
                check_next_root(offered, trusted=root, context=context)
    for before, after in zip(trusted, history.aktualizr["root"][1:], strict=False):
        check_next_root(after, trusted=before, context=context)
    for role in ("timestamp", "snapshot", "targets"):
        for offered in _all(history.tuf[role]):
            with pytest.raises(RefusalError):
                getattr(AKTUALIZR, f"decode_{role}")(offered, role, DEFAULT_LIMITS)


def _check_virtual_client(history: History) -> None:
    """The client that takes a Root in lower case, at every Root since the chain has keys of its own."""
    for data in history.aktualizr["root"]:
        store = RepositoryStore(roots={_version(data): data})
        root = stored_root(store, _silent)
        for role, parse in PARSERS.items():
            for offered in _all(history.tuf[role]):
                if role == "root":
                    if root.version not in history.exposed:
                        _check_refused_as_next(offered, data)
                else:
                    with pytest.raises(UptaneError):
                        read(offered, role, root, parse, _silent)


def _check_refused_as_next(offered: bytes, trusted: bytes) -> None:
    store = RepositoryStore(roots={_version(trusted): trusted})
    with pytest.raises(UptaneError):
        update_root(store, "image", lambda *_: offered, datetime(2029, 1, 1, tzinfo=UTC), _silent)
    assert store.roots == {_version(trusted): trusted}


def _check_tuf_readers(history: History) -> None:
    """Readers of the tuf profile, ours and python-tuf, know no file of the other one."""
    for role in PARSERS:
        for offered in _all(history.aktualizr[role]):
            with pytest.raises(RefusalError):
                getattr(TUF, f"decode_{role}")(offered, role, DEFAULT_LIMITS)
            with pytest.raises((RepositoryError, DownloadError, ValueError, KeyError)):
                Metadata[Any].from_bytes(offered)


def _all(files: list[bytes]) -> Iterator[bytes]:
    for data in files:
        yield from dict.fromkeys(respelt(data))


def _silent(_: str) -> None:
    """A log that nobody reads."""


@pytest.mark.parametrize("history", IMAGE_HISTORIES)
def test_image_repository(
    make_image: Callable[..., History], history: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = make_image(history, monkeypatch)
    assert all(found.tuf.values())
    assert all(found.aktualizr.values())
    assert bool(found.exposed) == (history in (handed_over, handed_over_with_equal_numbers))
    check_apart(found)


def test_image_repository_that_was_taken_over(taken_over: History) -> None:
    assert not taken_over.exposed
    check_apart(taken_over)


@pytest.mark.parametrize("history", DIRECTOR_HISTORIES)
def test_director(
    make_director: Callable[..., History], history: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = make_director(history, monkeypatch)
    assert bool(found.exposed) == (history is director_handed_over)
    check_apart(found)


def test_our_reader_names_the_attack_where_the_keys_are_shared(
    make_image: Callable[..., History], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An honest Root, the attack, its fields, nothing changed, and the next honest Root is followed."""
    found = make_image(handed_over, monkeypatch)
    context = Context(repository=IMAGE, now=START, limits=DEFAULT_LIMITS, wire=AKTUALIZR, policy=LAX)
    first, honest = found.aktualizr["root"][:2]
    trusted = bootstrap_repository(IMAGE, first, wire=AKTUALIZR).root
    forged = [data for data in found.tuf["root"] if _version(data) == 2]
    refusals = []
    for offered in _all(forged):
        with pytest.raises(RefusalError) as caught:
            check_next_root(offered, trusted=trusted, context=context)
        refusals.append(caught.value)
    named = [refusal for refusal in refusals if isinstance(refusal, OtherChainError)]
    assert named, "at least the spelling that verifies is refused for this reason and no other"
    assert {refusal.attack for refusal in named} == {Attack.ARBITRARY_SOFTWARE}
    assert named[0].fields() == {"repository": "image", "offered": 2, "found": "root", "expected": "Root"}
    assert check_next_root(honest, trusted=trusted, context=context).signed.version == 2


def test_a_signed_part_with_raw_letters_beyond_ascii_is_not_read_by_received_bytes() -> None:
    """The tuf profile signs raw UTF-8; the canonical form here is ASCII, so those bytes prove nothing in it."""
    world = World(image="aktualizr")
    repository = world.image
    body = repository.wire.dress({**repository.bodies["timestamp"], "x-note": "ü"})
    raw = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    trusted = bootstrap_repository(IMAGE, repository.files["1.root.json"], wire=AKTUALIZR)
    root = trusted.root.signed
    offered = AKTUALIZR.decode_timestamp(
        repository.wire.enclose(raw, repository.signers["timestamp"]), "x", DEFAULT_LIMITS
    )
    with pytest.raises(ThresholdError):
        verify_signatures(offered, root.keys, root.roles[TIMESTAMP], repository=IMAGE, role_name="timestamp")


def test_python_tuf_reads_every_root_of_the_tuf_chain(
    make_image: Callable[..., History], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = make_image(handed_over, monkeypatch)
    roots = [Metadata[Root].from_bytes(data) for data in found.tuf["root"]]
    for before, after in itertools.pairwise(roots):
        before.verify_delegate("root", after)
