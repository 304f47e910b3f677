"""Uptane 2.1.0 5.2 and 5.2.1: what every role's file has to be, each member taken away or deformed in turn."""

from __future__ import annotations

import copy
import unicodedata
from typing import Any

import pytest

from tests.conformance.worlds import refused, seasoned_world, sign_deformed, stored, with_value, without
from tests.simulator.hands import deform, offer, replace
from tests.simulator.moves import nest
from tests.simulator.scenario import EVERYWHERE
from twinlock.testing.simulator.repository import seal
from twinlock.testing.simulator.world import ADAS, BRAKE, World
from twinlock.trust.errors.images import CustomFieldError, ImageNotFoundError
from twinlock.trust.errors.metadata import MalformedError, ThresholdError, UnsafePathError
from twinlock.trust.keys.public_keys import load_key
from twinlock.trust.keys.signatures import RoleKeys, Signature, count_signers
from twinlock.trust.names import target_path
from twinlock.trust.wire.json.parser import parse_json

everywhere = pytest.mark.parametrize("place", EVERYWHERE, ids="-".join)
BODY = {"root": ("keys", "roles"), "timestamp": ("meta",), "snapshot": ("meta",), "targets": ("targets",)}


def refused_at(place: tuple[str, str], path: str, change: Any) -> None:
    """A file whose rightly signed body was changed is refused at ``path``, and is not stored."""
    world = seasoned_world()
    before = stored(world, place)
    sign_deformed(world, place, change)
    error = refused(world, MalformedError)
    assert error.json_path == path
    assert stored(world, place) == before


def refused_envelope(place: tuple[str, str], path: str, change: Any) -> None:
    world = seasoned_world()
    offer(world, place)
    before = stored(world, place)
    deform(world, place, change)
    assert refused(world, MalformedError).json_path == path
    assert stored(world, place) == before


@everywhere
def test_the_signed_part_is_required(place: tuple[str, str]) -> None:
    refused_envelope(place, "$", lambda envelope: envelope.pop("signed"))


@everywhere
def test_the_signatures_are_required(place: tuple[str, str]) -> None:
    refused_envelope(place, "$", lambda envelope: envelope.pop("signatures"))


@everywhere
@pytest.mark.parametrize("member", ["keyid", "sig"])
def test_a_signature_names_its_key_and_has_a_value(place: tuple[str, str], member: str) -> None:
    world = seasoned_world()
    offer(world, place)
    deform(world, place, lambda envelope: envelope["signatures"][0].pop(member))
    refused(world, ThresholdError, repository=place[0], role=place[1], valid=0, signed=())


@everywhere
def test_a_signature_without_the_key_s_identifier_does_not_count(place: tuple[str, str]) -> None:
    world = seasoned_world()
    offer(world, place)
    deform(world, place, lambda envelope: envelope["signatures"][0].update(keyid=""))
    refused(world, ThresholdError, repository=place[0], role=place[1], valid=0, unknown=("",))


@everywhere
@pytest.mark.parametrize("value", ["3", True, 0, -1, 2**63, None, [3]], ids=str)
def test_the_version_is_an_integer_from_one(place: tuple[str, str], value: object) -> None:
    # The file is offered under its right name; only what it says of itself is wrong.
    world = seasoned_world()
    repository = offer(world, place)
    before = stored(world, place)
    body = repository.bodies[place[1]] | {"version": value}
    replace(world, place, seal(body, repository.signers[place[1]]))
    assert refused(world, MalformedError).json_path == "$.signed.version"
    assert stored(world, place) == before


@everywhere
@pytest.mark.parametrize(
    "value",
    ["2031-01-01", "2031-01-01T00:00:00", "2031-01-01T00:00:00+01:00", "2031-02-30T00:00:00Z", 7, None],
    ids=str,
)
def test_the_expiry_is_a_utc_time(place: tuple[str, str], value: object) -> None:
    refused_at(place, "$.signed.expires", with_value(value, "expires"))


@everywhere
@pytest.mark.parametrize("member", ["_type", "expires"])
def test_the_common_members_are_required(place: tuple[str, str], member: str) -> None:
    refused_at(place, "$.signed", without(member))


@everywhere
def test_the_version_is_required(place: tuple[str, str]) -> None:
    world = seasoned_world()
    repository = offer(world, place)
    body = {name: value for name, value in repository.bodies[place[1]].items() if name != "version"}
    replace(world, place, seal(body, repository.signers[place[1]]))
    assert refused(world, MalformedError).json_path == "$.signed"


@everywhere
def test_the_body_of_the_role_is_required(place: tuple[str, str]) -> None:
    for member in BODY.get(place[1], BODY["targets"]):
        world = seasoned_world()
        repository = offer(world, place)
        body = {name: value for name, value in repository.bodies[place[1]].items() if name != member}
        replace(world, place, seal(body, repository.signers[place[1]]))
        assert refused(world, MalformedError).json_path == "$.signed"


