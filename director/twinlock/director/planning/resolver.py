"""Choosing a set of images that go together, with resolvelib: Uptane 2.1.0 5.3.2.1 step 5.

To the resolver every ECU is a package that has to be installed, and its possible images are that package's versions. A
dependency on a component is a requirement on every ECU that runs it or could, and on one *host* that does run it, a
package of its own whose versions are those ECUs. A conflict is the inverted requirement on every other ECU.

Pure and deterministic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resolvelib import AbstractProvider, BaseReporter, ResolutionImpossible, Resolver
from resolvelib.resolvers import ResolutionTooDeep

from twinlock.director.errors.vehicles import NoImageSetError
from twinlock.director.model.software import Software
from twinlock.director.planning.conflicts import explain_failure
from twinlock.director.planning.problem import EcuChoices, ImageSetProblem, Selection, violations
from twinlock.repository.model.versions import VersionRange
from twinlock.trust.errors.metadata import LimitError
from twinlock.trust.names import EcuId

# Pins and steps back that one vehicle may cost. 256 ECUs take 256 without any going back.
MAX_ROUNDS = 5_000


@dataclass(frozen=True, slots=True)
class Choice:
    """A version of an ECU: the image it would run, None for whatever it runs now."""

    ecu: EcuId
    image: Software | None


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


def resolve(problem: ImageSetProblem, *, max_rounds: int = MAX_ROUNDS) -> Selection:
    """Choose an image for every ECU so that all assignments, dependencies and conflicts hold; None: as it is.

    No single ECU that was moved could have kept what it runs.
    Raises: NoImageSetError with a sentence for each cause, LimitError when the search was cut off.
    """
    resolver: Resolver[Any, Any, Any] = Resolver(_Provider(problem), BaseReporter())
    demands = [Runs(ecu) for ecu in problem.by_id]
    try:
        mapping = resolver.resolve(demands, max_rounds=max_rounds).mapping
    except ResolutionImpossible as impossible:
        raise NoImageSetError(
            vehicle=problem.vehicle, causes=explain_failure(problem, tuple(_sentences(impossible)))
        ) from None
    except ResolutionTooDeep:
        raise LimitError(what=f"resolver rounds for {problem.vehicle}", value=max_rounds, limit=max_rounds) from None
    return _keep_what_can_stay(problem, {ecu: mapping[ecu].image for ecu in problem.by_id})


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

    def __init__(self, problem: ImageSetProblem) -> None:
        self._problem = problem

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
    ) -> Iterable[Any]:
        excluded = set(incompatibilities[identifier])
        demands = list(requirements[identifier])
        if isinstance(identifier, tuple):
            hosts = (Host(identifier[0], choices.ecu) for choices in self._problem.hosts(identifier[0]))
            return [host for host in hosts if host not in excluded]
        return [
            choice
            for choice in (Choice(identifier, image) for image in self._problem.by_id[identifier].options)
            if choice not in excluded and all(demand.accepts(choice.image) for demand in demands)
        ]

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


def _sentences(impossible: ResolutionImpossible[Any, Any]) -> Iterator[str]:
    """What resolvelib names as the last contradiction, in words. Only used when nothing better is known."""
    for info in impossible.causes:
        demand, parent = info.requirement, info.parent
        if not isinstance(parent, Choice) or parent.image is None or not isinstance(demand, Runs):
            continue
        verb = "conflicts with" if demand.forbidden else "needs"
        versions = str(demand.versions) if demand.versions is not None else "of any version"
        yield f"{parent.image.label} {verb} {demand.component} {versions} on {demand.ecu}"
