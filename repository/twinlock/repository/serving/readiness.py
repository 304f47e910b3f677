"""Readiness of an Image repository: nothing that vehicles need has expired or is about to, and it can be renewed.

Expiry is read from the files as they are served, so that a server without keys knows it too.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from twinlock.repository.errors import NotReadyError
from twinlock.repository.publishing.refresh import check_signable
from twinlock.repository.store.interface import ObjectStore
from twinlock.repository.store.object_names import TIMESTAMP_OBJECT, metadata_object, root_object
from twinlock.repository.workspace.workspace import Workspace
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.errors.local import StorageError
from twinlock.trust.names import ROOT, SNAPSHOT, TIMESTAMP, RoleName
from twinlock.trust.text.times import format_time, parse_time

LONGEST_NOTICE = timedelta(days=7)
"""How long before its expiry a file with a long life counts as about to expire; others for a quarter of their life."""

FREE_BYTES = 32 << 20
"""Room that has to be left on the disk for what is written next."""

_MAX_BYTES = 64 << 20


def is_about_to_expire(expires: datetime, issued: datetime | None, now: datetime) -> bool:
    """Whether a file has expired or its last quarter has begun, at most ``LONGEST_NOTICE`` before its end.

    Online files are renewed at half of their life, so this is seen only when that fails.
    """
    life = LONGEST_NOTICE if issued is None or issued >= expires else expires - issued
    return expires - now <= min(life / 4, LONGEST_NOTICE)


def check_served(store: ObjectStore, now: datetime) -> None:
    """See that what ``store`` serves lasts. Raises: NotReadyError, StorageError."""
    reasons = tuple(_expiring(store, now))
    if reasons:
        raise NotReadyError(reasons=reasons)


def check_renewal(workspace: Workspace) -> None:
    """See that the online roles can be signed again when they are due. Raises: NotReadyError."""
    refuse_unready(lambda: check_signable(workspace), lambda: check_free_space(workspace.path))


def refuse_unready(*checks: Callable[[], object]) -> None:
    """Run every check, and raise NotReadyError with what each of them raised, if anything."""
    reasons: list[str] = []
    for check in checks:
        try:
            check()
        except NotReadyError as error:
            reasons += error.reasons
        except StorageError:
            reasons.append("the server's storage failed; its log states why")  # a prober learns no path
        except TwinlockError as error:
            reasons.append(str(error))
    if reasons:
        raise NotReadyError(reasons=tuple(reasons))


def check_free_space(path: Path) -> None:
    """See that there is room on the disk. Raises: NotReadyError."""
    free = shutil.disk_usage(path).free
    if free < FREE_BYTES:
        raise NotReadyError(reasons=(f"{free >> 20} MiB are free on the disk, and {FREE_BYTES >> 20} MiB are needed",))


def _expiring(store: ObjectStore, now: datetime) -> Iterator[str]:
    names: list[tuple[RoleName, str]] = [(TIMESTAMP, TIMESTAMP_OBJECT)]
    timestamp = _signed(store, TIMESTAMP_OBJECT)
    if timestamp is None:
        yield "nothing is published yet"
        return
    snapshot = metadata_object(SNAPSHOT, timestamp["meta"]["snapshot.json"]["version"])
    names += [(SNAPSHOT, snapshot), (ROOT, _newest_root(store))]
    listed = _signed(store, snapshot)
    if listed is not None:
        for name, info in listed["meta"].items():
            role = RoleName(name.removesuffix(".json"))
            names.append((role, metadata_object(role, info["version"])))
    for role, name in names:
        signed = _signed(store, name)
        if signed is None:
            yield f"the file of {role} is missing"
            continue
        expires, issued = _time(signed["expires"]), _time(signed.get("issued"))
        if expires is not None and is_about_to_expire(expires, issued, now):
            verb = "expired" if expires <= now else "expires"
            yield f"{role} {verb} at {format_time(expires)}"


def _newest_root(store: ObjectStore) -> str:
    version = 1
    while store.stat(root_object(version)) is None and version < 1 << 10:  # a repository that continues another one
        version += 1
    while store.stat(root_object(version + 1)) is not None:
        version += 1
    return root_object(version)


def _signed(store: ObjectStore, name: str) -> dict[str, Any] | None:
    stored = store.get(name, max_bytes=_MAX_BYTES)
    signed: dict[str, Any] | None = None if stored is None else json.loads(stored.data)["signed"]
    return signed


def _time(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text)
