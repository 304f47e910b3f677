"""What was signed for vehicles, in the database: files that never change, sets of them, and orders not yet confirmed.

All functions take a connection whose transaction the caller owns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from twinlock.director.inventory import schema
from twinlock.director.inventory.statements import Statement
from twinlock.director.model.judgement import Findings
from twinlock.director.model.plan import Outstanding
from twinlock.director.model.records import Issue
from twinlock.director.model.software import fingerprint, is_image, same_image
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import SNAPSHOT, TARGETS, TIMESTAMP, EcuId, RoleName, TargetPath, VehicleId

_S = schema.signed_metadata.c
_I = schema.issues.c
_O = schema.outstanding.c
_K = schema.known_images.c
_D = schema.decisions.c

_FILE = Statement(
    select(_S.data).where(
        _S.vehicle == bindparam("vehicle"), _S.role == bindparam("role"), _S.version == bindparam("version")
    )
)
_NEWEST = Statement(
    select(schema.issues, _D.correlation_id)
    .join(schema.decisions, _D.number == _I.decision)
    .where(_I.vehicle == bindparam("vehicle"))
    .order_by(_I.number.desc())
    .limit(1)
)
_OUTSTANDING = Statement(select(schema.outstanding).where(_O.vehicle == bindparam("vehicle")).order_by(_O.ecu, _O.path))
_KNOWN = Statement(select(_K.image).where(_K.image == bindparam("image")))
_BY_PATH = Statement(select(schema.known_images).where(_K.path == bindparam("path")).order_by(_K.seen_at.desc()))


def read_file(connection: Connection, vehicle: str, role: str, version: int) -> bytes | None:
    """One signed file of a vehicle, None if there is none."""
    data = _FILE.scalar(connection, vehicle=vehicle, role=role, version=version)
    return None if data is None else bytes(data)


def newest_issue(connection: Connection, vehicle: str) -> tuple[Issue, int] | None:
    """The set of files in force for a vehicle, and the number of the decision behind it."""
    row = _NEWEST.first(connection, vehicle=vehicle)
    if row is None:
        return None
    issue = Issue(
        vehicle=VehicleId(row.vehicle),
        root=row.root,
        targets=row.targets,
        snapshot=row.snapshot,
        timestamp=row.timestamp,
        issued_at=row.issued_at,
        expires=row.expires,
        correlation_id=row.correlation_id,
    )
    return issue, int(row.decision)


def current_files(connection: Connection, issue: Issue) -> dict[RoleName, bytes]:
    """The three files of a set, by role."""
    versions = {TARGETS: issue.targets, SNAPSHOT: issue.snapshot, TIMESTAMP: issue.timestamp}
    files = {role: read_file(connection, issue.vehicle, role, version) for role, version in versions.items()}
    return {role: data for role, data in files.items() if data is not None}


def insert_issue(connection: Connection, issue: Issue, decision: int, files: Mapping[RoleName, bytes]) -> None:
    """Put a set in force. Raises: IntegrityError if one of its versions exists already."""
    versions = {TARGETS: issue.targets, SNAPSHOT: issue.snapshot, TIMESTAMP: issue.timestamp}
    rows = [
        {"vehicle": issue.vehicle, "role": role, "version": versions[role], "data": data}
        for role, data in files.items()
    ]
    connection.execute(insert(schema.signed_metadata), rows)
    connection.execute(
        insert(schema.issues).values(
            vehicle=issue.vehicle,
            decision=decision,
            root=issue.root,
            targets=issue.targets,
            snapshot=issue.snapshot,
            timestamp=issue.timestamp,
            issued_at=issue.issued_at,
            expires=issue.expires,
        )
    )


def ordered_images(entries: Mapping[str, Any]) -> dict[EcuId, str]:
    """The image that a decision's entries order for each ECU, by fingerprint."""
    return {
        EcuId(ecu): fingerprint(path, entry["length"], entry["hashes"])
        for path, entry in entries.items()
        for ecu in entry["custom"]["ecuIdentifiers"]
    }


def listed_images(connection: Connection, vehicle: str) -> tuple[InstalledImage, ...]:
    """Every image that the Targets of a vehicle ever listed, whatever became of it."""
    query = select(_D.entries).where(_D.vehicle == vehicle, _D.entries != {}).distinct()
    images = {}
    for entries in connection.execute(query).scalars():
        for path, entry in entries.items():
            image = InstalledImage(path=TargetPath(path), length=entry["length"], hashes=entry["hashes"])
            images[fingerprint(path, image.length, image.hashes)] = image
    return tuple(images.values())


