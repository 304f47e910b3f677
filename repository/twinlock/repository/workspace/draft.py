"""Edits that are staged and not published yet: a file that survives crashes and states what, not when.

Every edit is of the form "this name shall have that value", so applying one twice changes nothing, and an edit whose
publication succeeded just before a crash is recognised as done.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from twinlock.io.files.durable import locked, read_file, replace_file
from twinlock.io.files.records import Record, RecordError, plain, read_record
from twinlock.trust.errors.local import StorageError
from twinlock.trust.errors.metadata import LimitError

_FORMAT = 1
_MAX_DRAFT_BYTES = 1 << 28

Json = dict[str, Any]


class RoleEdits(Struct, forbid_unknown_fields=True):
    """Edits to one role's file: image path to entry, delegated role to delegation; None removes. Plain JSON."""

    images: dict[str, Json | None]
    delegations: dict[str, Json | None]


@dataclass
class Draft:
    """All staged edits, by the role whose file they change, and files of delegated roles as their owners signed them.

    ``others`` are the same files in the form of the aktualizr profile.
    """

    roles: dict[str, RoleEdits] = field(default_factory=dict)
    accepted: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)

    def of(self, role: str) -> RoleEdits:
        """The edits to ``role``, ready to be added to."""
        return self.roles.setdefault(role, RoleEdits({}, {}))

    @property
    def empty(self) -> bool:
        """Whether nothing is staged."""
        return not self.accepted and not any(edits.images or edits.delegations for edits in self.roles.values())

    def discharge(self, done: Draft) -> None:
        """Take out every edit of ``done``, unless it was changed meanwhile."""
        for role, edits in done.roles.items():
            here = self.of(role)
            here.images = {name: edit for name, edit in here.images.items() if not _same(edits.images, name, edit)}
            here.delegations = {
                name: edit for name, edit in here.delegations.items() if not _same(edits.delegations, name, edit)
            }
        self.roles = {role: edits for role, edits in self.roles.items() if edits.images or edits.delegations}
        self.accepted = {role: file for role, file in self.accepted.items() if done.accepted.get(role) != file}
        self.others = {role: file for role, file in self.others.items() if done.others.get(role) != file}


class DraftRecord(Record, frozen=True, kw_only=True):
    """The file; ``others`` is left out where it is empty."""

    format: int = _FORMAT
    roles: dict[str, RoleEdits]
    accepted: dict[str, str]
    others: dict[str, str] | UnsetType = UNSET


def read_draft(path: Path) -> Draft:
    """The draft in the file ``path``; an empty one if there is no file. Raises: StorageError, NewerStateError."""
    data = read_file(path, max_bytes=_MAX_DRAFT_BYTES)
    if data is None:
        return Draft()
    try:
        record = read_record(data, str(path), DraftRecord, newest=_FORMAT)
    except RecordError as error:
        reason = f"{error.fault}; remove it, or restore it from a backup, and stage again (nothing that is published is lost)"
        raise StorageError(path=str(path), operation="read", reason=reason) from None
    return Draft(record.roles, record.accepted, record.others or {})


@contextmanager
def editing_draft(path: Path) -> Iterator[Draft]:
    """The draft, to be changed inside the block; it is kept if the block succeeds. One editor at a time.

    Raises: StorageError, NewerStateError; above the bound of its reader too, and then the old draft stays.
    """
    with locked(path.with_suffix(".lock")):
        draft = read_draft(path)
        yield draft
        replace_file(path, _encode(draft), max_bytes=_MAX_DRAFT_BYTES)


def check_draft_size(draft: Draft, what: str) -> None:
    """Refuse a draft that would not be read again, before ``what`` is stored that belongs to it. Raises: LimitError."""
    size = len(_encode(draft))
    if size > _MAX_DRAFT_BYTES:
        raise LimitError(what=f"the staged edits with {what}, in bytes", value=size, limit=_MAX_DRAFT_BYTES)


def _encode(draft: Draft) -> bytes:
    record = DraftRecord(roles=draft.roles, accepted=draft.accepted, others=draft.others or UNSET)
    return json.dumps(plain(record), indent=1, ensure_ascii=False).encode()


def _same(done: dict[str, Json | None], name: str, edit: Json | None) -> bool:
    return name in done and done[name] == edit
