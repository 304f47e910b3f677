"""A command checks what it was given before it asks for anything: a wrong argument costs no answer."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.unit.cli.test_refused_init import INITS, REFUSED, place, run, typed

__all__ = ["place"]

NOT_CONFIRMED = "not confirmed"
NO_PASSPHRASE = "no passphrase was given"


@pytest.mark.parametrize(("words", "status"), REFUSED.values(), ids=REFUSED)
def test_an_init_checks_its_arguments_before_it_asks_for_a_passphrase(
    place: Path, words: tuple[str, ...], status: int
) -> None:
    assert NO_PASSPHRASE not in typed(*words, status=status)
    assert NO_PASSPHRASE in typed(*INITS[words[0]], status=2)


@pytest.mark.parametrize("words", INITS.values(), ids=INITS)
def test_an_init_of_what_is_there_asks_for_no_passphrase(place: Path, words: tuple[str, ...]) -> None:
    run(*words, status=0)
    said = typed(*words, status=2)
    assert NO_PASSPHRASE not in said
    assert "already" in said


WRONG = {
    "image: no such directory": ("image", "recover-clock", "elsewhere"),
    "image: an image that is not listed": ("image", "remove", "site", "brake/none.bin"),
    "image: a name that is a path out": ("image", "remove", "site", "../none.bin"),
    "image: a role without a delegation": ("image", "undelegate", "site", "acme"),
    "supplier: an image that is not listed": ("supplier", "remove", "supplier", "acme/none.bin"),
    "director: no such directory": ("director", "recover-clock", "elsewhere"),
    "director: no directory to rotate keys in": ("director", "rotate", "elsewhere", "targets"),
    "director: a vehicle to retire": ("director", "retire", "director", "VIN7"),
    "director: a vehicle without orders": ("director", "unassign", "director", "VIN7"),
    "director: no certificate": ("director", "revoke-certificate", "director", "VIN7"),
}
RIGHT = (
    ("image", "recover-clock", "site"),
    ("director", "recover-clock", "director"),
    ("director", "rotate", "director", "targets"),
    ("director", "revoke-certificate", "director", "0" * 64),
)


@pytest.fixture
def parties(place: Path) -> None:
    for party, words in (("supplier", INITS["supplier"]), ("director", INITS["director"])):
        run(*words, status=0)
        shutil.move(place / "made", place / party)


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG)
def test_a_destroying_command_checks_its_arguments_before_it_asks(parties: None, words: tuple[str, ...]) -> None:
    del parties
    asked = typed(*words, status=2)
    assert NOT_CONFIRMED not in asked
    assert asked == typed(*words, "--yes", status=2)


@pytest.mark.parametrize("words", RIGHT, ids=" ".join)
def test_it_asks_where_nothing_is_wrong(parties: None, words: tuple[str, ...]) -> None:
    del parties
    assert NOT_CONFIRMED in typed(*words, status=2)
