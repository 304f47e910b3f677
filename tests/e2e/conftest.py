"""Real firmware, and the repositories that several tests share."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.fleet import Servers, servers

# Where Debian puts them, and the package that brings them.
FIRMWARE = {
    "opensbi": Path("/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin"),
    "u-boot-qemu": Path("/usr/lib/u-boot/qemu-riscv64/u-boot.bin"),
    "seabios": Path("/usr/share/seabios/bios-256k.bin"),
}


def missing_packages() -> list[str]:
    """The packages whose firmware is not on this machine."""
    return [package for package, file in FIRMWARE.items() if not file.is_file()]


@pytest.fixture(scope="session")
def firmware() -> dict[str, Path]:
    """Firmware by package. Without it these tests would show nothing, so they fail and say what to install."""
    missing = missing_packages()
    if missing:
        pytest.fail(f"real firmware is missing; install it with: apt-get install {' '.join(missing)}", pytrace=False)
    return FIRMWARE


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
