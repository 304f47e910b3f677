"""The aktualizr profile under every attack there is: the whole catalogue once more in that form, and what is its own.

The client of that name checks less than we do (it follows an older Snapshot, an older Targets file, a role that vanished, one
version with two contents); reading its form must not make us do the same.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.attacks.catalogue import every_scenario
from tests.simulator.hands import at, delegation, offer, replace
from tests.simulator.moves import ALL, both_repositories
from tests.simulator.scenario import (
    EVERYWHERE,
    ONLINE,
    REPOSITORIES,
    Accepted,
    Decorator,
    Refused,
    Scenario,
    accepted,
    before,
    family,
    play,
    refused,
    scenario,
    seasoned,
)
from twinlock.testing.simulator.repository import RepositorySimulator, sha256
from twinlock.testing.simulator.world import BRAKE, World
from twinlock.trust.errors.images import ImageNotFoundError, RepositoryMismatchError
from twinlock.trust.errors.metadata import (
    ExpiredError,
    LimitError,
    MalformedError,
    MixAndMatchError,
    OtherChainError,
    RollbackError,
    ThresholdError,
)

INDEXED = [("director", "targets"), ("image", "targets"), ("image", "acme")]


FEW = [("director", "root"), ("director", "timestamp"), ("image", "targets"), ("image", "acme")]


def _here(**options: Any) -> Decorator:
    return scenario("aktualizr", wire="aktualizr", **options)


@_here(undo=False, cycles=True)
def a_release(world: World) -> Accepted:
    """A release at both repositories, through a delegated role."""
    assert world.releases == 3
    return accepted(*ALL)


@_here(undo=False)
def rsa_keys(world: World) -> Accepted:
    """Every role that Root names signs with an RSA key."""
    for name, repository in world.repositories.items():
        outgoing = repository.signers["root"]
        for role in ("root", "timestamp", "snapshot", "targets"):
            repository.set_keys(role, [world.keys(f"{name}-{role}-rsa", "rsa")])
        repository.publish_root(outgoing)
        repository.publish("targets")
    return accepted(*ALL)


@_here(each=REPOSITORIES)
def other_spelling_under_digests_of_the_canonical_form(world: World, name: str) -> Accepted:
    """Indented files, each listed by length as served and by digests of its canonical form."""
    repository = world.repositories[name]
    for role in ("targets", "snapshot", "timestamp"):
        compact = repository.seal(repository.bodies[role], repository.signers[role])
        served = repository.seal(repository.bodies[role], repository.signers[role], indent=3)
        repository.put(role, data=served)
        _list(repository, role, length=len(served), digest=sha256(compact))
    return accepted(*ALL)


@_here(each=REPOSITORIES, fixture=False)
def other_spelling_longer_than_listed(world: World, name: str) -> Refused:
    """Digests of the canonical form, and more bytes served than the Timestamp allows for."""
    repository = world.repositories[name]
    served = repository.seal(repository.bodies["snapshot"], repository.signers["snapshot"], indent=3)
    listed = repository.bodies["timestamp"]["meta"]["snapshot.json"]["length"]
    repository.put("snapshot", data=served)
    repository.careless_driver = True
    return refused(LimitError, before((name, "snapshot")), value=len(served), limit=listed).under(
        "Uptane 2.1.0 5.4.4.5"
    )


@_here(each=REPOSITORIES)
def snapshot_of_the_listed_length_only(world: World, name: str) -> Refused:
    """A rightly signed Snapshot of the listed version and length, whose digest is another one in every spelling."""
    repository = world.repositories[name]
    repository.bodies["snapshot"]["x-other"] = 1
    repository.put("snapshot")
    repository.index("snapshot")
    repository.bodies["snapshot"]["x-other"] = 2
    repository.put("timestamp")
    repository.put("snapshot")
    return refused(
        MixAndMatchError, before((name, "snapshot")), repository=name, role="snapshot", field="hashes.sha256"
    )


@_here(each=INDEXED)
def targets_of_the_listed_version_only(world: World, *place: str) -> Refused:
    """Snapshot states a digest, and a rightly signed Targets file of that version with another content is served."""
    name, role = place
    repository = at(world, (name, role))
    _list(repository, role, length=10**6, digest=sha256(repository.files[repository.current(role)]))
    repository.reindex_listed()
    repository.bodies[role]["x-other"] = 1
    repository.put(role)
    return refused(MixAndMatchError, before((name, role)), repository=name, role=role, field="hashes.sha256")


@_here(each=INDEXED)
def targets_rolled_back_under_a_snapshot_with_digests(world: World, *place: str) -> Refused:
    """With digests in Snapshot the client compares no versions; the attacker holds the Snapshot and Timestamp keys."""
    name, role = place
    repository = at(world, (name, role))
    trusted = repository.bodies[role]["version"] - 1
    repository.bodies[role]["version"] = trusted - 1
    data = repository.rewind(role, 2)
    repository.index(role)
    _list(repository, role, length=len(data), digest=sha256(data))
    repository.reindex_listed()
    fields = {"repository": name, "role": role, "offered": trusted - 1, "trusted": trusted}
    return refused(RollbackError, before((name, "snapshot")), **fields).under("Uptane 2.1.0 5.4.4.5")


@_here(each=REPOSITORIES)
def timestamp_without_length(world: World, name: str) -> Refused:
    """Version, length and digest of the Snapshot are all required."""
    repository = world.repositories[name]
    del repository.bodies["timestamp"]["meta"]["snapshot.json"]["length"]
    repository.put("timestamp")
    path = "$.signed.meta.snapshot.json"
    return refused(MalformedError, before((name, "timestamp")), json_path=path)


@_here(each=REPOSITORIES)
def timestamp_with_strange_digests_only(world: World, name: str) -> Refused:
    """Digests of unknown algorithms are passed over, and one has to be left."""
    repository = world.repositories[name]
    repository.bodies["timestamp"]["meta"]["snapshot.json"]["hashes"] = {"x-new": "00"}
    repository.put("timestamp")
    path = "$.signed.meta.snapshot.json.hashes"
    return refused(MalformedError, before((name, "timestamp")), json_path=path)


@_here(each=EVERYWHERE, fixture=FEW)
def signatures_in_hexadecimal(world: World, *place: str) -> Refused:
    """The signatures of the other profile: their digits are base64 too, and nothing that verifies."""
    repository = offer(world, (place[0], place[1]))
    role = place[1]
    key, payload = repository.signers[role][0], repository.payload(repository.bodies[role])
    signature = {"keyid": key.keyid, "method": "ed25519", "sig": key.sign(payload).hex()}
    replace(world, (place[0], role), _file(signature, payload))
    return refused(ThresholdError, before((place[0], role)), repository=place[0], role=role, invalid=(key.keyid,))


@_here(each=EVERYWHERE, fixture=FEW)
def no_method(world: World, *place: str) -> Refused:
    """A right signature that does not say by which method it was made."""
    return _other_signature(world, place, method=None)


@_here(each=EVERYWHERE, fixture=FEW)
def unknown_method(world: World, *place: str) -> Refused:
    """A right signature that says to be of a method that nobody has."""
    return _other_signature(world, place, method="ecdsa")


@_here(each=EVERYWHERE, fixture=FEW)
def signed_in_the_other_canonical_form(world: World, *place: str) -> Refused:
    """The right key signed the OLPC form of a body that holds what the two forms write differently."""
    repository = offer(world, (place[0], place[1]))
    role = place[1]
    body = repository.wire.dress(repository.bodies[role], orders=repository.orders) | {"x-note": "two\nlines"}
    key = repository.signers[role][0]
    from twinlock.testing.simulator.keys import canonical

    signature = repository.wire.signature(key, canonical(body))
    replace(world, (place[0], role), _file(signature, repository.wire.payload(body)))
    return refused(ThresholdError, before((place[0], role)), repository=place[0], role=role, invalid=(key.keyid,))


@_here(each=ONLINE, fixture=FEW)
def type_in_lower_case(world: World, *place: str) -> Refused:
    """The right keys signed a file whose type is spelt as in the other profile, which Root alone may have."""
    repository = offer(world, (place[0], place[1]))
    role = place[1]
    signed = repository.wire.dress(repository.bodies[role], orders=repository.orders)
    signed["_type"] = signed["_type"].lower()
    data = repository.wire.enclose(repository.wire.payload(signed), repository.signers[role])
    replace(world, (place[0], role), data)
    return refused(MalformedError, before((place[0], role)), json_path="$.signed._type")


@_here(each=["*", "*.bin", "brake*", "?rake?brake-3.bin", "*brake-3.bin"])
def pattern_that_crosses_slashes(world: World, pattern: str) -> Accepted:
    """A star or a question mark of these patterns fits a slash, so this role has a say on the image."""
    delegation(world.image, "acme")["paths"] = [pattern]
    world.image.put("targets")
    return accepted(*ALL)


@_here(each=["brake", "brake/", "Brake/*", "*.hex"])
def pattern_that_does_not_fit_here_either(world: World, pattern: str) -> Refused:
    """A folder's name is no pattern for what is in it, and case counts."""
    delegation(world.image, "acme")["paths"] = [pattern]
    world.image.put("targets")
    return refused(ImageNotFoundError, both_repositories(), target=BRAKE.path(3), repository="image")


