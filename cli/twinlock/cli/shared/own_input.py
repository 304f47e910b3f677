"""Input of operators, typed or in their own files: refused as input, never as an attack.

The checks are the trust engine's, whose refusals name the attack that the same input would be if it came from outside.
A command that judges input of its own user does it so::

    with own_input():
        path = target_path(name)                       # UnsafePathError: exit status 2, without an attack
    with own_input(HardwareError, ReleaseCounterError):    # only these; metadata from elsewhere is judged in here too
        plan = director.assign(vehicle, images)
    with own_input(given=str(path)):                   # the error names the file, or the option, that is at fault
        check_given_root(IMAGE, root)
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinlock.cli.shared.exit_status import EXIT_REFUSED, EXIT_USAGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from twinlock.trust.errors.base import RefusalError, UsageError

STANDARD_INPUT = "-"
_OWN_REPOSITORIES = frozenset({"image", "director", "up"})  # subcommands of twinlock

# Well-formed input that a rule forbids; other refused input is malformed or names something unknown.
_RULES = frozenset(
    {
        *("registration", "wrong-hardware", "release-counter", "no-image-set", "ecu-already-registered"),
        *(
            "threshold",
            "rollback",
            "root-version",
            "expired",
            "equivocation",
            "role-taken",
        ),  # of a Root or of a supplier's file that is well formed
    }
)


class OwnInputError(Exception):
    """A refusal of what the command's own user gave it. ``given`` is the file or the option that is at fault, if one is."""

    def __init__(self, refusal: RefusalError | UsageError, hint: str = "", given: str = "") -> None:
        super().__init__(f"{given}: {refusal}" if given else str(refusal))
        self.refusal = refusal
        self.hint = hint or refusal.hint

    @property
    def exit_status(self) -> int:
        """1 if a rule forbids the input, 2 for a mistake."""
        return EXIT_REFUSED if self.refusal.code in _RULES else EXIT_USAGE

    def as_json(self) -> dict[str, Any]:
        """The refusal for programs, without an attack."""
        described = {**self.refusal.as_json(), "message": str(self), "kind": "refusal", "attack": "none"}
        return {**described, "hint": self.hint} if self.hint else described


def read_own_file(path: Path, what: str, *, max_bytes: int = 8_000_000) -> bytes:
    """The bytes of a file that the user named, or of standard input for ``-``, without a byte order mark.

    ``what`` is what it should hold, such as ``the map``. A pipe is read if a process writes to it. Raises: OperatorFileError.
    """
    from twinlock.io.files.operator_files import BYTE_ORDER_MARK, read_operator_file
    from twinlock.trust.errors.local import OperatorFileError

    if str(path) != STANDARD_INPUT:
        return read_operator_file(path, what, max_bytes, pipe=True)
    data = sys.stdin.buffer.read(max_bytes + 1)
    if len(data) > max_bytes:
        reason = f"larger than {max_bytes} bytes; check that it is the right input"
        raise OperatorFileError(path="standard input", operation=f"read {what} from", reason=reason)
    return data.removeprefix(BYTE_ORDER_MARK)


@contextlib.contextmanager
def own_input(*kinds: type[RefusalError], hints: Mapping[str, str] | None = None, given: str = "") -> Iterator[None]:
    """Judge input of the command's own user inside the block; ``kinds`` (none: all) are what it can cause.

    ``hints`` are better remedies of this command, by the refusal's code. ``given`` is the file or the option that alone is
    judged in the block: every error names it then.
    Raises: OwnInputError.
    """
    from twinlock.trust.errors.base import RefusalError, UsageError

    judged: tuple[type[RefusalError | UsageError], ...] = kinds or (RefusalError,)
    if given:
        judged = (*judged, UsageError)
    try:
        yield
    except judged as refusal:
        raise OwnInputError(refusal, (hints or {}).get(refusal.code, ""), given) from refusal


def shown_source(path: Path) -> str:
    """The name of a file that the user gave, for an error."""
    return "standard input" if str(path) == STANDARD_INPUT else str(path)


def own_expiry(raised: Exception, command: str) -> OwnInputError | None:
    """The expiry of our own metadata, with what renews it, for a command such as ``twinlock image publish``; else None.

    Only a client takes expired metadata for evidence of a freeze: here it is what the repository's owner did not renew.
    """
    from twinlock.trust.errors.metadata import ExpiredError

    if not isinstance(raised, ExpiredError) or _OWN_REPOSITORIES.isdisjoint(command.split()[1:2]):
        return None
    return OwnInputError(raised, _renewal(raised.repository, raised.role))


def _renewal(repository: str, role: str) -> str:
    from twinlock.trust.names import DIRECTOR, ROOT, TOP_LEVEL

    if repository == DIRECTOR:
        if role != ROOT:
            return "run `twinlock director refresh DIRECTORY`"
        elsewhere = "`twinlock director rotate DIRECTORY --prepare FILE` writes the next Root for holders of other keys"
        return f"run `twinlock director refresh DIRECTORY --root` where the Root keys are; {elsewhere}"
    if role not in TOP_LEVEL:
        return f"{role} runs `twinlock supplier sign`, then run `twinlock image accept` and `twinlock image publish`"
    renewed = f"run `twinlock image refresh DIRECTORY` on the Image repository, where the keys of {role} are"
    if role != ROOT:
        return f"{renewed}; if it is current there, what is served here is old"
    return f"{renewed}; `twinlock image rotate DIRECTORY --prepare FILE` writes the next Root for holders of other keys"
