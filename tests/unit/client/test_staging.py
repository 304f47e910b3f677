"""Staging: only what was listed gets a verified name, a break can be resumed, and what was refused is gone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from twinlock.client.storage.staging import Staging, verify_file
from twinlock.trust.errors.images import DigestError, EndlessDataError, LengthError, UnknownHashError
from twinlock.trust.errors.local import StorageError, TransportError
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import TargetPath

DATA = bytes(range(256)) * 1000


def entry_of(data: bytes, path: str = "a/b.bin") -> ImageEntry:
    hashes = {"sha256": hashlib.sha256(data).hexdigest(), "sha512": hashlib.sha512(data).hexdigest()}
    return ImageEntry(TargetPath(path), len(data), hashes, release_counter=1)


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path / "staging")


def receive(staging: Staging, entry: ImageEntry, data: bytes) -> Path:
    with staging.arrival(entry) as arrival:
        arrival.resume()
        for start in range(arrival.received, len(data), 7001):
            arrival.write(data[start : start + 7001])
        return arrival.finish()


def test_a_good_image_is_found_again(staging: Staging) -> None:
    entry = entry_of(DATA)
    assert staging.find(entry) is None
    path = receive(staging, entry, DATA)
    assert path.read_bytes() == DATA
    assert staging.find(entry) == path
    assert staging.find(entry_of(DATA, "other/name.bin")) == path
    assert staging.find(entry_of(DATA + b"x")) is None


def test_an_empty_image_is_an_image(staging: Staging) -> None:
    assert receive(staging, entry_of(b""), b"").read_bytes() == b""


@pytest.mark.parametrize(
    ("sent", "refusal"),
    [(DATA[:-1], LengthError), (DATA[:-1] + b"x", DigestError), (DATA + b"x", EndlessDataError)],
)
def test_what_is_refused_is_gone(staging: Staging, sent: bytes, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        receive(staging, entry_of(DATA), sent)
    assert list(staging.directory.iterdir()) == []


def test_every_listed_hash_is_checked(staging: Staging) -> None:
    entry = entry_of(DATA)
    lying = ImageEntry(entry.path, entry.length, {**entry.hashes, "sha512": "0" * 128})
    with pytest.raises(DigestError) as refused:
        receive(staging, lying, DATA)
    assert refused.value.algorithm == "sha512"


def test_an_image_with_a_hash_that_cannot_be_checked_is_not_received(staging: Staging) -> None:
    entry = entry_of(DATA)
    with pytest.raises(UnknownHashError) as refused:
        staging.arrival(ImageEntry(entry.path, entry.length, {**entry.hashes, "blake9": "00"}))
    assert refused.value.algorithm == "blake9"
    assert list(staging.directory.iterdir()) == []


def test_a_break_is_resumed_where_it_happened(staging: Staging) -> None:
    entry = entry_of(DATA)
    with pytest.raises(TransportError), staging.arrival(entry) as arrival:
        arrival.write(DATA[:100_000])
        raise TransportError(url="http://x", reason="cut")
    assert staging.find(entry) is None
    with staging.arrival(entry) as arrival:
        assert arrival.resume() == 100_000
        assert arrival.resumed
        arrival.write(DATA[100_000:])
        assert arrival.finish().read_bytes() == DATA


def test_a_damaged_part_is_refused_in_the_end(staging: Staging) -> None:
    entry = entry_of(DATA)
    with pytest.raises(TransportError), staging.arrival(entry) as arrival:
        arrival.write(b"x" * 1000)
        raise TransportError(url="http://x", reason="cut")
    with pytest.raises(DigestError):
        receive(staging, entry, DATA)
    assert receive(staging, entry, DATA).read_bytes() == DATA


def test_a_part_that_is_too_long_starts_over(staging: Staging) -> None:
    entry = entry_of(DATA)
    with pytest.raises(TransportError), staging.arrival(entry) as arrival:
        raise TransportError(url="http://x", reason="cut")
    (part,) = staging.directory.glob("*.part")
    part.write_bytes(DATA + b"more")
    with staging.arrival(entry) as arrival:
        assert arrival.resume() == 0
        assert not arrival.resumed
        arrival.write(DATA)
        assert arrival.finish().read_bytes() == DATA


def test_a_verified_file_that_rotted_is_not_found(staging: Staging) -> None:
    entry = entry_of(DATA)
    path = receive(staging, entry, DATA)
    path.write_bytes(DATA[:-1] + b"x")
    assert staging.find(entry) is None
    assert not path.exists()


def test_tidying_keeps_what_is_needed(staging: Staging) -> None:
    kept, dropped = entry_of(DATA), entry_of(DATA[1:])
    path = receive(staging, kept, DATA)
    gone = receive(staging, dropped, DATA[1:])
    (staging.directory / "README").write_text("not ours")
    staging.tidy(keep=[kept])
    assert path.exists()
    assert not gone.exists()
    assert (staging.directory / "README").exists()
    staging.tidy()
    assert not path.exists()


def test_an_image_larger_than_the_disk_is_refused_before_a_byte_arrives(staging: Staging) -> None:
    huge = ImageEntry(TargetPath("huge.bin"), 10**18, {"sha256": "0" * 64})
    with pytest.raises(StorageError) as refused:
        staging.arrival(huge)
    assert "free" in refused.value.reason
    assert list(staging.directory.iterdir()) == []


def test_verifying_a_file_reads_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(DATA)
    verify_file(path, entry_of(DATA))
    with pytest.raises(DigestError):
        verify_file(path, entry_of(DATA[:-1] + b"y"))
