"""Work on many vehicles of one Director: registering, entering, assigning and issuing credentials.

    result = director.batches.register([("fleet.jsonl:1", data), ...])
    result.stored, result.counts, [item.as_json() for item in result.refused]

An item names its source, which its result repeats. Every method may raise StorageError and ConflictError, and
UsageError for an empty batch; what is wrong with one item is in that item's result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection

from twinlock.director.devices.certificates import SINGLE, list_certificates, note_issued, revoke
from twinlock.director.devices.credentials import Credential
from twinlock.director.devices.ecu_changes import take_in
from twinlock.director.devices.registration import read_registration
from twinlock.director.devices.service import DEVICE_VALID, DeviceDesk
from twinlock.director.inventory.database import Database
from twinlock.director.model.records import BY_CERTIFICATE
from twinlock.director.model.vehicle_description import read_description
from twinlock.director.operator.assigning import Assigning, PreparedAssignment
from twinlock.director.operator.batch import BatchResult, Job, read_job, run_batch
from twinlock.director.registration.enrolment import register_vehicle
from twinlock.repository.workspace.validity import Clock
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import ConflictError
from twinlock.trust.names import VehicleId, identifier

Advance = Callable[[int], None]

REGISTERED, UNCHANGED, CHANGED, ASSIGNED, ISSUED = "registered", "unchanged", "changed", "assigned", "issued"
_ATTEMPTS = 3


def _silent(_count: int) -> None:
    """Progress that no one watches."""


class Batches:
    """Batches of one Director."""

    def __init__(self, database: Database, assigning: Assigning, devices: DeviceDesk, clock: Clock, actor: str) -> None:
        self._database = database
        self._assigning = assigning
        self._devices = devices
        self._clock = clock
        self._actor = actor

    def register(
        self,
        descriptions: Iterable[tuple[str, bytes]],
        *,
        skip_refused: bool = False,
        advance: Advance = _silent,
        now: datetime | None = None,
    ) -> BatchResult:
        """Register vehicles, each as ``Director.register``: (source, description) pairs."""
        moment = now or self._clock()
        second = self._devices.second_person
        jobs = [read_job(_registration, source, data, second, self._actor, moment) for source, data in descriptions]
        return run_batch(self._database, "register", jobs, skip_refused=skip_refused, advance=advance)

    def enter(
        self,
        registrations: Iterable[tuple[str, str, bytes | UsageError]],
        *,
        identified_by: str = BY_CERTIFICATE,
        actor: str | None = None,
        skip_refused: bool = False,
        advance: Advance = _silent,
        now: datetime | None = None,
    ) -> BatchResult:
        """Enter vehicles with aktualizr, each as ``DeviceDesk.enter``: (source, vehicle, body) triples.

        An item may carry a UsageError, as in ``assign``.
        """
        second, moment = self._devices.second_person, now or self._clock()
        entry = partial(
            _entry, identified_by=identified_by, second_person=second, actor=actor or self._actor, now=moment
        )
        jobs = [read_job(entry, *item) for item in registrations]
        return run_batch(self._database, "enter", jobs, skip_refused=skip_refused, advance=advance)

    def assign(
        self,
        orders: Iterable[tuple[str, str, Mapping[str, str] | UsageError]],
        *,
        actor: str | None = None,
        skip_refused: bool = False,
        advance: Advance = _silent,
        now: datetime | None = None,
    ) -> BatchResult:
        """Assign images, each as ``Director.assign``: (source, vehicle, images by ECU) triples.

        In place of images an item may carry the UsageError that reading it raised: it is refused, and the others are judged.
        Also raises: RefusalError and TransportError of the Image repository, before anything is judged.
        """
        moment, waiting = now or self._clock(), list(orders)
        for attempt in range(_ATTEMPTS):
            planning = _Planning(self._assigning.preparing(moment), actor or self._actor, moment)
            jobs = [read_job(planning.job, *item) for item in waiting]
            result = run_batch(self._database, "assign", jobs, skip_refused=skip_refused, advance=advance)
            self._assigning.save()
            # A vehicle that reported between its plan and the transaction is planned again, with all the others.
            conflicts = all(isinstance(item.error, ConflictError) for item in result.refused)
            if result.stored or not conflicts or attempt + 1 == _ATTEMPTS:
                return result
        raise AssertionError("the last attempt returns")

    def issue_devices(
        self,
        vehicles: Iterable[tuple[str, str]],
        deliver: Callable[[str, Credential], None],
        *,
        delivered: Callable[[str], tuple[str, bool] | None] = lambda _vehicle: None,
        valid: timedelta = DEVICE_VALID,
        actor: str | None = None,
        skip_refused: bool = False,
        advance: Advance = _silent,
        now: datetime | None = None,
    ) -> BatchResult:
        """Make credentials, each as ``DeviceDesk.issue_device``: (source, vehicle) pairs.

        ``delivered`` says what an earlier run left for a vehicle (``read_delivered``), or refuses it: a whole credential on record
        stays as it is, and for one without its key a new one is made, and the old one revoked. Certificates are recorded first,
        all in one transaction, and then written by ``deliver``, so that none is valid that the Director does not know. Those
        that ``deliver`` fails to write are revoked.
        """
        moment, seen = now or self._clock(), dict[str, str]()
        made: dict[str, Credential] = {}

        def job(source: str, vehicle: str) -> Job:
            _check_once(vehicle, source, seen)
            before = delivered(identifier(vehicle))
            if before is not None and before[1]:
                return Job(source=source, vehicle=vehicle, apply=partial(_keep, vehicle, before[0]))
            made[vehicle] = credential = self._devices.make_device(vehicle, valid=valid, now=moment)

            def apply(connection: Connection) -> tuple[str, dict[str, Any]]:
                if before is not None:
                    _keep(vehicle, before[0], connection)
                    revoke(connection, before[0], actor=actor or self._actor, now=moment)
                note_issued(connection, credential, kind=SINGLE, name=vehicle, actor=actor or self._actor, now=moment)
                return ISSUED, {"fingerprint": credential.fingerprint}

            return Job(source=source, vehicle=vehicle, apply=apply)

        jobs = [read_job(job, *item) for item in vehicles]
        result = run_batch(self._database, "issue", jobs, skip_refused=skip_refused, advance=advance)
        waiting = [item.vehicle for item in result.items if result.stored and item.outcome == ISSUED]
        try:
            while waiting:
                deliver(waiting[0], made[waiting[0]])
                waiting.pop(0)
        finally:
            if waiting:
                with self._database.writing("revoke") as connection:
                    for vehicle in waiting:
                        revoke(connection, made[vehicle].fingerprint, actor=actor or self._actor, now=moment)
        return result


def _keep(vehicle: str, fingerprint: str, connection: Connection) -> tuple[str, dict[str, Any]]:
    """See that a credential that was found is a valid one of ``vehicle``. Raises: UsageError."""
    known = list_certificates(connection, name=vehicle, kind=SINGLE, fingerprint=fingerprint)
    if not known or known[0].revoked_at is not None:
        reason = (
            f"there are files of another credential for {vehicle} already ({fingerprint}); none is written over them"
        )
        raise UsageError(reason=reason)
    return UNCHANGED, {"fingerprint": fingerprint}


@dataclass(frozen=True, slots=True)
class _Planning:
    """How the assignments of one batch are checked before they are stored."""

    prepare: Callable[[str, Mapping[str, str]], PreparedAssignment]
    actor: str
    now: datetime
    seen: dict[str, str] = field(default_factory=dict)

    def job(self, source: str, vehicle: str, images: Mapping[str, str] | UsageError) -> Job:
        """One vehicle's assignment. Raises: as ``Director.assign``."""
        if isinstance(images, UsageError):
            raise images
        _check_once(vehicle, source, self.seen)
        prepared = self.prepare(vehicle, images)

        def apply(connection: Connection) -> tuple[str, dict[str, Any]]:
            prepared.store(connection, actor=self.actor, now=self.now)
            return ASSIGNED, {"images": dict(images)}

        return Job(source=source, vehicle=vehicle, apply=apply)


