"""New keys that stay in memory until everything that can fail was checked, and vanish if something fails later.

    with keyring.new_keys() as new:
        records = new.generate("timestamp", kind=KeyKind.ED25519, count=1)
        ...                                 # sign with them; nothing is on disk yet
        with new.leaving():                 # now they are written
            publish_record(store, record)   # and from here on they stay, unless nothing can have been published

A key is deleted only if no signed file that names it left the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from twinlock.repository.keys.unpublished import announced
from twinlock.trust.errors.local import ConflictError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from twinlock.repository.keys.keyring import KeyRecord, Keyring
    from twinlock.repository.keys.private_keys import KeyKind

    Make = Callable[[str, KeyKind], tuple[KeyRecord, PrivateKeyTypes]]
    Write = Callable[[KeyRecord, PrivateKeyTypes], None]
    Drop = Callable[[KeyRecord], None]


def make_keys(keyring: Keyring | NewKeys, role: str, kinds: Iterable[KeyKind]) -> tuple[KeyRecord, ...]:
    """One new key for ``role`` of each of ``kinds``, in their order. Raises: as ``generate``."""
    return tuple(record for kind in kinds for record in keyring.generate(role, kind=kind))


class NewKeys:
    """One batch of new keys of a keyring. Leaving the ``with`` block by an exception deletes what did not leave."""

    def __init__(self, *, make: Make, write: Write, drop: Drop) -> None:
        """Used by ``Keyring.new_keys``."""
        self._make, self._write, self._drop = make, write, drop
        self._made: list[tuple[KeyRecord, PrivateKeyTypes]] = []
        self._stay = False

    def generate(self, role: str, *, kind: KeyKind, count: int = 1) -> tuple[KeyRecord, ...]:
        """Make ``count`` keys for ``role``, in memory. Raises: UsageError, PassphraseError, as writing them would."""
        made = [self._make(role, kind) for _ in range(count)]
        self._made += made
        return tuple(record for record, _ in made)

    @property
    def keyids(self) -> tuple[str, ...]:
        """The ids of the keys that were made so far."""
        return tuple(record.keyid for record, _ in self._made)

    def save(self) -> None:
        """Write the keys. Raises: StorageError."""
        for record, private in self._made:
            self._write(record, private)

    @contextmanager
    def leaving(self, *refusals: type[Exception]) -> Iterator[None]:
        """Write the keys, and let signed files that name them leave the process inside the block.

        Only a ConflictError, or one of ``refusals``, proves that nothing left; after anything else the keys stay.
        """
        proofs: tuple[type[Exception], ...] = (ConflictError, *refusals)
        with announced(record for record, _ in self._made):
            try:
                self.save()
            except BaseException:
                self._discard()
                raise
            try:
                yield
            except proofs:
                self._discard()  # while the record of them exists
                raise
            except BaseException:
                self._stay = True
                raise
            self._stay = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        if kind is not None and not self._stay:
            self._discard()

    def _discard(self) -> None:
        """Delete the keys. Repeating it changes nothing."""
        for record, _private in self._made:
            self._drop(record)
