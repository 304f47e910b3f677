"""Uptane 2.1.0 3.2.1 and 5.4.3.4: signatures and digests by known answers, and whether an ECU may take an image."""

from __future__ import annotations

import hashlib

import pytest

from tests.conformance.worlds import refused, seasoned_world
from twinlock.testing.simulator.keys import KINDS, make_key
from twinlock.testing.simulator.world import ADAS, BRAKE, GATEWAY
from twinlock.trust.checks.image import ImageVerifier, check_entry
from twinlock.trust.errors.images import (
    CustomFieldError,
    DigestError,
    EndlessDataError,
    HardwareError,
    LengthError,
    ReleaseCounterError,
    RepositoryMismatchError,
    TargetNotAcceptedError,
)
from twinlock.trust.keys.public_keys import load_key
from twinlock.trust.model.ecu import Ecu, InstalledImage
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import EcuId, HardwareId, TargetPath

# RFC 8032 7.1, TEST 2 and TEST 3: public key, message, signature.
ED25519 = [
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]
# FIPS 180-4, the message "abc".
DIGESTS = {
    "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "sha384": "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
    "sha512": "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
}
ENTRY = ImageEntry(
    TargetPath("brake/a.bin"),
    3,
    {"sha256": DIGESTS["sha256"]},
    release_counter=5,
    hardware_ids=frozenset({HardwareId("hw-1")}),
)


def an_ecu(hardware: str = "hw-1", accepts: tuple[str, ...] = ("brake/*",)) -> Ecu:
    """The ECU that the good entry is for, or another one."""
    return Ecu(ecu=EcuId("ecu-1"), hardware_id=HardwareId(hardware), accepts=accepts)


def with_entry(**changes: object) -> ImageEntry:
    """The good entry, changed."""
    fields = {name: getattr(ENTRY, name) for name in ("path", "length", "hashes", "release_counter", "hardware_ids")}
    return ImageEntry(**(fields | changes))


@pytest.mark.parametrize(("public", "message", "signature"), ED25519)
def test_a_known_signature_verifies_and_one_flipped_bit_does_not(public: str, message: str, signature: str) -> None:
    key = load_key("known", keytype="ed25519", scheme="ed25519", public=public)
    right = bytes.fromhex(signature)
    assert key.verifies(right, bytes.fromhex(message))
    for place in (0, 31, 32, 63):
        wrong = bytearray(right)
        wrong[place] ^= 1
        assert not key.verifies(bytes(wrong), bytes.fromhex(message))
    assert not key.verifies(right, bytes.fromhex(message) + b"\x00")


