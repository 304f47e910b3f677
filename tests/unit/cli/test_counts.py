"""Numbers in sentences of the command line read as English."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from twinlock.cli.shared.counts import counted, have, some_of

CLI = Path(__file__).resolve().parents[3] / "cli"


@pytest.mark.parametrize(("number", "text"), [(0, "0 images have"), (1, "1 image has"), (2, "2 images have")])
def test_a_number_of_things_has_its_plural_and_its_verb(number: int, text: str) -> None:
    assert f"{counted(number, 'image')} {have(number)}" == text


def test_some_of_a_total_have_the_verb_of_their_number() -> None:
    assert [some_of(*pair, "item") for pair in ((1, 1), (1, 3), (2, 3))] == [
        "1 of 1 item was",
        "1 of 3 items was",
        "2 of 3 items were",
    ]


def test_no_sentence_leaves_the_plural_open_or_writes_it_after_any_number() -> None:
    open_plural = re.compile(r"[a-z]\((s|es)\)\W")
    fixed = re.compile(r"\{(len\([^}]*|count|number)\} [a-z ]*(images|vehicles|keys|items|roles|files|versions|days)\b")
    found = [
        f"{file.name}: {line.strip()}"
        for file in CLI.rglob("*.py")
        for line in file.read_text().splitlines()
        if (open_plural.search(line) and "http(s)" not in line) or fixed.search(line)
    ]
    assert [line for line in found if "str(" not in line and "len(s)" not in line] == []
