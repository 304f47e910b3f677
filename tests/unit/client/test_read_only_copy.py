"""An ECU's directory on storage that nothing can be written to, as an investigator keeps it."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from tests.unit.client.test_commands import repositories, run, today
from twinlock.client.storage.database import Database
from twinlock.testing.simulator.world import GATEWAY

__all__ = ["today"]  # the simulated world lives on the day that the commands see

_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE = 24, 1


def keep_to_permissions() -> None:
    """In the child: root may not pass over the permissions of files either, once the command is executed."""
    if os.geteuid() == 0 and ctypes.CDLL(None, use_errno=True).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def command(*words: object) -> tuple[int, Any]:
    """The exit status of one command of a process that keeps to permissions, and its JSON."""
    line = [sys.executable, "-m", "twinlock.cli", *map(str, words), "--json"]
    done = subprocess.run(line, capture_output=True, check=False, preexec_fn=keep_to_permissions, timeout=60)
    return done.returncode, json.loads(done.stdout)


def everything(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Path]:
    """A Primary after its first update, with all its directories writable to nobody."""
    import asyncio

    async def made() -> Path:
        async with repositories(tmp_path) as (_world, _servers, options):
            place = tmp_path / "gateway"
            assert (await run("primary", "init", place, *options)).exit_code == 0
            assert (await run("primary", "update", place)).exit_code == 0
            return place

    place = asyncio.run(made())
    folders = [place, *(path for path in place.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o500)
    yield place
    for folder in folders:
        folder.chmod(0o700)


def test_a_primary_on_read_only_storage_is_shown(gateway: Path) -> None:
    before = everything(gateway)
    status, shown = command("primary", "show", gateway)
    assert (status, shown["primary"]) == (0, GATEWAY.ecu)
    status, shown = command("trusted", "show", gateway)
    assert (status, {item["name"] for item in shown["repositories"]}) == (0, {"director", "image"})
    # What would write says that it cannot.
    status, shown = command("primary", "update", gateway)
    assert (status, shown["error"]["code"]) == (5, "storage")
    assert everything(gateway) == before


def test_a_copy_with_the_log_of_a_running_ecu_is_not_shown_without_it(gateway: Path) -> None:
    """The file alone would show old rows."""
    state = next(gateway.rglob("state.db"))
    state.parent.chmod(0o700)
    with closing(Database.open(state)) as database:
        with database.transaction("write") as connection:
            connection.execute("INSERT INTO facts VALUES ('later', '1')")
        log = Path(f"{state}-wal").read_bytes()
    Path(f"{state}-wal").write_bytes(log)
    state.parent.chmod(0o500)
    status, shown = command("primary", "show", gateway)
    assert (status, shown["error"]["code"]) == (5, "storage")
    state.parent.chmod(0o700)
    assert command("primary", "show", gateway)[0] == 0


def test_a_copy_that_a_running_ecu_begins_to_write_to_is_read_no_further(gateway: Path) -> None:
    state = next(gateway.rglob("state.db"))
    with read_by_another(state) as ask:
        assert ask() == "read"
        state.parent.chmod(0o700)
        with closing(Database.open(state)) as database, database.transaction("write") as connection:
            connection.execute("INSERT INTO facts VALUES ('later', '1')")
        state.parent.chmod(0o500)
        assert ask() == "another process is writing to it; try again"


@contextmanager
def read_by_another(state: Path) -> Iterator[Callable[[], str]]:
    """A process that keeps to permissions, has the file open, and reads it each time it is asked."""
    program = (
        "import sys; from pathlib import Path; from twinlock.client.storage.database import Database\n"
        "from twinlock.trust.errors.local import StorageError\n"
        "database = Database.open(Path(sys.argv[1]), read_only=True)\n"
        "for _ in sys.stdin:\n"
        "    try:\n        database.rows('SELECT * FROM facts')\n        print('read', flush=True)\n"
        "    except StorageError as error:\n        print(error.reason, flush=True)\n"
    )
    words = [sys.executable, "-c", program, str(state)]
    with subprocess.Popen(words, stdin=PIPE, stdout=PIPE, text=True, preexec_fn=keep_to_permissions) as reader:  # noqa: PLW1509
        assert reader.stdin is not None
        assert reader.stdout is not None
        stdin, stdout = reader.stdin, reader.stdout

        def ask() -> str:
            stdin.write("\n")
            stdin.flush()
            return stdout.readline().strip()

        yield ask
