"""Numbers of things, as a sentence has them: 1 image, 2 images."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """``number`` with ``noun``, in the plural unless there is one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def have(number: int) -> str:
    """The verb for that many."""
    return "has" if number == 1 else "have"


def some_of(number: int, total: int, noun: str) -> str:
    """How many of a total, with the verb: 1 of 3 images was, 2 of 3 images were."""
    return f"{number} of {counted(total, noun)} {'was' if number == 1 else 'were'}"
