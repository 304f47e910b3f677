"""Refusals of metadata: what the checks of Uptane 2.1.0 5.4.4 raise about Root, Timestamp, Snapshot and Targets."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from twinlock.trust.errors.base import Attack, RefusalError

_PROCEDURES = {"root": "Uptane 2.1.0 5.4.4.3", "timestamp": "Uptane 2.1.0 5.4.4.4", "snapshot": "Uptane 2.1.0 5.4.4.5"}
_TARGETS = "Uptane 2.1.0 5.4.4.6"


def procedure_of(role: str) -> str:
    """The clause of the procedure that judges a file of ``role``; any name but the top-level ones is a Targets role's."""
    return _PROCEDURES.get(role, _TARGETS)


class MetadataFileError(RefusalError):
    """One file of a repository was refused. Its clause is that of the procedure for its role, unless the place gives one."""

    clause = "Uptane 2.1.0 5.4.4"
    template = "{repository}/{role} is refused"
    repository: str
    role: str

    def __init__(self, *, clause: str = "", **values: Any) -> None:
        super().__init__(clause=clause or procedure_of(values.get("role", "")), **values)


class MalformedError(RefusalError):
    """Bytes that are not what their format requires. ``json_path`` is the place, ``$`` the whole."""

    code = "malformed"
    clause = "Uptane 2.1.0 5.2.1"
    template = "{what} is malformed at {json_path}: {reason}"
    what: str
    json_path: str
    reason: str


class UnsupportedSpecError(RefusalError):
    """A file that follows a major version of the TUF specification that this engine does not know."""

    code = "unsupported-spec"
    clause = "TUF 1.0.34 4.3"
    template = "{what} follows specification {offered}; this engine knows {supported}"
    what: str
    offered: str
    supported: str


class UnsafePathError(RefusalError):
    """A name that must never become a path."""

    code = "unsafe-path"
    attack = Attack.TRAVERSAL
    clause = "Uptane 2.1.0 5.2.7"
    template = "the name {path!r} is not safe: {reason}"
    path: str
    reason: str


class UnusableKeyError(RefusalError):
    """A public key that this engine cannot use: an unknown type or scheme, or a value in another encoding."""

    code = "unusable-key"
    clause = "Uptane 2.1.0 5.2.1"
    template = "the key {keyid} cannot be used: {reason}"
    keyid: str
    reason: str


class WeakKeyError(UnusableKeyError):
    """A public key of a known type that would let anyone sign."""

    code = "weak-key"
    attack = Attack.ARBITRARY_SOFTWARE
    template = "the key {keyid} is weak: {reason}"


class KeyLeftOutError(RefusalError):
    """A key that a trusted file names and that this engine does not count. The file itself remains valid."""

    code = "key-left-out"
    clause = "Uptane 2.1.0 5.2.1"
    template = "{repository}/{role} lists the key {keyid}, which is ignored: {reason}"
    repository: str
    role: str
    keyid: str
    reason: str


class PostQuantumError(MetadataFileError):
    """A file without the post-quantum signature that its delegator demands. ``signed`` are the key ids that count."""

    code = "post-quantum"
    attack = Attack.ARBITRARY_SOFTWARE
    template = "{repository}/{role}: a post-quantum signature is required; only {signed} signed"
    signed: tuple[str, ...]


class ConsistentSnapshotError(RefusalError):
    """A Root that states that its repository serves files without versions in their names."""

    code = "consistent-snapshot"
    clause = "Uptane 2.1.0 5.2.7"
    template = "{repository}: Root {version} states consistent_snapshot false; versioned file names are required"
    hint = "set consistent_snapshot to true in the next Root and publish the files under versioned names"
    repository: str
    version: int


class ThresholdError(MetadataFileError):
    """Too few distinct keys signed. ``signed``, ``invalid``, ``missing``, ``unknown`` and ``unusable`` are key ids.

    ``unusable`` are keys of the role that this engine cannot use, so they count for nothing.
    """

    code = "threshold"
    attack = Attack.ARBITRARY_SOFTWARE
    template = (
        "{repository}/{role}: {valid} of {required} required signatures are valid "
        "(signed: {signed}; invalid: {invalid}; missing: {missing}; unknown: {unknown}; unusable: {unusable})"
    )
    valid: int
    required: int
    signed: tuple[str, ...]
    invalid: tuple[str, ...]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    unusable: tuple[str, ...] = ()


