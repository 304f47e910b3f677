"""A search in a repository whose delegated files are stored: which are used as they are, asked for again, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.trust.places import Places
from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.world import START
from twinlock.trust.engine.commands import Fetch, Persist, drive
from twinlock.trust.engine.delegation import Found, find_image
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.metadata import EquivocationError, KeyLeftOutError, RollbackError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import IMAGE, RoleName, TargetPath
from twinlock.trust.state.trusted import TrustedRepository

KEYS = KeyPool()
ACME = RoleName("acme")
PATH = TargetPath("brake/brake-1.bin")
ODD: dict[str, Any] = {"keytype": "ed25519", "scheme": "ed25519ph", "keyval": {"public": "ab" * 32}}


@pytest.fixture
def image() -> RepositorySimulator:
    """Targets leave ``brake/*`` to acme, which lists one image in its version 2."""
    made = RepositorySimulator("image", KEYS, lambda: START)
    made.delegate("targets", ACME, ["brake/*"])
    made.add_image(PATH, b"image", role=ACME)
    made.publish("targets", ACME)
    made.publish(ACME)
    return made


def refreshed(image: RepositorySimulator, trusted: TrustedRepository | None = None) -> TrustedRepository:
    anchor = bootstrap_repository(IMAGE, image.files["1.root.json"])
    return drive(refresh_repository(trusted or anchor, START), Places(image.files).answer)


def search(image: RepositorySimulator, trusted: TrustedRepository) -> tuple[Found, Places]:
    """The image is found, and these are the commands on the way."""
    places = Places(image.files)
    found = drive(find_image(trusted, PATH, None, START), places.answer)
    assert found.chain == ("targets", ACME)
    return found, places


def restarted(trusted: TrustedRepository, **changes: Any) -> TrustedRepository:
    """As after a restart: nothing is opened yet."""
    return trusted._replace(opened={}, **changes)


def without_floor(trusted: TrustedRepository) -> TrustedRepository:
    return restarted(trusted, floors={role: floor for role, floor in trusted.floors.items() if role != ACME})


def acme_fetch(version: int) -> Fetch:
    return Fetch(IMAGE, ACME, version, f"{version}.acme.json", DEFAULT_LIMITS.unlisted_bytes)


def test_a_role_that_is_not_stored_is_fetched_and_kept_with_its_floor(image: RepositorySimulator) -> None:
    trusted = refreshed(image)
    found, places = search(image, trusted)
    assert places.fetches == [acme_fetch(2)]
    after = found.trusted
    data = image.files["2.acme.json"]
    assert after.delegated == {ACME: data}
    assert set(after.floors) == {*trusted.floors, ACME}
    assert after.floors[ACME].version == 2
    (stored,) = places.persisted
    assert stored.files == ((ACME, 2, data),)
    assert stored.floors == {ACME: after.floors[ACME]}
    assert set(stored.proofs) == {ACME}
    assert places.commands == [acme_fetch(2), stored]
    assert search(image, after)[1].commands == []


def test_a_stored_role_is_used_without_a_look_at_the_repository(image: RepositorySimulator) -> None:
    first, _ = search(image, refreshed(image))
    again, places = search(image, restarted(first.trusted))
    assert (places.fetches, again.entry) == ([], first.entry)


def test_a_stored_role_without_a_floor_has_its_own(image: RepositorySimulator) -> None:
    first, _ = search(image, refreshed(image))
    assert search(image, without_floor(first.trusted))[1].fetches == []
    # And it is a floor: an older file is refused though nothing else was known of the role.
    image.bodies[ACME]["version"] = 1
    image.reindex(ACME)
    image.refresh_timestamp()
    older = first.trusted._replace(snapshot=refreshed(image).snapshot)
    with pytest.raises(RollbackError) as caught:
        search(image, without_floor(older))
    assert caught.value.fields() == {"repository": IMAGE, "role": ACME, "offered": 1, "trusted": 2}


def test_a_lost_role_leaves_its_floor(image: RepositorySimulator) -> None:
    first, _ = search(image, refreshed(image))
    floor = first.trusted.floors[ACME]._replace(version=9)
    lost = restarted(first.trusted, delegated={}, floors={**first.trusted.floors, ACME: floor})
    with pytest.raises(RollbackError) as caught:
        search(image, lost)
    assert caught.value.fields() == {"repository": IMAGE, "role": ACME, "offered": 2, "trusted": 9}


def test_a_stored_copy_that_is_not_of_the_floor_is_asked_for_again(image: RepositorySimulator) -> None:
    first, _ = search(image, refreshed(image))
    floors, known = first.trusted.floors, first.trusted.floors[ACME]
    planted = restarted(first.trusted, floors={**floors, ACME: known._replace(version=3)})
    with pytest.raises(RollbackError) as rolled:
        search(image, planted)
    assert rolled.value.fields() == {"repository": IMAGE, "role": ACME, "offered": 2, "trusted": 3}
    other = restarted(first.trusted, floors={**floors, ACME: known._replace(content=bytes(32))})
    with pytest.raises(EquivocationError) as split:
        search(image, other)
    assert split.value.fields() == {"repository": IMAGE, "role": ACME, "version": 2}


def test_a_floor_falls_for_a_delegator_that_names_other_keys(image: RepositorySimulator) -> None:
    first, _ = search(image, refreshed(image))
    high = first.trusted.floors[ACME]._replace(version=9)
    second = image.key(ACME, 2)
    image.signers[ACME] = [second]
    image.bodies["targets"]["delegations"]["keys"] = {second.keyid: second.public}
    image.bodies["targets"]["delegations"]["roles"][0]["keyids"] = [second.keyid]
    image.publish("targets", ACME)
    trusted = refreshed(image, first.trusted._replace(floors={**first.trusted.floors, ACME: high}))
    found, places = search(image, restarted(trusted))
    assert places.fetches == [acme_fetch(3)]
    assert found.trusted.floors[ACME].version == 3


def test_keys_of_a_delegated_role_are_reported_under_its_own_name(image: RepositorySimulator) -> None:
    image.delegate(ACME, "zeta", ["zeta/*"], keyids=["odd"])
    image.bodies[ACME]["delegations"]["keys"]["odd"] = ODD
    image.publish(ACME, "zeta")
    found, places = search(image, refreshed(image))
    reason = "key type 'ed25519' with scheme 'ed25519ph' is not supported"
    assert [(type(error), error.fields()) for error in places.notices] == [
        (KeyLeftOutError, {"repository": IMAGE, "role": ACME, "keyid": "odd", "reason": reason})
    ]
    assert search(image, restarted(found.trusted))[1].notices == []


# proofs


def test_a_role_stored_without_its_proof_is_given_one(image: RepositorySimulator) -> None:
    first, places = search(image, refreshed(image))
    proof = places.persisted[0].proofs[ACME]
    for stored in ({}, {ACME: b"another"}):
        _, places = search(image, restarted(first.trusted, proofs=stored))
        assert places.commands == [Persist(IMAGE, (), {ACME: proof})]
    assert search(image, restarted(first.trusted, proofs={ACME: proof}))[1].commands == []


def test_a_file_with_a_signature_that_does_not_hold_is_given_no_proof(image: RepositorySimulator) -> None:
    second = image.key(ACME, 2)
    image.bodies["targets"]["delegations"]["keys"][second.keyid] = second.public
    image.bodies["targets"]["delegations"]["roles"][0]["keyids"].append(second.keyid)
    image.deform("acme", lambda file: file["signatures"].append({"keyid": second.keyid, "sig": "00" * 64}))
    image.publish("targets")
    first, places = search(image, refreshed(image))
    assert [command.proofs for command in places.persisted] == [{}]
    for stored in ({}, {ACME: b"another"}):
        assert search(image, restarted(first.trusted, proofs=stored))[1].commands == []
