"""The list of every error code, made from the classes: ``docs/codes.md``.

Run it (``make fix`` does) to write that page again. The docstring of each class has the meaning of its error.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import TYPE_CHECKING

from tests.architecture.source import PARTS, ROOT
from twinlock.director.model.event_codes import EVENT_CODES
from twinlock.trust.errors.base import RefusalError, TwinlockError
from twinlock.trust.errors.metadata import MetadataFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "codes.md"
HEAD = """\
# Codes

Every error has a stable code. It appears in the command's output (`error[code]`), in problems over HTTP, and in version
reports. `make fix` generates this page from the classes.

A *refusal* is a verdict on what was offered; trusted state is then what it was before. All other errors mean that something
could not be done.

The *kind* is what an operator acts on: `attack` is evidence of someone's act, `refusal` is a rule that was not met, `failure` is
something that broke. `secondary-refused` has the kind that the Secondary stated.

The *clause* of a refusal is that of the step that refused. The table has the usual one; where another procedure refuses, its
own is given, such as 5.4.4.5 where a Snapshot lists an older Targets file.

"""
EVENTS = (
    "What `twinlock director show` lists of a vehicle has a kind and a code, too. Most codes are those of the refusals above: "
    "evidence that an ECU reported, and what the Director refused from the vehicle. These are the Director's own. A *notice* is "
    "none of the three kinds."
)


def errors() -> list[type[TwinlockError]]:
    """Every public error class of the project that gives a code of its own, by code."""
    modules = {name for part in PARTS for name in _installed(f"twinlock.{part}") if "errors" in name.split(".")}
    for name in modules:
        importlib.import_module(name)
    found = [error for error in set(_below(TwinlockError)) if "code" in vars(error) and error.__module__ in modules]
    return sorted(found, key=lambda error: error.code)


def _installed(part: str) -> Iterator[str]:
    package = importlib.import_module(part)
    return (found.name for found in pkgutil.walk_packages(package.__path__, f"{part}."))


def _below(error: type[TwinlockError]) -> Iterator[type[TwinlockError]]:
    yield error
    for child in error.__subclasses__():
        yield from _below(child)


def page() -> str:
    """The whole page."""
    refusals = [error for error in errors() if issubclass(error, RefusalError)]
    others = [error for error in errors() if not issubclass(error, RefusalError)]
    lines = ["## Refusals", "", "| code | kind | attack | clause | meaning |", "|---|---|---|---|---|"]
    for error in refusals:
        assert issubclass(error, RefusalError)
        kind = error.usual_kind().value
        lines.append(f"| `{error.code}` | {kind} | {error.attack.value} | {_clause(error)} | {_meaning(error)} |")
    lines += ["", "## Others", "", "| code | kind | meaning | what helps |", "|---|---|---|---|"]
    lines += [f"| `{error.code}` | {error.usual_kind().value} | {_meaning(error)} | {error.hint} |" for error in others]
    lines += ["", "## Events", "", EVENTS, "", "| code | kind | meaning |", "|---|---|---|"]
    lines += [f"| `{code}` | {kind} | {meaning} |" for code, (kind, meaning) in sorted(EVENT_CODES.items())]
    return HEAD + "\n".join(lines) + "\n"


def _clause(error: type[RefusalError]) -> str:
    return "Uptane 2.1.0 5.4.4.3 to 5.4.4.6, by role" if issubclass(error, MetadataFileError) else error.clause


def _meaning(error: type[TwinlockError]) -> str:
    return " ".join(inspect.cleandoc(error.__doc__ or "").split("\n\n", maxsplit=1)[0].split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page())
