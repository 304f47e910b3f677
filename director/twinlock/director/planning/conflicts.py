"""Explains why no set of images fits, with one sentence for each cause.

Pure and deterministic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from twinlock.director.model.software import Software
from twinlock.director.planning.problem import EcuChoices, ImageSetProblem
from twinlock.repository.model.versions import VersionRange
from twinlock.trust.names import EcuId

_MAX_CAUSES = 20
_MAX_DEPTH = 64  # images that each need the next
MAX_EXPLANATION_STEPS = 200_000
"""Images that are looked at for one explanation."""


def explain_failure(
    problem: ImageSetProblem, contradiction: tuple[str, ...], *, max_steps: int = MAX_EXPLANATION_STEPS
) -> tuple[str, ...]:
    """The causes, those about assigned images first. ``contradiction`` is what the resolver knows, used where nothing better is found.

    Where the search ended after ``max_steps``, the last sentence states it.
    """
    causes, complete = find_causes(problem, max_steps=max_steps)
    causes = causes or summarize(contradiction)
    if complete:
        return causes
    return (*causes, f"there may be other causes: the search for them ended after {max_steps} steps")


def find_causes(problem: ImageSetProblem, *, max_steps: int = MAX_EXPLANATION_STEPS) -> tuple[tuple[str, ...], bool]:
    """Causes that each prove that no set fits, and whether the search for them was completed."""
    search = _Search(problem, max_steps)
    assigned = [choices for choices in problem.by_id.values() if choices.assigned is not None]
    free = [choices for choices in problem.by_id.values() if choices.assigned is None]
    causes: dict[str, None] = {}
    try:
        for group in (assigned, free):
            for choices in group:
                causes.update(dict.fromkeys(search.why_none(choices)))
            if causes:
                break
    except _StepsEndedError:
        return tuple(causes)[:_MAX_CAUSES], False
    return tuple(causes)[:_MAX_CAUSES], True


def summarize(contradiction: tuple[str, ...]) -> tuple[str, ...]:
    """What the resolver itself knows, which costs nothing."""
    return tuple(dict.fromkeys(contradiction))[:_MAX_CAUSES] or ("its images contradict each other",)


class _StepsEndedError(Exception):
    """Ends a search that looked at too many images. Never leaves this module."""


class _Search:
    """One search for causes. What keeps an image off an ECU is found once, and each image looked at is a step."""

    def __init__(self, problem: ImageSetProblem, max_steps: int) -> None:
        self._problem = problem
        self._left = max_steps
        self._found: dict[tuple[EcuId, Software], tuple[str, ...]] = {}
        self._open: dict[tuple[EcuId, Software], None] = {}
        self._assumed: set[tuple[EcuId, Software]] = set()

    def why_none(self, choices: EcuChoices) -> tuple[str, ...]:
        """Why this ECU can run nothing of what it may; nothing if one of its options is free of trouble by itself."""
        if not choices.options:
            return (_why_not_assigned(choices),)
        troubles = self._all_blocked((choices, option) for option in choices.options)
        return troubles[0] if troubles else ()

    def _all_blocked(self, options: Iterable[tuple[EcuChoices, Software | None]]) -> list[tuple[str, ...]]:
        """What blocks each option; empty as soon as one is not blocked."""
        troubles = []
        for choices, option in options:
            trouble = () if option is None else self._blocked(choices, option)
            if not trouble:
                return []
            troubles.append(trouble)
        return troubles

    def _blocked(self, choices: EcuChoices, image: Software) -> tuple[str, ...]:
        """What keeps ``image`` out of every set, as far as one dependency or conflict by itself can.

        Images that need each other are assumed to be possible while the other is judged; what was only assumed is not kept.
        """
        place = choices.ecu, image
        if place in self._found:
            return self._found[place]
        if place in self._open:
            self._assumed.add(place)
            return ()
        if len(self._open) == _MAX_DEPTH:
            raise _StepsEndedError
        outer, self._assumed = self._assumed, set()
        self._open[place] = None
        found = tuple(self._troubles(choices, image))
        del self._open[place]
        self._assumed.discard(place)
        if found or not self._assumed:
            self._found[place] = found
        self._assumed |= outer
        return found

    def _troubles(self, choices: EcuChoices, image: Software) -> Iterator[str]:
        for component, versions in image.dependencies:
            trouble = self._missing(choices, image, component, versions)
            if trouble is not None:
                yield trouble
        for other in self._problem.by_id.values():
            if other.ecu != choices.ecu and other.options:
                trouble = self._intolerable(choices, image, other)
                if trouble is not None:
                    yield trouble

    def _missing(self, choices: EcuChoices, image: Software, component: str, versions: VersionRange) -> str | None:
        need = f"{image.label} needs {component} {versions}"
        hosts = [host for host in self._problem.hosts(component) if host.ecu != choices.ecu]
        self._step(sum(1 + len(host.offered) for host in hosts))
        if image.is_one_of(component, versions):
            hosts = [host for host in hosts if _always_runs(host, component)]
            if not hosts:
                return None
        if not hosts:
            return f"{need}, but no ECU of {self._problem.vehicle} runs or could run {component}"
        fitting = [(host, option) for host in hosts for option in host.options if _fits(option, component, versions)]
        if not fitting:
            return f"{need}, {_why_not_offered(hosts, component, versions)}"
        stubborn = [
            host for host in hosts if _always_runs(host, component) and not _any_fits(host, component, versions)
        ]
        if stubborn:
            return f"{need}, {_why_not_offered(stubborn, component, versions)}"
        troubles = self._all_blocked(fitting)
        return f"{need}; {troubles[0][0]}" if troubles else None

    def _intolerable(self, choices: EcuChoices, image: Software, other: EcuChoices) -> str | None:
        """Another ECU that can run nothing but what ``image`` conflicts with, or what conflicts with ``image``."""
        first = None
        for option in other.options:
            self._step(1)
            reason = None if option is None else _conflict(choices, image, other, option)
            if reason is None:
                return None
            first = first or reason
        return first

    def _step(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise _StepsEndedError


def _why_not_assigned(choices: EcuChoices) -> str:
    named = [image for image in choices.offered if image.path == choices.assigned]
    if not named:
        return f"{choices.assigned or 'any image'} is not offered for {choices.hardware_id}"
    image, installed = named[0], choices.installed
    if installed is not None and (installed.release_counter or 0) > (image.release_counter or 0):
        return f"{image.label} is older than {installed.label}, which {choices.ecu} runs"
    return f"{image.label} does not meet its own dependencies"


def _why_not_offered(hosts: list[EcuChoices], component: str, versions: VersionRange) -> str:
    for host in hosts:
        running = host.options[0]
        if host.assigned is not None and running is not None:
            return f"but {running.label} is assigned to {host.ecu}"
    for host in hosts:
        for image in host.offered:
            if image.is_one_of(component, versions) and host.installed is not None:
                return f"but {image.label} is older than {host.installed.label}, which {host.ecu} runs"
    hardware = ", ".join(sorted({host.hardware_id for host in hosts}))
    return f"which is not offered for {hardware}"


def _conflict(choices: EcuChoices, image: Software, other: EcuChoices, option: Software) -> str | None:
    for component, versions in image.conflicts:
        if option.is_one_of(component, versions):
            return _told(image, component, versions, option, other)
    for component, versions in option.conflicts:
        if image.is_one_of(component, versions):
            return _told(option, component, versions, image, choices)
    return None


def _told(image: Software, component: str, versions: VersionRange, victim: Software, place: EcuChoices) -> str:
    where = f"is assigned to {place.ecu}" if place.assigned is not None else f"stays on {place.ecu}"
    return f"{image.label} conflicts with {component} {versions}, and {victim.label} {where}"


def _fits(option: Software | None, component: str, versions: VersionRange) -> bool:
    return option is not None and option.is_one_of(component, versions)


def _any_fits(host: EcuChoices, component: str, versions: VersionRange) -> bool:
    return any(
        option is None or option.component != component or _fits(option, component, versions) for option in host.options
    )


def _always_runs(host: EcuChoices, component: str) -> bool:
    return all(option is not None and option.component == component for option in host.options)
