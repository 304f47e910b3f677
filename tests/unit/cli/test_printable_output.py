"""Names are other people's text: wherever a command writes one, a terminal gets nothing but what is printable."""

from __future__ import annotations

import ast
import io
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from twinlock.cli.main import main
from twinlock.cli.shared.output import Output, Verbatim, output_options, table
from twinlock.cli.shared.own_input import OwnInputError
from twinlock.cli.shared.serving_options import serving_options
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.metadata import UnsafePathError

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "gw/a\u202enib\u200b.exe\x1b[2J\nVIN9  forged\udc80"
SHOWN = r"gw/a\u202enib\u200b.exe\x1b[2J\nVIN9  forged\udc80"
ROOT = Path(__file__).resolve().parents[3]


def refuse(_out: Output) -> None:
    raise OwnInputError(UnsafePathError(path=NAME, reason="no"), f"try {NAME}")


def fail(_out: Output) -> None:
    raise UsageError(reason=NAME)


def crash(_out: Output) -> None:
    raise KeyError(NAME)


def confirm(out: Output) -> None:
    out.confirm(f"remove {NAME}", yes=False, undo=f"{NAME} is gone.")


CHANNELS: dict[str, Callable[[Output], None]] = {
    "a result": lambda out: out.result({}, NAME),
    "lines of a result": lambda out: out.result({}, iter(["first", NAME])),
    "a table": lambda out: out.result({}, table(("NAME",), [(NAME,)])),
    "an event": lambda out: out.event({}, NAME),
    "lines of an event": lambda out: out.event({}, iter(["first", NAME])),
    "a note": lambda out: out.note(NAME),
    "a question": confirm,
    "a refusal of own input": refuse,
    "an error": fail,
    "a fault": crash,
}


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("channel", CHANNELS)
def test_no_channel_writes_what_is_not_printable(channel: str, *, debug: bool) -> None:
    @click.command()
    @output_options
    def command(out: Output) -> None:
        CHANNELS[channel](out)

    answer = CliRunner().invoke(command, ["--debug"] if debug else [], input="y\n")
    assert SHOWN.removesuffix(r"\udc80") in answer.output.replace("\\\\", "\\")
    assert all(line.isprintable() for line in answer.output.split("\n"))
    assert not any(line.startswith("VIN9") for line in answer.output.split("\n"))


class Terminal(io.StringIO):
    """A stderr that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("total", [2, None])
def test_a_progress_label_is_printable(monkeypatch: pytest.MonkeyPatch, total: int | None) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("sys.stdout", stream)
    with Output().progress(total, f"reading {NAME}") as advance:
        advance(2)
    assert SHOWN in stream.getvalue()
    assert "\u202e" not in stream.getvalue()


def test_line_breaks_of_our_own_are_kept_and_files_come_out_as_they_are() -> None:
    @click.command()
    @output_options
    def command(out: Output) -> None:
        out.event({}, ["one", "two"])
        out.result({"name": NAME}, Verbatim('{\n\t"name": "a\u202eb"\n}'))

    assert CliRunner().invoke(command).stdout == 'one\ntwo\n{\n\t"name": "a\u202eb"\n}\n'


def test_json_holds_the_same_text_escaped() -> None:
    @click.command()
    @output_options
    def command(out: Output) -> None:
        out.result({"name": "a\u202eb\u200b\n"}, "text")

    assert CliRunner().invoke(command, ["--json"]).stdout == '{\n  "name": "a\\u202eb\\u200b\\n"\n}\n'


def test_a_mistyped_command_line_is_printable() -> None:
    answer = CliRunner().invoke(main, ["director", "show", "a\u202eb", "x", "y\u200b"])
    assert r"\u200b" in answer.output
    assert all(line.isprintable() for line in answer.output.split("\n"))


def test_a_line_of_a_servers_log_is_printable(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    @click.command()
    @serving_options
    def serve(**_options: Any) -> None:
        logging.getLogger("twinlock.test").warning("refused %s", NAME)

    assert serve.main([], standalone_mode=False) is None
    assert stream.getvalue() == f"refused {SHOWN}\n"


def test_nothing_of_the_command_line_writes_past_the_output() -> None:
    writers = {"echo", "secho", "print", "print_exc", "write"}
    allowed = {("main.py", "echo"), ("output.py", "echo")}  # main.py: the version
    found = set()
    for file in (ROOT / "cli").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                found |= {(file.name, name)} & {(file.name, writer) for writer in writers}
    assert found <= allowed


def test_a_command_shows_a_name_that_is_not_printable_escaped_and_gives_programs_the_name(tmp_path: Path) -> None:
    words = ["supplier", "init", "--role", "acme", "--plain-keys"]
    answer = CliRunner().invoke(main, [*words, str(tmp_path / "a\u202eb")])
    assert answer.exit_code == 0, answer.output
    assert r"a\u202eb" in answer.output
    assert all(line.isprintable() for line in answer.output.split("\n"))
    document = CliRunner().invoke(main, [*words, str(tmp_path / "c\u202ed"), "--json"]).output
    assert json.loads(document)["created"] == str(tmp_path / "c\u202ed")


HOSTILE = "\u009b2J \u009d0;title\u009c \u202eesrever\u202c \u2028forged line\x7f \x00\U000e0001 M\u00fcnchen\n"
DOCUMENTS: dict[str, Callable[[Output], None]] = {
    "a result": lambda out: out.result({HOSTILE: [HOSTILE]}),
    "an event": lambda out: out.event({HOSTILE: [HOSTILE]}, ""),
}


@pytest.mark.parametrize("channel", DOCUMENTS)
def test_a_json_document_escapes_what_a_terminal_would_obey(channel: str) -> None:
    """Reports of vehicles hold such text: the terminal gets none of it, and a program gets all of it."""

    @click.command()
    @output_options
    def command(out: Output) -> None:
        DOCUMENTS[channel](out)

    written = CliRunner().invoke(command, ["--json"]).stdout
    assert written.replace("\n", "").isprintable()
    assert json.loads(written) == {HOSTILE: [HOSTILE]}
    assert "M\u00fcnchen" in written


def test_no_command_writes_json_of_its_own() -> None:
    """``Verbatim`` leaves text as it is, so JSON comes from ``json_text`` alone."""
    for file in (ROOT / "cli").rglob("*.py"):
        for line in file.read_text().splitlines():
            assert not ("Verbatim(" in line and "json.dumps" in line), file
