"""pyright's view of the installed wheel: every public name, and every member of it, has a type that is known.

Run by ``.ci/run`` with the wheel's interpreter first on PATH: ``public_types.py PYRIGHT DIRECTORY``. pyright wants a package
whose top is marked as typed, and ours is a namespace, so DIRECTORY is a copy of the installed files with that mark.
"""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = ("trust", "trust.errors", "client", "repository", "director", "testing")


def homes() -> set[str]:
    """The full name of what each public name leads to, where it is defined by us."""
    found = set()
    for part in PACKAGES:
        package = importlib.import_module(f"twinlock.{part}")
        for name in package.__all__:
            value = getattr(package, name)
            module, own = getattr(value, "__module__", ""), getattr(value, "__qualname__", name)
            if str(module).startswith("twinlock."):
                found.add(f"{module}.{own}")
    return found


def main(pyright: str, directory: str) -> None:
    """Let pyright verify the package, and refuse any public symbol whose type it does not know."""
    installed = Path(importlib.import_module("twinlock.trust").__path__[0]).parent
    (installed / "__init__.py").touch()
    (installed / "py.typed").touch()
    Path(directory).mkdir()
    shutil.copytree(installed, Path(directory, "twinlock"), ignore=shutil.ignore_patterns("__pycache__"))
    command = [pyright, "--verifytypes", "twinlock", "--ignoreexternal", "--outputjson"]
    answer = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    symbols = json.loads(answer.stdout)["typeCompleteness"]["symbols"]
    names = homes()
    public = [
        item for item in symbols if any(item["name"] == name or item["name"].startswith(f"{name}.") for name in names)
    ]
    assert len(public) > len(names), f"pyright saw {len(public)} symbols of {len(names)} public names"
    unknown = [item["name"] for item in public if not item["isTypeKnown"] or item["isTypeAmbiguous"]]
    assert not unknown, "no known type: " + ", ".join(unknown)
    print(f"pyright knows the types of all {len(public)} symbols of {len(names)} public names")


main(*sys.argv[1:])
