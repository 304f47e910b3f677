"""Entries of Targets that are decoded on first use: each once, by its name, and with its place in a refusal."""

from __future__ import annotations

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.world import START
from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.targets import Targets
from twinlock.trust.names import TargetPath
from twinlock.trust.wire.json.cursor import Node
from twinlock.trust.wire.tuf.metadata import TUF
from twinlock.trust.wire.tuf.uptane_fields import LazyImages

GOOD, BAD = TargetPath("brake/a.bin"), TargetPath("brake/b.bin")
ENTRY = {"length": 3, "hashes": {"sha256": "00" * 32}}
ENTRIES = {GOOD: ENTRY, BAD: ENTRY | {"length": -1}}


def read(targets: object, limits: Limits = DEFAULT_LIMITS) -> Targets:
    image = RepositorySimulator("image", KeyPool(), lambda: START)
    image.bodies["targets"]["targets"] = targets
    return TUF.decode_targets(image.put("targets"), "image/targets", limits).signed


def test_an_entry_is_decoded_once() -> None:
    images = read(ENTRIES).images
    entry = images[GOOD]
    assert (entry.path, entry.length) == (GOOD, 3)
    assert images[GOOD] is entry


def test_names_are_known_without_decoding() -> None:
    images = read(ENTRIES).images
    assert (list(images), len(images)) == ([GOOD, BAD], 2)
    assert GOOD in images
    assert TargetPath("brake/c.bin") not in images
    with pytest.raises(KeyError):
        images[TargetPath("brake/c.bin")]


def test_a_refusal_names_the_file_and_the_place_of_the_entry() -> None:
    images = read(ENTRIES).images
    with pytest.raises(MalformedError) as caught:
        images[BAD]
    place = f"$.signed.targets[{BAD!r}].length"
    assert (caught.value.what, caught.value.json_path) == ("image/targets", place)


def test_the_bounds_of_the_reader_hold_for_each_entry() -> None:
    images = read({GOOD: ENTRY | {"hashes": {f"x-{n}": "00" for n in range(9)}}}, Limits(hashes=8)).images
    with pytest.raises(LimitError):
        images[GOOD]


@pytest.mark.parametrize("value", [{}, {GOOD: ENTRY}, [], None])
def test_only_members_that_the_parser_located_are_read(value: object) -> None:
    with pytest.raises(MalformedError) as caught:
        LazyImages(Node(value, "image/targets", "$.signed.targets"), DEFAULT_LIMITS, lambda *_: pytest.fail("decoded"))
    assert (caught.value.json_path, caught.value.reason) == ("$.signed.targets", "an object is required")