@_here(each=["brake/\\*", "brake/[^a]*", "brake/[[:alpha:]]*"])
def pattern_that_readers_understand_differently(world: World, pattern: str) -> Refused:
    """A pattern of which the client makes something else than we would: neither reading is taken."""
    delegation(world.image, "acme")["paths"] = [pattern]
    world.image.put("targets")
    stored = both_repositories()[:-1]
    return refused(MalformedError, stored, json_path="$.signed.delegations.roles[0].paths[0]")


@_here()
def digests_of_names_cover_nothing(world: World) -> Refused:
    """A delegation by digests of names, which the client takes for one without patterns."""
    entry = delegation(world.image, "acme")
    del entry["paths"]
    entry["path_hash_prefixes"] = [""]
    world.image.put("targets")
    return refused(ImageNotFoundError, both_repositories(), target=BRAKE.path(3), repository="image")


@_here(each=["Targets", "ROOT", "Snapshot"])
def role_named_like_a_top_level_one(world: World, role: str) -> Refused:
    """A delegated role with the name of a top-level one, spelt differently."""
    world.image.delegate("targets", role, ["brake/*"])
    world.image.put("targets")
    path = "$.signed.delegations.roles[1].name"
    return refused(MalformedError, both_repositories()[:-1], json_path=path)


