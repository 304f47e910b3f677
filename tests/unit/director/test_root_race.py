"""Two operators at one ceremony, and a cancelling that is cut off: a Root in force never names keys that were destroyed."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Root

from twinlock.director.director import Director
from twinlock.repository.errors import RootCancelledError, RootCompleteError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import KeyPlan, Keyring
from twinlock.repository.publishing.root_ceremony import RootChanges
from twinlock.repository.publishing.root_signing import sign_root
from twinlock.repository.workspace.prepared_root import PreparedRoot
from twinlock.trust.errors.base import TwinlockError, UsageError
from twinlock.trust.errors.local import StorageError

Ask = Callable[[], str]


class Party:
    """A repository whose Root needs both of two keys, one of which is elsewhere, and a prepared next Root.

    ``whole`` has all its signatures, ``short`` is the copy that lacks one.
    """

    def __init__(self, kind: str, directory: Path) -> None:
        self.kind = kind
        self.path = directory / "here"
        self.whole, self.short = directory / "next.json", directory / "short.json"
        two, elsewhere = KeyPlan(count=2, threshold=2), directory / "elsewhere"
        if kind == "image":
            ImageRepository.create(self.path, keys={"root": two}, passphrase="secret")
        else:
            site = ImageRepository.create(directory / "site")
            root, address = site.root_bytes(1), str(directory / "site")
            Director.create(
                self.path, image_root=root, image_url=address, keys={"root": two}, passphrase="secret"
            ).close()
        elsewhere.mkdir()
        for path in (self.path / "keys/offline").glob(f"root.{self._roots()[0][:16]}.*"):
            shutil.move(path, elsewhere)
        self.prepare()
        shutil.copy(self.whole, self.short)
        assert sign_root(self.whole, Keyring(offline=elsewhere, passphrase="secret")).missing == 0

    def _roots(self) -> list[str]:
        return [record.keyid for record in Keyring(offline=self.path / "keys/offline").records("root")]

    def prepare(self) -> None:
        if self.kind == "image":
            changes = RootChanges(rotate={"root": KeyPlan(count=2, threshold=2)})
            ImageRepository.open(self.path, passphrase="secret").prepare_root(self.whole, changes)
            return
        with Director.open(self.path, passphrase="secret") as director:
            director.prepare_root(self.whole, {"root": None})

    def publish(self, passphrase: str | Ask = "secret") -> None:
        if self.kind == "image":
            ImageRepository.open(self.path, passphrase=passphrase).publish_root(self.whole)
            return
        with Director.open(self.path, passphrase=passphrase) as director:
            director.publish_root(self.whole)

    def cancel(self) -> None:
        if self.kind == "image":
            ImageRepository.open(self.path, passphrase="secret").cancel_root(self.short)
            return
        with Director.open(self.path, passphrase="secret") as director:
            director.cancel_root(self.short)

    def version(self) -> int:
        if self.kind == "image":
            data = ImageRepository.open(self.path).root_bytes()
        else:
            with Director.open(self.path) as director:
                data = director.root_bytes()
        return Metadata[Root].from_bytes(data).signed.version

    def private_keys(self) -> set[str]:
        return {path.name for path in (self.path / "keys").glob("*/*.pem")}


@pytest.fixture(params=["image", "director"])
def party(request: pytest.FixtureRequest, tmp_path: Path) -> Party:
    return Party(request.param, tmp_path)


def test_a_root_that_is_cancelled_while_it_is_published_is_not_published(party: Party) -> None:
    """The publisher has checked the file, and is asked for a passphrase; meanwhile a colleague cancels."""
    asked: list[str] = []

    def ask() -> str:
        if not asked:
            asked.append("cancelled")
            party.cancel()
        return "secret"

    with pytest.raises(RootCancelledError):
        party.publish(ask)
    assert asked
    assert party.version() == 1


def test_a_cancelling_that_cannot_be_recorded_destroys_nothing(party: Party) -> None:
    before = party.private_keys()
    obstacle = party.path / "cancelled-roots.json"
    obstacle.mkdir()
    with pytest.raises(StorageError):
        party.cancel()
    assert party.private_keys() == before
    obstacle.rmdir()
    party.publish()
    assert party.version() == 2


def test_a_cancelling_that_is_cut_off_after_its_record_is_finished_by_the_next(party: Party) -> None:
    before = party.private_keys()
    obstacle = party.path / "keys/offline/retired"
    obstacle.write_text("in the way of the directory")
    with pytest.raises(StorageError):
        party.cancel()
    with pytest.raises(RootCancelledError):
        party.publish()
    obstacle.unlink()
    party.cancel()
    assert len(party.private_keys()) == len(before) - 2
    with pytest.raises(UsageError, match="was prepared here"):
        party.cancel()


def test_a_shorter_copy_does_not_cancel_a_root_whose_complete_copy_was_shown(party: Party) -> None:
    """To ``cancel``, which refuses it: the shorter copy that the operator finds next is judged by it too."""
    before = party.private_keys()
    short, party.short = party.short, party.whole
    with pytest.raises(RootCompleteError):
        party.cancel()
    party.short = short
    with pytest.raises(RootCompleteError) as caught:
        party.cancel()
    assert caught.value.version == 2
    assert party.private_keys() == before
    party.whole = Path(caught.value.path)  # the complete copy that is kept, named by the refusal
    party.publish()
    assert party.version() == 2


def test_a_shorter_copy_does_not_cancel_a_root_whose_publication_failed(party: Party) -> None:
    def refuse() -> str:
        raise StorageError(path="keys", operation="read", reason="the medium is away")

    before = party.private_keys()
    with pytest.raises(TwinlockError):
        party.publish(refuse)
    with pytest.raises(RootCompleteError):
        party.cancel()
    assert party.private_keys() == before
    party.publish()
    assert party.version() == 2


def test_a_copy_that_claims_signatures_hinders_no_cancelling(party: Party) -> None:
    """Its signatures do not verify, so it is as short as the other, and takes no other copy's place."""
    kept = (party.path / "prepared-root.json").read_bytes()
    body = json.loads(party.whole.read_bytes())
    for entry in body["signatures"]:
        entry["sig"] = "00" * 64
    party.whole.write_text(json.dumps(body))
    with pytest.raises(TwinlockError):
        party.publish()
    assert (party.path / "prepared-root.json").read_bytes() == kept
    party.cancel()
    assert party.version() == 1


