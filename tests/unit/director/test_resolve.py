"""The resolver on vehicles that people would draw: what is chosen, what stays, and what is said when nothing fits."""

from __future__ import annotations

import pytest

from twinlock.director.errors.vehicles import NoImageSetError
from twinlock.director.model.software import Software
from twinlock.director.planning.problem import EcuChoices, ImageSetProblem
from twinlock.director.planning.resolver import resolve
from twinlock.repository.model.versions import VersionRange, read_range, read_version
from twinlock.trust.errors.metadata import LimitError
from twinlock.trust.names import EcuId, HardwareId, TargetPath


def image(component: str, version: str, counter: int = 1, **terms: dict[str, str]) -> Software:
    def read(found: dict[str, str]) -> tuple[tuple[str, VersionRange], ...]:
        return tuple(sorted((name, read_range(text)) for name, text in found.items()))

    return Software(
        image=f"{component} {version} {counter}",
        path=TargetPath(f"{component}/{version}"),
        release_counter=counter,
        component=component,
        version=read_version(version),
        dependencies=read(terms.get("needs", {})),
        conflicts=read(terms.get("conflicts", {})),
    )


def ecu(name: str, *offered: Software, installed: Software | None = None, assigned: str | None = None) -> EcuChoices:
    return EcuChoices(
        ecu=EcuId(name),
        hardware_id=HardwareId(f"hw-{name}"),
        installed=installed,
        offered=offered,
        assigned=None if assigned is None else TargetPath(assigned),
    )


def choose(*ecus: EcuChoices) -> dict[str, str]:
    selection = resolve(ImageSetProblem(vehicle="VIN", ecus=ecus))
    return {name: chosen.label if chosen is not None else "?" for name, chosen in selection.items()}


def causes(*ecus: EcuChoices) -> tuple[str, ...]:
    with pytest.raises(NoImageSetError) as caught:
        resolve(ImageSetProblem(vehicle="VIN", ecus=ecus))
    assert caught.value.vehicle == "VIN"
    return caught.value.causes


GW13, GW14, GW15 = (image("gateway", version, counter) for version, counter in (("1.3", 3), ("1.4", 4), ("1.5", 5)))
BRAKE1 = image("brake", "1.0")
BRAKE2 = image("brake", "2.0", 2, needs={"gateway": ">=1.4"})


def test_an_ecu_without_an_assignment_keeps_what_it_has() -> None:
    assert choose(ecu("g", GW13, GW14, installed=GW13), ecu("b", BRAKE1, installed=BRAKE1)) == {
        "g": "gateway 1.3",
        "b": "brake 1.0",
    }


def test_a_dependency_moves_an_ecu_to_the_newest_that_fits() -> None:
    gateway = ecu("g", GW13, GW14, GW15, installed=GW13)
    brake = ecu("b", BRAKE1, BRAKE2, installed=BRAKE1, assigned="brake/2.0")
    assert choose(gateway, brake) == {"g": "gateway 1.5", "b": "brake 2.0"}


def test_a_dependency_that_holds_already_moves_nothing() -> None:
    gateway = ecu("g", GW13, GW14, GW15, installed=GW14)
    brake = ecu("b", BRAKE1, BRAKE2, installed=BRAKE1, assigned="brake/2.0")
    assert choose(gateway, brake) == {"g": "gateway 1.4", "b": "brake 2.0"}


def test_every_ecu_that_runs_the_component_has_to_fit() -> None:
    left, right = (ecu(name, GW13, GW14, installed=GW13) for name in ("l", "r"))
    brake = ecu("b", BRAKE2, installed=BRAKE1, assigned="brake/2.0")
    assert choose(left, right, brake) == {"l": "gateway 1.4", "r": "gateway 1.4", "b": "brake 2.0"}


def test_a_chain_of_dependencies_is_followed() -> None:
    core1, core2 = image("core", "1"), image("core", "2", 2)
    gateway = image("gateway", "1.6", 6, needs={"core": ">=2"})
    assert choose(
        ecu("c", core1, core2, installed=core1),
        ecu("g", GW13, gateway, installed=GW13),
        ecu("b", BRAKE2, installed=BRAKE1, assigned="brake/2.0"),
    ) == {"c": "core 2", "g": "gateway 1.6", "b": "brake 2.0"}


def test_the_newest_is_passed_over_if_what_it_needs_is_not_there() -> None:
    dead_end = image("gateway", "1.9", 9, needs={"core": ">=2"})
    gateway = ecu("g", GW13, GW14, dead_end, installed=GW13)
    assert choose(gateway, ecu("b", BRAKE2, installed=BRAKE1, assigned="brake/2.0"))["g"] == "gateway 1.4"


