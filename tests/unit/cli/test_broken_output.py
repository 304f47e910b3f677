"""Commands whose standard output is full, closed or read by nobody any more: one sentence, and the promised status."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from twinlock.repository.image_repository import ImageRepository

TWINLOCK = f"{sys.executable} -m twinlock.cli"


def shell(line: str, directory: Path) -> subprocess.CompletedProcess[str]:
    command = line.replace("twinlock", TWINLOCK, 1)
    return subprocess.run(
        ["bash", "-c", command], cwd=directory, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    ImageRepository.create(tmp_path / "image")
    return tmp_path


@pytest.mark.parametrize("redirection", ["> /dev/full", "--json > /dev/full", ">&-", "--json >&-"])
def test_an_output_that_takes_nothing_is_one_sentence(place: Path, redirection: str) -> None:
    answer = shell(f"twinlock image show image {redirection}", place)
    assert answer.returncode == 5, answer.stderr
    assert answer.stderr.startswith("error[broken-output]: cannot write the result to standard output: ")
    assert "Traceback" not in answer.stderr
    assert "internal" not in answer.stderr


@pytest.mark.parametrize("words", ["--help", "image --help", "image show image"])
def test_a_reader_that_has_gone_is_told_apart(place: Path, words: str) -> None:
    answer = shell(f"{{ sleep 0.2; twinlock {words}; }} | true; echo ${{PIPESTATUS[0]}}", place)
    assert answer.stdout.strip() == "141", answer.stderr
    assert "Traceback" not in answer.stderr


def test_an_interrupt_at_a_question_is_an_interrupt(place: Path) -> None:
    """Standard input is a pipe that stays open, as from a supervisor; the person presses Ctrl-C."""
    (place / "fw.bin").write_bytes(b"firmware")
    ImageRepository.open(place / "image").add_image(place / "fw.bin", "a.bin", hardware_ids=["hw"], release_counter=1)
    command = [sys.executable, "-m", "twinlock.cli", "image", "remove", "image", "a.bin"]
    asked = subprocess.Popen(command, cwd=place, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert asked.stderr is not None
    question = ""
    while "Continue?" not in question:
        question += os.read(asked.stderr.fileno(), 4096).decode()
    while (
        asked.poll() is None
    ):  # one that arrives just before the read begins waits for the next, as a person presses again
        asked.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            asked.wait(timeout=1)
    assert asked.returncode == 130
    asked.stderr.close()
    assert asked.stdin is not None
    asked.stdin.close()
