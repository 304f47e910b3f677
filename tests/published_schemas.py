"""The published JSON Schemas, held against everything that a command of a test writes.

``hold_output`` wraps ``Output``, so that each test that runs a command in its process is also a test of its JSON, with
or without ``--json``; the end-to-end tests call ``check_output`` on what their processes wrote.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from jsonschema import Draft202012Validator, ValidationError

from twinlock.cli.shared.json_form import json_value
from twinlock.cli.shared.output import Output

PLACE = Path(__file__).parents[1] / "docs" / "schemas"


class UnpublishedOutputError(AssertionError):
    """A command wrote what its schema does not allow."""


def hold_output() -> None:
    """Check what commands write from now on, in this process."""
    Output.result = _checked(Output.result)  # type: ignore[method-assign]
    Output.event = _checked(Output.event)  # type: ignore[method-assign]


def check_output(command: str, value: object, schema: dict[str, Any]) -> None:
    """Hold ``value`` against ``schema``, which leaves no room here. Raises: UnpublishedOutputError."""
    try:
        Draft202012Validator(_closed(schema)).validate(value)
    except ValidationError as error:
        reason = f"twinlock {command} writes at {error.json_path}: {error.message}"
        raise UnpublishedOutputError(reason) from None


def published(command: str) -> dict[str, Any]:
    """The schema of a command, by its words. Raises: UnpublishedOutputError."""
    path = schema_path(command)
    if not path.is_file():
        raise UnpublishedOutputError(
            f"twinlock {command} has no schema in docs/schemas; see tests/architecture/shapes.py"
        )
    schema: dict[str, Any] = _read(path)
    return schema


def schema_path(command: str) -> Path:
    """Where the schema of a command is: ``image root sign`` has ``image-root-sign.json``."""
    return PLACE / f"{command.replace(' ', '-')}.json"


@functools.cache
def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def _checked(write: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(write)
    def checked(out: Output, value: object, *rest: Any, **options: Any) -> None:
        command = _running()
        if command is not None:
            check_output(command, json_value(value), published(command))
        write(out, value, *rest, **options)

    return checked


def _running() -> str | None:
    """The words of the command that runs, without ``twinlock``; None outside of it."""
    context = click.get_current_context(silent=True)
    words: list[str] = []
    while context is not None and context.parent is not None:
        words.insert(0, str(context.command.name))
        context = context.parent
    return " ".join(words) if context is not None and context.command.name == "twinlock" else None


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(item) for name, item in schema.items()}
    if isinstance(closed.get("required"), list):
        closed["additionalProperties"] = False
    return closed
