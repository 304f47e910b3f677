"""What verification asks of its driver. The engine yields these and receives the answer; it does nothing itself.

A driver is a loop of a few lines: HTTP in a Primary, pushed files in a Secondary, a directory, a dict in tests. No
driver decides what to fetch next.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator, Mapping
from typing import NamedTuple, TypeAlias, TypeVar

from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.metadata import procedure_of
from twinlock.trust.model.base import NOTHING
from twinlock.trust.names import RepositoryName, RoleName
from twinlock.trust.state.floors import Floor


class Absent(enum.Enum):
    """The answer to a Fetch when the repository answers that the file does not exist (HTTP 404, or 403 from an object store).

    Any other failure is not an answer: the driver raises, and the cycle ends.
    """

    ABSENT = "absent"


ABSENT = Absent.ABSENT


class Fetch(NamedTuple):
    """Get one metadata file. ``name`` is its file name in the profile, already encoded; ``version`` is None for the
    unversioned name. A driver stops reading after ``max_bytes`` and raises EndlessDataError. Answer: bytes or ABSENT."""

    repository: RepositoryName
    role: RoleName
    version: int | None
    name: str
    max_bytes: int

    @property
    def clause(self) -> str:
        """The clause of the step that asks for this file and bounds it: a driver refuses a longer one under it."""
        return procedure_of(self.role)


class Persist(NamedTuple):
    """Store all of this in one transaction before going on; None deletes. No answer.

    ``files`` are (role, version, bytes), the version 0 for a deletion. Each file has passed its own checks, and is
    byte-identical to what was served where an index lists its digest or length. Root files are kept under every version;
    others replace the last. ``floors`` are those that changed, by role; None where one fell. Only they change floors:
    deleting a file does not. ``proofs`` are opaque and for ``restore_repository``, by role: they spare it the counting of
    signatures, and a store that does not keep them loses only that. With its file a proof is replaced or deleted too.
    """

    repository: RepositoryName
    files: tuple[tuple[RoleName, int, bytes | None], ...]
    proofs: Mapping[RoleName, bytes] = NOTHING
    floors: Mapping[RoleName, Floor | None] = NOTHING


class FetchElsewhere(NamedTuple):
    """Get the file of ``fetch`` again, from a place that was not asked for it yet. ``error`` is why the copy from the last
    place was refused, and belongs in the report; None if it was valid but old. Answer: bytes, or None where no other place
    has one; then the refusal ends the verification, or the step goes on without the file. A driver with one source always
    answers None, and asks each place once.
    """

    fetch: Fetch
    error: RefusalError | None


class Notice(NamedTuple):
    """Something to put into the report that does not end the cycle, such as an equivocating Timestamp. No answer."""

    error: RefusalError


Command: TypeAlias = Fetch | FetchElsewhere | Persist | Notice
Answer: TypeAlias = bytes | Absent | None

Result = TypeVar("Result")
Steps: TypeAlias = Generator[Command, Answer, Result]


def drive(steps: Steps[Result], answer: Callable[[Command], Answer]) -> Result:
    """Run a verification to its value with a synchronous ``answer``. What ``answer`` raises ends it and propagates."""
    try:
        command = next(steps)
        while True:
            command = steps.send(answer(command))
    except StopIteration as stop:
        result: Result = stop.value
        return result
    finally:
        steps.close()