def test_cancelling_waits_for_who_publishes(party: Party) -> None:
    outcome: list[TwinlockError | None] = []

    def cancel() -> None:
        try:
            party.cancel()
        except TwinlockError as error:
            outcome.append(error)
        else:
            outcome.append(None)

    canceller = threading.Thread(target=cancel)
    with PreparedRoot(party.path).alone():
        canceller.start()
        canceller.join(0.3)
        assert not outcome
    canceller.join()
    assert outcome == [None]


def test_a_shorter_copy_of_a_complete_root_destroys_no_key(party: Party) -> None:
    """The complete copy is with another holder: a vehicle that meets it follows only the keys that were made for that Root."""
    before = party.private_keys()
    party.cancel()
    aside = {path.name for path in (party.path / "keys").glob("*/retired/*.pem")}
    assert party.private_keys() | aside == before
    assert len(aside) == 2
    with pytest.raises(RootCancelledError):
        party.publish()


def test_an_interrupted_cancelling_is_finished_with_the_complete_copy(party: Party) -> None:
    """It cannot be published any longer, so it must not stay prepared."""
    obstacle = party.path / "keys/offline/retired"
    obstacle.write_text("in the way of the directory")
    with pytest.raises(StorageError):
        party.cancel()
    obstacle.unlink()
    shutil.copy(party.whole, party.short)
    party.cancel()
    assert len(list(obstacle.glob("*.pem"))) == 2


def test_copies_that_are_complete_together_are_not_cancelled(party: Party) -> None:
    """The file lacks the signatures that were made here; the copy that is kept here has them."""
    body = json.loads(party.whole.read_bytes())
    kept = {each["keyid"] for each in json.loads((party.path / "prepared-root.json").read_bytes())["signatures"]}
    body["signatures"] = [each for each in body["signatures"] if each["keyid"] not in kept]
    assert body["signatures"]
    party.short.write_text(json.dumps(body))
    with pytest.raises(RootCompleteError):
        party.cancel()
    party.publish()
