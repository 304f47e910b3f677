"""Choosing a set of images that go together, with resolvelib: Uptane 2.1.0 5.3.2.1 step 5.

To the resolver every ECU is a package that has to be installed, and its possible images are that package's versions. A
dependency on a component is a requirement on every ECU that runs it or could, and on one *host* that does run it, a
package of its own whose versions are those ECUs. A conflict is the inverted requirement on every other ECU.

Pure and deterministic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from resolvelib import AbstractProvider, BaseReporter, ResolutionImpossible, Resolver
from resolvelib.resolvers import ResolutionTooDeep

from twinlock.director.errors.vehicles import NoImageSetError
from twinlock.director.model.software import Software
from twinlock.director.planning.conflicts import explain_failure, find_causes, summarize
from twinlock.director.planning.problem import EcuChoices, ImageSetProblem, Selection, violations
from twinlock.repository.model.versions import VersionRange
from twinlock.trust.errors.metadata import LimitError
from twinlock.trust.names import EcuId

# Pins and steps back that one vehicle may cost. 256 ECUs take 256 without any going back.
MAX_ROUNDS = 5_000
# Demands and excluded images that are looked at for these: a round costs more the more images are listed.
MAX_STEPS = 2_000_000


@dataclass(frozen=True, slots=True)
class Choice:
    """A version of an ECU: the image it would run, None for whatever it runs now; ``place`` is where its options list it."""

    ecu: EcuId
    image: Software | None
    place: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Host:
    """A version of "some ECU runs this component": the ECU that does."""

    component: str
    ecu: EcuId


@dataclass(frozen=True, slots=True)
class Runs:
    """Demands of an ECU: that it exists (``component`` None), or runs ``component``, or, where ``versions`` is given,
    that *if* it runs the component then (not) in these versions."""

    ecu: EcuId
    component: str | None = None
    versions: VersionRange | None = None
    forbidden: bool = False

    def accepts(self, image: Software | None) -> bool:
        """Whether an ECU running ``image`` meets this."""
        if self.component is None:
            return True
        if self.versions is None:
            return image is not None and image.component == self.component
        if image is None or image.component != self.component:
            return True
        return image.is_one_of(self.component, self.versions) is not self.forbidden


@dataclass(frozen=True, slots=True)
class HasHost:
    """Demands that some ECU runs ``component``."""

    component: str


def resolve(
    problem: ImageSetProblem, *, explained: bool = True, max_rounds: int = MAX_ROUNDS, max_steps: int = MAX_STEPS
) -> Selection:
    """Choose an image for every ECU so that all assignments, dependencies and conflicts hold; None: as it is.

    No single ECU that was moved could have kept what it runs. The causes of a failure are searched for only if it is to be
    ``explained``; otherwise they are what the search itself ended with.
    Raises: NoImageSetError with a sentence for each cause, LimitError when the search was cut off.
    """
    provider = _Provider(problem, max_steps)
    resolver: Resolver[Any, Any, Any] = Resolver(provider, BaseReporter())
    demands = [Runs(ecu) for ecu in problem.by_id]
    try:
        mapping = resolver.resolve(demands, max_rounds=max_rounds).mapping
    except ResolutionImpossible as impossible:
        known = tuple(_sentences(impossible))
        causes = explain_failure(problem, known) if explained else (*summarize(known), _way_to_causes(problem))
        raise NoImageSetError(vehicle=problem.vehicle, causes=causes) from None
    except ResolutionTooDeep:
        causes = find_causes(problem)[0] if explained else ()
        if causes:  # they prove what the search did not come to
            raise NoImageSetError(vehicle=problem.vehicle, causes=causes) from None
        raise _cut_off(problem, provider, max_rounds, max_steps) from None
    return _keep_what_can_stay(problem, {ecu: mapping[ecu].image for ecu in problem.by_id})


def _way_to_causes(problem: ImageSetProblem) -> str:
    return f"`twinlock director explain DIRECTORY {problem.vehicle}` searches for the causes"


def _cut_off(problem: ImageSetProblem, provider: _Provider, max_rounds: int, max_steps: int) -> LimitError:
    if provider.steps > max_steps:
        return LimitError(
            what=f"steps of the search for images that fit {problem.vehicle}", value=provider.steps, limit=max_steps
        )
    return LimitError(
        what=f"rounds of the search for images that fit {problem.vehicle}", value=max_rounds, limit=max_rounds
    )


def _keep_what_can_stay(problem: ImageSetProblem, selection: Mapping[EcuId, Software | None]) -> Selection:
    """Undo every move that turned out not to be needed: a search may leave some behind."""
    current = dict(selection)
    moved = [ecu for ecu, choices in problem.by_id.items() if _is_moved(choices, current[ecu])]
    progress = True
    while progress:
        progress = False
        for ecu in list(moved):
            attempt = {**current, ecu: problem.by_id[ecu].installed}
            if not any(violations(attempt)):
                current, progress = attempt, True
                moved.remove(ecu)
    return current


def _is_moved(choices: EcuChoices, image: Software | None) -> bool:
    return choices.assigned is None and image != choices.installed and choices.installed in choices.options


class _Provider(AbstractProvider[Any, Any, Any]):
    """Answers resolvelib's questions about one problem."""

    def __init__(self, problem: ImageSetProblem, max_steps: int) -> None:
        self._problem = problem
        self._max_steps = max_steps
        self._options = {
            ecu: tuple(Choice(ecu, image, place) for place, image in enumerate(choices.options))
            for ecu, choices in problem.by_id.items()
        }
        self._accepted: dict[Runs, int] = {}
        self.steps = 0

    def identify(self, requirement_or_candidate: Any) -> Any:
        item = requirement_or_candidate
        return (item.component,) if isinstance(item, (Host, HasHost)) else item.ecu

    def get_preference(
        self,
        identifier: Any,
        resolutions: Mapping[Any, Any],
        candidates: Mapping[Any, Iterator[Any]],
        information: Mapping[Any, Iterator[Any]],
        backtrack_causes: Sequence[Any],
    ) -> Any:
        """Assigned ECUs first, then those that something demands something of, then hosts, then the rest."""
        if isinstance(identifier, tuple):
            return (2, identifier[0])
        if self._problem.by_id[identifier].assigned is not None:
            return (0, identifier)
        demanded = any(info.parent is not None for info in information[identifier])
        return (1 if demanded else 3, identifier)

    def find_matches(
        self,
        identifier: Any,
        requirements: Mapping[Any, Iterator[Any]],
        incompatibilities: Mapping[Any, Iterator[Any]],
    ) -> Iterable[Any] | Callable[[], Iterator[Any]]:
        if isinstance(identifier, tuple):
            excluded = set(incompatibilities[identifier])
            hosts = (Host(identifier[0], choices.ecu) for choices in self._problem.hosts(identifier[0]))
            return [host for host in hosts if host not in excluded]
        possible = ~0
        for demand in requirements[identifier]:
            possible &= self._accepted_by(demand)
            self.steps += 1
        for choice in incompatibilities[identifier]:
            possible &= ~(1 << choice.place)
            self.steps += 1
        if self.steps > self._max_steps:
            raise ResolutionTooDeep(self.steps)
        return partial(_listed, self._options[identifier], possible)

    def _accepted_by(self, demand: Runs) -> int:
        """The options that meet a demand, as a set of bits by place: the same demands return in every round."""
        accepted = self._accepted.get(demand)
        if accepted is None:
            options = self._options[demand.ecu]
            accepted = sum(1 << choice.place for choice in options if demand.accepts(choice.image))
            self._accepted[demand] = accepted
        return accepted

    def is_satisfied_by(self, requirement: Any, candidate: Any) -> bool:
        return isinstance(requirement, HasHost) or requirement.accepts(candidate.image)

    def get_dependencies(self, candidate: Any) -> Iterable[Any]:
        if isinstance(candidate, Host):
            return [Runs(candidate.ecu, candidate.component)]
        return [] if candidate.image is None else list(self._demands(candidate.ecu, candidate.image))

    def _demands(self, ecu: EcuId, image: Software) -> Iterator[Runs | HasHost]:
        for component, versions in image.dependencies:
            if component != image.component:
                yield HasHost(component)
            for choices in self._problem.hosts(component):
                if choices.ecu != ecu:
                    yield Runs(choices.ecu, component, versions)
        for component, versions in image.conflicts:
            for choices in self._problem.hosts(component):
                if choices.ecu != ecu:
                    yield Runs(choices.ecu, component, versions, forbidden=True)


def _listed(options: Sequence[Choice], possible: int) -> Iterator[Choice]:
    """The options whose bits are set, most wanted first."""
    possible &= (1 << len(options)) - 1
    while possible:
        lowest = possible & -possible
        yield options[lowest.bit_length() - 1]
        possible ^= lowest


def _sentences(impossible: ResolutionImpossible[Any, Any]) -> Iterator[str]:
    """What resolvelib names as the last contradiction, in words. Only used when nothing better is known."""
    for info in impossible.causes:
        demand, parent = info.requirement, info.parent
        if not isinstance(parent, Choice) or parent.image is None or not isinstance(demand, Runs):
            continue
        verb = "conflicts with" if demand.forbidden else "needs"
        versions = str(demand.versions) if demand.versions is not None else "of any version"
        yield f"{parent.image.label} {verb} {demand.component} {versions} on {demand.ecu}"
