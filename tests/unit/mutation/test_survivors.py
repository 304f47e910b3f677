"""The explained survivors: each is a mutant that the engine as it is still has."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from mutation.explained import FILE, Identity, read
from mutation.mutants import Source

TRUST = Path(__file__).parents[3] / "trust" / "twinlock" / "trust"
EXPLAINED = read(FILE.read_text(encoding="utf-8"))


@cache
def mutants(file: str) -> set[Identity]:
    source = Source(file, (TRUST / file).read_text(encoding="utf-8"))
    return {Identity(file, mutant.function, mutant.text, mutant.change) for mutant in source.mutants}


@pytest.mark.parametrize("identity", EXPLAINED, ids=lambda identity: f"{identity.file}: {identity.change}"[:60])
def test_what_is_explained_exists(identity: Identity) -> None:
    assert identity in mutants(identity.file)
