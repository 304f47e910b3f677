"""A mistyped name in an option ``NAME=VALUE`` is answered with the one that was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.test_refused_init import INITS, place, typed

__all__ = ["place"]

IMPORT = ("image", "import", "made", "--from", ".", "--keys", ".")
TYPED = {
    "validity": ((*INITS["image"], "--valid", "timestmp=12h"), "did you mean timestamp?"),
    "validity of an import": ((*IMPORT, "--valid", "snapshots=12h"), "did you mean snapshot?"),
    "role": ((*INITS["image"], "--keys", "target=1/1"), "target is not a top-level role; did you mean targets?"),
    "kind": ((*INITS["image"], "--keys", "root=1/1:ed25518"), "did you mean ed25519?"),
    "second kind": ((*INITS["image"], "--keys", "root=1/2:ed25519+mldsa-65"), "did you mean ml-dsa-65?"),
    "kind for a Director": ((*INITS["director"], "--keys", "time=1/1:ecdsa-p265"), "did you mean ecdsa-p256?"),
    "kind for a supplier": ((*INITS["supplier"], "--keys", "1/1:rsa-pss"), "did you mean rsa-pss-3072?"),
}


@pytest.mark.parametrize(("words", "meant"), TYPED.values(), ids=TYPED)
def test_the_nearest_name_is_offered(place: Path, words: tuple[str, ...], meant: str) -> None:
    assert meant in typed(*words, status=2)
    assert not (place / "made").exists()


@pytest.mark.parametrize("words", [("--valid", "xyz=12h"), ("--keys", "root=1/1:xyz"), ("--keys", "xyz=1/1")])
def test_none_is_offered_where_none_is_near(place: Path, words: tuple[str, ...]) -> None:
    del place
    said = typed(*INITS["image"], *words, status=2)
    assert "xyz" in said
    assert "did you mean" not in said
