"""Delegations: Uptane 2.1.0 5.2.3.2, TAP 3 (several roles have to agree), TAP 15 (succinct hash bins)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from twinlock.trust.keys.public_keys import PublicKey
from twinlock.trust.keys.signatures import RoleKeys
from twinlock.trust.model.base import NOTHING
from twinlock.trust.names import HardwareId, KeyId, RoleName, TargetPath


class DelegatedRole(NamedTuple):
    """A role and who signs for it."""

    name: RoleName
    signers: RoleKeys


class Delegation(NamedTuple):
    """One delegation: to one role, or to several of which ``min_roles_in_agreement`` have to agree.

    Exactly one of ``paths`` and ``path_hash_prefixes`` is given. ``hardware_ids`` None means any hardware. ``crossing``
    states that these patterns are those of C's ``fnmatch``: ``*`` and ``?`` fit a slash too, and ``?`` fits one byte.
    """

    roles: tuple[DelegatedRole, ...]
    terminating: bool
    paths: tuple[str, ...] | None = None
    path_hash_prefixes: tuple[str, ...] | None = None
    hardware_ids: frozenset[HardwareId] | None = None
    min_roles_in_agreement: int = 1
    crossing: bool = False

    def covers(self, path: TargetPath, hardware_id: HardwareId | None) -> bool:
        """Whether this delegation covers ``path`` for that hardware (None: no hardware is asked about).

        Source: Uptane 2.1.0 5.4.4.7 step 4.1; TUF 1.0.34 4.5 for the patterns.
        """
        if hardware_id is not None and self.hardware_ids is not None and hardware_id not in self.hardware_ids:
            return False
        if self.path_hash_prefixes is not None:
            digest = hashlib.sha256(path.encode()).hexdigest()
            return any(digest.startswith(prefix) for prefix in self.path_hash_prefixes)
        if self.crossing:
            name = path.encode()
            return any(fnmatchcase(name, pattern.encode()) for pattern in self.paths or ())
        return any(path_matches(path, pattern) for pattern in self.paths or ())


class SuccinctBins(NamedTuple):
    """TAP 15: ``2 ** bit_length`` bins under one set of keys, named ``PREFIX-HEX``."""

    signers: RoleKeys
    bit_length: int
    name_prefix: str

    def bin_of(self, path: TargetPath) -> RoleName:
        """The one bin that may list ``path``: the leading bits of its SHA-256."""
        head = int.from_bytes(hashlib.sha256(path.encode()).digest()[:4], "big")
        return self.name(head >> (32 - self.bit_length))

    def name(self, number: int) -> RoleName:
        """The name of bin ``number``, zero-padded to the digits that the last bin needs."""
        digits = len(f"{2**self.bit_length - 1:x}")
        return RoleName(f"{self.name_prefix}-{number:0{digits}x}")


class Delegations(NamedTuple):
    """All delegations of one file: either ``entries`` in order of priority, or ``bins``.

    ``keys`` are those that this engine can use; ``unusable`` are the others, each with the reason.
    """

    keys: Mapping[KeyId, PublicKey]
    entries: tuple[Delegation, ...] = ()
    bins: SuccinctBins | None = None
    unusable: Mapping[KeyId, str] = NOTHING


def path_matches(path: str, pattern: str) -> bool:
    """Whether a shell pattern fits a path segment by segment, so that ``*`` never crosses ``/``. Case counts."""
    parts, patterns = path.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))
