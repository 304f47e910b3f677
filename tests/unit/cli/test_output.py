"""What a command shows: results and errors in both forms, exit statuses, questions and progress."""

from __future__ import annotations

import dataclasses
import enum
import io
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from twinlock.cli.shared.exit_status import exit_status
from twinlock.cli.shared.json_form import json_value
from twinlock.cli.shared.output import Output, output_options, table, yes_option
from twinlock.cli.shared.own_input import own_input
from twinlock.client.model.errors import PreconditionError
from twinlock.director.errors.vehicles import UnknownImageError
from twinlock.repository.errors import StoreTamperedError
from twinlock.trust.errors.base import RefusalError, TwinlockError, UsageError
from twinlock.trust.errors.images import HardwareError, UnknownEcuError
from twinlock.trust.errors.local import (
    ConflictError,
    FetchError,
    PassphraseError,
    ProfileError,
    SlowRetrievalError,
    StorageError,
    TransportError,
)
from twinlock.trust.errors.metadata import RollbackError, UnsafePathError

if TYPE_CHECKING:
    from collections.abc import Callable

ROLLBACK = RollbackError(repository="director", role="timestamp", offered=3, trusted=5)
CONFLICT = ConflictError(what="the publication", reason="version 7 is there already")
TRANSPORT = TransportError(url="http://127.0.0.1:1", reason="connection refused")


def run(body: Callable[[Output], None], *args: str, **extra: Any) -> Any:
    """Run a command made of ``body``."""

    @click.command()
    @output_options
    def command(out: Output) -> None:
        body(out)

    return CliRunner().invoke(command, args, **extra)


def raises(error: BaseException) -> Callable[[Output], None]:
    def body(_out: Output) -> None:
        raise error

    return body


def test_a_result_is_text_or_one_json_document() -> None:
    def body(out: Output) -> None:
        out.note("on the side")
        out.result({"name": "brémse", "lines": 2}, ["one", "two"])

    text, document = run(body), run(body, "--json")
    assert (text.stdout, text.stderr, text.exit_code) == ("one\ntwo\n", "on the side\n", 0)
    assert (json.loads(document.stdout), document.stderr) == ({"name": "brémse", "lines": 2}, "")


def test_events_are_one_line_each() -> None:
    def body(out: Output) -> None:
        out.event({"event": "listening"}, "listening")
        out.event({"event": "done"}, "done")

    assert run(body).stdout == "listening\ndone\n"
    assert [json.loads(line)["event"] for line in run(body, "--json").stdout.splitlines()] == ["listening", "done"]


def test_an_error_names_its_code_attack_clause_and_remedy() -> None:
    refused, conflict = run(raises(ROLLBACK)), run(raises(CONFLICT))
    assert refused.stderr.splitlines() == [
        "error[rollback]: director/timestamp: offered version 3 is older than trusted version 5",
        "attack: rollback (refused by Uptane 2.1.0 5.4.4.4)",
    ]
    assert conflict.stderr.splitlines() == [
        "error[conflict]: the publication changed meanwhile: version 7 is there already",
        f"hint: {ConflictError.hint}",
    ]
    assert refused.stdout == conflict.stdout == ""


def test_an_error_with_json_is_on_stdout() -> None:
    answer = run(raises(ROLLBACK), "--json")
    assert json.loads(answer.stdout)["error"].items() >= {"code": "rollback", "attack": "rollback"}.items()
    assert (answer.stderr, answer.exit_code) == ("", 1)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ROLLBACK, 1),
        (RefusalError(), 1),
        (TwinlockError(), 5),
        (StorageError(path="p", operation="read", reason="r"), 5),
        (ProfileError(profile="aktualizr", what="root", reason="r"), 1),
        (PreconditionError(ecu="e", reason="r"), 1),
        (StoreTamperedError(reason="r"), 1),
        (PassphraseError(path="p"), 2),
        (UnknownImageError(ecu="e", target="t"), 2),
        (UsageError(reason="x"), 2),
        (CONFLICT, 3),
        (TRANSPORT, 4),
        (FetchError(url="u", reason="r", status=500), 4),
        (SlowRetrievalError(url="u", reason="r", bytes_per_s=1, floor_bytes_per_s=2), 4),
    ],
)
def test_exit_statuses(error: TwinlockError, status: int) -> None:
    assert exit_status(error) == run(raises(error)).exit_code == status


