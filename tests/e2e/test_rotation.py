"""A vehicle that was away while every role's keys were replaced follows, several Roots at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.commands import twinlock
from tests.e2e.fleet import Car, Servers, car

# Each role's keys once, by one Root for each line.
IMAGE_ROLES = (("root",), ("targets",), ("snapshot", "timestamp"))
DIRECTOR_ROLES = (("root",), ("targets", "snapshot"), ("timestamp", "time"))


@pytest.mark.slow
def test_a_vehicle_behind_by_several_roots_follows_them(
    repositories: Servers, tmp_path: Path, vehicle: str, firmware: dict[str, Path]
) -> None:
    with car(repositories, tmp_path / "car", vehicle, brake=("brake-7", "full"), door=("door-2", "partial")) as built:
        repositories.add(firmware["seabios"], "gw/seabios-1.bin", "gw-1", 1)
        repositories.publish()
        built.update()
        repositories.assign(vehicle, gateway="gw/seabios-1.bin")
        assert built.update()["outcome"] == "updated"
        before = versions(built)

        for roles in IMAGE_ROLES:
            twinlock("image", "rotate", repositories.images, *roles, "--yes")
        for roles in DIRECTOR_ROLES:
            twinlock("director", "rotate", repositories.directory, *roles, "--yes")
        repositories.add(firmware["opensbi"], "brake/opensbi-2.bin", "brake-7", 2)
        repositories.add(firmware["seabios"], "door/seabios-2.bin", "door-2", 2)
        repositories.publish()
        repositories.assign(vehicle, brake="brake/opensbi-2.bin", door="door/seabios-2.bin")

        assert built.update()["outcome"] == "updated"
        assert built.runs("brake") == ("brake/opensbi-2.bin", firmware["opensbi"].read_bytes())
        assert built.runs("door") == ("door/seabios-2.bin", firmware["seabios"].read_bytes())
        after = versions(built)
        assert after["image"] == before["image"] + len(IMAGE_ROLES)
        assert after["director"] == before["director"] + len(DIRECTOR_ROLES)


def versions(built: Car) -> dict[str, int]:
    """The version of the Root that the gateway trusts, by repository."""
    found = {}
    for repository in built.trusted()["repositories"]:
        roots = [role["version"] for role in repository["roles"] if role["role"] == "root"]
        found[repository["name"]] = max(roots)
    return found
