"""A file that grows while it is measured is read no further than it was long: its owner would keep the reader for hours."""

from __future__ import annotations

from io import BytesIO

import pytest

from twinlock.repository.store.image_files import hash_stream


class Growing(BytesIO):
    """A file that always has more; ``pieces`` counts what was read of it."""

    pieces = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.pieces += 1
        assert self.pieces < 100, "it was read without end"
        return b"x" * (size or 1)


@pytest.mark.parametrize("most", [0, 1, 5_000_000])
def test_a_file_that_grows_is_read_until_it_is_too_long(most: int) -> None:
    file = Growing()
    measured = hash_stream(file, most=most)
    assert most < measured.length


def test_a_file_that_does_not_grow_is_read_to_its_end() -> None:
    assert hash_stream(BytesIO(b"abc"), most=3) == hash_stream(BytesIO(b"abc"))
    assert hash_stream(BytesIO(b"abc")).length == 3
