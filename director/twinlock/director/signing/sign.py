"""Signing one vehicle's Targets, Snapshot and Timestamp, and having the trust engine accept them as that vehicle would.

Files are made with python-tuf and judged by our own engine; what they disagree on is never stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp

from twinlock.director.catalogue.catalogue import Catalogue, stored_answer
from twinlock.director.errors.vehicles import OrderMismatchError
from twinlock.director.model.profiles import DirectorProfile, S
from twinlock.director.model.records import Issue, VehicleRecord
from twinlock.director.model.software import is_image
from twinlock.repository.authoring.next_publication import meta_file
from twinlock.repository.keys.keyring import Keyring
from twinlock.repository.signing.sign import SPEC_VERSION, renew, root_authority
from twinlock.repository.workspace.validity import Periods
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, drive
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import restore_repository
from twinlock.trust.engine.verification import full_verification
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import DIRECTOR, IMAGE, SNAPSHOT, TARGETS, TIMESTAMP, EcuId, RepositoryName, RoleName
from twinlock.trust.state.repository_map import plain_map
from twinlock.trust.state.trusted import TrustedRepository, TrustedVehicle, Vehicle

_INDEX = {TARGETS: "targets.json", SNAPSHOT: "snapshot.json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRequest:
    """A signing request: vehicle, Targets entries (by path, plain JSON) and correlation id.

    ``profile`` is that of the vehicle's client. ``members`` go into ``custom`` of Targets.
    """

    record: VehicleRecord
    profile: DirectorProfile
    entries: Mapping[str, Any]
    correlation_id: str
    members: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What is in force for the vehicle: the newest set of files, if any."""

    issue: Issue | None = None
    files: Mapping[RoleName, bytes] = field(default_factory=dict)


def sign_set(
    request: SigningRequest,
    in_force: InForce,
    *,
    root: bytes,
    keyring: Keyring,
    periods: Periods,
    now: datetime,
    lasting_from: datetime | None = None,
) -> tuple[Issue, dict[RoleName, bytes]]:
    """Make the next set of files of a vehicle. Every version is one above the last. ``root`` is the newest TUF Root.

    Their life counts from ``lasting_from`` where that is later than ``now`` (``ClockMarks.lasting_from``).

    Raises: MissingKeysError, PassphraseError, StorageError; ProfileError for what the vehicle's client could not read.
    Source: Uptane 2.1.0 5.3.2.1 step 7.
    """
    authority = Metadata[Root].from_bytes(root).signed
    last = in_force.issue
    files: dict[RoleName, bytes] = {}

    def sign(role: RoleName, signed: S) -> None:
        files[role] = request.profile.sign(role, signed, root_authority(authority, role), keyring, files)

    targets = Targets(spec_version=SPEC_VERSION, targets=_target_files(request.entries))
    # Uptane 2.1.0 5.2.3.1 asks for the vehicle's id in Targets where no image is listed; we write it into every file.
    whose = {"vehicleIdentifier": request.record.vehicle}
    targets.unrecognized_fields["custom"] = whose | {"correlationId": request.correlation_id, **request.members}
    renew(targets, now, periods.targets, version=last.targets + 1 if last else 1, lasting_from=lasting_from)
    sign(TARGETS, targets)
    snapshot = Snapshot(spec_version=SPEC_VERSION, meta={_INDEX[TARGETS]: meta_file(targets.version, files[TARGETS])})
    snapshot.unrecognized_fields["custom"] = whose
    renew(snapshot, now, periods.snapshot, version=last.snapshot + 1 if last else 1, lasting_from=lasting_from)
    sign(SNAPSHOT, snapshot)
    timestamp = Timestamp(spec_version=SPEC_VERSION, snapshot_meta=meta_file(snapshot.version, files[SNAPSHOT]))
    timestamp.unrecognized_fields["custom"] = whose
    renew(timestamp, now, periods.timestamp, version=last.timestamp + 1 if last else 1, lasting_from=lasting_from)
    sign(TIMESTAMP, timestamp)
    issue = Issue(
        vehicle=request.record.vehicle,
        root=authority.version,
        targets=targets.version,
        snapshot=snapshot.version,
        timestamp=timestamp.version,
        issued_at=now,
        expires=min(signed.expires for signed in (targets, snapshot, timestamp)),
        correlation_id=request.correlation_id,
    )
    return issue, files


