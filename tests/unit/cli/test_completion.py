"""Shell completion: the scripts, and what completing finds."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from twinlock.cli.main import COMMANDS, main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed(shell: str) -> None:
    script = CliRunner().invoke(main, ["completion", shell]).output
    document = json.loads(CliRunner().invoke(main, ["completion", shell, "--json"]).output)
    assert "_TWINLOCK_COMPLETE" in script
    assert document["shell"] == shell
    assert document["script"] in script


def test_the_bash_script_is_bash() -> None:
    script = CliRunner().invoke(main, ["completion", "bash"]).output
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_completing_finds_the_commands() -> None:
    question = {"_TWINLOCK_COMPLETE": "bash_complete", "COMP_WORDS": "twinlock c", "COMP_CWORD": "1"}
    code = "from twinlock.cli.main import main; main(prog_name='twinlock')"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | question,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stdout == "plain,completion\n"
    assert "completion" in COMMANDS
