"""Image bytes against their entry: short, long, altered, one of two hashes wrong, hashed by nothing we know."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pytest

from twinlock.trust.checks.image import ImageVerifier, check_entry
from twinlock.trust.errors.images import (
    CustomFieldError,
    DigestError,
    EndlessDataError,
    HardwareError,
    LengthError,
    ReleaseCounterError,
    TargetNotAcceptedError,
    UnknownHashError,
)
from twinlock.trust.model.ecu import Ecu, InstalledImage
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import EcuId, HardwareId, TargetPath
from twinlock.trust.policy import LAX, STRICT, Policy

IMAGE = bytes(range(256)) * 40
PATH = TargetPath("brake/brake-1.bin")


@dataclass(frozen=True)
class Listed:
    """The parts of an entry that the tests vary."""

    length: int = len(IMAGE)
    sha256: str = hashlib.sha256(IMAGE).hexdigest()
    sha512: str = hashlib.sha512(IMAGE).hexdigest()

    def entry(self) -> ImageEntry:
        return ImageEntry(PATH, self.length, {"sha256": self.sha256, "sha512": self.sha512})


def _feed(entry: ImageEntry, data: bytes, size: int = 1000) -> ImageVerifier:
    verifier = ImageVerifier(entry)
    for start in range(0, len(data), size):
        verifier.update(data[start : start + size])
    return verifier


@pytest.mark.parametrize("size", [1, 7, 1000, len(IMAGE), len(IMAGE) * 2])
def test_the_genuine_image_in_chunks_of_any_size(size: int) -> None:
    verifier = _feed(Listed().entry(), IMAGE, size)
    verifier.finish()
    assert verifier.received == len(IMAGE)


def test_an_empty_image() -> None:
    empty = Listed(0, hashlib.sha256(b"").hexdigest(), hashlib.sha512(b"").hexdigest()).entry()
    ImageVerifier(empty).finish()
    with pytest.raises(EndlessDataError):
        ImageVerifier(empty).update(b"x")


@pytest.mark.parametrize("missing", [1, 1000, len(IMAGE)])
def test_a_short_image(missing: int) -> None:
    with pytest.raises(LengthError) as caught:
        _feed(Listed().entry(), IMAGE[: len(IMAGE) - missing]).finish()
    assert (caught.value.target, caught.value.listed, caught.value.received) == (
        PATH,
        len(IMAGE),
        len(IMAGE) - missing,
    )


@pytest.mark.parametrize("size", [1, 999, 1000, len(IMAGE) + 1])
def test_a_long_image_stops_at_the_first_byte_too_many(size: int) -> None:
    verifier = ImageVerifier(Listed().entry())
    data = IMAGE + b"!"
    with pytest.raises(EndlessDataError) as caught:
        for start in range(0, len(data), size):
            verifier.update(data[start : start + size])
    assert (caught.value.what, caught.value.limit_bytes) == (PATH, len(IMAGE))
    assert verifier.received <= len(IMAGE)


@pytest.mark.parametrize("position", [0, 5000, len(IMAGE) - 1])
def test_an_altered_byte(position: int) -> None:
    altered = bytearray(IMAGE)
    altered[position] ^= 1
    with pytest.raises(DigestError) as caught:
        _feed(Listed().entry(), bytes(altered)).finish()
    assert caught.value.listed == Listed().sha256
    assert caught.value.computed == hashlib.sha256(altered).hexdigest()


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_one_of_two_hashes_wrong(algorithm: str) -> None:
    hashes = dict(Listed().entry().hashes)
    hashes[algorithm] = "0" * len(hashes[algorithm])
    with pytest.raises(DigestError) as caught:
        _feed(ImageEntry(PATH, len(IMAGE), hashes), IMAGE).finish()
    assert caught.value.algorithm == algorithm


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "x-new", "shake_128", "blake2b"])
def test_a_hash_that_cannot_be_checked_is_not_passed_over(algorithm: str) -> None:
    hashes = {**Listed().entry().hashes, algorithm: "00" * 16}
    with pytest.raises(UnknownHashError) as caught:
        ImageVerifier(ImageEntry(PATH, len(IMAGE), hashes))
    assert caught.value.algorithm == algorithm


ECU = Ecu(ecu=EcuId("ecu-brake"), hardware_id=HardwareId("brake-7"), accepts=("brake/*",))
KIND = frozenset([HardwareId("brake-7")])


def _entry(path: str = PATH, counter: int | None = 3, kinds: frozenset[HardwareId] | None = KIND) -> ImageEntry:
    return ImageEntry(TargetPath(path), 1, {"sha256": "0" * 64}, release_counter=counter, hardware_ids=kinds)


def _installed(counter: int | None) -> InstalledImage:
    return InstalledImage(path=PATH, length=1, hashes={"sha256": "1" * 64}, release_counter=counter)


@pytest.mark.parametrize("counter", [None, 0, 2, 3])
def test_an_entry_at_or_above_the_installed_counter(counter: int | None) -> None:
    check_entry(_entry(), ECU, _installed(counter))
    check_entry(_entry(), ECU, None)


def test_an_entry_below_the_installed_counter() -> None:
    with pytest.raises(ReleaseCounterError) as caught:
        check_entry(_entry(), ECU, _installed(4))
    assert (caught.value.ecu, caught.value.target, caught.value.offered, caught.value.installed) == (
        "ecu-brake",
        PATH,
        3,
        4,
    )


def test_a_lower_counter_is_refused_by_the_lax_policy_too() -> None:
    with pytest.raises(ReleaseCounterError):
        check_entry(_entry(), ECU, _installed(4), policy=LAX)


@pytest.mark.parametrize("policy", [STRICT, LAX], ids=["strict", "lax"])
def test_other_hardware(policy: Policy) -> None:
    entry = _entry(kinds=frozenset([HardwareId("brake-8"), HardwareId("brake-70")]))
    with pytest.raises(HardwareError) as caught:
        check_entry(entry, ECU, None, policy=policy)
    assert caught.value.listed == ("brake-70", "brake-8")


@pytest.mark.parametrize(
    "path", ["gearbox/x.bin", "brake/a/b.bin", "brake", "BRAKE/x.bin"], ids=["other", "deeper", "folder", "case"]
)
def test_a_name_that_the_ecu_does_not_accept(path: str) -> None:
    with pytest.raises(TargetNotAcceptedError) as caught:
        check_entry(_entry(path), ECU, None)
    assert (caught.value.ecu, caught.value.target, caught.value.accepted) == ("ecu-brake", path, ("brake/*",))


def test_fields_that_strict_verification_requires() -> None:
    for field, entry in (("releaseCounter", _entry(counter=None)), ("hardwareIds", _entry(kinds=None))):
        with pytest.raises(CustomFieldError) as caught:
            check_entry(entry, ECU, None)
        assert caught.value.field == field
        check_entry(entry, ECU, _installed(3), policy=LAX)