def list_outstanding(connection: Connection, vehicle: str) -> tuple[Outstanding, ...]:
    """The orders of a vehicle that no manifest has confirmed."""
    return tuple(
        Outstanding(ecu=EcuId(row.ecu), image=row.image, path=TargetPath(row.path), withdrawn=row.withdrawn)
        for row in _OUTSTANDING.rows(connection, vehicle=vehicle)
    )


def update_outstanding(
    connection: Connection,
    vehicle: str,
    entries: Mapping[str, Any],
    installed: Mapping[EcuId, InstalledImage],
) -> None:
    """Note what a new set of files orders: what is not installed is outstanding, what is gone from it is withdrawn."""
    images = ordered_images(entries)
    known = {(item.ecu, item.image): item for item in list_outstanding(connection, vehicle)}
    for (ecu, image), item in known.items():
        withdrawn = images.get(ecu) != image
        if withdrawn is not item.withdrawn:
            where = (_O.vehicle == vehicle, _O.ecu == ecu, _O.image == image)
            connection.execute(update(schema.outstanding).where(*where).values(withdrawn=withdrawn))
    for path, entry in entries.items():
        for ecu in map(EcuId, entry["custom"]["ecuIdentifiers"]):
            if (ecu, images[ecu]) not in known and not _is_installed(path, entry, installed.get(ecu)):
                row = {"vehicle": vehicle, "ecu": ecu, "image": images[ecu], "path": path, "withdrawn": False}
                measured = {"length": entry["length"], "hashes": entry["hashes"]}
                connection.execute(insert(schema.outstanding).values(**row, **measured))


def settle_outstanding(connection: Connection, vehicle: str, findings: Findings) -> bool:
    """Remove the orders that an accepted manifest ends: installed, failed, or withdrawn before it was sent; whether there are any.

    The orders of an ECU that did not report stay: what became of them is unknown.

    Where a Primary reports how an order ended, it names the order by its correlation id; one that is not the newest settles nothing
    of what the newest orders.
    """
    newest = newest_issue(connection, vehicle) if findings.failed is not None else None
    order_failed = newest is not None and newest[0].correlation_id == findings.failed
    settled = False
    for row in _OUTSTANDING.rows(connection, vehicle=vehicle):
        ecu = EcuId(row.ecu)
        report = findings.reports.get(ecu)
        if report is None:
            continue
        measured = {"length": row.length, "hashes": row.hashes}
        failed = order_failed or bool(report.attack)
        if row.withdrawn or failed or _is_installed(row.path, measured, findings.installed.get(ecu)):
            where = (_O.vehicle == vehicle, _O.ecu == row.ecu, _O.image == row.image)
            connection.execute(delete(schema.outstanding).where(*where))
            settled = True
    return settled


def remember_images(connection: Connection, entries: Iterable[ImageEntry], now: datetime) -> bool:
    """Remember what the Image repository states of images that matter to some vehicle; whether any of it is new."""
    new = False
    for entry in entries:
        image = fingerprint(entry.path, entry.length, entry.hashes)
        if _KNOWN.first(connection, image=image) is None:
            body = {"length": entry.length, "hashes": dict(entry.hashes), "custom": dict(entry.custom)}
            row = {"image": image, "path": entry.path, "entry": body, "seen_at": now}
            with suppress(IntegrityError), connection.begin_nested():  # another process remembered it just now
                connection.execute(insert(schema.known_images).values(**row))
            new = True
    return new


def recall_images(connection: Connection, installed: Mapping[EcuId, InstalledImage]) -> dict[EcuId, ImageEntry]:
    """What is remembered of installed images, by ECU."""
    known = {
        path: [_entry(row) for row in _BY_PATH.rows(connection, path=path)]
        for path in {image.path for image in installed.values()}
    }
    entries: dict[EcuId, ImageEntry] = {}
    for ecu, image in installed.items():
        for entry in known[image.path]:
            if ecu not in entries and same_image(image, entry):
                entries[ecu] = entry
    return entries


def _entry(row: Any) -> ImageEntry:
    custom = row.entry["custom"]
    agreed = custom.get("mustAgree") or {}
    stated = {**custom, **agreed}
    hardware = stated.get("hardwareIds")
    return ImageEntry(
        path=TargetPath(row.path),
        length=row.entry["length"],
        hashes=row.entry["hashes"],
        release_counter=stated.get("releaseCounter"),
        hardware_ids=None if hardware is None else frozenset(hardware),
        must_agree=custom.get("mustAgree"),
        custom=custom,
    )


def _is_installed(path: str, entry: Mapping[str, Any], installed: InstalledImage | None) -> bool:
    return installed is not None and is_image(installed, path, entry["length"], entry["hashes"])