@pytest.mark.parametrize("member", ["_type", "version", "expires", "targets"])
def test_a_delegated_file_of_the_second_level_has_the_same_structure(member: str) -> None:
    world = seasoned_world()
    nest(world, "tier-1", "tier-2")
    world.image.publish("tier-1", "tier-2", "targets")
    body = copy.deepcopy(world.image.bodies["tier-2"])
    del body[member]
    replace(world, ("image", "tier-2"), seal(body, world.image.signers["tier-2"]))
    assert refused(world, MalformedError).what == "image/tier-2"


@pytest.mark.parametrize(
    ("kind", "scheme"),
    [("rsa", "rsassa-pss-sha512"), ("rsa", "rsassa-pss-sha384")],
)
def test_a_key_with_another_scheme_is_another_key(kind: str, scheme: str) -> None:
    """Uptane 2.1.0 5.2.1: value, algorithm and scheme together are what an identifier stands for."""
    key = World().keys("scheme", kind)
    message = b"TEST message"
    signatures = [Signature(key.public_key.keyid, key.sign(message))]
    role = RoleKeys((key.public_key.keyid,), 1)
    assert count_signers(message, signatures, {key.public_key.keyid: key.public_key}, role).met
    other = load_key(key.keyid, keytype="rsa", scheme=scheme, public=key.public["keyval"]["public"])
    assert not count_signers(message, signatures, {other.keyid: other}, role).met


@pytest.mark.parametrize(
    "data",
    [b'{"a": "\xff"}', b'\xef\xbb\xbf{"a": 1}', b'{"a": "\x01"}', b'{"a": "\\ud800"}', b'{"a": 1, "a": 2}'],
    ids=["not UTF-8", "byte order mark", "control character", "half a character", "twice"],
)
def test_text_is_unicode_for_networks(data: bytes) -> None:
    """RFC 5198."""
    with pytest.raises(MalformedError):
        parse_json(data, "file")


@pytest.mark.parametrize("text", ["a\x07b", "a\x7fb", "a\x85b", "a\x00b", "a\nb", ""], ids=ascii)
def test_names_hold_no_control_characters(text: str) -> None:
    with pytest.raises(UnsafePathError):
        target_path(text)


def test_two_spellings_are_never_two_images() -> None:
    """The Director orders the name in normal form D; the file is refused, not compared with another spelling."""
    decomposed = unicodedata.normalize("NFD", "adas/caf\u00e9.bin")
    with pytest.raises(UnsafePathError, match="normal form"):
        target_path(decomposed)
    world = seasoned_world()
    images = world.director.bodies["targets"]["targets"]
    images[decomposed] = images.pop(ADAS.path(3))
    world.director.put("targets")
    refused(world, UnsafePathError)


def test_identifiers_are_in_normal_form_too() -> None:
    world = seasoned_world()
    order = world.director.bodies["targets"]["targets"][BRAKE.path(3)]
    order["custom"]["ecuIdentifiers"] = {"ecu-cafe\u0301": {"hardwareId": BRAKE.hardware_id}}
    world.director.put("targets")
    refused(world, MalformedError)


def test_any_text_is_in_normal_form() -> None:
    world = seasoned_world()
    sign_deformed(world, ("director", "targets"), with_value("urn:caf" + "e\u0301", "custom", "correlationId"))
    assert refused(world, MalformedError).json_path == "$.signed.custom.correlationId"


def test_names_are_compared_exactly() -> None:
    """Uptane 2.1.0 5.4.4.2 step 10.1: precisely the same name; each of these is another one, or none at all."""
    for name in ("adas/ADAS-3.bin", "adas/adas-3.BIN", "Adas/adas-3.bin", "adas/adas-3.bin2", "adas3/adas-3.bin"):
        world = seasoned_world()
        images = world.director.bodies["targets"]["targets"]
        images[name] = images.pop(ADAS.path(3))
        world.director.put("targets")
        refused(world, ImageNotFoundError, target=name)
    for name in ("/adas/adas-3.bin", "./adas/adas-3.bin", "adas/adas-3.bin ", "adas//adas-3.bin"):
        world = seasoned_world()
        images = world.director.bodies["targets"]["targets"]
        images[name] = images.pop(ADAS.path(3))
        world.director.put("targets")
        refused(world, UnsafePathError)


def test_extra_members_survive_and_stay_signed() -> None:
    """Uptane 2.1.0 5.2.3: more may be said; whatever is said is under the signature."""
    world = seasoned_world()
    order = world.director.bodies["targets"]["targets"][ADAS.path(3)]
    order["custom"]["x-note"] = {"nested": ["anything", 1, True]}
    world.director.put("targets")
    decision = world.vehicle.update()
    entry = next(image.entry for image in decision.approved if image.ecu == ADAS.ecu)
    assert entry.custom["x-note"] == {"nested": ["anything", 1, True]}
    world = seasoned_world()
    deform(world, ("director", "targets"), lambda file: file["signed"]["targets"][ADAS.path(3)]["custom"].update(x=1))
    refused(world, ThresholdError)


def test_the_entry_of_an_order_names_its_ecu() -> None:
    world = seasoned_world()
    del world.director.bodies["targets"]["targets"][ADAS.path(3)]["custom"]["ecuIdentifiers"]
    world.director.put("targets")
    refused(world, CustomFieldError, field="ecuIdentifiers", target=ADAS.path(3))
