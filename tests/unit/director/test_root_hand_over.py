"""A Director whose Root chain for aktualizr shares its keys with the tuf chain hands it over to keys of its own."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.director.aktualizr_vehicle import AktualizrVehicle
from tests.unit.director.legacy_chain import begin_with_shared_keys
from tests.unit.director.world import NOW, at
from twinlock.director.director import Director
from twinlock.director.errors.operator import PastEndError, ProfileNotPublishedError
from twinlock.director.setup.config import read_config
from twinlock.director.signing import publish_root
from twinlock.director.signing.roots import next_root, verify_successor
from twinlock.repository.errors import MissingKeysError
from twinlock.repository.keys.keyring import KeyKind, KeyPlan
from twinlock.trust.errors.local import ConflictError, ProfileError
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR


@pytest.fixture
def apart(director: Director, monkeypatch: pytest.MonkeyPatch) -> Director:
    """Begun by an earlier version after two rotations: its Root 1 says what tuf Root 3 does, and the same keys sign both."""
    director.rotate("targets")
    director.rotate("timestamp")
    begin_with_shared_keys(director, monkeypatch)
    return director


def body(director: Director, version: int | None = None, wire: str = "aktualizr") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(director.root_bytes(version, profile=wire))
    return found


def keyids(file: dict[str, Any], role: str = "root") -> set[str]:
    return set(file["signed"]["roles"][role]["keyids"])


def test_vehicles_at_every_old_root_are_led_to_keys_of_its_own(apart: Director) -> None:
    with pytest.raises(ProfileError) as caught:
        apart.rotate("targets")
    assert (caught.value.profile, caught.value.what) == ("aktualizr", "root")
    assert apart.hand_over() == 4
    for number in (1, 2, 3):
        verify_successor(
            apart.root_bytes(number, profile="aktualizr"),
            apart.root_bytes(number + 1, profile="aktualizr"),
            NOW,
            reader=AKTUALIZR,
        )
    for filler in (2, 3):
        for role in ("root", "targets", "snapshot", "timestamp"):
            assert keyids(body(apart, filler), role) == keyids(body(apart, 3, "tuf"), role)
    assert not keyids(body(apart, 4)) & set(body(apart, 4, "tuf")["signed"]["keys"])
    done = apart.audit()[0]
    assert done["action"] == "hand-over"
    own = {"added": sorted(keyids(body(apart, 4))), "removed": [], "threshold": 1}
    assert done["detail"]["keys"] == {"aktualizr-root": own}
    assert apart.hand_over() == 4


def test_newcomers_begin_with_the_root_that_handed_over(apart: Director) -> None:
    van = AktualizrVehicle()
    van.register(apart)
    served = apart.metadata(van.vin, "1.root.json")
    assert served is not None
    assert json.loads(served)["signed"]["version"] == 1
    apart.hand_over()
    served = apart.metadata(van.vin, "1.root.json")
    assert served == apart.root_bytes(4, profile="aktualizr")
    assert apart.metadata(van.vin, "5.root.json") is None
    assert json.loads(apart.root_bytes(1, profile="aktualizr"))["signed"]["version"] == 1


def test_old_keys_sign_until_their_day_and_then_no_more(apart: Director) -> None:
    old = keyids(body(apart, 3, "tuf"))
    apart.hand_over(NOW.date() + timedelta(days=20))
    assert read_config(apart.path).stranded == tuple(old)
    apart.rotate("root", plan=KeyPlan(kind=KeyKind.ECDSA_P256))
    assert old <= {entry["keyid"] for entry in body(apart, 5)["signatures"]}
    apart.rotate("root", now=at(days=21))
    assert not old & {entry["keyid"] for entry in body(apart, 6)["signatures"]}
    with Director.open(apart.path, clock=lambda: NOW) as again:
        assert again.settings.stranded == tuple(old)


def test_a_chain_with_equal_numbers_keeps_them_until_then(director: Director, monkeypatch: pytest.MonkeyPatch) -> None:
    begin_with_shared_keys(director, monkeypatch)
    director.rotate("root", "targets", "time")
    ours, theirs = body(director, 2, "tuf")["signed"], body(director, 2)["signed"]
    assert {role: entry["keyids"] for role, entry in ours["roles"].items()} == {
        role: entry["keyids"] for role, entry in theirs["roles"].items()
    }
    assert (ours["expires"], ours["custom"]) == (theirs["expires"], theirs["custom"])
    for role in ("root", "targets", "time"):  # what that client cannot read would make one number say two things
        with pytest.raises(ProfileError) as caught:
            director.rotate(role, plan=KeyPlan(kind=KeyKind.ECDSA_P256))
        assert caught.value.what == role
    assert director.hand_over() == 3
    director.rotate("root", "time", plan=KeyPlan(kind=KeyKind.ECDSA_P256))
    assert body(director)["signed"]["version"] == 4


def test_what_cannot_be_handed_over_says_why(director: Director, apart: Director) -> None:
    with pytest.raises(PastEndError):
        apart.hand_over(NOW.date() - timedelta(days=1))
    for path in (apart.path / "keys" / "offline").iterdir():
        path.unlink()
    with Director.open(apart.path, clock=lambda: NOW) as opened, pytest.raises(MissingKeysError):
        opened.hand_over()
    assert body(apart)["signed"]["version"] == 1


def test_a_director_without_the_profile_has_nothing_to_hand_over(director: Director) -> None:
    with pytest.raises(ProfileNotPublishedError):
        director.hand_over()
    director.add_wire("aktualizr")
    assert director.hand_over() == 1


def test_two_hand_overs_at_once_publish_one(apart: Director, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*arguments: Any, **options: Any) -> bytes:
        monkeypatch.undo()
        with Director.open(apart.path, clock=lambda: NOW) as other:
            other.hand_over()
        return next_root(*arguments, **options)

    monkeypatch.setattr(publish_root, "next_root", slow)
    with pytest.raises(ConflictError):
        apart.hand_over()
    assert apart.hand_over() == 4