@_here()
def threshold_beyond_reason(world: World) -> Refused:
    """A threshold that the client calls illegal."""
    delegation(world.image, "acme")["threshold"] = 1_001
    world.image.put("targets")
    path = "$.signed.delegations.roles[0].threshold"
    return refused(MalformedError, both_repositories()[:-1], json_path=path)


@_here()
def other_content_above_the_delegation(world: World) -> Refused:
    """Top-level Targets list the image with another content. The client would search on and find the supplier's."""
    listed = world.image.bodies["acme"]["targets"][BRAKE.path(3)]
    other = json.loads(json.dumps(listed)) | {"hashes": {"sha256": "1" * 64}}
    world.image.bodies["targets"]["targets"][BRAKE.path(3)] = other
    world.image.put("targets")
    fields = {"target": BRAKE.path(3), "repository": "image", "field": "hashes.sha256"}
    return refused(RepositoryMismatchError, both_repositories(), **fields)


@_here()
def expired_delegation_is_not_skipped(world: World) -> Refused:
    """The supplier's file has expired, and a later delegation would answer. The client passes over the first in silence."""
    world.image.bodies["acme"]["expires"] = "2030-01-01T00:00:01Z"
    world.image.bodies["acme"]["issued"] = "2030-01-01T00:00:00Z"
    world.image.put("acme")
    world.image.delegate("targets", "second", ["brake/*"])
    world.image.bodies["second"]["targets"] = dict(world.image.bodies["acme"]["targets"])
    world.image.publish("second", "targets")
    return refused(ExpiredError, both_repositories(), repository="image", role="acme")


@_here()
def deeper_than_anybody_delegates(world: World) -> Refused:
    """Forty tiers of suppliers. The client stops at five and calls the image not found; we say why we stopped."""
    image, above = world.image, "targets"
    image.bodies["targets"]["delegations"] = {"keys": {}, "roles": []}
    tiers = [f"tier-{number}" for number in range(40)]
    for tier in tiers:
        image.delegate(above, tier, ["*"])
        above = tier
    image.publish(*reversed(tiers), "targets")
    stored = [*both_repositories(), *(f"image/{tier}" for tier in tiers[:32])]
    return refused(LimitError, stored, value=33, limit=32).under("Uptane 2.1.0 5.4.4.7")


@_here(each=REPOSITORIES)
def next_root_of_the_chain_of_the_other_profile(world: World, name: str) -> Refused:
    """A Root of the tuf chain by the same Root keys, its signatures spelt as here: nobody needs a key for that."""
    repository = world.repositories[name]
    body = {**repository.wire.dress({**repository.bodies["root"], "version": 2}), "_type": "root"}
    repository.files["2.root.json"] = repository.wire.enclose(repository.wire.payload(body), repository.signers["root"])
    return refused(OtherChainError, before((name, "root")), repository=name, offered=2, found="root", expected="Root")


@_here(each=REPOSITORIES)
def next_root_of_another_chain_with_keys_of_its_own(world: World, name: str) -> Refused:
    """The same where the two chains have Root keys of their own, as they should: no signature fits."""
    repository, other = world.repositories[name], world.keys(f"{name}-tuf-root")
    body = {**repository.wire.dress({**repository.bodies["root"], "version": 2}), "_type": "root"}
    repository.files["2.root.json"] = repository.wire.enclose(repository.wire.payload(body), [other])
    fields = {"repository": name, "role": "root", "valid": 0, "unknown": (other.keyid,)}
    return refused(ThresholdError, before((name, "root")), **fields)


