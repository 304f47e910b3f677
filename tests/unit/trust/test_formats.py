"""The checks of target formats called one by one: which entry is what, what each has to state, who installs it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.trust.test_image_checks import BRAKE, ENTRY, KIND, PATH, fields
from twinlock.trust.checks.formats import check_format, check_supported
from twinlock.trust.checks.image import check_entry
from twinlock.trust.errors.images import TargetFormatError, UnsupportedFormatError
from twinlock.trust.model.ecu import Ecu
from twinlock.trust.model.target_format import FILE, OSTREE, target_format
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.wire.aktualizr import encode

COMMIT = ENTRY._replace(length=0, hashes={"sha256": "28" * 32}, custom={"targetFormat": "OSTREE"})


@pytest.mark.parametrize(
    ("length", "custom", "found"),
    [
        (1, {}, FILE),
        (0, {}, OSTREE),
        (0, {"targetFormat": "BINARY"}, FILE),
        (0, {"targetFormat": ["OSTREE"]}, FILE),
        (1, {"targetFormat": "ostree"}, OSTREE),
        (0, {"targetFormat": "OsTree"}, OSTREE),
    ],
)
def test_which_entry_is_what(length: int, custom: dict[str, Any], found: str) -> None:
    assert target_format(ENTRY._replace(length=length, custom=custom)) == found


@pytest.mark.parametrize("entry", [ENTRY, ENTRY._replace(length=1), COMMIT, COMMIT._replace(custom={})])
def test_entries_that_are_in_order(entry: ImageEntry) -> None:
    check_format(entry)


@pytest.mark.parametrize(
    ("other", "found", "words"),
    [
        ({"custom": {"targetFormat": "BINARY"}}, FILE, "its length is 0, which only an OSTree commit may have"),
        ({"length": 1}, OSTREE, "it states a length of 1, and a commit has none"),
        ({"hashes": {"sha512": "00"}}, OSTREE, "it lists no sha256, which names the commit"),
    ],
)
def test_entries_that_are_not(other: dict[str, Any], found: str, words: str) -> None:
    entry = COMMIT._replace(**other)
    expected = {"target": PATH, "target_format": found, "reason": words}
    assert fields(TargetFormatError, lambda: check_format(entry)) == expected
    able = Ecu(BRAKE, KIND, formats=(FILE, OSTREE))
    assert fields(TargetFormatError, lambda: check_entry(entry, able, None)) == expected


def test_who_installs_it() -> None:
    plain, puller = Ecu(BRAKE, KIND), Ecu(BRAKE, KIND, formats=(OSTREE,))
    check_entry(COMMIT, puller, None)
    check_supported(ENTRY, plain)
    expected = {"ecu": BRAKE, "target": PATH, "target_format": OSTREE, "supported": (FILE,)}
    assert fields(UnsupportedFormatError, lambda: check_entry(COMMIT, plain, None)) == expected
    assert fields(UnsupportedFormatError, lambda: check_entry(ENTRY, puller, None))["target_format"] == FILE


@pytest.mark.parametrize(
    ("length", "custom", "written"),
    [
        (0, {"targetFormat": "OSTREE"}, "OSTREE"),
        (0, {"targetFormat": "ostree"}, "OSTREE"),
        (0, {}, "OSTREE"),
        (5, {}, "BINARY"),
        (5, {"targetFormat": "other"}, "BINARY"),
    ],
)
def test_the_aktualizr_form_always_states_one_of_two(length: int, custom: dict[str, Any], written: str) -> None:
    common = {"length": length, "hashes": {"sha256": "28" * 32}}
    listed = common | {"custom": {"mustAgree": {"hardwareIds": ["a"]}, **custom}}
    ordered = common | {"custom": {"ecuIdentifiers": {"e": {"hardwareId": "a"}}, **custom, "uri": "https://x"}}
    signed = {"_type": "targets", "version": 1, "expires": "2030-01-01T00:00:00Z", "custom": {}}
    image = encode.translate_targets("targets", signed | {"targets": {"a": listed}})["targets"]["a"]
    order = encode.translate_director_targets(signed | {"targets": {"a": ordered}})["targets"]["a"]
    assert (image["custom"]["targetFormat"], order["custom"]["targetFormat"]) == (written, written)
    assert "uri" not in order["custom"]
