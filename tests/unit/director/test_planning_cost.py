"""What planning costs where suppliers list many images, and where no set of them fits: bounded, whatever they list."""

from __future__ import annotations

from typing import Any

import pytest

from tests.counted_calls import counted
from tests.unit.director.test_resolve import ecu, image
from tests.unit.director.world import ImageSite, TestVehicle, at
from twinlock.director.director import Director
from twinlock.director.errors.vehicles import NoImageSetError
from twinlock.director.model.records import IMPOSSIBLE, ORDERED
from twinlock.director.planning.conflicts import explain_failure, find_causes
from twinlock.director.planning.problem import EcuChoices, ImageSetProblem, violations
from twinlock.director.planning.resolver import resolve
from twinlock.repository.model.versions import VersionRange
from twinlock.trust.errors.metadata import LimitError

VIN = "VIN1"
OLD = image("old", "0", 0)


def question(*ecus: EcuChoices) -> ImageSetProblem:
    return ImageSetProblem(vehicle="VIN", ecus=ecus)


def contradiction(versions: int) -> ImageSetProblem:
    """Two free components with many versions that never go together, and an assignment that needs both."""
    gateway = image("gateway", "1", needs={"a": ">=1"})
    each = range(1, versions + 1)
    return question(
        ecu("g", gateway, installed=OLD, assigned="gateway/1"),
        ecu("a", *(image("a", f"{n}.0", n, needs={"b": f"<={versions + 5}"}) for n in each)),
        ecu("b", *(image("b", f"{n}.0", n, conflicts={"a": ">=1"}) for n in each)),
    )


def ladder(depth: int, *, versions: int = 2) -> ImageSetProblem:
    """Components that each need the next, in several versions; the last needs what no ECU runs."""
    ecus = [ecu("top", image("top", "1", needs={"c0": ">=1"}), installed=OLD, assigned="top/1")]
    for rung in range(depth):
        needs = {f"c{rung + 1}": ">=1"} if rung + 1 < depth else {"nothing": ">=1"}
        offered = [image(f"c{rung}", f"{n}.0", n, needs=needs) for n in range(1, versions + 1)]
        ecus.append(ecu(f"e{rung:03}", *offered, installed=OLD if rung == depth else None))
    return question(*ecus)


def compared(function: Any) -> int:
    """How many comparisons of a version with a range ``function`` makes."""
    with counted(compared=VersionRange.__contains__) as calls:
        function()
    return calls["compared"]


def test_comparisons_grow_with_the_square_of_the_versions_listed_and_not_with_the_third_power() -> None:
    def solve(problem: ImageSetProblem) -> None:
        with pytest.raises(NoImageSetError):
            resolve(problem)

    small, large = (compared(lambda n=n: solve(contradiction(n))) for n in (10, 30))
    assert large < 10 * small


def test_the_search_for_a_set_ends_after_a_number_of_steps_and_says_so() -> None:
    with pytest.raises(LimitError) as caught:
        resolve(contradiction(40), max_steps=1_000)
    assert caught.value.limit == 1_000
    assert caught.value.value < 2_000


def test_causes_that_prove_that_nothing_fits_are_told_where_the_search_was_cut_off() -> None:
    problem = ladder(6)
    with pytest.raises(NoImageSetError) as caught:
        resolve(problem, max_steps=1)
    assert "no ECU of VIN runs or could run nothing" in caught.value.causes[0]


def test_a_cause_below_many_versions_is_searched_for_once_and_not_once_for_each_way_to_it() -> None:
    small, large = (compared(lambda n=n: find_causes(ladder(n))) for n in (6, 12))
    assert 0 < small < large < 3 * small
    assert find_causes(ladder(12))[1]


def test_a_long_chain_of_dependencies_ends_the_search_for_causes_and_nothing_else() -> None:
    causes = explain_failure(ladder(300), ("c299 needs nothing",))
    assert causes[0] == "c299 needs nothing"
    assert "the search for them ended" in causes[-1]


@pytest.mark.parametrize("steps", [0, 1, 10, 100])
def test_an_explanation_that_ends_early_says_so_after_what_it_found(steps: int) -> None:
    problem = ladder(40)
    complete = explain_failure(problem, ("known",))
    early = explain_failure(problem, ("known",), max_steps=steps)
    assert len(complete) == 1
    assert "ended" not in complete[0]
    assert early == ("known", f"there may be other causes: the search for them ended after {steps} steps")


def test_images_that_need_each_other_are_not_taken_as_possible_once_one_of_them_is_not() -> None:
    """``b`` looks possible while ``a``, which it needs, is judged; ``a`` is not, so neither is ``b``, nor what needs it."""
    a, b = image("a", "1", needs={"b": ">=1", "nothing": ">=1"}), image("b", "1", needs={"a": ">=1"})
    d, x1, x2 = image("d", "1", needs={"b": ">=1"}), image("x", "1"), image("x", "2", 2, needs={"a": ">=1"})
    asked_first = image("first", "1", needs={"x": ">=1"})
    causes, complete = find_causes(
        question(
            ecu("first", asked_first, installed=OLD, assigned="first/1"),
            ecu("top", image("top", "1", needs={"d": ">=1"}), installed=OLD, assigned="top/1"),
            *(ecu(f"e-{options[0].component}", *options) for options in ((a,), (b,), (d,), (x1, x2))),
        )
    )
    assert complete
    assert len(causes) == 1
    assert causes[0].startswith("top 1 needs d >= 1; d 1 needs b >= 1; b 1 needs a >= 1; a 1 needs nothing >= 1, but")


def test_whether_a_large_selection_holds_is_seen_without_comparing_every_pair_of_ecus() -> None:
    images = {ecu(f"e{n}").ecu: image(f"c{n}", "1", needs={f"c{n + 1}": ">=1"} if n < 199 else {}) for n in range(200)}
    assert compared(lambda: list(violations(images))) == 199


def needless(site: ImageSite, versions: int) -> None:
    """Images that conflict, from a supplier, in place of those that fitted."""
    del site.images["gw/1.4.bin"]
    for n in range(1, versions + 1):
        site.add(
            f"gw/2.{n}.bin",
            hardware=["gw-1"],
            counter=20 + n,
            name="gateway",
            version=f"2.{n}",
            conflicts={"brake": ">=2"},
        )
    site.now = at(minutes=10)
    site.publish()


def test_a_request_of_a_vehicle_never_pays_for_an_explanation_and_an_operator_gets_one(
    fleet: Director, site: ImageSite, car: TestVehicle
) -> None:
    assert fleet.assign(VIN, {"ecu-brake": "brake/2.0.bin"}).outcome == ORDERED
    fleet.metadata(VIN, "timestamp.json")
    needless(site, 3)
    with counted(explained=explain_failure, solved=resolve) as calls:
        fleet.metadata(VIN, "timestamp.json", now=at(minutes=10))
        fleet.metadata(VIN, "timestamp.json", now=at(minutes=11))
    assert calls == {"solved": 1}
    stored = fleet.decisions(VIN, limit=1)[0].plan
    assert stored.outcome == IMPOSSIBLE
    assert stored.reasons[-1] == f"`twinlock director explain DIRECTORY {VIN}` searches for the causes"

    with counted(explained=explain_failure) as calls:
        plan = fleet.explain(VIN, now=at(minutes=12))
    assert calls == {"explained": 1}
    assert plan.reasons == (
        "brake 2.0 needs gateway >= 1.4; gateway 2.3 conflicts with brake >= 2, and brake 2.0 is assigned to ecu-brake",
    )
