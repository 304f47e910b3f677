"""Every committed input, through its decoder: what fuzzing found once is checked on every run, without a fuzzer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.decoders import DECODERS, exercise
from twinlock.trust.errors.base import TwinlockError

CORPUS = Path(__file__).with_name("corpus")
INPUTS = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_committed_input_raises_nothing_foreign(path: Path) -> None:
    exercise(path.parent.name, path.read_bytes())


@pytest.mark.parametrize("name", sorted(set(DECODERS) - {"attestation"}))
def test_every_decoder_starts_from_something_it_accepts(name: str) -> None:
    accepted = [path for path in INPUTS if path.parent.name == name and _accepts(name, path.read_bytes())]
    assert accepted, "a corpus of nothing but refusals hardly gets past the first check"


def _accepts(name: str, data: bytes) -> bool:
    try:
        DECODERS[name](data)
    except TwinlockError:
        return False
    return True


def test_a_foreign_exception_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(data: bytes) -> None:
        raise IndexError(data)

    monkeypatch.setitem(DECODERS, "map", broken)
    with pytest.raises(IndexError):
        exercise("map", b"{}")