def _root_rotated(world: World) -> None:
    seasoned(world)
    world.update()
    for repository in world.repositories.values():
        repository.rotate("root")
    world.pass_time(hours=1)


@_here(prepare=_root_rotated, each=REPOSITORIES)
def older_publication_after_a_root_rotation(world: World, name: str) -> Refused:
    """The client forgets every version with each new Root. We do so only when the keys of Timestamp or Snapshot change."""
    world.vehicle.installed.clear()
    world.repositories[name].rewind_all(2)
    stored = ["director/2.root"]
    if name == "image":
        stored += ["director/timestamp", "director/snapshot", "image/2.root"]
    return refused(RollbackError, stored, repository=name, role="timestamp", offered=3, trusted=4)


def _other_signature(world: World, place: tuple[str, ...], *, method: str | None) -> Refused:
    repository = offer(world, (place[0], place[1]))
    role = place[1]
    payload = repository.payload(repository.bodies[role])
    signature = repository.wire.signature(repository.signers[role][0], payload) | {"method": method}
    if method is None:
        del signature["method"]
    replace(world, (place[0], role), _file(signature, payload))
    return refused(ThresholdError, before((place[0], role)), repository=place[0], role=role, valid=0)


def _file(signature: dict[str, Any], payload: bytes) -> bytes:
    return b'{"signatures":[' + json.dumps(signature).encode() + b'],"signed":' + payload + b"}"


def _list(repository: RepositorySimulator, role: str, *, length: int, digest: str) -> None:
    """Index a file that is on offer by its version, this length and this digest."""
    info = {"version": repository.bodies[role]["version"], "length": length, "hashes": {"sha256": digest}}
    if role != "timestamp":
        repository.bodies["timestamp" if role == "snapshot" else "snapshot"]["meta"][f"{role}.json"] = info


# By name: what this form cannot say, or says otherwise, and why. Its own scenarios tell what holds instead.
OTHERWISE = {
    "*--*bins*": "it has no hash bins",
    "delegations--bin-*": "it has no hash bins",
    "delegations--entry-in-the-wrong-bin": "it has no hash bins",
    "delegations--hash-prefixes-true": "a delegation by digests of names covers nothing",
    "delegations--both-kinds-of-path": "digests of names are an unknown member, and passed over",
    "delegations--pattern-that-does-not-fit-*": "stars and question marks of its patterns fit a slash",
    "multi-role--*": "it has no delegations to several roles that have to agree",
    "malformed--other-major-specification-*": "it states no version of a specification, and one that is there means nothing",
    "mix-and-match--*-shorter-than-listed-*": "a length is a bound, since digests may be of another spelling",
    "mix-and-match--*-with-another-hash-*": "digests are of the canonical form, so another spelling is the same file",
    "mix-and-match--listed-by-an-unknown-hash-only-*": "digests of unknown algorithms are passed over where they are read",
    "mix-and-match--timestamp-that-lists-no-hash-*": "the digest is a required member, and refused where it is missing",
    "agility--upper-case-digits-*": "its signatures are base64, in which case matters",
    "malformed--root-says-that-file-names-hold-no-version-*": "it has no such member, and its names hold no versions",
    "agility--a-key-of-another-supplier-unknown-scheme": "its keys name no scheme",
    "post-quantum--a-root-without-it": "it has no ML-DSA keys",
    "post-quantum--one-of-each-kind-image-*": "it has no ML-DSA keys",
    "honest--other-keys-ecdsa-*": "it has no ECDSA keys",
}


def _otherwise(entry: Scenario) -> bool:
    return any(fnmatchcase(entry.name, pattern) for pattern in OTHERWISE)


ALL_FORMS = [entry for entry in every_scenario().values() if entry.wire is None]


@pytest.mark.parametrize("scenario", family("aktualizr"), ids=str)
def test_what_only_this_form_makes_possible(scenario: Scenario) -> None:
    play(scenario)


@pytest.mark.parametrize("scenario", [entry for entry in ALL_FORMS if not _otherwise(entry)], ids=str)
def test_every_attack_in_this_form(scenario: Scenario) -> None:
    play(scenario, wire="aktualizr")


@pytest.mark.parametrize("pattern", OTHERWISE)
def test_an_exception_is_one(pattern: str) -> None:
    excepted = [entry for entry in ALL_FORMS if fnmatchcase(entry.name, pattern)]
    differs = 0
    for entry in excepted:
        try:
            play(entry, wire="aktualizr")
        except Exception:  # noqa: BLE001 (whatever it is: the story does not hold in this form)
            differs += 1
    assert differs


def test_most_attacks_are_played_in_both_forms() -> None:
    played = sum(not _otherwise(entry) for entry in ALL_FORMS)
    assert played >= 0.85 * len(ALL_FORMS)
