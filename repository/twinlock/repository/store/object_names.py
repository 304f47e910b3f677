"""The names of objects in the store: one place that knows them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from urllib.parse import unquote

from twinlock.repository.store.interface import ObjectReader, ObjectStore, StoredObject, object_name
from twinlock.trust.errors.metadata import UnsafePathError
from twinlock.trust.model.base import FileInfo
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import ROOT, TIMESTAMP, RoleName, TargetPath, role_file
from twinlock.trust.wire.tuf.metadata import TUF

METADATA = "metadata/"
TARGETS_FILES = "targets/"
PUBLICATIONS = "publications/"
AKTUALIZR = "aktualizr/"
AKTUALIZR_NAMES = f"{AKTUALIZR}names/"
NEWCOMER_ROOT = f"{AKTUALIZR}newcomer.root.json"  # what 1.root.json is for devices that store no Root yet
TIMESTAMP_OBJECT = f"{METADATA}{TUF.file_name(TIMESTAMP, None)}"


def metadata_object(role: str, version: int) -> str:
    """Where version ``version`` of a role's file is, Timestamp (which has one name) excepted."""
    return METADATA + served_name(TUF.file_name(RoleName(role), version))


def served_name(file: str) -> str:
    """Where below ``metadata/`` a web server looks for the file ``file`` of a URL: the name that it decodes to.

    A name that decodes to one with ``%``, or to one that a store does not admit, stays encoded: no two files share a name.
    """
    if "%" not in file:
        return file
    try:
        decoded = unquote(file, errors="strict")
        object_name(METADATA + decoded)
    except (UnicodeDecodeError, UnsafePathError):
        return file
    # A folder ``x.json`` could take the place of the file of another role.
    folders = decoded.split("/")[:-1]
    return file if "%" in decoded or any(folder.endswith(".json") for folder in folders) else decoded


def get_metadata(store: ObjectReader, role: str, version: int, *, max_bytes: int) -> StoredObject | None:
    """Version ``version`` of a role's file, also where an earlier release stored it under its encoded name only."""
    name, encoded = metadata_object(role, version), _encoded_object(role, version)
    stored = store.get(name, max_bytes=max_bytes)
    return store.get(encoded, max_bytes=max_bytes) if stored is None and encoded != name else stored


def adopt_served_names(store: ObjectStore, listed: Mapping[RoleName, FileInfo]) -> None:
    """Give each file in ``listed`` that an earlier release stored under its encoded name the one that URLs decode to.

    The encoded name stays for what still reads it. The store is not listed: the roles name their files.
    Raises: StorageError.
    """
    for role, info in listed.items():
        name, encoded = metadata_object(role, info.version), _encoded_object(role, info.version)
        if name != encoded and store.stat(name) is None and store.stat(encoded) is not None:
            store.copy_new(encoded, name)


def _encoded_object(role: str, version: int) -> str:
    return METADATA + TUF.file_name(RoleName(role), version)


def root_object(version: int) -> str:
    """Where one Root of the chain is."""
    return metadata_object(ROOT, version)


def publication_object(version: int) -> str:
    """Where the record of the publication that brings Timestamp ``version`` is."""
    return f"{PUBLICATIONS}{version}.json"


def image_objects(path: str, length: int, hashes: Mapping[str, str]) -> tuple[str, ...]:
    """Where the bytes of an image are: once for each digest (Uptane 2.1.0 5.2.7)."""
    entry = ImageEntry(TargetPath(path), length, hashes)
    return tuple(TARGETS_FILES + name for name in TUF.image_file_names(entry))


def aktualizr_object(role: str, version: int) -> str:
    """Where version ``version`` of a role's file is in the ``aktualizr`` profile; Timestamp has the version of ours."""
    return f"{AKTUALIZR}{version}.{role_file(role)}.json"


def name_object(path: str) -> str:
    """Where it is kept forever which bytes the file name ``path`` stands for in the ``aktualizr`` profile."""
    return f"{AKTUALIZR_NAMES}{hashlib.sha256(path.encode()).hexdigest()}.json"
