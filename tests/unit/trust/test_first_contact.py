"""First contact: where a repository can be met, which Roots an operator may give, and what has to be served for them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tests.unit.trust.places import Places
from twinlock.testing.simulator.director import DirectorSimulator
from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.repository import LIFETIMES, RepositorySimulator
from twinlock.testing.simulator.wires import AKTUALIZR_WIRE, TUF_WIRE, Wire
from twinlock.testing.simulator.world import START, VIN
from twinlock.trust.engine.commands import Fetch, drive
from twinlock.trust.engine.first_contact import (
    check_given_root,
    check_given_roots,
    meet_director,
    meet_image_repository,
)
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import VehicleMismatchError
from twinlock.trust.errors.metadata import ExpiredError, MalformedError, MissingMetadataError, ThresholdError
from twinlock.trust.errors.usage import (
    FirstContactError,
    ForeignMetadataError,
    GivenRootError,
    NotPublishedError,
    VehicleUrlError,
)
from twinlock.trust.keys.signatures import Envelope
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.root import Root
from twinlock.trust.names import DIRECTOR, IMAGE, ROOT, RepositoryName, RoleName, VehicleId
from twinlock.trust.policy import LAX, STRICT, Policy
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.tuf.metadata import TUF, TufProfile

Make = Callable[..., RepositorySimulator]

KEYS = KeyPool()
URL = "https://repository.example/"
UNFIT = "what it publishes is not signed under that Root; check the address and the file ({})"


def image_repository(wire: Wire = TUF_WIRE, owner: str = "image") -> RepositorySimulator:
    """Everything at version 1; another ``owner`` has other keys."""
    return RepositorySimulator(owner, KEYS, lambda: START, wire=wire)


def director(wire: Wire = TUF_WIRE, owner: str = "director") -> DirectorSimulator:
    return DirectorSimulator(KEYS, lambda: START, VIN, owner, wire=wire)


def first_root(repository: RepositorySimulator) -> bytes:
    return repository.files["1.root.json"]


# the Roots given


@pytest.mark.parametrize("wire", [TUF_WIRE, AKTUALIZR_WIRE])
@pytest.mark.parametrize("name", [DIRECTOR, IMAGE])
def test_a_root_given_is_the_anchor_of_the_repository_that_it_is_given_for(name: RepositoryName, wire: Wire) -> None:
    root = first_root(director(wire) if name == DIRECTOR else image_repository(wire))
    anchor = check_given_root(name, root, wire=wire.profile)
    assert (anchor.name, anchor.wire, anchor.root.data) == (name, wire.profile, root)
    assert anchor.root.signed.version == 1


def test_a_root_given_is_read_in_the_tuf_profile_unless_another_is_named() -> None:
    assert check_given_root(IMAGE, first_root(image_repository())).wire is TUF
    assert check_given_root(IMAGE, first_root(image_repository(AKTUALIZR_WIRE)), wire=AKTUALIZR).wire is AKTUALIZR


def test_a_directors_root_given_for_the_image_repository() -> None:
    with pytest.raises(GivenRootError) as caught:
        check_given_root(IMAGE, first_root(director()))
    reason = "it names a source of time, as only a Director's does; swap the two files"
    assert caught.value.fields() == {"repository": "image", "reason": reason}


def test_an_image_repositorys_root_given_for_the_director() -> None:
    with pytest.raises(GivenRootError) as caught:
        check_given_root(DIRECTOR, first_root(image_repository(owner="another")))
    reason = "it names no source of time, as a Director's does; give the Root of the Director, or swap the two files"
    assert caught.value.fields() == {"repository": "director", "reason": reason}


def test_a_root_without_a_source_of_time_may_be_a_directors_in_another_profile() -> None:
    anchor = check_given_root(DIRECTOR, first_root(image_repository(AKTUALIZR_WIRE)), wire=AKTUALIZR)
    assert anchor.root.signed.time_source is None


@pytest.mark.parametrize("name", [DIRECTOR, IMAGE])
def test_what_is_not_a_root_is_refused_under_the_name_of_its_repository(name: RepositoryName) -> None:
    with pytest.raises(MalformedError) as caught:
        check_given_root(name, b"{}")
    assert caught.value.what == f"{name}/root"


def test_one_root_for_both_repositories() -> None:
    root = first_root(image_repository(AKTUALIZR_WIRE))  # of which a Director need not name a source of time
    both = [check_given_root(name, root, wire=AKTUALIZR) for name in (DIRECTOR, IMAGE)]
    with pytest.raises(GivenRootError) as caught:
        check_given_roots(*both)
    reason = "it is given for the Director as well; each repository has a Root of its own"
    assert caught.value.fields() == {"repository": "image", "reason": reason}


def test_a_root_for_each_repository_or_for_the_director_alone() -> None:
    ordering = check_given_root(DIRECTOR, first_root(director()))
    check_given_roots(ordering, check_given_root(IMAGE, first_root(image_repository())))
    check_given_roots(ordering, None)


# what is served at the address


def meet(
    anchor: TrustedRepository, place: Places, *, now: datetime = START, policy: Policy = STRICT
) -> tuple[str, ...]:
    """The warnings, as the function for the repository of ``anchor`` gives them."""
    if anchor.name == DIRECTOR:
        return drive(meet_director(anchor, now, location=URL, vehicle=VehicleId(VIN), policy=policy), place.answer)
    return drive(meet_image_repository(anchor, now, location=URL, policy=policy), place.answer)


def given(repository: RepositorySimulator) -> TrustedRepository:
    return check_given_root(RepositoryName(repository.name), first_root(repository), wire=repository.wire.profile)


def root_fetch(repository: RepositorySimulator, version: int) -> Fetch:
    most = DEFAULT_LIMITS.root_bytes if repository.wire is TUF_WIRE else 64 * 1024
    return Fetch(RepositoryName(repository.name), ROOT, version, f"{version}.root.json", most)


def refused(anchor: TrustedRepository, files: dict[str, bytes]) -> tuple[FirstContactError, BaseException | None]:
    """The refusal, and what it was raised from; its ``repository`` and ``location`` are right."""
    with pytest.raises(FirstContactError) as caught:
        meet(anchor, Places(files))
    assert (caught.value.repository, caught.value.location) == (anchor.name, URL)
    return caught.value, caught.value.__cause__


@pytest.mark.parametrize("wire", [TUF_WIRE, AKTUALIZR_WIRE])
@pytest.mark.parametrize("make", [director, image_repository])
def test_a_repository_of_the_root_given(make: Make, wire: Wire) -> None:
    repository = make(wire)
    place = Places(repository.files)
    assert meet(given(repository), place) == ()
    assert place.fetches[:2] == [root_fetch(repository, version) for version in (1, 2)]
    below = [fetch.role for fetch in place.fetches[2:]]
    assert below == (["timestamp"] if repository.name == "director" else ["timestamp", "snapshot", "targets"])


@pytest.mark.parametrize("make", [director, image_repository])
@pytest.mark.parametrize("served", [None, 1])
@pytest.mark.parametrize("held", [None, 1])
def test_white_space_makes_no_other_root(make: Make, served: int | None, held: int | None) -> None:
    repository = make()
    signers = repository.signers["root"]
    spelled = {indent: repository.seal(repository.bodies["root"], signers, indent=indent) for indent in (None, 1)}
    anchor = check_given_root(RepositoryName(repository.name), spelled[held])
    assert meet(anchor, Places({**repository.files, "1.root.json": spelled[served]})) == ()


class OneForm(TufProfile):
    """An encoding whose files have no other form than the one received."""

    def decode_root(self, data: bytes, what: str, limits: Limits) -> Envelope[Root]:
        return super().decode_root(data, what, limits)._replace(canonical=None)


def test_in_an_encoding_of_one_form_the_bytes_are_compared() -> None:
    repository = image_repository()
    anchor = given(repository)._replace(wire=OneForm())
    assert meet(anchor, Places(repository.files)) == ()
    spelled = repository.seal(repository.bodies["root"], repository.signers["root"], indent=1)
    error, _ = refused(anchor, {**repository.files, "1.root.json": spelled})
    assert (type(error), error.reason) == (ForeignMetadataError, UNFIT.format("its Root 1 has other content"))


@pytest.mark.parametrize("make", [director, image_repository])
def test_a_later_root_given_is_looked_for_under_its_own_version(make: Make) -> None:
    repository = make()
    repository.rotate("root")
    anchor = check_given_root(RepositoryName(repository.name), repository.files["2.root.json"])
    place = Places(repository.files)
    assert meet(anchor, place) == ()
    assert place.fetches[:2] == [root_fetch(repository, version) for version in (2, 3)]


def test_an_address_without_the_root_given() -> None:
    for repository, reason in (
        (director(), "it does not serve Root 1, so it is not this vehicle's URL at a Director"),
        (image_repository(), "it does not serve Root 1"),
    ):
        others = {name: data for name, data in repository.files.items() if name != "1.root.json"}
        error, _ = refused(given(repository), others)
        assert (type(error), error.reason) == (NotPublishedError, reason)


@pytest.mark.parametrize("make", [director, image_repository])
def test_another_root_under_the_version_of_the_one_given(make: Make) -> None:
    repository = make()
    anchor = given(repository)
    repository.bodies["root"]["expires"] = "2031-06-01T00:00:00Z"
    repository.put("root")
    error, _ = refused(anchor, repository.files)
    assert (type(error), error.reason) == (ForeignMetadataError, UNFIT.format("its Root 1 has other content"))


@pytest.mark.parametrize("make", [director, image_repository])
def test_something_else_is_served_as_the_root_given(make: Make) -> None:
    repository = make()
    error, cause = refused(given(repository), {**repository.files, "1.root.json": b"{}"})
    assert isinstance(cause, MalformedError)
    assert cause.what == f"{repository.name}/root"
    assert (type(error), error.reason) == (ForeignMetadataError, UNFIT.format(cause))


@pytest.mark.parametrize("make", [director, image_repository])
def test_the_next_root_of_another_repository(make: Make) -> None:
    repository, other = make(), make(owner="another")
    other.rotate("root")
    error, cause = refused(given(repository), {**repository.files, "2.root.json": other.files["2.root.json"]})
    assert isinstance(cause, ThresholdError)
    assert (cause.repository, cause.role) == (repository.name, ROOT)
    assert (type(error), error.reason) == (ForeignMetadataError, UNFIT.format(cause))


def test_an_image_repository_that_has_published_nothing_but_roots() -> None:
    repository = image_repository()
    error, cause = refused(given(repository), {"1.root.json": first_root(repository)})
    assert isinstance(cause, MissingMetadataError)
    reason = f"it is another server, or has published nothing yet ({cause})"
    assert (type(error), error.reason) == (NotPublishedError, reason)
    assert str(cause) == "image/timestamp: timestamp.json not found"


def test_an_image_repository_is_read_under_the_policy_given() -> None:
    repository = image_repository()
    for member in ("length", "hashes"):
        del repository.bodies["timestamp"]["meta"]["snapshot.json"][member]
    repository.put("timestamp")
    error, cause = refused(given(repository), repository.files)
    assert isinstance(cause, RefusalError)
    assert (type(error), error.reason) == (ForeignMetadataError, UNFIT.format(cause))
    assert meet(given(repository), Places(repository.files), policy=LAX) == ()


def test_an_image_repository_whose_metadata_has_expired_is_a_warning() -> None:
    repository = image_repository()
    last, over = (START + LIFETIMES["timestamp"] - timedelta(seconds=left) for left in (1, 0))
    assert meet(given(repository), Places(repository.files), now=last) == ()
    expired = ExpiredError(repository=IMAGE, role="timestamp", version=1, expires=over, now=over)
    warning = f"{URL}: {expired}; renew it before vehicles read it"
    assert meet(given(repository), Places(repository.files), now=over) == (warning,)


def test_a_director_whose_newest_root_has_expired_is_a_warning() -> None:
    repository = director()
    anchor = given(repository)
    repository.clock = lambda: START + timedelta(days=30)
    repository.rotate("root")
    over = START + timedelta(days=30) + LIFETIMES["root"]
    roots = {name: data for name, data in repository.files.items() if name.endswith("root.json")}
    assert meet(anchor, Places(roots), now=over - timedelta(seconds=1)) == ()
    warning = f"{URL}: its newest Root expired at {over:%Y-%m-%dT%H:%M:%SZ}; renew it"
    for now in (over, over + timedelta(days=1)):
        assert meet(anchor, Places(repository.files), now=now) == (warning,)


def test_a_director_whose_timestamp_has_expired_is_a_warning() -> None:
    repository = director()
    last, over = (START + LIFETIMES["timestamp"] - timedelta(seconds=left) for left in (1, 0))
    assert meet(given(repository), Places(repository.files), now=last) == ()
    expired = ExpiredError(repository=DIRECTOR, role="timestamp", version=1, expires=over, now=over)
    warning = f"{URL}: {expired}; renew it before the vehicle reads it"
    assert meet(given(repository), Places(repository.files), now=over) == (warning,)


def test_a_director_that_serves_another_vehicle_there() -> None:
    repository = DirectorSimulator(KEYS, lambda: START, "OTHER")
    with pytest.raises(VehicleUrlError) as caught:
        meet(given(repository), Places(repository.files))
    assert caught.value.fields() == {"location": URL, "offered": "OTHER", "expected": VIN}
    assert isinstance(caught.value.__cause__, VehicleMismatchError)


def test_a_director_without_metadata_of_the_vehicle_yet() -> None:
    repository = director()
    place = Places({"1.root.json": first_root(repository)})
    assert meet(given(repository), place) == ()
    *roots, last = place.fetches
    assert roots == [root_fetch(repository, version) for version in (1, 2)]
    assert last == Fetch(DIRECTOR, RoleName("timestamp"), None, "timestamp.json", DEFAULT_LIMITS.timestamp_bytes)


def test_a_director_without_an_index_is_asked_for_roots_only() -> None:
    repository = director(AKTUALIZR_WIRE)
    for role in ("snapshot", "timestamp"):
        del repository.bodies["root"]["roles"][role]
    repository.put("root")
    place = Places(repository.files)
    assert meet(given(repository), place) == ()
    assert [fetch.name for fetch in place.fetches] == ["1.root.json", "2.root.json"]


def test_a_director_whose_timestamp_is_another_ones() -> None:
    repository, other = director(), director(owner="another")
    error, cause = refused(given(repository), {**repository.files, "timestamp.json": other.files["timestamp.json"]})
    assert isinstance(cause, ThresholdError)
    assert (cause.repository, cause.role) == (DIRECTOR, "timestamp")
    assert (type(error), error.reason) == (ForeignMetadataError, UNFIT.format(cause))


def test_a_director_is_read_under_the_policy_given() -> None:
    repository = director()
    for member in ("length", "hashes"):
        del repository.bodies["timestamp"]["meta"]["snapshot.json"][member]
    repository.put("timestamp")
    error, cause = refused(given(repository), repository.files)
    assert isinstance(cause, RefusalError)
    assert (type(error), error.reason) == (ForeignMetadataError, UNFIT.format(cause))
    assert meet(given(repository), Places(repository.files), policy=LAX) == ()
