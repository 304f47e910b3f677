"""One scenario as data: the world is brought to the moment before the vehicle looks, and written down.

The engine's verdict plays no part here: what a case expects is what the scenario says.
"""

from __future__ import annotations

import json
import re
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any

from cases.rules import rule_of
from tests.simulator.scenario import Accepted, Expectation, Refused, Scenario, next_images
from twinlock.testing.simulator.keys import JSON, Key
from twinlock.testing.simulator.repository import FAR_AHEAD, RepositorySimulator, wire_time
from twinlock.testing.simulator.vehicle import Store, VehicleSimulator
from twinlock.testing.simulator.world import World
from twinlock.trust.errors.base import RefusalError

FORMAT = 2
Files = dict[str, dict[str, bytes]]
_VERSIONED = re.compile(r"(\d+)\.(.+)\.json")


@dataclass(frozen=True)
class Case:
    """``document`` is ``case.json`` without its files; those are bytes by repository and file name.

    ``then`` are later cycles, each with its own offer.
    """

    folder: str
    document: JSON
    trusted: Files
    offered: Files
    keys: tuple[Key, ...]
    then: tuple[Later, ...] = ()


@dataclass(frozen=True)
class Later:
    """One more cycle of the same vehicle, which keeps what it has stored and installs what it approved."""

    document: JSON
    offered: Files


def capture(scenario: Scenario) -> Case:
    """Bring a new world to the scenario's moment and write it down; with ``cycles`` also the next honest update."""
    wire = scenario.wire or "tuf"
    world = World(director=wire, image=wire)
    scenario.prepare(world)
    with world.attack() if scenario.cycles and scenario.undo else nullcontext():
        expected = scenario.act(world)
        case = _moment(scenario, world, expected, wire)
        if scenario.cycles:
            _pass(scenario, world)
    return replace(case, then=(_next(scenario, world, case.trusted),)) if scenario.cycles else case


def _moment(scenario: Scenario, world: World, expected: Expectation, wire: str) -> Case:
    vehicle = world.vehicle
    names = _repositories(scenario, vehicle)
    trusted = {name: _stored(vehicle.stores[name], world.repositories[name]) for name in names}
    code = expected.error.code if isinstance(expected, Refused) else None
    document = {
        "format": FORMAT,
        "comment": scenario.comment,
        "rule": rule_of(scenario.name, code=code, verification=scenario.verification),
        "wire": wire,
        "verification": scenario.verification,
        "now": wire_time(world.now),
        "vehicle": _vehicle(scenario, vehicle),
        "installed": _installed(scenario, vehicle),
        "map": _map() if scenario.verification == "full" else None,
        "asked": _asked(scenario, world),
        "expect": _expectation(expected),
    }
    offered = {name: _offered(world.repositories[name], trusted[name]) for name in names}
    return Case(_folder(scenario, expected), document, trusted, offered, tuple(world.keys.made()))


def _pass(scenario: Scenario, world: World) -> None:
    """Have the vehicle live through the moment; what it decides is for the tests to judge."""
    with suppress(RefusalError):
        world.vehicle.install(scenario.run(world))


def _next(scenario: Scenario, world: World, trusted: Files) -> Later:
    scenario.recover(world)
    document = {
        "now": wire_time(world.now),
        "asked": _asked(scenario, world),
        "expect": _expectation(Accepted(tuple(next_images(scenario, world)))),
    }
    return Later(document, {name: _offered(world.repositories[name], trusted[name]) for name in trusted})


def _folder(scenario: Scenario, expected: Expectation) -> str:
    name = scenario.name.removeprefix("honest--")
    return f"valid/{name}" if isinstance(expected, Accepted) else f"hostile/{name}"


def _asked(scenario: Scenario, world: World) -> list[str]:
    """The images that the Director orders for the ECUs that look, as its current body names them."""
    if scenario.verification == "repository":
        return []
    entries = world.director.bodies["targets"].get("targets", {})
    subject = scenario.subject
    return sorted(
        path for path, entry in entries.items() if subject is None or subject in entry["custom"]["ecuIdentifiers"]
    )


def _repositories(scenario: Scenario, vehicle: VehicleSimulator) -> list[str]:
    if scenario.verification == "full":
        return sorted(vehicle.stores)
    return ["director"] if scenario.verification == "partial" else [str(scenario.subject)]


def _stored(store: Store, repository: RepositorySimulator) -> dict[str, bytes]:
    name = repository.wire.file_name
    files = {name("root", version): data for version, data in store.roots.items()}
    for role, data in store.files.items():
        files[name(role, json.loads(data)["signed"]["version"])] = data
    return dict(sorted(files.items()))


def _offered(repository: RepositorySimulator, trusted: dict[str, bytes]) -> dict[str, bytes]:
    """What the server would answer with, except files that are older than what the vehicle has."""
    floors: dict[str, int] = {}
    for name in trusted:
        found = _VERSIONED.fullmatch(name)
        if found and found[2] != "root" and int(found[1]) < FAR_AHEAD:
            floors[found[2]] = int(found[1])
    return {name: data for name, data in sorted(repository.files.items()) if not _is_old(name, floors)}


def _is_old(name: str, floors: dict[str, int]) -> bool:
    found = _VERSIONED.fullmatch(name)
    return found is not None and int(found[1]) < floors.get(found[2], 0) - 1


def _vehicle(scenario: Scenario, vehicle: VehicleSimulator) -> JSON | None:
    if scenario.verification == "repository":
        return None
    ecus = {str(ecu): str(known.hardware_id) for ecu, known in vehicle.ecus.items()}
    if scenario.verification == "partial":
        ecus = {str(scenario.subject): ecus[str(scenario.subject)]}
    return {"vehicle": vehicle.vehicle_id, "complete": scenario.verification == "full", "ecus": ecus}


def _installed(scenario: Scenario, vehicle: VehicleSimulator) -> JSON:
    described = _vehicle(scenario, vehicle)
    return {
        str(ecu): {
            "path": image.path,
            "length": image.length,
            "hashes": dict(image.hashes),
            "releaseCounter": image.release_counter,
        }
        for ecu, image in vehicle.installed.items()
        if described is not None and ecu in described["ecus"]
    }


def _map() -> JSON:
    return {
        "repositories": {"director": ["https://director.test"], "image": ["https://image.test"]},
        "mapping": [{"paths": ["*"], "repositories": ["director", "image"], "threshold": 2, "terminating": True}],
    }


def _expectation(expected: Expectation) -> JSON:
    if isinstance(expected, Accepted):
        notices = [notice.code for notice in expected.notices]
        return {"verdict": "accepted", "approved": list(expected.approved), "notices": notices}
    fields = expected.fields
    if expected.repository is not None:
        fields = {"repository": expected.repository, **fields}
    return {
        "verdict": "refused",
        "code": expected.error.code,
        "attack": expected.error.attack.value,
        "clause": expected.stated_clause,
        "fields": {name: _plain(value) for name, value in fields.items()},
        "approved": [],
    }


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
