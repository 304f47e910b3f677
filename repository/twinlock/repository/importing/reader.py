"""A repository for aktualizr that another tool made: read whole, and verified by the trust engine before anything is done.

    N.root.json  timestamp.json  snapshot.json  targets.json  delegations/NAME.json  targets/FILENAME

Files that have expired are read all the same, since that may be the reason to take a repository over.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from twinlock.io.files.near_names import suggestion
from twinlock.io.files.operator_files import find_operator_file
from twinlock.repository.aktualizr.published import CONTEXT
from twinlock.trust.checks.targets import Authority, check_targets
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, drive
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.metadata import MissingMetadataError, UnlistedRoleError
from twinlock.trust.keys.signatures import Verified
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.base import Signed
from twinlock.trust.model.targets import Targets
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RoleName
from twinlock.trust.policy import LAX
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR


@dataclass(frozen=True, slots=True)
class ForeignRepository:
    """One such repository, verified. ``roots`` are Root 1 to the newest, as they were found; ``roles`` all Targets roles
    that can be reached, delegators first, each with the authority that its file was verified under."""

    path: Path
    roots: tuple[bytes, ...]
    trusted: TrustedRepository
    roles: Mapping[RoleName, tuple[Authority, Verified[Targets]]]

    @property
    def fingerprint(self) -> str:
        """Distinguishes this state of this repository from every other one."""
        files = (*self.roots, self.timestamp.data, self.snapshot.data)
        return hashlib.sha256(b"".join(hashlib.sha256(data).digest() for data in files)).hexdigest()

    @property
    def timestamp(self) -> Verified[Any]:
        """Its Timestamp."""
        assert self.trusted.timestamp is not None
        return self.trusted.timestamp

    @property
    def snapshot(self) -> Verified[Any]:
        """Its Snapshot."""
        assert self.trusted.snapshot is not None
        return self.trusted.snapshot

    def files(self) -> Iterator[tuple[RoleName, Verified[Any]]]:
        """Every file but Root, by role."""
        yield TIMESTAMP, self.timestamp
        yield SNAPSHOT, self.snapshot
        for role, (_, targets) in self.roles.items():
            yield role, targets

    def expired(self, now: datetime) -> tuple[RoleName, ...]:
        """The roles whose file has expired."""
        signed: list[tuple[RoleName, Signed]] = [(ROOT, self.trusted.root.signed)]
        signed += [(role, verified.signed) for role, verified in self.files()]
        return tuple(role for role, file in signed if file.expires <= now)

    def customs(self, role: RoleName) -> dict[str, dict[str, Any]]:
        """The ``custom`` member of each entry of a role, as it was written."""
        listed = json.loads(self.roles[role][1].data)["signed"]["targets"]
        return {path: entry.get("custom") or {} for path, entry in listed.items()}

    def check_dropped(self, without: frozenset[str]) -> None:
        """Check that a role delegates to each name in ``without``. Raises: UsageError."""
        tables = [targets.signed.delegations for _, targets in self.roles.values()]
        known = {str(member.name) for table in tables if table for entry in table.entries for member in entry.roles}
        for name in sorted(without - known):
            reason = f"--drop-delegation {name}: no role delegates to {name}{suggestion(name, sorted(known))}"
            raise UsageError(reason=reason)

    @property
    def folder(self) -> Path:
        """Where the bytes of its images are, below their names."""
        return self.path / "targets"


def read_foreign(path: Path, *, without: frozenset[str] = frozenset()) -> ForeignRepository:
    """Read and verify the repository in the directory ``path``; roles in ``without`` may lack their file.

    Raises: UsageError if it is none, or if no role delegates to one in ``without``; RefusalError for whatever a careful vehicle would refuse, expiry aside.
    """
    roots = tuple(read_roots(path))
    if not roots:
        raise UsageError(reason=f"{path} is not a repository for aktualizr: it has no 1.root.json")

    def answer(command: Command) -> Answer:
        if not isinstance(command, Fetch):
            return None
        data = find_operator_file(path / command.name, "metadata", command.max_bytes)
        return ABSENT if data is None else data

    start = bootstrap_repository(IMAGE, roots[0], wire=AKTUALIZR)
    trusted = drive(refresh_repository(start, CONTEXT.now, policy=LAX), answer)
    foreign = ForeignRepository(path, roots, trusted, dict(_walk(path, trusted, without)))
    foreign.check_dropped(without)
    return foreign


def read_roots(path: Path) -> Iterator[bytes]:
    """The files ``N.root.json`` in ``path``, from 1 on as far as they go, unverified. Raises: StorageError."""
    version = 1
    while (data := find_operator_file(path / f"{version}.root.json", "a Root", DEFAULT_LIMITS.root_bytes)) is not None:
        yield data
        version += 1


def _walk(
    path: Path, trusted: TrustedRepository, without: frozenset[str]
) -> Iterator[tuple[RoleName, tuple[Authority, Verified[Targets]]]]:
    assert trusted.targets is not None
    root = trusted.root.signed
    queue = [(Authority(TARGETS, root.keys, root.roles[TARGETS]), trusted.targets)]
    seen: set[str] = set()
    while queue:
        authority, targets = queue.pop(0)
        if authority.role in seen:
            continue
        seen.add(authority.role)
        yield authority.role, (authority, targets)
        delegations = targets.signed.delegations
        for member in (role for entry in delegations.entries for role in entry.roles) if delegations else ():
            assert delegations is not None
            child = Authority(member.name, delegations.keys, member.signers)
            delegated = _delegated(path, trusted, child, without)
            if delegated is not None:
                queue.append((child, delegated))


def _delegated(
    path: Path, trusted: TrustedRepository, authority: Authority, without: frozenset[str]
) -> Verified[Targets] | None:
    assert trusted.snapshot is not None
    role = authority.role
    listed = trusted.snapshot.signed.targets.get(role)
    name = AKTUALIZR.file_name(role, None)
    data = find_operator_file(path / name, "metadata", DEFAULT_LIMITS.targets_bytes)
    if data is None or listed is None:
        if role in without:
            return None
        if listed is None:
            raise UnlistedRoleError(repository=IMAGE, role=role)
        raise MissingMetadataError(repository=IMAGE, role=role, name=name)
    return check_targets(data, authority=authority, listed=listed, floor=None, context=CONTEXT)