def keys_changed(old: bytes, new: bytes) -> bool:
    """Whether files signed under the Root ``old`` have to be signed again under ``new``."""
    before, after = (Metadata[Root].from_bytes(data).signed for data in (old, new))
    return any(
        root_authority(before, role).rule != root_authority(after, role).rule for role in (TARGETS, SNAPSHOT, TIMESTAMP)
    )


def verify_set(
    request: SigningRequest,
    files: Mapping[RoleName, bytes],
    *,
    in_force: InForce,
    root: bytes,
    catalogue: Catalogue | None,
    now: datetime,
) -> None:
    """Have the trust engine judge the set as this vehicle would, coming from the set before it.

    ``root`` is the newest Root in the vehicle's profile; the Image repository is read in the one that its catalogue is in.
    With ``catalogue`` both locks are tried, and the engine has to approve exactly the images that are ordered and not
    installed; without one (nothing is ordered) only the Director's files are.
    Raises: RefusalError of every kind; OrderMismatchError if the engine reads another order than was meant.
    """
    director = restore_repository(DIRECTOR, {RoleName("root"): root, **in_force.files}, wire=request.profile.reader)
    vehicle = _as_vehicle(request)
    if catalogue is None:
        drive(
            refresh_repository(director, now, vehicle=vehicle.vehicle),
            lambda command: _candidate_answer(files, command),
        )
        return

    def answer(command: Command) -> Answer:
        if isinstance(command, Fetch) and command.repository == IMAGE:
            return stored_answer(catalogue.trusted, command)
        return _candidate_answer(files, command)

    repositories: dict[RepositoryName, TrustedRepository] = {DIRECTOR: director, IMAGE: catalogue.trusted}
    state = TrustedVehicle(map=plain_map("director:", "image:"), repositories=repositories)
    decision = drive(full_verification(state, vehicle, now), answer)
    approved = {image.ecu: image.entry.path for image in decision.approved}
    wanted = _wanted(request, vehicle.installed)
    if approved != wanted:
        raise OrderMismatchError(vehicle=request.record.vehicle, approved=_pairs(approved), ordered=_pairs(wanted))


def _pairs(images: Mapping[EcuId, str]) -> tuple[str, ...]:
    return tuple(f"{path} on {ecu}" for ecu, path in sorted(images.items())) or ("nothing",)


def _wanted(request: SigningRequest, installed: Mapping[EcuId, InstalledImage]) -> dict[EcuId, str]:
    wanted = {}
    for path, entry in request.entries.items():
        for ecu in map(EcuId, entry["custom"]["ecuIdentifiers"]):
            running = installed.get(ecu)
            if running is None or not is_image(running, path, entry["length"], entry["hashes"]):
                wanted[ecu] = path
    return wanted


def _as_vehicle(request: SigningRequest) -> Vehicle:
    record, formats = request.record, request.profile.client.formats
    return Vehicle(
        vehicle=record.vehicle,
        ecus={ecu: record.judged(ecu, formats) for ecu in record.ecus},
        installed={ecu: report.installed for ecu, report in record.reports.items()},
    )


def _candidate_answer(files: Mapping[RoleName, bytes], command: Command) -> Answer:
    """The Director as it would be with these files. The Root that the engine starts from is the newest."""
    return files.get(command.role, ABSENT) if isinstance(command, Fetch) else None


def _target_files(entries: Mapping[str, Any]) -> dict[str, TargetFile]:
    return {
        path: TargetFile(entry["length"], dict(entry["hashes"]), path, {"custom": entry["custom"]})
        for path, entry in entries.items()
    }
