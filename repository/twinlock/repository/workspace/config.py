"""The configuration of an Image repository: ``config.json`` in its directory."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Self

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from twinlock.io.files.operator_files import find_operator_file
from twinlock.io.files.records import (
    MemberError,
    Record,
    check_format,
    parse_record,
    record_bytes,
    records_of_operators,
    to_record,
)
from twinlock.repository.errors import ConfigMemberError
from twinlock.repository.workspace.profiles import PublishedProfiles
from twinlock.repository.workspace.validity import Periods, Validity
from twinlock.trust.errors.base import UsageError

CONFIG = "config.json"
MAX_CONFIG_BYTES = 65_536
_FORMAT = 2
_PLAIN_FORMAT = 1  # of a repository that a version without wire profiles can open
_KIND = "image-repository"


class KeyPlaces(Record, frozen=True, kw_only=True):
    """Where the private keys are, relative to the directory of the repository."""

    offline: str = "keys/offline"
    online: str = "keys/online"


class Stranded(Record, frozen=True, kw_only=True):
    """The Root keys from before a hand-over, and the last day on which they sign."""

    keys: tuple[str, ...] = ()
    until: date | None = None


class ChainNumbers(Record, frozen=True, kw_only=True):
    """The Root chain of the aktualizr profile; the last two only after a hand-over."""

    root_offset: int = 0
    handed_over: int | UnsetType = UNSET
    stranded: Stranded | UnsetType = UNSET


class FirstNumbers(Record, frozen=True, kw_only=True):
    """Where the numbers of the repository begin."""

    root: int = 1
    timestamp: int = 1
    taken_over: str = ""


class RepositoryConfig(Record, frozen=True, kw_only=True):
    """The file. The last three members are of a repository that is not a plain one."""

    format: int
    kind: str
    validity: Validity = Validity()
    keys: KeyPlaces = KeyPlaces()
    store: str = "public"
    wires: tuple[str, ...] | UnsetType = UNSET
    aktualizr: ChainNumbers | UnsetType = UNSET
    first: FirstNumbers | UnsetType = UNSET

    @classmethod
    def new(cls, periods: Periods, wires: PublishedProfiles) -> Self:
        """The configuration of a new repository."""
        return cls(format=_PLAIN_FORMAT, kind=_KIND, validity=Validity.of(periods)).with_wires(wires)

    def with_wires(self, wires: PublishedProfiles) -> Self:
        """The same with other wire profiles."""
        if wires == PublishedProfiles():
            return replace(self, format=_PLAIN_FORMAT, wires=UNSET, aktualizr=UNSET, first=UNSET)
        chain = ChainNumbers(root_offset=wires.root_offset)
        if wires.handed_over:
            stranded = Stranded(keys=wires.stranded, until=wires.stranded_until)
            chain = replace(chain, handed_over=wires.handed_over, stranded=stranded)
        first = FirstNumbers(root=wires.first_root, timestamp=wires.first_timestamp, taken_over=wires.taken_over)
        return replace(self, format=_FORMAT, wires=wires.names, aktualizr=chain, first=first)

    @property
    def profiles(self) -> PublishedProfiles:
        """The wire profiles. Raises: UsageError."""
        chain, first = self.aktualizr or ChainNumbers(), self.first or FirstNumbers()
        stranded = chain.stranded or Stranded()
        return PublishedProfiles(
            names=PublishedProfiles().names if self.wires is UNSET else self.wires,
            root_offset=chain.root_offset,
            handed_over=chain.handed_over or 0,
            stranded=stranded.keys,
            stranded_until=stranded.until,
            first_root=first.root,
            first_timestamp=first.timestamp,
            taken_over=first.taken_over,
        )

    def encode(self) -> bytes:
        """The bytes of the file."""
        return record_bytes(self)


def read_config(directory: Path) -> RepositoryConfig:
    """The configuration of the repository in ``directory``.

    Raises: UsageError if it is none; ConfigMemberError, NewerStateError, OperatorFileError.
    """
    path = directory / CONFIG
    data = find_operator_file(path, "the configuration", MAX_CONFIG_BYTES)
    if data is None:
        raise UsageError(reason=f"{directory} is not an Image repository: {CONFIG} not found (run init first)")
    with records_of_operators():
        return _decode(data, path)


def _decode(data: bytes, path: Path) -> RepositoryConfig:
    body = parse_record(data, str(path))
    if body.get("kind") != _KIND:
        kind = body.get("kind")
        what = f"a {kind}" if kind else "the directory of a Director, or of another program"
        raise UsageError(reason=f"{path.parent} is {what}, not an Image repository")
    check_format(body, str(path), newest=_FORMAT)
    try:
        config = to_record(body, str(path), RepositoryConfig)
    except MemberError as error:
        raise ConfigMemberError(path=error.path, member=error.member, reason=error.reason) from None
    _check_places(config, path)
    return config


def _check_places(config: RepositoryConfig, path: Path) -> None:
    """Check the names of directories: an empty one would be that of the repository itself. Raises: ConfigMemberError."""
    places = {"keys.offline": config.keys.offline, "keys.online": config.keys.online, "store": config.store}
    for member, place in places.items():
        if not place:
            raise ConfigMemberError(
                path=str(path), member=member, reason="cannot be empty; leave it out for the default"
            )
        if "\0" in place:
            reason = "holds a U+0000, which no name of a directory has"
            raise ConfigMemberError(path=str(path), member=member, reason=reason)
