"""The exit statuses of every command, and which error ends in which.

0 done, 1 refused by a rule, 2 usage and unknown ids, 3 another process changed it first, 4 the network or the other end
failed, 5 something broke here, 6 something is due, 130 interrupted, 141 the reader of stdout has gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinlock.trust.errors.base import TwinlockError

EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_CONFLICT = 3
EXIT_TRANSPORT = 4
EXIT_BROKEN = 5
EXIT_DUE = 6
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
EXIT_READER_GONE = 141  # 128 + SIGPIPE

_UNKNOWN_IDS = frozenset({"passphrase", "unknown-image"})  # what the caller named or gave does not exist or fit


def exit_status(error: TwinlockError) -> int:
    """The exit status of a command that ended in ``error``."""
    from twinlock.trust.errors.base import Kind, UsageError
    from twinlock.trust.errors.local import ConflictError, OperatorFileError, TransportError

    if isinstance(error, (UsageError, OperatorFileError)) or error.code in _UNKNOWN_IDS:
        return EXIT_USAGE
    if isinstance(error, ConflictError):
        return EXIT_CONFLICT
    if isinstance(error, TransportError):
        return EXIT_TRANSPORT
    return EXIT_BROKEN if error.kind is Kind.FAILURE else EXIT_REFUSED
