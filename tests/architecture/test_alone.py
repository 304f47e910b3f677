"""Every module of the engine can be imported alone, and importing the engine brings nothing that a server needs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.architecture.source import part_modules

HEAVY = ("aiohttp", "asyncio", "tuf", "securesystemslib", "sqlalchemy", "click")
RECORDS = "twinlock.io.files.records"  # the reader of the servers' own files

# Imports each name in its own child process, forked from a bare interpreter, and reports what went wrong.
PROBE = """
import json, os, sys
names, heavy = json.loads(sys.argv[1])
for name in names:
    pid = os.fork()
    if pid:
        failed = os.waitpid(pid, 0)[1]
        if failed:
            print(name)
        continue
    try:
        __import__(name)
        brought = sorted(set(heavy) & set(sys.modules))
        if brought:
            print(f"{name} brings {brought}", file=sys.stderr)
        os._exit(bool(brought))
    except BaseException as error:
        print(f"{name}: {error!r}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)
"""


def not_alone(names: list[str], heavy: tuple[str, ...]) -> tuple[list[str], str]:
    """The modules that cannot be imported alone or bring one of ``heavy``, and why."""
    argument = json.dumps([names, heavy])
    answer = subprocess.run(
        [sys.executable, "-c", PROBE, argument],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    return answer.stdout.split(), answer.stderr


def test_each_module_of_trust_imports_alone() -> None:
    failed, why = not_alone([module.name for module in part_modules("trust")], HEAVY)
    assert not failed, why


def test_the_command_starts_without_the_parts() -> None:
    heavy = ("aiohttp", "asyncio", "tuf", "securesystemslib", "sqlalchemy", "cryptography", "twinlock.client")
    failed, why = not_alone(["twinlock.cli.main"], heavy)
    assert not failed, why


def brings(names: list[str], heavy: str) -> bool:
    """Whether importing all of ``names`` in one interpreter brings the package ``heavy``."""
    program = "import importlib, sys\nfor name in sys.argv[2:]: importlib.import_module(name)\nprint(sys.argv[1] in sys.modules)"
    words = [sys.executable, "-c", program, heavy, *names]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=100).stdout.strip() == "True"


def test_no_module_of_a_vehicle_brings_the_schema_library() -> None:
    # All of trust, of the client, and of io but the reader of the servers' own files; a gateway does not install msgspec.
    names = [module.name for part in ("trust", "client", "io", "cli") for module in part_modules(part)]
    assert not brings([name for name in names if name != RECORDS], "msgspec")
    assert brings([RECORDS], "msgspec")


@pytest.mark.parametrize(("name", "heavy"), [("json", ("json",)), ("twinlock.no_such_module", ())])
def test_a_module_that_cannot_stand_alone_is_seen(name: str, heavy: tuple[str, ...]) -> None:
    failed, _why = not_alone([name], heavy)
    assert failed == [name]
