"""Keys of test worlds are not encrypted, so that tests are fast: the one place that asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
_MAKERS = (("image", "init"), ("image", "import"), ("supplier", "init"), ("director", "init"))


def plain_keys(words: Sequence[T], *, passphrase: bool = False) -> list[T | str]:
    """The words of a command, with ``--plain-keys`` if it makes keys and nobody gives it a ``passphrase``."""
    makes = tuple(map(str, words[:2])) in _MAKERS or words[:1] == ("up",)
    given = passphrase or "--passphrase-file" in words or "--plain-keys" in words
    return [*words, "--plain-keys"] if makes and not given else list(words)