class RollbackError(MetadataFileError):
    """A version older than the one already trusted."""

    code = "rollback"
    attack = Attack.ROLLBACK
    template = "{repository}/{role}: offered version {offered} is older than trusted version {trusted}"
    offered: int
    trusted: int


class RootVersionError(RefusalError):
    """A Root that is not the direct successor of the trusted one."""

    code = "root-version"
    attack = Attack.ROLLBACK
    clause = "Uptane 2.1.0 5.4.4.3"
    template = "{repository}/root: offered version {offered} where only {expected} may follow"
    repository: str
    offered: int
    expected: int


class OtherChainError(RefusalError):
    """A Root of another wire profile's chain, offered as the next Root of this one, as its signed type shows."""

    code = "other-chain"
    attack = Attack.ARBITRARY_SOFTWARE
    clause = "Uptane 2.1.0 5.4.4.3"
    template = (
        "{repository}/root: version {offered} has the type {found!r}, but the trusted Root of this chain has "
        "{expected!r}; it belongs to the chain of another wire profile"
    )
    repository: str
    offered: int
    found: str
    expected: str


class RoleRemovedError(RefusalError):
    """A Snapshot that no longer lists a Targets file that it listed before."""

    code = "role-removed"
    attack = Attack.ROLLBACK
    clause = "Uptane 2.1.0 5.4.4.5"
    template = "{repository}/snapshot: the role {role} was listed before and is missing now"
    repository: str
    role: str


class EquivocationError(RefusalError):
    """Different content under a version that was seen before."""

    code = "equivocation"
    attack = Attack.EQUIVOCATION
    clause = "Uptane 2.1.0 5.2.1"
    template = "{repository}/{role}: version {version} was offered again with different content"
    repository: str
    role: str
    version: int


class ExpiredError(MetadataFileError):
    """Expired metadata."""

    code = "expired"
    attack = Attack.FREEZE
    template = "{repository}/{role}: version {version} expired at {expires}; the time is {now}"
    version: int
    expires: datetime
    now: datetime


class MixAndMatchError(MetadataFileError):
    """A file that is not the one its index lists. ``field`` is ``version``, ``length``, ``hashes.NAME`` or ``role``."""

    code = "mix-and-match"
    attack = Attack.MIX_AND_MATCH
    template = "{repository}/{role}: {field} is {offered}, but {listed} is listed"
    field: str
    listed: str
    offered: str


class MissingMetadataError(MetadataFileError):
    """A file that an index lists, or that must always exist, and that the repository does not have."""

    code = "missing-metadata"
    attack = Attack.DROP_REQUEST
    template = "{repository}/{role}: {name} not found"
    name: str


class MissingRoleError(RefusalError):
    """A Root that does not define a role which has to exist."""

    code = "missing-role"
    attack = Attack.FREEZE
    clause = "Uptane 2.1.0 5.2.2"
    template = "{repository}: Root {version} does not define role {role}"
    repository: str
    role: str
    version: int


class UnlistedRoleError(RefusalError):
    """A delegated role that Snapshot does not list."""

    code = "unlisted-role"
    attack = Attack.MIX_AND_MATCH
    clause = "Uptane 2.1.0 5.4.4.6"
    template = "{repository}/snapshot does not list the role {role}"
    repository: str
    role: str


class LimitError(RefusalError):
    """A bound was reached, which never means that something is absent. The step that reads or searches gives the clause."""

    code = "limit"
    attack = Attack.ENDLESS_DATA
    clause = "Uptane 2.1.0 5.2.1"
    template = "{what}: {value}; the limit is {limit}"
    what: str
    value: int
    limit: int


class IssuedInFutureError(RefusalError):
    """A file whose stated signing time is later than a proven clock allows: accepted, and taken to prove ``latest`` only."""

    code = "issued-in-future"
    clause = "Uptane 2.1.0 5.4.2.2"
    template = "{repository}/{role}: version {version} states that it was issued at {issued}; a proven clock allows {latest} at most"
    repository: str
    role: str
    version: int
    issued: datetime
    latest: datetime


class TimeError(RefusalError):
    """No reliable time is available, so no file can be shown to be unexpired. By itself this does not indicate an attack."""

    code = "no-secure-time"
    clause = "Uptane 2.1.0 5.4.3.1"
    template = "no secure time is available: {reason}"
    reason: str
