"""Where a passphrase comes from, and what is refused as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from twinlock.cli.shared.errors import NoPassphraseError
from twinlock.cli.shared.passphrase import ENVIRONMENT, MAX_PASSPHRASE_BYTES, key_passphrase, read_passphrase
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import OperatorFileError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)


def test_none_given_is_none() -> None:
    assert read_passphrase(None) is None


def test_the_file_comes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, "from the environment")
    file = tmp_path / "passphrase"
    file.write_text("from the file\n")
    assert read_passphrase(file) == "from the file"
    assert read_passphrase(None) == "from the environment"


@pytest.mark.parametrize(
    ("content", "passphrase"),
    [(b"a b \n", "a b "), (b"a\r\n", "a"), (b"a\n\n", "a\n"), ("schlüssel".encode(), "schlüssel")],
)
def test_one_newline_does_not_count(tmp_path: Path, content: bytes, passphrase: str) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(content)
    assert read_passphrase(file) == passphrase


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * (MAX_PASSPHRASE_BYTES + 1)])
def test_a_file_that_is_no_passphrase_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(content)
    with pytest.raises((UsageError, OperatorFileError)) as refused:
        read_passphrase(file)
    assert str(file) in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorFileError):
        read_passphrase(tmp_path / "nothing")


def test_an_empty_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, "")
    with pytest.raises(UsageError):
        read_passphrase(None)


def test_a_person_is_asked_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def prompt(text: str, **options: object) -> str:
        asked.append({"text": text, **options})
        return "typed"

    monkeypatch.setattr(click, "prompt", prompt)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert read_passphrase(None, prompt="Passphrase") is None
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert read_passphrase(None, prompt="Passphrase", confirm=True) == "typed"
    assert asked == [{"text": "Passphrase", "hide_input": True, "confirmation_prompt": True, "err": True}]


def test_keys_ask_when_they_need_it_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def prompt(text: str, **_options: object) -> str:
        asked.append(text)
        return "typed"

    monkeypatch.setattr(click, "prompt", prompt)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    passphrase = key_passphrase(None, prompt="Root")
    assert asked == []
    assert [passphrase(), passphrase()] == ["typed", "typed"]
    assert asked == ["Root"]


def test_keys_that_cannot_ask_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(NoPassphraseError):
        key_passphrase(None)()
