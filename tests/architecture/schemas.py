"""The JSON Schemas of ``docs/schemas``: one file for each command, written from ``shapes.py`` by ``make fix``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from tests.architecture.shapes import ERROR, SHAPES, Shape, record
from tests.published_schemas import PLACE, schema_path
from twinlock.cli.main import main

_HEAD = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
_DESCRIPTION = "Members may be added in later versions; ignore those that you do not know."
_RUNNING = frozenset(
    {"image serve", "director serve", "director serve-aktualizr", "primary run", "secondary run", "up"}
)


def commands(group: click.Group = main, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command that is not a group, by its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


def files() -> dict[str, str]:
    """Every schema by the name of its file."""
    found = {"error.json": _text("What a command writes with --json when it fails", record(error=ERROR))}
    for command, shape in SHAPES.items():
        what = "one line of" if command in _RUNNING else "what is written by"
        found[schema_path(command).name] = _text(f"{what} twinlock {command} --json", shape)
    return found


def members(shape: Shape) -> Iterator[tuple[str, Shape]]:
    """Every named member of a shape and of what it holds."""
    for name, inner in shape.get("properties", {}).items():
        yield name, inner
        yield from members(inner)
    inside = [shape.get("items"), shape.get("additionalProperties"), *shape.get("anyOf", ())]
    for inner in inside:
        if isinstance(inner, dict):
            yield from members(inner)


def _text(title: str, shape: Shape) -> str:
    document: dict[str, Any] = {**_HEAD, "title": title, "description": _DESCRIPTION, **shape}
    return json.dumps(document, indent=2) + "\n"


def write() -> None:
    """Write every file, and remove those of commands that are gone."""
    PLACE.mkdir(exist_ok=True)
    wanted = files()
    for old in PLACE.glob("*.json"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        (PLACE / name).write_text(text)


if __name__ == "__main__":
    write()
