"""The question that a resolver answers: which ECUs a vehicle has, and what each of them may run.

Nothing here reads a clock, a database or the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from packaging.version import Version

from twinlock.director.model.software import Software, mentioned
from twinlock.repository.model.versions import LOWEST, Runs
from twinlock.trust.names import EcuId, HardwareId, TargetPath


@dataclass(frozen=True, kw_only=True)
class EcuChoices:
    """One ECU. ``installed`` None: what it runs is unknown. ``offered`` are the images listed for its hardware.

    ``assigned`` is the target path that the operator demands, None where the ECU is free.
    """

    ecu: EcuId
    hardware_id: HardwareId
    installed: Software | None = None
    offered: tuple[Software, ...] = ()
    assigned: TargetPath | None = None

    @cached_property
    def options(self) -> tuple[Software | None, ...]:
        """What this ECU may run, most wanted first. None stands for whatever it runs now.

        An assigned ECU runs that image. A free one keeps what it has, or gets the newest that fits; it never changes
        from one component to another by itself, nor to a lower release counter (Uptane 2.1.0 5.4.4.2 step 10.2.3).
        """
        if self.assigned is not None:
            return tuple(image for image in self.offered if image.path == self.assigned and self._may_follow(image))
        movable = [image for image in self.offered if self._may_follow(image) and self._same_component(image)]
        newest_first = sorted(movable, key=_age, reverse=True)
        others = (image for image in newest_first if self.installed is None or image.image != self.installed.image)
        return tuple(option for option in (self.installed, *others) if option is None or _tolerates_itself(option))

    def _may_follow(self, image: Software) -> bool:
        if not _tolerates_itself(image):
            return False
        if self.installed is None or self.installed.release_counter is None or image.release_counter is None:
            return True
        return image.release_counter >= self.installed.release_counter

    def _same_component(self, image: Software) -> bool:
        return self.installed is None or self.installed.component in (None, image.component)


@dataclass(frozen=True, kw_only=True)
class ImageSetProblem:
    """A vehicle whose ECUs have to be given images that go together. The order of ``ecus`` does not matter."""

    vehicle: str
    ecus: tuple[EcuChoices, ...]

    @cached_property
    def by_id(self) -> Mapping[EcuId, EcuChoices]:
        """The ECUs by id, sorted."""
        return {choices.ecu: choices for choices in sorted(self.ecus, key=lambda choices: choices.ecu)}

    def hosts(self, component: str) -> tuple[EcuChoices, ...]:
        """The ECUs that run ``component`` or could."""
        return self._hosts.get(component, ())

    @cached_property
    def _hosts(self) -> Mapping[str, tuple[EcuChoices, ...]]:
        found: dict[str, tuple[EcuChoices, ...]] = {}
        for choices in self.by_id.values():
            components = {option.component for option in choices.options if option is not None}
            for component in components:
                if component is not None:
                    found[component] = (*found.get(component, ()), choices)
        return found


Selection = Mapping[EcuId, Software | None]


def violations(selection: Selection) -> Iterator[tuple[Software, str]]:
    """What is wrong with a selection: an image, and the component that it misses or does not tolerate.

    A dependency holds if some ECU runs the component and every ECU that runs it does so in a version of the range. A
    conflict holds, in both directions, if no *other* ECU runs the component in such a version.
    """
    hosts: dict[str | None, list[tuple[EcuId, Software]]] = {}
    for ecu, image in selection.items():
        if image is not None:
            hosts.setdefault(image.component, []).append((ecu, image))
    for ecu, image in selection.items():
        if image is None:
            continue
        for component, versions in image.dependencies:
            running = hosts.get(component, [])
            if not running or not all(other.is_one_of(component, versions) for _, other in running):
                yield image, component
        for component, versions in image.conflicts:
            others = (other for name, other in hosts.get(component, []) if name != ecu)
            if any(other.is_one_of(component, versions) for other in others):
                yield image, component


def _tolerates_itself(image: Software) -> bool:
    """Whether the image meets its own dependencies on its own component."""
    return all(name != image.component or image.is_one_of(name, versions) for name, versions in image.dependencies)


def _age(image: Software) -> tuple[int, tuple[Version, Runs], str]:
    return (image.release_counter or 0, (image.version or LOWEST).order, image.path)


def relevant_components(present: Iterable[Software], mentions: Mapping[str, frozenset[str]]) -> frozenset[str] | None:
    """The components that a free ECU may have to be given, None for any.

    ``present`` are the assigned and the installed images; ``mentions`` maps a component to those that some image of it
    needs or conflicts with. A free ECU is moved only to give another image a component that it needs, or to a version
    that others tolerate or that tolerates them: so only components count that are mentioned, or mention others.
    """
    relevant: set[str] = set()
    waiting: list[str] = []
    for software in present:
        names = mentioned(software)
        if names and software.component is None:
            return None  # it may have to go, and which component would take its place is unknown
        waiting += [*names, *([software.component] if names and software.component is not None else [])]
    while waiting:
        component = waiting.pop()
        if component not in relevant:
            relevant.add(component)
            waiting += mentions.get(component, ())
    return frozenset(relevant)
