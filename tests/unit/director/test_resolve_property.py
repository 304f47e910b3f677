"""The resolver against an independent exhaustive search on small vehicles: same answer to "is there a set?"."""

from __future__ import annotations

from itertools import product
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from twinlock.director.errors.vehicles import NoImageSetError
from twinlock.director.model.software import Software, Terms, mentioned
from twinlock.director.planning.problem import EcuChoices, ImageSetProblem, relevant_components
from twinlock.director.planning.resolver import resolve
from twinlock.repository.model.versions import VersionRange, read_range, read_version
from twinlock.trust.names import EcuId, HardwareId, TargetPath

COMPONENTS = ("alpha", "beta", "gamma")
RANGES = (">=1", ">=2", ">=3", "<2", "<3", "==1", "==2", "!=2", "")

terms = st.dictionaries(st.sampled_from(COMPONENTS), st.sampled_from(RANGES), max_size=2).map(
    lambda found: tuple(sorted((name, read_range(text)) for name, text in found.items()))
)


def rarely(strategy: st.SearchStrategy[Terms]) -> st.SearchStrategy[Terms]:
    return st.one_of(st.just(()), strategy)


@st.composite
def problems(draw: st.DrawFn) -> ImageSetProblem:
    catalogue = []
    for component in COMPONENTS:
        for version in range(1, 4):
            if draw(st.booleans()):
                catalogue.append(
                    Software(
                        image=f"{component}{version}",
                        path=TargetPath(f"{component}/{version}"),
                        release_counter=draw(st.integers(1, 3)),
                        component=component,
                        version=read_version(str(version)),
                        dependencies=draw(rarely(terms)),
                        conflicts=draw(rarely(terms)),
                    )
                )
    ecus = []
    for number in range(draw(st.integers(1, 4))):
        offered = tuple(image for image in catalogue if draw(st.booleans()))
        installed = draw(st.sampled_from([None, *catalogue]))
        paths = [image.path for image in offered]
        assigned = draw(st.sampled_from([None, None, *paths]))
        ecus.append(
            EcuChoices(
                ecu=EcuId(f"ecu-{number}"),
                hardware_id=HardwareId(f"hw-{number}"),
                installed=installed,
                offered=offered,
                assigned=assigned,
            )
        )
    return ImageSetProblem(vehicle="VIN", ecus=tuple(ecus))


def counter(image: Software | None) -> int:
    return 0 if image is None or image.release_counter is None else image.release_counter


def within(image: Software, versions: VersionRange) -> bool:
    return image.version is not None and image.version in versions


def allowed(choices: EcuChoices) -> list[Software | None]:
    """Written again from the rules, without looking at how the resolver does it."""
    floor = counter(choices.installed)
    newer = [image for image in choices.offered if counter(image) >= floor]
    if choices.assigned is not None:
        return [image for image in newer if image.path == choices.assigned]
    if choices.installed is None:
        return [None, *newer]
    return [choices.installed, *(image for image in newer if image.component == choices.installed.component)]


def holds(selection: tuple[Software | None, ...]) -> bool:
    for place, image in enumerate(selection):
        if image is None:
            continue
        for component, versions in image.dependencies:
            running = [other for other in selection if other is not None and other.component == component]
            if not running or not all(within(other, versions) for other in running):
                return False
        for component, versions in image.conflicts:
            others = [
                other for other_place, other in enumerate(selection) if other_place != place and other is not None
            ]
            if any(other.component == component and within(other, versions) for other in others):
                return False
    return True


@settings(max_examples=400, deadline=None)
@given(problems())
def test_a_set_is_found_exactly_when_there_is_one(problem: ImageSetProblem) -> None:
    every = [selection for selection in product(*(allowed(choices) for choices in problem.ecus)) if holds(selection)]
    try:
        found = resolve(problem)
    except NoImageSetError as error:
        assert not every, f"the resolver missed {every[0]}"
        assert error.causes
        assert all(error.causes)
        return
    chosen = tuple(found[choices.ecu] for choices in problem.ecus)
    assert chosen in every


@settings(max_examples=200, deadline=None)
@given(problems())
def test_nothing_is_moved_that_could_have_stayed(problem: ImageSetProblem) -> None:
    try:
        found = resolve(problem)
    except NoImageSetError:
        return
    chosen = [found[choices.ecu] for choices in problem.ecus]
    for place, choices in enumerate(problem.ecus):
        if choices.assigned is None and chosen[place] != choices.installed:
            kept = [*chosen[:place], choices.installed, *chosen[place + 1 :]]
            assert not holds(tuple(kept))


@settings(max_examples=100, deadline=None)
@given(problems(), st.randoms())
def test_the_answer_does_not_depend_on_the_order_of_ecus_or_images(problem: ImageSetProblem, random: Random) -> None:
    def answer(question: ImageSetProblem) -> object:
        try:
            return dict(resolve(question))
        except NoImageSetError as error:
            return error.causes

    shuffled = []
    for choices in problem.ecus:
        offered = list(choices.offered)
        random.shuffle(offered)
        shuffled.append(
            EcuChoices(
                ecu=choices.ecu,
                hardware_id=choices.hardware_id,
                installed=choices.installed,
                offered=tuple(offered),
                assigned=choices.assigned,
            )
        )
    random.shuffle(shuffled)
    assert answer(problem) == answer(ImageSetProblem(vehicle="VIN", ecus=tuple(shuffled)))


@settings(max_examples=300, deadline=None)
@given(problems())
def test_leaving_out_irrelevant_components_never_changes_whether_there_is_a_set(problem: ImageSetProblem) -> None:
    present, mentions = [], dict[str, frozenset[str]]()
    for choices in problem.ecus:
        assigned = [image for image in choices.offered if image.path == choices.assigned]
        present += assigned if choices.assigned is not None else [image for image in (choices.installed,) if image]
        for image in choices.offered:
            assert image.component is not None
            mentions[image.component] = mentions.get(image.component, frozenset()) | mentioned(image)
    relevant = relevant_components(present, mentions)
    assert relevant is not None
    reduced = [
        [
            image
            for image in allowed(choices)
            if choices.assigned is not None or image is choices.installed or (image and image.component in relevant)
        ]
        for choices in problem.ecus
    ]
    full = any(map(holds, product(*(allowed(choices) for choices in problem.ecus))))
    assert any(map(holds, product(*reduced))) == full
