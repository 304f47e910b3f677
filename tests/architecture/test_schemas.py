"""Every command has a published JSON Schema, in one dialect: camelCase members, times in RFC 3339.

What commands write is held to them wherever a test runs one (``tests/published_schemas.py``).
"""

from __future__ import annotations

import re

import click
import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from tests.architecture.schemas import commands, files, members
from tests.architecture.shapes import SHAPES, TEXT, TIME, maybe, record
from tests.published_schemas import PLACE, UnpublishedOutputError, check_output
from twinlock.cli.shared.output import Output, output_options

_CAMEL = re.compile(r"[a-z][a-zA-Z0-9]*")
_OF_TIME = re.compile(r".*(At|Since|Seen|Time|expires|issued|After)|(time|first|last|now|at|highest)")
_COMMANDS = dict(commands())


def test_every_command_has_a_schema_and_every_schema_a_command() -> None:
    assert _COMMANDS.keys() == SHAPES.keys()


def test_every_command_writes_json() -> None:
    without = [name for name, command in _COMMANDS.items() if not any("--json" in item.opts for item in command.params)]
    assert not without


def test_the_published_schemas_are_current() -> None:
    assert {path.name: path.read_text() for path in PLACE.iterdir()} == files(), "run `make fix`"


@pytest.mark.parametrize("command", SHAPES)
def test_a_schema_is_sound_and_in_the_one_dialect(command: str) -> None:
    Draft202012Validator.check_schema(SHAPES[command])
    found = list(members(SHAPES[command]))
    assert not [name for name, _ in found if not _CAMEL.fullmatch(name)]
    assert not [name for name, shape in found if _OF_TIME.fullmatch(name) and shape not in (TIME, maybe(TIME))]


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({"at": "2026-11-26 10:00:00+00:00"}, "at"),
        ({"at": "2026-11-26T10:00:00Z", "more": 1}, "more"),
        ({}, "at"),
    ],
)
def test_output_that_departs_from_its_schema_is_refused(value: dict[str, object], what: str) -> None:
    with pytest.raises(UnpublishedOutputError, match=what):
        check_output("x", value, record(at=TIME, detail_=TEXT))


def test_a_command_without_a_schema_fails_where_a_test_runs_it() -> None:
    @click.group("twinlock")
    def root() -> None:
        """A root of the same name."""

    @root.command("unheard-of")
    @output_options
    def command(out: Output) -> None:
        """A command that nothing was published for."""
        out.result({"done": True})

    result = CliRunner().invoke(root, ["unheard-of", "--json"])
    assert result.exit_code != 0
    assert "unheard-of" in str(result.exception) + result.output
