"""What operators type, or write into their own files: refused as their input, never as somebody's attack.

The checks are the trust engine's, whose refusals name the attack that the same input would be if it came from outside.
A command that judges input of its own user says so::

    with own_input():
        path = target_path(name)                       # UnsafePathError: exit status 2, without an attack
    with own_input(HardwareError, UnknownEcuError):    # only these; metadata from elsewhere is judged in here too
        plan = director.assign(vehicle, images)
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from twinlock.cli.exit_status import EXIT_REFUSED, EXIT_USAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twinlock.trust.errors.base import RefusalError

# Sound input that a rule does not admit; any other refused input is a mistake of form, or names something unknown.
_RULES = frozenset({"registration", "wrong-hardware", "release-counter", "no-image-set", "ecu-already-registered"})


class OwnInputError(Exception):
    """A refusal of what the command's own user gave it."""

    def __init__(self, refusal: RefusalError) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal

    @property
    def exit_status(self) -> int:
        """1 where a rule said no, 2 for a mistake."""
        return EXIT_REFUSED if self.refusal.code in _RULES else EXIT_USAGE

    def as_json(self) -> dict[str, Any]:
        """The refusal for programs, without an attack."""
        return {**self.refusal.as_json(), "kind": "refusal", "attack": "none"}


@contextlib.contextmanager
def own_input(*kinds: type[RefusalError]) -> Iterator[None]:
    """Judge input of the command's own user inside the block; ``kinds`` (none: all) are what it can cause.

    Raises: OwnInputError.
    """
    from twinlock.trust.errors.base import RefusalError

    judged = kinds or (RefusalError,)
    try:
        yield
    except judged as refusal:
        raise OwnInputError(refusal) from refusal
