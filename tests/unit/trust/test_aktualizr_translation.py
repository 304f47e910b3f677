"""One authoring, two encodings: what is translated says the same, field by field, and what the client could not read is named."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable
from typing import Any

import pytest

from twinlock.testing.simulator.keys import JSON, Key, KeyPool
from twinlock.testing.simulator.wires import AKTUALIZR_WIRE
from twinlock.testing.simulator.world import ADAS, PARTS, World
from twinlock.trust.engine.restore import restore_repository
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.base import FileInfo
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from twinlock.trust.wire.aktualizr import encode, form
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.tuf.metadata import TUF

KEYS = KeyPool()


def sealed(signed: JSON, signers: Iterable[Key]) -> bytes:
    payload = form.encode_canonical(signed)
    signatures = [form.encode_signature(key.keyid, key.public["scheme"], key.sign(payload)) for key in signers]
    return form.encode_envelope(signed, signatures)


def translated(world: World, name: str) -> dict[str, bytes]:
    """Every current file of a repository in the other form, by role."""
    repository = world.repositories[name]
    bodies, signers = repository.bodies, repository.signers
    found = {"root": sealed(encode.translate_root(bodies["root"]), signers["root"])}
    for role in bodies.keys() - {"root", "snapshot", "timestamp"}:
        director = name == "director"
        made = (
            encode.translate_director_targets(bodies[role])
            if director
            else encode.translate_targets(role, bodies[role])
        )
        found[role] = sealed(made, signers[role])
    found["snapshot"] = sealed(encode.translate_snapshot(bodies["snapshot"]), signers["snapshot"])
    timestamp = encode.translate_timestamp(bodies["timestamp"], found["snapshot"])
    return found | {"timestamp": sealed(timestamp, signers["timestamp"])}


@pytest.fixture
def world() -> World:
    made = World()
    made.image.delegate("acme", "acme/tier-2", ["brake/inner/*"], terminating=True)
    made.image.add_image("brake/inner/a.bin", b"x", role="acme/tier-2", hardwareIds=["brake-7"])
    made.image.publish("acme/tier-2", "acme", "targets")
    made.director.bodies["targets"]["targets"][ADAS.path(1)]["custom"]["downloadUrl"] = "https://cdn.test/a"
    made.director.publish("targets")
    return made


@pytest.mark.parametrize("name", ["director", "image"])
def test_root_says_the_same(world: World, name: str) -> None:
    ours = TUF.decode_root(world.repositories[name].files["1.root.json"], "x", DEFAULT_LIMITS).signed
    theirs = AKTUALIZR.decode_root(translated(world, name)["root"], "x", DEFAULT_LIMITS).signed
    assert theirs == ours._replace(written_type="Root")


@pytest.mark.parametrize(
    ("name", "role"), [("director", "targets"), ("image", "targets"), ("image", "acme"), ("image", "acme/tier-2")]
)
def test_targets_say_the_same(world: World, name: str, role: str) -> None:
    repository = world.repositories[name]
    ours = TUF.decode_targets(repository.files[repository.current(role)], "x", DEFAULT_LIMITS).signed
    theirs = AKTUALIZR.decode_targets(translated(world, name)[role], "x", DEFAULT_LIMITS).signed
    assert theirs._replace(images={}, delegations=None) == ours._replace(images={}, delegations=None)
    assert set(theirs.images) == set(ours.images)
    for path, entry in ours.images.items():
        assert theirs.images[path]._replace(custom={}) == entry._replace(custom={})
    if ours.delegations is not None:
        assert theirs.delegations is not None
        assert theirs.delegations.keys == ours.delegations.keys
        assert theirs.delegations.entries == tuple(entry._replace(crossing=True) for entry in ours.delegations.entries)


@pytest.mark.parametrize("name", ["director", "image"])
def test_the_index_says_the_same_versions(world: World, name: str) -> None:
    repository, files = world.repositories[name], translated(world, name)
    ours = TUF.decode_snapshot(repository.files[repository.current("snapshot")], "x", DEFAULT_LIMITS).signed
    theirs = AKTUALIZR.decode_snapshot(files["snapshot"], "x", DEFAULT_LIMITS).signed
    assert theirs == ours._replace(
        targets={role: FileInfo(info.version, None, {}) for role, info in ours.targets.items()}
    )
    over_ours = TUF.decode_timestamp(repository.files["timestamp.json"], "x", DEFAULT_LIMITS).signed
    over_theirs = AKTUALIZR.decode_timestamp(files["timestamp"], "x", DEFAULT_LIMITS).signed
    listed = FileInfo(ours.version, len(files["snapshot"]), {"sha256": hashlib.sha256(files["snapshot"]).hexdigest()})
    assert over_theirs == over_ours._replace(snapshot=listed)


def test_a_vehicle_updates_from_what_was_translated(world: World) -> None:
    """Strict: nothing that our own checks want is lost on the way."""
    files = {name: translated(world, name) for name in world.repositories}
    assert all(data == form.encode_canonical(json.loads(data)) for found in files.values() for data in found.values())
    for name, repository in world.repositories.items():
        repository.files = {AKTUALIZR_WIRE.file_name(role, 1): data for role, data in files[name].items()}
        world.vehicle.stores[name].roots = {1: files[name]["root"]}
        world.vehicle.stores[name].wire = AKTUALIZR
    decision = world.update()
    assert {image.entry.path for image in decision.approved} == {part.path(1) for part in PARTS}
    assert decision.missing_guarantees == ()
    assert {image.entry.download_url for image in decision.approved} == {None, "https://cdn.test/a"}


def test_each_repository_of_a_vehicle_may_have_its_own_form() -> None:
    for director, image in (("tuf", "aktualizr"), ("aktualizr", "tuf")):
        world = World(director=director, image=image)
        assert {entry.entry.path for entry in world.update().approved} == {part.path(1) for part in PARTS}
        world.release()
        assert len(world.update().approved) == len(PARTS)


def test_the_files_of_one_form_are_not_the_others(world: World) -> None:
    roles = {ROOT: "root", TIMESTAMP: "timestamp", SNAPSHOT: "snapshot", TARGETS: "targets"}
    files = {role: translated(world, "image")[name] for role, name in roles.items()}
    with pytest.raises(MalformedError):
        restore_repository(IMAGE, files)
    assert restore_repository(IMAGE, files, wire=AKTUALIZR).timestamp is not None


# what entries become


def _entry(custom: JSON, **members: Any) -> JSON:
    hashes = {"sha256": "0" * 64, "sha512": "1" * 128, "sha384": "2" * 96}
    return {"length": 5, "hashes": hashes, "custom": custom} | members


def _targets(*entries: JSON, **members: Any) -> JSON:
    named = {f"a/{number}.bin": entry for number, entry in enumerate(entries)}
    return {"_type": "targets", "version": 1, "expires": "2030-01-01T00:00:00Z", "targets": named} | members


def test_an_image_entry() -> None:
    agreed = {"hardwareIds": ["b", "a"], "releaseCounter": 3}
    signed = _targets(_entry({"mustAgree": agreed, "name": "x", "downloadUrl": "https://x"}))
    before = copy.deepcopy(signed)
    (made,) = encode.translate_targets("targets", signed)["targets"].values()
    assert signed == before
    assert made["hashes"] == {"sha256": "0" * 64, "sha512": "1" * 128}
    assert made["custom"] == {
        "mustAgree": agreed,
        "name": "x",
        "hardwareIds": ["a", "b"],
        "targetFormat": "BINARY",
        "uri": "https://x",
    }


def test_an_order_has_no_hardware_ids_where_the_client_would_refuse_them() -> None:
    custom = {"ecuIdentifiers": {"e": {"hardwareId": "a"}}, "mustAgree": {"hardwareIds": ["a"]}, "hardwareIds": ["a"]}
    made = encode.translate_director_targets(
        _targets(_entry(custom), custom={"correlationId": "c", "vehicleIdentifier": "v"})
    )
    assert made["custom"] == {"correlationId": "c", "vehicleIdentifier": "v"}
    assert set(made["targets"]["a/0.bin"]["custom"]) == {"ecuIdentifiers", "mustAgree", "targetFormat"}


def test_a_root_under_another_number(world: World) -> None:
    body = world.image.bodies["root"]
    assert encode.translate_root(body, version=7)["version"] == 7
    assert encode.translate_root(body)["version"] == body["version"] == 1
    assert "custom" not in encode.translate_root(body)


def test_a_root_role_of_its_own(world: World) -> None:
    """The other roles, their keys and all else are those of the Root that is translated."""
    body = world.director.bodies["root"]
    before = copy.deepcopy(body)
    own = [KEYS("own-1"), KEYS("own-2", "rsa")]
    role: JSON = {"keyids": [key.keyid for key in own], "threshold": 2, "keys": {key.keyid: key.public for key in own}}
    made, shared = encode.translate_root(body, own_root=role), encode.translate_root(body)
    assert body == before
    assert made["roles"] == shared["roles"] | {"root": {"keyids": role["keyids"], "threshold": 2}}
    assert {name: made[name] for name in made.keys() - {"roles", "keys"}} == {
        name: shared[name] for name in shared.keys() - {"roles", "keys"}
    }
    others = {keyid for name in ("timestamp", "snapshot", "targets") for keyid in body["roles"][name]["keyids"]}
    kept = others | set(made["custom"]["timeSource"]["keyids"])
    assert made["keys"] == {keyid: shared["keys"][keyid] for keyid in kept} | {
        key.keyid: encode.translate_key(key.keyid, key.public) for key in own
    }
    named = {*others, *role["keyids"]}
    assert list(made["keys"])[: len(named)] == sorted(named)  # the same text each time
    decoded = AKTUALIZR.decode_root(sealed(made, own), "x", DEFAULT_LIMITS).signed
    assert decoded.roles[ROOT].keyids == tuple(role["keyids"])


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa-p256"])
def test_the_time_source_stays_if_it_can_be_read(world: World, kind: str) -> None:
    body = copy.deepcopy(world.director.bodies["root"])
    key = KEYS("time", kind)
    body["keys"][key.keyid] = key.public
    body["custom"]["timeSource"]["keyids"] = [key.keyid]
    made = encode.translate_root(body)
    assert (key.keyid in made["keys"]) == ("custom" in made) == (kind != "ecdsa-p256")
    AKTUALIZR.decode_root(sealed(made, world.director.signers["root"]), "x", DEFAULT_LIMITS)


# what the client could not read


def _key(kind: str, **changes: Any) -> JSON:
    return (
        {"keytype": KEYS("k", kind).public["keytype"], "scheme": KEYS("k", kind).public["scheme"]}
        | {"keyval": KEYS("k", kind).public["keyval"]}
        | changes
    )


def _rsa(bits: int) -> JSON:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=bits).public_key()
    public = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return {"keytype": "rsa", "scheme": "rsassa-pss-sha256", "keyval": {"public": public}}


def test_keys_that_can_be_read() -> None:
    for kind, written in (("ed25519", "ED25519"), ("rsa", "RSA")):
        assert encode.translate_key("k", _key(kind)) == {"keytype": written, "keyval": _key(kind)["keyval"]}


@pytest.mark.parametrize(
    ("key", "part"),
    [
        (_key("ecdsa-p256"), "type ecdsa"),
        (_key("ml-dsa-44"), "type ml-dsa"),
        (_key("rsa", scheme="rsassa-pss-sha512"), "rsassa-pss-sha512"),
        (_rsa(2560), "2560 bits"),
    ],
    ids=["ecdsa", "ml-dsa", "another digest", "another size"],
)
def test_keys_that_cannot(key: JSON, part: str) -> None:
    with pytest.raises(ProfileError) as caught:
        encode.translate_key("the-id", key)
    assert (caught.value.profile, caught.value.what) == ("aktualizr", "the-id")
    assert part in caught.value.reason


def _delegating(**members: Any) -> JSON:
    entry = {"name": "acme", "keyids": [], "threshold": 1, "paths": ["a/*"], "terminating": False} | members
    return _targets(
        delegations={"keys": {}, "roles": [{name: value for name, value in entry.items() if value is not ...}]}
    )


GOOD = {"hardwareIds": ["a"]}


@pytest.mark.parametrize(
    ("signed", "what", "part"),
    [
        (_targets(_entry({})), "a/0.bin", "no hardware ids"),
        (_targets(_entry({"hardwareIds": []})), "a/0.bin", "no hardware ids"),
        (_targets(_entry(GOOD | {"ecuIdentifiers": {"e": {}}})), "a/0.bin", "names ECUs"),
        (_targets(_entry(GOOD, hashes={"sha512": "1" * 128})), "a/0.bin", "SHA-256"),
        (_targets(delegations={"keys": {}, "succinct_roles": {"bit_length": 4}}), "targets", "hash bins"),
        (_targets(delegations={"keys": {}, "roles": [], "prioritized_delegations": [{}]}), "targets", "agree"),
        (_targets(delegations={"keys": {"k": _key("ecdsa-p256")}, "roles": []}), "k", "type ecdsa"),
        (_delegating(name="a b"), "a b", "ask for"),
        (_delegating(name="ROOT"), "ROOT", "ask for"),
        (_delegating(paths=..., path_hash_prefixes=["00"]), "acme", "digests of names"),
        (_delegating(paths=["a\\*"]), "acme", "pattern"),
        (_delegating(threshold=1_001), "acme", "threshold"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_targets_that_cannot_be_said(signed: JSON, what: str, part: str) -> None:
    with pytest.raises(ProfileError) as caught:
        encode.translate_targets("targets", signed)
    assert (caught.value.profile, caught.value.what) == ("aktualizr", what)
    assert part in caught.value.reason


def test_orders_that_cannot_be_said() -> None:
    custom = {"ecuIdentifiers": {"e": {"hardwareId": "a"}}}
    with pytest.raises(ProfileError) as caught:
        encode.translate_director_targets(_targets(_entry(custom, hashes={"sha512": "1" * 128}), custom={}))
    assert caught.value.what == "a/0.bin"


def test_roots_and_snapshots_that_cannot_be_said(world: World) -> None:
    body = copy.deepcopy(world.image.bodies["root"])
    body["roles"]["targets"]["threshold"] = 1_001
    with pytest.raises(ProfileError) as caught:
        encode.translate_root(body)
    assert (caught.value.what, caught.value.profile) == ("targets", "aktualizr")
    assert caught.value.reason == "a threshold above 1000 is not allowed"
    key = KEYS("k", "ecdsa-p256")
    world.image.set_keys("timestamp", [key])
    with pytest.raises(ProfileError) as caught:
        encode.translate_root(world.image.bodies["root"])
    assert caught.value.what == key.keyid
    snapshot = copy.deepcopy(world.image.bodies["snapshot"])
    snapshot["meta"]["a b.json"] = {"version": 1}
    with pytest.raises(ProfileError) as caught:
        encode.translate_snapshot(snapshot)
    assert (caught.value.what, caught.value.reason) == ("a b", "this client could not ask for a role of that name")


def test_sizes() -> None:
    assert encode.checked_size("x", b"12345", 5) == b"12345"
    with pytest.raises(ProfileError) as caught:
        encode.checked_size("targets", b"123456", 5)
    assert caught.value.what == "targets"
    assert "6 bytes" in caught.value.reason
    assert "5" in caught.value.reason
