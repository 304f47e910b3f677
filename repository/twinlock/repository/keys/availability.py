"""Where the private half of a key is. Availability is local knowledge: it never lowers a threshold."""

from __future__ import annotations

import enum


class Availability(enum.Enum):
    """What a keyring knows of one key.

    ``ELSEWHERE`` means that the private file is not in its directory. A file that is there and is damaged, or that the
    passphrase does not open, is ``HERE`` and an error.
    """

    HERE = "here"
    ELSEWHERE = "elsewhere"
    HARDWARE = "hardware"
    LOST = "lost"  # an operator stated this; nothing is signed with it even if its file turns up

    @property
    def usable(self) -> bool:
        """Whether this machine can sign with the key."""
        return self in (Availability.HERE, Availability.HARDWARE)
