"""The command as a whole: lazy loading, help on everything, usage errors in one form."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from twinlock.cli.main import COMMANDS, Lazy, LazyGroup, main

if TYPE_CHECKING:
    from collections.abc import Iterator


def leaves(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its full name."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command, info_name=path)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from leaves(found, f"{path} {name}")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_and_json(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.help, name
    for path, leaf in leaves(command, f"twinlock {name}"):
        options = {option for parameter in leaf.params for option in parameter.opts}
        text = inspect.cleandoc(leaf.help or "")
        assert "Example" in text, path
        assert f"{path} " in text.partition("Example")[2], f"the example of {path} shows another command"
        assert {"--json", "--debug"} <= options, path
        assert not {"--passphrase", "--password"} & options, f"{path} would show a passphrase to `ps`"


def test_help_loads_no_command() -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom twinlock.cli.main import COMMANDS, main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "print([c.location for c in COMMANDS.values() if c.location.partition(':')[0] in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


def test_help_lists_every_command() -> None:
    text = CliRunner().invoke(main, ["-h"]).output
    assert all(f"  {name} " in text for name in COMMANDS)


@pytest.mark.parametrize(
    ("args", "command"),
    [
        (["no-such-command"], "twinlock"),
        (["completion"], "twinlock completion"),
        (["completion", "tcsh"], "twinlock completion"),
        (["completion", "bash", "--no-such-option"], "twinlock completion"),
    ],
)
def test_usage_errors_look_like_all_others(args: list[str], command: str) -> None:
    text = CliRunner().invoke(main, args)
    document = CliRunner().invoke(main, [*args, "--json"])
    assert text.exit_code == document.exit_code == 2
    assert text.stderr.startswith("error[usage]: ")
    assert len(text.stderr.splitlines()) == 1
    assert json.loads(document.stdout)["error"]["fields"]["command"] == command


def test_no_arguments_show_the_help() -> None:
    answer = CliRunner().invoke(main, [])
    assert answer.exit_code == 2
    assert "Commands:" in answer.stderr


def test_a_command_that_cannot_be_loaded_is_one_error() -> None:
    group = LazyGroup("g", lazy={"gone": Lazy("twinlock.cli.no_such_module:x", ""), "odd": Lazy("json:dumps", "")})
    for name in ("gone", "odd"):
        answer = CliRunner().invoke(group, [name])
        assert (answer.exit_code, answer.stderr.startswith("error[internal]")) == (5, True)


def test_an_interrupt_is_no_error() -> None:
    group = LazyGroup("g", lazy={})

    @group.command()
    def stop() -> None:
        raise KeyboardInterrupt

    answer = CliRunner().invoke(group, ["stop"])
    assert (answer.exit_code, answer.stderr.strip()) == (130, "interrupted")


def test_the_version_is_the_package_s() -> None:
    from importlib.metadata import version

    assert CliRunner().invoke(main, ["--version"]).output == f"twinlock {version('twinlock')}\n"


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m twinlock.cli completion bash | true; exit ${{PIPESTATUS[0]}}"
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert answer.stderr == ""


def test_a_long_output_ends_quietly_with_its_reader() -> None:
    code = (
        "import click\nfrom twinlock.cli.main import LazyGroup\nfrom twinlock.cli.shared.output import output_options\n"
        "group = LazyGroup('g', lazy={})\n"
        "@group.command()\n@output_options\ndef much(out):\n"
        "    out.result({}, (str(number) for number in range(1_000_000)))\n"
        "group(['much'])\n"
    )
    command = f'{sys.executable} -c "$CODE" | head -1; exit ${{PIPESTATUS[0]}}'
    answer = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        env={"CODE": code, "PATH": os.environ["PATH"]},
    )
    assert (answer.stdout, answer.stderr, answer.returncode) == ("0\n", "", 141)


def test_an_interrupt_while_loading_is_quiet() -> None:
    """The entry point loads next to nothing before it takes care of SIGINT."""
    code = (
        "import os, signal, sys\n"
        "import twinlock.cli.start\n"
        "sys.meta_path.insert(0, type('F', (), {'find_spec': staticmethod("
        "lambda *_: os.kill(os.getpid(), signal.SIGINT))}))\n"
        "twinlock.cli.start.main()\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout, answer.stderr) == (130, "", "")
