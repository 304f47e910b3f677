"""The configuration of a supplier's workspace: its role, threshold, validity and wire profiles."""

from __future__ import annotations

from pathlib import Path

from msgspec import UNSET, UnsetType

from twinlock.io.files.operator_files import find_operator_file
from twinlock.io.files.records import MemberError, Record, check_format, parse_record, records_of_operators, to_record
from twinlock.repository.errors import ConfigMemberError
from twinlock.repository.workspace.profiles import PublishedProfiles
from twinlock.repository.workspace.validity import Seconds
from twinlock.trust.errors.base import UsageError

_KIND = "supplier"
_FORMAT = 1
MAX_CONFIG_BYTES = 65_536


class SupplierConfig(Record, frozen=True, kw_only=True):
    """The file. ``validity`` is in seconds; ``wires`` are the profiles, left out for the ``tuf`` profile alone."""

    format: int = _FORMAT
    kind: str = _KIND
    role: str
    threshold: int
    validity: Seconds
    wires: tuple[str, ...] | UnsetType = UNSET

    @property
    def profiles(self) -> PublishedProfiles:
        """The wire profiles. Raises: UsageError."""
        return PublishedProfiles() if self.wires is UNSET else PublishedProfiles(names=self.wires)


def wires_member(wires: PublishedProfiles) -> tuple[str, ...] | UnsetType:
    """The member that names the profiles; none for the ``tuf`` profile alone."""
    return wires.names if wires.aktualizr else UNSET


def read_config(path: Path) -> SupplierConfig:
    """The configuration at ``path``. Raises: UsageError, ConfigMemberError, NewerStateError, OperatorFileError."""
    data = find_operator_file(path, "the configuration", MAX_CONFIG_BYTES)
    if data is None:
        raise UsageError(
            reason=f"{path.parent} is not a supplier's workspace: it has no config.json (`twinlock supplier init` makes one)"
        )
    with records_of_operators():
        return _decode(data, path)


def _decode(data: bytes, path: Path) -> SupplierConfig:
    body = parse_record(data, str(path))
    kind = body.get("kind", "of a Director, or of another program")
    if kind != _KIND:
        raise UsageError(reason=f"{path.parent} is not a supplier's workspace but of the kind {kind}")
    check_format(body, str(path), newest=_FORMAT)
    try:
        return to_record(body, str(path), SupplierConfig)
    except MemberError as error:
        raise ConfigMemberError(path=error.path, member=error.member, reason=error.reason) from None
