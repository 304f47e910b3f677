"""An attack, told once: how the world stands, what the attacker does, and the refusal that it must meet.

A scenario is a function registered by ``@scenario``. Its docstring is the comment of the fixture made from it, its
name is the detail, and it returns what it expects (``refused`` or ``accepted``) *before* anything is run. Both
``tests/attacks`` and ``metadata-fixtures/generate.py`` read the catalogue, so a vector never says what the engine
happened to answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from twinlock.testing.simulator.repository import wire_time
from twinlock.testing.simulator.vehicle import changed
from twinlock.testing.simulator.world import PARTS, Part, World
from twinlock.trust.engine.guarantees import NO_IMAGE_REPOSITORY
from twinlock.trust.errors.base import Attack, RefusalError
from twinlock.trust.errors.images import (
    DirectorDelegationError,
    DuplicateEcuError,
    HardwareError,
    ReleaseCounterError,
    TargetFormatError,
    UnknownEcuError,
    UnsupportedFormatError,
    VehicleMismatchError,
)
from twinlock.trust.errors.metadata import (
    LimitError,
    MalformedError,
    MetadataFileError,
    UnsafePathError,
    UnsupportedSpecError,
    procedure_of,
)
from twinlock.trust.policy import STRICT
from twinlock.trust.state.trusted import Decision

Place = tuple[str, str]

REPOSITORIES = ("director", "image")
ONLINE: tuple[Place, ...] = (
    ("director", "timestamp"),
    ("director", "snapshot"),
    ("director", "targets"),
    ("image", "timestamp"),
    ("image", "snapshot"),
    ("image", "targets"),
    ("image", "acme"),
)
EVERYWHERE: tuple[Place, ...] = (("director", "root"), ("image", "root"), *ONLINE)


@dataclass(frozen=True)
class Refused:
    """The cycle must end in ``error`` with these ``fields``, and exactly the ``stored`` entries may have changed.

    ``clause`` is for a refusal in another step than the usual one for the error and its role (``under`` sets it).
    """

    error: type[RefusalError]
    fields: dict[str, Any]
    stored: frozenset[str]
    clause: str = ""

    def under(self, clause: str) -> Refused:
        """The same, refused in a step of ``clause``, such as ``Uptane 2.1.0 5.4.4.5``."""
        return replace(self, clause=clause)

    @property
    def stated_clause(self) -> str:
        """The clause that the refusal has to state."""
        role = self.fields.get("role", "") if issubclass(self.error, MetadataFileError) else ""
        return self.clause or (procedure_of(role) if role else self.error.clause)

    @property
    def repository(self) -> str | None:
        """The repository whose file or entry is refused; None where it is what several of them agree on."""
        if "repository" in self.fields:
            return str(self.fields["repository"])
        if "what" in self.fields:
            return _place(self.fields["what"])
        if self.error in _OF_ORDERS:
            return "director"
        if self.error not in _OF_FILES and self.error not in _OF_ENTRIES:
            raise AssertionError(f"say in which repository {self.error.__name__} is met")
        # The Director's files are read first, and stored as soon as each has passed its own checks.
        if {f"director/{role}" for role in _ORDER} <= self.stored:
            return "image" if self.error in _OF_FILES else None
        return "director"


@dataclass(frozen=True)
class Accepted:
    """The cycle must end well and approve these image names, with a notice for each class in ``notices``."""

    approved: tuple[str, ...]
    notices: tuple[type[RefusalError], ...] = ()


Expectation = Refused | Accepted
Teller = Callable[..., Expectation]
Decorator = Callable[[Teller], Teller]


@dataclass(frozen=True)
class Scenario:
    """One entry of the catalogue.

    ``subject`` is the ECU of a partial verification, or the repository that is refreshed alone. ``fixture`` is False for
    what files cannot express (a lying or breaking server, a random signature). ``undo`` is False where what was done
    stays done, because honest people did it or because a Root was signed. ``wire`` names the one form of metadata that it
    is about, where it is about one. ``cycles``: its fixture goes on with the next honest update.
    """

    attack: str
    detail: str
    comment: str
    prepare: Callable[[World], None]
    act: Callable[[World], Expectation]
    recover: Callable[[World], None]
    verification: str = "full"
    subject: str | None = None
    fixture: bool = True
    undo: bool = True
    wire: str | None = None
    cycles: bool = False

    @property
    def name(self) -> str:
        """``<attack>--<detail>``, the name of its directory among the fixtures."""
        return f"{self.attack}--{self.detail}"

    def __str__(self) -> str:
        return self.name

    def run(self, world: World) -> Decision:
        """One cycle of the vehicle in the way that this scenario is about."""
        if self.verification == "partial":
            return world.vehicle.partial_update(str(self.subject))
        if self.verification == "repository":
            trusted = world.vehicle.refresh(str(self.subject))
            return Decision(repositories={trusted.name: trusted}, approved=(), correlation_id=None, now=world.now)
        return world.vehicle.update()


_ORDER = ("timestamp", "snapshot", "targets")
_OF_ORDERS = (DirectorDelegationError, DuplicateEcuError, UnknownEcuError, VehicleMismatchError)
_OF_FILES = (LimitError, MalformedError, UnsafePathError, UnsupportedSpecError)
# Entries of both, or, where one alone was read, of the Director.
_OF_ENTRIES = (HardwareError, ReleaseCounterError, TargetFormatError, UnsupportedFormatError)
CATALOGUE: dict[str, Scenario] = {}
_UNSAFE = re.compile("[^a-z0-9-]")  # a detail is the name of a directory


def refused(error: type[RefusalError], stored: Iterable[str] = (), **fields: Any) -> Refused:
    """Expect a refusal; ``stored`` names the entries of ``snapshot_state`` that were honestly replaced before it."""
    return Refused(error, fields, frozenset(stored))


def accepted(*approved: str, notices: Sequence[type[RefusalError]] = ()) -> Accepted:
    """Expect success with exactly these images approved."""
    return Accepted(tuple(sorted(approved)), tuple(notices))


def seasoned(world: World) -> None:
    """Releases 1 and 2 are installed, so that everything has a past; release 3 is published and not yet seen."""
    world.update()
    world.pass_time(hours=1)
    world.release()
    world.update()
    world.pass_time(hours=1)
    world.release()


def current(world: World) -> None:
    """As ``seasoned``, with release 3 installed as well: nothing is new."""
    seasoned(world)
    world.update()


def next_releases(world: World) -> None:
    """What honest people do next: two more releases, an hour later, and a new Root where the old one is about to end."""
    world.pass_time(hours=1)
    for repository in world.repositories.values():
        if repository.bodies["root"]["expires"] <= wire_time(world.now):
            repository.publish_root()
    world.release()
    world.release()


def scenario(
    attack: str,
    *,
    prepare: Callable[[World], None] = seasoned,
    recover: Callable[[World], None] = next_releases,
    verification: str = "full",
    subject: str | None = None,
    fixture: bool | Collection[Any] = True,
    undo: bool = True,
    wire: str | None = None,
    cycles: bool = False,
    each: Sequence[Any] | None = None,
) -> Decorator:
    """Register a function ``(world, *arguments) -> Expectation``, once for every entry of ``each``.

    An entry of ``each`` is a tuple of arguments (a lone value counts as a tuple of one). ``fixture`` may name the entries of
    which a fixture is made.
    """

    def register(function: Teller) -> Teller:
        for entry in [()] if each is None else each:
            arguments = entry if isinstance(entry, tuple) else (entry,)
            parts = [function.__name__, *(str(argument) for argument in arguments)]
            detail = _UNSAFE.sub(lambda found: f"_{ord(found[0]):x}", "-".join(parts).replace("_", "-").lower())
            made = Scenario(
                attack=attack,
                detail=detail,
                comment=" ".join((function.__doc__ or "").split()),
                prepare=prepare,
                act=_bind(function, arguments),
                recover=recover,
                verification=verification,
                subject=subject,
                fixture=fixture if isinstance(fixture, bool) else entry in fixture,
                undo=undo,
                wire=wire,
                cycles=cycles,
            )
            assert made.name not in CATALOGUE, made.name
            CATALOGUE[made.name] = made
        return function

    return register


def family(attack: str) -> list[Scenario]:
    """The scenarios of one attack, once the module that tells them is imported."""
    found = [entry for entry in CATALOGUE.values() if entry.attack == attack]
    assert found, attack
    return found


def play(entry: Scenario, *, wire: str = "tuf") -> None:
    """Run one scenario whole: legitimate, attack, verdict, nothing else changed, and the next honest update.

    ``wire`` names the form in which both repositories publish, unless the scenario is about another one.
    """
    wire = entry.wire or wire
    world = World(director=wire, image=wire)
    entry.prepare(world)
    with world.attack() if entry.undo else nullcontext():
        expected = entry.act(world)
        before = world.vehicle.snapshot_state()
        if isinstance(expected, Refused):
            _check_refusal(entry, world, expected)
            assert changed(before, world.vehicle.snapshot_state()) == expected.stored
        else:
            _check_acceptance(entry, world, expected)
    entry.recover(world)
    _check_recovery(entry, world)


def _check_refusal(entry: Scenario, world: World, expected: Refused) -> None:
    try:
        decision = entry.run(world)
    except RefusalError as error:
        assert type(error) is expected.error, f"{type(error).__name__}: {error}"
        found = error.fields()
        assert {name: found[name] for name in expected.fields} == expected.fields
        assert expected.repository == found.get("repository", expected.repository)
        if "what" in found:
            assert _place(found["what"]) == expected.repository, found
        assert error.clause == expected.stated_clause
        assert isinstance(error.attack, Attack)
        assert error.as_json()["code"] == error.code
        return
    raise AssertionError(f"the attack got through: {[image.entry.path for image in decision.approved]}")


def _check_acceptance(entry: Scenario, world: World, expected: Accepted) -> None:
    decision = entry.run(world)
    assert tuple(sorted(image.entry.path for image in decision.approved)) == expected.approved
    assert tuple(type(notice) for notice in world.vehicle.notices) == expected.notices
    if world.vehicle.policy == STRICT:
        # What the strict policy accepts lacks nothing.
        assert decision.missing_guarantees == (() if entry.verification != "partial" else (NO_IMAGE_REPOSITORY,))


def _check_recovery(entry: Scenario, world: World) -> None:
    decision = entry.run(world)
    assert sorted(str(image.entry.path) for image in decision.approved) == next_images(entry, world)
    world.vehicle.install(decision)
    assert entry.run(world).approved == ()


def _place(what: object) -> str:
    """The repository in ``image/targets`` or ``image: what was counted``."""
    return re.split("[/:]", str(what))[0]


def next_images(entry: Scenario, world: World) -> list[str]:
    """The images that the honest update after ``recover`` brings."""
    return sorted(part.path(world.releases) for part in PARTS if _concerns(entry, part))


def _concerns(entry: Scenario, part: Part) -> bool:
    return entry.verification == "full" or (entry.verification == "partial" and entry.subject == part.ecu)


def _bind(function: Teller, arguments: tuple[Any, ...]) -> Callable[[World], Expectation]:
    return lambda world: function(world, *arguments)


def before(place: Place) -> list[str]:
    """What an honest new publication has stored by the time that ``place`` is looked at."""
    repository, role = place
    director = [f"director/{entry}" for entry in _ORDER]
    if repository == "director":
        return director[: _ORDER.index(role)] if role in _ORDER else []
    image = [f"image/{entry}" for entry in _ORDER]
    return director + (image[: _ORDER.index(role)] if role in _ORDER else image if role != "root" else [])
