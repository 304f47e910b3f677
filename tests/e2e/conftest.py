"""Firmware, made or real, and the repositories that several tests share."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.fleet import Servers, servers

# Where Debian's packages put the firmware of three projects.
REAL = {
    "opensbi": Path("/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin"),
    "u-boot-qemu": Path("/usr/lib/u-boot/qemu-riscv64/u-boot.bin"),
    "seabios": Path("/usr/share/seabios/bios-256k.bin"),
}
# How long the files of the same names are that `make test` makes for itself, in bytes.
LENGTHS = {"opensbi": 128_000, "u-boot-qemu": 640_000, "seabios": 262_144}


@pytest.fixture(scope="session", params=["made", pytest.param("real", marks=pytest.mark.system)])
def firmware(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Firmware by package: made from a seed for `make test`, the real files of Debian's packages for `make system`."""
    return _real() if request.param == "real" else _made(tmp_path_factory.mktemp("firmware"))


def _real() -> dict[str, Path]:
    missing = [package for package, file in REAL.items() if not file.is_file()]
    if missing:
        pytest.fail(
            f"real firmware not found: run `make system`, or apt-get install {' '.join(missing)}", pytrace=False
        )
    return REAL


def _made(folder: Path) -> dict[str, Path]:
    files = {name: folder / REAL[name].name for name in LENGTHS}
    for name, file in files.items():
        file.write_bytes(random.Random(name).randbytes(LENGTHS[name]))
    return files


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Both repositories, served. Tests of one module share them, each with a vehicle and images of its own."""
    with servers(tmp_path_factory.mktemp("repositories")) as made:
        yield made


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give these tests longer than others: each command is a process, and the machine may be busy."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))


_numbers = itertools.count(1)


@pytest.fixture
def vehicle() -> str:
    """The id of a vehicle that no other test uses."""
    return f"VIN-{next(_numbers)}"
