"""Saying why no set of images fits, one sentence for each cause.

Pure and deterministic.
"""

from __future__ import annotations

from collections.abc import Iterator

from twinlock.director.model.software import Software
from twinlock.director.planning.problem import EcuChoices, ImageSetProblem
from twinlock.repository.model.versions import VersionRange

_MAX_CAUSES = 20


def explain_failure(problem: ImageSetProblem, contradiction: tuple[str, ...]) -> tuple[str, ...]:
    """The causes, those about assigned images first. ``contradiction`` is what the resolver knows, for want of better."""
    assigned = [choices for choices in problem.by_id.values() if choices.assigned is not None]
    free = [choices for choices in problem.by_id.values() if choices.assigned is None]
    causes = _unique(sentence for choices in assigned for sentence in _why_none(problem, choices))
    causes = causes or _unique(sentence for choices in free for sentence in _why_none(problem, choices))
    return causes or _unique(contradiction) or ("its images contradict each other",)


def _unique(sentences: Iterator[str] | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sentences))[:_MAX_CAUSES]


def _why_none(problem: ImageSetProblem, choices: EcuChoices) -> Iterator[str]:
    """Why this ECU can run nothing of what it may; nothing if one of its options is free of trouble by itself."""
    if not choices.options:
        yield _why_not_assigned(choices)
        return
    troubles = [list(_blocked(problem, choices, option, ())) for option in choices.options]
    if all(troubles):
        yield from troubles[0]


def _why_not_assigned(choices: EcuChoices) -> str:
    named = [image for image in choices.offered if image.path == choices.assigned]
    if not named:
        return f"{choices.assigned or 'any image'} is not offered for {choices.hardware_id}"
    image, installed = named[0], choices.installed
    if installed is not None and (installed.release_counter or 0) > (image.release_counter or 0):
        return f"{image.label} is older than {installed.label}, which {choices.ecu} runs"
    return f"{image.label} does not meet its own dependencies"


def _blocked(
    problem: ImageSetProblem, choices: EcuChoices, image: Software | None, trail: tuple[Software, ...]
) -> Iterator[str]:
    """What keeps ``image`` out of every set, as far as one dependency or conflict by itself can."""
    if image is None or image in trail:
        return
    for component, versions in image.dependencies:
        yield from _missing(problem, choices, image, component, versions, (*trail, image))
    for other in problem.by_id.values():
        if other.ecu != choices.ecu and other.options:
            yield from _intolerable(choices, image, other)


def _missing(  # noqa: PLR0917 - one question, asked at each step of the walk
    problem: ImageSetProblem,
    choices: EcuChoices,
    image: Software,
    component: str,
    versions: VersionRange,
    trail: tuple[Software, ...],
) -> Iterator[str]:
    need = f"{image.label} needs {component} {versions}"
    hosts = [host for host in problem.hosts(component) if host.ecu != choices.ecu]
    if image.is_one_of(component, versions):
        hosts = [host for host in hosts if _always_runs(host, component)]
        if not hosts:
            return
    if not hosts:
        yield f"{need}, but no ECU of {problem.vehicle} runs or could run {component}"
        return
    fitting = [(host, option) for host in hosts for option in host.options if _fits(option, component, versions)]
    if not fitting:
        yield f"{need}, {_why_not_offered(hosts, component, versions)}"
        return
    stubborn = [host for host in hosts if _always_runs(host, component) and not _any_fits(host, component, versions)]
    if stubborn:
        yield f"{need}, {_why_not_offered(stubborn, component, versions)}"
        return
    troubles = [list(_blocked(problem, host, option, trail)) for host, option in fitting]
    if all(troubles):
        yield f"{need}; {troubles[0][0]}"


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


def _intolerable(choices: EcuChoices, image: Software, other: EcuChoices) -> Iterator[str]:
    """Another ECU that can run nothing but what ``image`` conflicts with, or what conflicts with ``image``."""
    reasons = []
    for option in other.options:
        reason = None if option is None else _conflict(choices, image, other, option)
        if reason is None:
            return
        reasons.append(reason)
    yield reasons[0]


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
