"""Key records: the public half of a key, what it was made for, and where its private half is kept."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec import UNSET, UnsetType

from twinlock.io.files.durable import read_file
from twinlock.io.files.records import Record, read_record, record_bytes
from twinlock.repository.keys.availability import Availability
from twinlock.repository.keys.demands import check_demand
from twinlock.repository.keys.private_keys import MAX_KEY_FILE_BYTES, KeyKind, kind_of
from twinlock.trust.errors.base import UsageError
from twinlock.trust.keys.public_keys import PublicKey, load_key
from twinlock.trust.names import KeyId, role_file

if TYPE_CHECKING:
    from securesystemslib.signer import Key, SSlibKey

PEM = "pem:"  # our own signer URI: a PEM file in the directory of the record; other schemes are securesystemslib's

_FORMAT = 1
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPlan:
    """The keys that a role shall have: how many, how many of them must sign, and of what kind.

    The last keys may be of other kinds: ``also`` are those, and ``kind`` is that of all before them. ``post_quantum``
    demands that one signature is by an ML-DSA key; None leaves that as it is for the role. ``replacing`` are the ids of the
    keys that go, each for a new one of its kind, while the others stay; without any all go.
    """

    count: int = 1
    threshold: int = 1
    kind: KeyKind = KeyKind.ED25519
    also: tuple[KeyKind, ...] = ()
    post_quantum: bool | None = None
    replacing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.threshold <= self.count:
            raise UsageError(reason=f"a threshold of {self.threshold} of {self.count} keys cannot be met")
        if len(self.also) >= self.count:
            raise UsageError(reason=f"{len(self.also) + 1} kinds of keys were named for {self.count} keys")
        if self.post_quantum:
            check_demand("a role", (kind.keytype for kind in self.kinds), self.threshold)

    @classmethod
    def like(cls, keys: Iterable[Key], threshold: int, *, post_quantum: bool | None = None) -> KeyPlan:
        """As many keys as ``keys``, of the same kinds."""
        first, *others = (kind_of(key.keytype, key.scheme) for key in keys)
        return cls(
            count=len(others) + 1, threshold=threshold, kind=first, also=tuple(others), post_quantum=post_quantum
        )

    @property
    def kinds(self) -> tuple[KeyKind, ...]:
        """The kind of each key."""
        return (self.kind,) * (self.count - len(self.also)) + self.also

    def goes(self, keyid: str) -> bool:
        """Whether a key of the role is replaced."""
        return not self.replacing or keyid in self.replacing

    def new_kinds(self, old: Mapping[str, Key]) -> tuple[KeyKind, ...]:
        """The kinds of the keys to be made where a role has ``old`` ones. Raises: UsageError for one that it has not."""
        for keyid in self.replacing:
            if keyid not in old:
                raise UsageError(reason=f"{keyid} is not a key of this role")
        return tuple(kind_of(old[keyid].keytype, old[keyid].scheme) for keyid in self.replacing) or self.kinds

    def for_role(self, role: str, *, demanded: bool) -> KeyPlan:
        """The plan for ``role``, of which a post-quantum signature was ``demanded`` so far. Raises: UsageError."""
        wanted = demanded if self.post_quantum is None else self.post_quantum
        if wanted:
            check_demand(role, (kind.keytype for kind in self.kinds), self.threshold)
        return replace(self, post_quantum=wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """One key that this keyring knows. ``signer`` is a URI that states where its private half is; ``lost``: nowhere."""

    keyid: KeyId
    role: str
    keytype: str
    scheme: str
    public: str
    signer: str
    place: Path
    lost: bool = False

    @property
    def availability(self) -> Availability:
        """Where the private half is now."""
        if self.lost:
            return Availability.LOST
        if not self.signer.startswith(PEM):
            return Availability.HARDWARE
        return Availability.HERE if self.files[1].exists() else Availability.ELSEWHERE

    @property
    def public_key(self) -> PublicKey:
        """The public half as the trust engine sees it. Raises: WeakKeyError."""
        return load_key(self.keyid, keytype=self.keytype, scheme=self.scheme, public=self.public)

    @property
    def authoring_key(self) -> SSlibKey:
        """The public half as ``tuf.api.metadata`` wants it."""
        from securesystemslib.signer import SSlibKey

        return SSlibKey(self.keyid, self.keytype, self.scheme, {"public": self.public})

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that make up this key here: its record, and its private half if that is a file of ours."""
        record = self.place / f"{key_stem(self.role, self.keyid)}.json"
        return (record, self.place / self.signer.removeprefix(PEM)) if self.signer.startswith(PEM) else (record,)

    def public_json(self) -> dict[str, Any]:
        """What is given to others: the key and its id."""
        key = {"keytype": self.keytype, "scheme": self.scheme, "keyval": {"public": self.public}}
        return {"keyid": self.keyid, "key": key}


def key_stem(role: str, keyid: str) -> str:
    """The name of a key's files. Most key ids are digests; others, which may be any text, are put through one."""
    short = keyid[:16] if _DIGEST.fullmatch(keyid) else hashlib.sha256(keyid.encode()).hexdigest()[:16]
    return f"{role_file(role)}.{short}"


class _KeyValue(Record, frozen=True, kw_only=True):
    public: str


class _Key(Record, frozen=True, kw_only=True):
    keytype: str
    scheme: str
    keyval: _KeyValue


class _File(Record, frozen=True, kw_only=True):
    """The file of a record."""

    format: int = _FORMAT
    role: str
    signer: str
    availability: Literal["lost"] | UnsetType = UNSET
    keyid: str
    key: _Key


def encode_record(record: KeyRecord) -> bytes:
    """The file of a record."""
    key = _Key(keytype=record.keytype, scheme=record.scheme, keyval=_KeyValue(public=record.public))
    lost: Literal["lost"] | UnsetType = "lost" if record.lost else UNSET
    return record_bytes(_File(role=record.role, signer=record.signer, availability=lost, keyid=record.keyid, key=key))


def read_key_record(path: Path) -> KeyRecord:
    """Read the file of a record. Raises: StorageError, NewerStateError."""
    file = read_record(read_file(path, max_bytes=MAX_KEY_FILE_BYTES) or b"", str(path), _File, newest=_FORMAT)
    return KeyRecord(
        keyid=KeyId(file.keyid),
        role=file.role,
        keytype=file.key.keytype,
        scheme=file.key.scheme,
        public=file.key.keyval.public,
        signer=file.signer,
        place=path.parent,
        lost=file.availability is not UNSET,
    )
