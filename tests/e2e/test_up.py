"""``twinlock up``, and every command that it prints, typed as it stands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.commands import USAGE, Running, environment, twinlock
from tests.plain_keys import plain_keys


@pytest.mark.slow
def test_what_up_says_to_do_next_works_as_it_stands(tmp_path: Path, firmware: dict[str, Path]) -> None:
    place = tmp_path / "data"
    words = ("up", "--dir", place, "--image-port", "0", "--director-port", "0")
    plain = tmp_path / "up.txt"
    with plain.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "twinlock.cli", *map(str, plain_keys(words))],
            stdout=said,
            stderr=said,
            env=environment(),
        )
    try:
        script = _commands(plain, process).replace(" FILE ", f" {firmware['seabios']} ")
        tools = f'twinlock() {{ {sys.executable} -m twinlock.cli "$@"; }}\nset -eo pipefail\n'
        done = subprocess.run(
            ["bash", "-c", tools + script], cwd=tmp_path, env=environment(), capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        assert b"runs gw/gateway-1.0.bin" in done.stdout
        assert (tmp_path / "gateway" / "slots" / "slot-b").read_bytes() == firmware["seabios"].read_bytes()
    finally:
        process.terminate()
        assert process.wait(20) == 0

    with Running(words, tmp_path / "again.log") as again:  # opens what is there
        assert again.event["event"] == "listening"
        assert [item["vehicle"] for item in twinlock("director", "vehicles", place / "director")["vehicles"]] == [
            "VIN1"
        ]
        assert again.stop() == 0


def test_keys_that_a_passphrase_locks_stay_locked_without_it(tmp_path: Path) -> None:
    words = ("up", "--dir", tmp_path / "data", "--image-port", "0", "--director-port", "0")
    with Running(words, tmp_path / "up.log", env={"TWINLOCK_PASSPHRASE": "correct"}) as running:
        assert running.alive
    rotate = ("image", "rotate", tmp_path / "data" / "image", "timestamp", "--yes")
    wrong = twinlock(*rotate, status=USAGE, env={"TWINLOCK_PASSPHRASE": "wrong"})
    assert wrong["code"] == "passphrase"
    twinlock(*rotate, env={"TWINLOCK_PASSPHRASE": "correct"})


def _commands(plain: Path, process: subprocess.Popen[bytes]) -> str:
    """The indented lines of what was printed, once it is complete."""
    from tests.e2e.commands import wait_until

    wait_until(lambda: "Ctrl-C" in plain.read_text() or process.poll() is not None, "the instructions of `twinlock up`")
    text = plain.read_text()
    assert process.poll() is None, text
    assert "made an Image repository" in text
    return "".join(line + "\n" for line in text.splitlines() if line.startswith("  "))