def test_a_conflict_moves_the_other_whichever_image_states_it() -> None:
    adas2, adas3 = image("adas", "2"), image("adas", "3", 2)
    brake = image("brake", "3.0", 3, conflicts={"adas": "<3"})
    assert choose(ecu("a", adas2, adas3, installed=adas2), ecu("b", brake, installed=BRAKE1, assigned="brake/3.0")) == {
        "a": "adas 3",
        "b": "brake 3.0",
    }
    shy = image("adas", "2", 1, conflicts={"brake": ">=3"})
    plain = image("brake", "3.0", 3)
    assert choose(ecu("a", shy, adas3, installed=shy), ecu("b", plain, installed=BRAKE1, assigned="brake/3.0")) == {
        "a": "adas 3",
        "b": "brake 3.0",
    }


def test_an_ecu_that_never_reported_is_given_what_a_dependency_needs() -> None:
    assert choose(ecu("g", GW13, GW14), ecu("b", BRAKE2, installed=BRAKE1, assigned="brake/2.0"))["g"] == "gateway 1.4"


def test_a_pre_release_counts_like_any_version() -> None:
    candidate = image("gateway", "1.4rc1", 4)
    needs = image("brake", "2.0", 2, needs={"gateway": ">=1.4rc1"})
    assert choose(
        ecu("g", GW13, candidate, installed=GW13), ecu("b", needs, installed=BRAKE1, assigned="brake/2.0")
    ) == {
        "g": "gateway 1.4rc1",
        "b": "brake 2.0",
    }


def test_it_is_said_that_a_dependency_is_not_offered_for_the_hardware() -> None:
    found = causes(ecu("g", GW13, installed=GW13), ecu("b", BRAKE2, installed=BRAKE1, assigned="brake/2.0"))
    assert found == ("brake 2.0 needs gateway >= 1.4, which is not offered for hw-g",)


def test_it_is_said_that_nothing_runs_the_component() -> None:
    found = causes(ecu("b", BRAKE2, installed=BRAKE1, assigned="brake/2.0"))
    assert found == ("brake 2.0 needs gateway >= 1.4, but no ECU of VIN runs or could run gateway",)


def test_it_is_said_that_an_assignment_contradicts_a_dependency() -> None:
    gateway = ecu("g", GW13, GW14, installed=GW13, assigned="gateway/1.3")
    found = causes(gateway, ecu("b", BRAKE2, installed=BRAKE1, assigned="brake/2.0"))
    assert found == ("brake 2.0 needs gateway >= 1.4, but gateway 1.3 is assigned to g",)


def test_it_is_said_that_what_would_fit_is_older_than_what_is_there() -> None:
    newer = image("gateway", "0.9", 9)
    found = causes(ecu("g", GW14, installed=newer), ecu("b", BRAKE2, installed=BRAKE1, assigned="brake/2.0"))
    assert found == ("brake 2.0 needs gateway >= 1.4, but gateway 1.4 is older than gateway 0.9, which g runs",)


def test_the_way_to_a_missing_dependency_is_told_from_the_assignment_on() -> None:
    dead_end = image("gateway", "1.9", 9, needs={"core": ">=2"})
    core = image("core", "1")
    found = causes(
        ecu("c", core, installed=core),
        ecu("g", GW13, dead_end, installed=GW13),
        ecu("b", BRAKE2, installed=BRAKE1, assigned="brake/2.0"),
    )
    assert found == ("brake 2.0 needs gateway >= 1.4; gateway 1.9 needs core >= 2, which is not offered for hw-c",)


def test_a_conflict_of_two_assignments_is_told() -> None:
    adas = image("adas", "2")
    brake = image("brake", "3.0", 3, conflicts={"adas": "<3"})
    found = causes(
        ecu("a", adas, installed=adas, assigned="adas/2"), ecu("b", brake, installed=BRAKE1, assigned="brake/3.0")
    )
    assert found == ("brake 3.0 conflicts with adas < 3, and adas 2 is assigned to a",)


def test_an_assignment_that_is_not_offered_is_told() -> None:
    assert causes(ecu("g", GW13, installed=GW13, assigned="gateway/7")) == ("gateway/7 is not offered for hw-g",)


def test_a_search_that_takes_too_long_is_cut_off_and_says_so() -> None:
    with pytest.raises(LimitError) as caught:
        resolve(ImageSetProblem(vehicle="VIN", ecus=(ecu("g", GW13, installed=GW13), ecu("b", BRAKE1))), max_rounds=1)
    assert caught.value.limit == 1


def test_a_large_vehicle_is_resolved_without_going_through_all_combinations() -> None:
    ecus = []
    for number in range(60):
        needs = {"needs": {f"c{number + 1}": ">=2"}} if number < 59 else {}
        old, new = image(f"c{number}", "1"), image(f"c{number}", "2", 2, **needs)
        ecus.append(ecu(f"e{number:02}", old, new, installed=old, assigned="c0/2" if number == 0 else None))
    assert set(choose(*ecus).values()) == {f"c{number} 2" for number in range(60)}
