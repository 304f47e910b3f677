"""Run inside a clean environment that holds the built wheel and its base dependencies: it must do for a vehicle."""

import importlib
import importlib.util
import pkgutil
import subprocess
import sys
from pathlib import Path

SERVER_ONLY = ("tuf", "sqlalchemy", "resolvelib", "msgspec")


def modules(part: str) -> list[str]:
    """The names of every module below ``part``."""
    package = importlib.import_module(part)
    return [part, *(found.name for found in pkgutil.walk_packages(package.__path__, f"{part}."))]


def main() -> None:
    """Import the vehicle's parts, and see that a server's command says what is missing."""
    present = [name for name in SERVER_ONLY if importlib.util.find_spec(name)]
    assert not present, f"the base installation brings {present}"
    vehicle = [*modules("twinlock.trust"), *modules("twinlock.client")]
    for name in vehicle:
        importlib.import_module(name)
    command = Path(sys.executable).with_name("twinlock")
    answer = subprocess.run([command, "image", "init", "image"], capture_output=True, text=True, check=False)
    assert answer.returncode == 2 and "twinlock[server]" in answer.stderr, answer
    for part in ("trust", "io", "client", "repository", "director", "cli", "testing"):
        files = [Path(place) / "py.typed" for place in importlib.import_module(f"twinlock.{part}").__path__]
        assert any(file.exists() for file in files), f"twinlock.{part} is not marked as typed"
    print(f"{len(vehicle)} modules of the vehicle import without the server extra")


main()