@pytest.mark.parametrize(
    ("raised", "code", "status"),
    [
        (ModuleNotFoundError("No module named 'tuf'", name="tuf"), "usage", 2),
        (ModuleNotFoundError("No module named 'sqlalchemy.orm'", name="sqlalchemy.orm"), "usage", 2),
        (ModuleNotFoundError("No module named 'other'", name="other"), "internal", 5),
        (PermissionError(13, "Permission denied", "/keys/root"), "storage", 5),
        (OSError(98, "Address already in use"), "system", 5),
        (KeyError("x"), "internal", 5),
    ],
)
def test_whatever_is_raised_becomes_one_error(raised: Exception, code: str, status: int) -> None:
    answer = run(raises(raised), "--json")
    assert (json.loads(answer.stdout)["error"]["code"], answer.exit_code) == (code, status)
    assert "Traceback" not in run(raises(raised)).stderr


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (UnsafePathError(path="../x", reason="it leaves the repository"), 2),
        (UnknownEcuError(vehicle="VIN1", ecu="ecu-typo"), 2),
        (HardwareError(ecu="e", target="t", listed=("hw-1",), actual="hw-2"), 1),
    ],
)
def test_own_input_is_never_called_an_attack(refusal: RefusalError, status: int) -> None:
    def body(_out: Output) -> None:
        with own_input():
            raise refusal

    answer, text = run(body, "--json"), run(body)
    error = json.loads(answer.stdout)["error"]
    assert (error["code"], error["attack"], error["kind"]) == (refusal.code, "none", "refusal")
    assert error["fields"]
    assert "attack" not in text.stderr
    assert answer.exit_code == text.exit_code == status


def test_own_input_of_some_kinds_leaves_other_refusals_as_they_are() -> None:
    def body(_out: Output) -> None:
        with own_input(UnsafePathError):
            raise ROLLBACK

    assert json.loads(run(body, "--json").stdout)["error"]["attack"] == "rollback"


def test_json_has_one_convention() -> None:
    class Color(enum.Enum):
        RED = "red"

    @dataclasses.dataclass
    class Part:
        part_name: str
        by_name: dict[str, int]

    moment = datetime(2026, 2, 3, 5, 5, 6, 7, tzinfo=timezone(timedelta(hours=1)))
    part = Part("a_b", {"my_component": 1})
    shown = json_value({"at": moment, "place": Path("/x"), "part": part, "color": Color.RED, "ids": frozenset("ba")})
    assert shown == {
        "at": "2026-02-03T04:05:06Z",
        "place": "/x",
        "part": {"partName": "a_b", "byName": {"my_component": 1}},
        "color": "red",
        "ids": ["a", "b"],
    }
    slow = SlowRetrievalError(url="u", reason="r", bytes_per_s=1, floor_bytes_per_s=2)
    assert json_value({"error": slow})["error"]["fields"].keys() == {"url", "reason", "bytesPerS", "floorBytesPerS"}
    with pytest.raises(TypeError, match="has no JSON form"):
        json_value(object())


def test_a_missing_extra_says_what_to_install() -> None:
    assert "install twinlock[server]" in run(raises(ModuleNotFoundError(name="resolvelib"))).stderr


def test_debug_shows_where_it_happened() -> None:
    assert "Traceback" in run(raises(KeyError("x")), "--debug").stderr
    assert "Traceback" in run(raises(KeyError("x")), env={"TWINLOCK_DEBUG": "1"}).stderr


@click.command()
@yes_option
@output_options
def destroy(out: Output, *, yes: bool) -> None:
    """Destroy something."""
    out.confirm("destroy it", yes=yes)
    out.result({"done": True}, "done")


@pytest.mark.parametrize(
    ("args", "answer", "status", "shown"),
    [
        (["--yes"], None, 0, "done"),
        (["--yes", "--json"], None, 0, '"done": true'),
        ([], "y\n", 0, "done"),
        ([], "n\n", 1, "error[declined]"),
        ([], "", 2, "hint: add --yes"),
        (["--json"], "y\n", 2, '"code": "usage"'),
    ],
)
def test_what_destroys_asks_first(args: list[str], answer: str | None, status: int, shown: str) -> None:
    result = CliRunner().invoke(destroy, args, input=answer)
    assert result.exit_code == status
    assert shown in result.output


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("terminal", "as_json", "visible"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_progress_shows_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch,
    *,
    terminal: bool,
    as_json: bool,
    visible: bool,
) -> None:
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with Output(json=as_json).progress(2, "hashing") as advance:
        advance(2)
    assert ("hashing" in stream.getvalue()) is visible


def test_tables_are_aligned() -> None:
    assert table(["ecu", "version"], [["gateway", 1], ["b", 12]]) == ["ecu      version", "gateway  1", "b        12"]