@pytest.mark.parametrize("kind", KINDS)
def test_every_scheme_that_is_offered_tells_right_from_wrong(kind: str) -> None:
    key = make_key("conformance", kind)
    message = b"TEST message"
    right = key.sign(message)
    assert key.public_key.verifies(right, message)
    wrong = bytearray(right)
    wrong[len(wrong) // 2] ^= 1
    assert not key.public_key.verifies(bytes(wrong), message)
    assert not key.public_key.verifies(right, b"TEST massage")
    assert not key.public_key.verifies(b"", message)


@pytest.mark.parametrize("algorithm", sorted(DIGESTS))
def test_a_known_digest_is_accepted_and_one_flipped_bit_is_not(algorithm: str) -> None:
    digest = DIGESTS[algorithm]
    assert hashlib.new(algorithm, b"abc").hexdigest() == digest
    feed(with_entry(hashes={algorithm: digest}), b"abc")
    flipped = f"{int(digest, 16) ^ 1:0{len(digest)}x}"
    with pytest.raises(DigestError):
        feed(with_entry(hashes={algorithm: flipped}), b"abc")


def feed(entry: ImageEntry, *chunks: bytes) -> None:
    """Check the bytes of an image as they come."""
    verifier = ImageVerifier(entry)
    for chunk in chunks:
        verifier.update(chunk)
    verifier.finish()


@pytest.mark.parametrize("wrong", ["sha256", "sha384", "sha512"])
def test_every_listed_digest_has_to_be_right(wrong: str) -> None:
    feed(with_entry(hashes=DIGESTS), b"a", b"bc")
    with pytest.raises(DigestError) as caught:
        feed(with_entry(hashes=DIGESTS | {wrong: "0" * len(DIGESTS[wrong])}), b"a", b"bc")
    assert caught.value.fields()["algorithm"] == wrong


def test_the_length_counts_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digests are forced to be right: too few and too many bytes are still refused."""

    class Forced:
        def update(self, _data: bytes) -> None:
            pass

        def hexdigest(self) -> str:
            return DIGESTS["sha256"]

    monkeypatch.setattr(hashlib, "new", lambda *_arguments: Forced())
    feed(ENTRY, b"abc")
    with pytest.raises(LengthError):
        feed(ENTRY, b"ab")
    with pytest.raises(EndlessDataError):
        feed(ENTRY, b"abcd")


def test_no_byte_beyond_the_length_is_taken() -> None:
    verifier = ImageVerifier(ENTRY)
    verifier.update(b"abc")
    with pytest.raises(EndlessDataError):
        verifier.update(b"d")
    assert verifier.received == 3


def test_the_entry_of_this_ecu_is_accepted() -> None:
    check_entry(ENTRY, an_ecu(), None)


def test_other_hardware_is_refused() -> None:
    with pytest.raises(HardwareError):
        check_entry(ENTRY, an_ecu("hw-2"), None)
    with pytest.raises(CustomFieldError):
        check_entry(with_entry(hardware_ids=None), an_ecu(), None)


@pytest.mark.parametrize(
    ("pattern", "accepted"),
    [
        ("brake/*", True),
        ("brake/a.bin", True),
        ("*/?.bin", True),
        ("*", False),
        ("brake/b*", False),
        ("BRAKE/*", False),
        ("gearbox/*", False),
    ],
)
def test_a_name_has_to_be_one_that_the_ecu_accepts(pattern: str, accepted: bool) -> None:
    ecu = an_ecu(accepts=("other/*", pattern))
    if accepted:
        check_entry(ENTRY, ecu, None)
    else:
        with pytest.raises(TargetNotAcceptedError):
            check_entry(ENTRY, ecu, None)


@pytest.mark.parametrize(("offered", "accepted"), [(4, False), (5, True), (6, True), (0, False)])
def test_a_release_counter_never_falls(offered: int, accepted: bool) -> None:
    installed = InstalledImage(
        path=TargetPath("brake/a.bin"), length=3, hashes={"sha256": "00" * 32}, release_counter=5
    )
    if accepted:
        check_entry(with_entry(release_counter=offered), an_ecu(), installed)
    else:
        with pytest.raises(ReleaseCounterError):
            check_entry(with_entry(release_counter=offered), an_ecu(), installed)


def test_an_entry_without_a_release_counter_is_refused() -> None:
    with pytest.raises(CustomFieldError):
        check_entry(with_entry(release_counter=None), an_ecu(), None)


def test_only_the_entry_of_this_ecu_counts() -> None:
    """Uptane 2.1.0 5.4.3.4 step 2: an order for another ECU is none for this one."""
    world = seasoned_world()
    world.director.withdraw(BRAKE.ecu)
    world.director.publish("targets")
    assert world.vehicle.partial_update(BRAKE.ecu).approved == ()
    assert [image.entry.path for image in world.vehicle.partial_update(ADAS.ecu).approved] == [ADAS.path(3)]


def test_the_newest_director_targets_decide() -> None:
    """Step 1: what was ordered before is not installed once it is no longer ordered."""
    world = seasoned_world()
    assert len(world.vehicle.update().approved) == 3
    world.director.withdraw(GATEWAY.ecu)
    world.director.publish("targets")
    assert {image.ecu for image in world.vehicle.update().approved} == {BRAKE.ecu, ADAS.ecu}


@pytest.mark.parametrize(
    ("field", "value"),
    [("releaseCounter", 99), ("hardwareIds", ["gw-1", ADAS.hardware_id]), ("anything", 1)],
    ids=["release counter", "hardware ids", "a field that nobody knows"],
)
def test_what_must_agree_is_compared(field: str, value: object) -> None:
    world = seasoned_world()
    world.director.bodies["targets"]["targets"][ADAS.path(3)]["custom"]["mustAgree"][field] = value
    world.director.put("targets")
    refused(world, RepositoryMismatchError, target=ADAS.path(3), field="mustAgree")


def test_what_need_not_agree_is_not_compared() -> None:
    world = seasoned_world()
    world.director.bodies["targets"]["targets"][ADAS.path(3)]["custom"]["note"] = "by the Director"
    world.director.put("targets")
    assert len(world.vehicle.update().approved) == 3


def test_a_download_url_of_the_director_changes_the_place_alone() -> None:
    world = seasoned_world()
    world.director.bodies["targets"]["targets"][ADAS.path(3)]["custom"]["downloadUrl"] = "https://cdn.test/a.bin"
    world.director.put("targets")
    entry = next(image.entry for image in world.vehicle.update().approved if image.ecu == ADAS.ecu)
    assert entry.download_url == "https://cdn.test/a.bin"
    feed(entry, ADAS.image(3))
    with pytest.raises(DigestError):
        feed(entry, ADAS.image(3)[:-1] + b"X")