def _registration(source: str, data: bytes, second_person: bool, actor: str, now: datetime) -> Job:  # noqa: FBT001 - read_job passes by position
    description = read_description(data)

    def apply(connection: Connection) -> tuple[str, dict[str, Any]]:
        new = register_vehicle(connection, description, second_person=second_person, actor=actor, now=now)
        return REGISTERED if new else UNCHANGED, {"ecus": len(description.ecus)}

    return Job(source=source, vehicle=description.vehicle, apply=apply)


def _entry(
    source: str,
    vehicle: str,
    data: bytes | UsageError,
    *,
    identified_by: str,
    second_person: bool,
    actor: str,
    now: datetime,
) -> Job:
    if isinstance(data, UsageError):
        raise data
    name = VehicleId(identifier(vehicle))
    offered = read_registration(data, name)

    def apply(connection: Connection) -> tuple[str, dict[str, Any]]:
        change = take_in(
            connection,
            name,
            offered,
            identified_by=identified_by,
            second_person=second_person,
            actor=actor,
            now=now,
        )
        outcome = REGISTERED if change.new else UNCHANGED if change.nothing else CHANGED
        return outcome, {"change": change.as_json()}

    return Job(source=source, vehicle=name, apply=apply)


def _check_once(vehicle: str, source: str, seen: dict[str, str]) -> None:
    """See that a vehicle comes once in a batch. Raises: UsageError."""
    first = seen.setdefault(vehicle, source)
    if first != source:
        raise UsageError(reason=f"{vehicle} is named twice, at {first} and at {source}; name it once")
