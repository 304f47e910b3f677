"""Work on many vehicles of one Director: registering, entering, assigning and issuing credentials.

    result = director.batches.register([("fleet.jsonl:1", data), ...])
    result.stored, result.counts, [item.as_json() for item in result.refused]

An item names its source, which its result repeats. Every method may raise StorageError and ConflictError, and
UsageError for an empty batch; what is wrong with one item is in that item's result.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection

from twinlock.director.devices.certificates import SINGLE, list_certificates, note_issued, revoke
from twinlock.director.devices.credentials import Credential
from twinlock.director.devices.deliveries import Deliveries
from twinlock.director.devices.ecu_changes import apply_registration
from twinlock.director.devices.enrolment import register_vehicle
from twinlock.director.devices.registration import read_registration
from twinlock.director.devices.service import DEVICE_VALID, DeviceService
from twinlock.director.errors.operator import NamedTwiceError
from twinlock.director.inventory.database import Inventory
from twinlock.director.model.records import BY_CERTIFICATE
from twinlock.director.model.vehicle_description import named_vehicle, read_description
from twinlock.director.operator.assigning import Assigning, PreparedAssignment
from twinlock.director.operator.batch import BatchResult, Job, read_job, run_batch
from twinlock.repository.workspace.validity import Clock
from twinlock.trust.errors.base import TwinlockError, UsageError
from twinlock.trust.errors.local import ConflictError, StorageError
from twinlock.trust.names import VehicleId, identifier

Advance = Callable[[int], None]

REGISTERED, UNCHANGED, CHANGED, ASSIGNED, ISSUED = "registered", "unchanged", "changed", "assigned", "issued"
_ATTEMPTS = 3


def _silent(_count: int) -> None:
    """Progress that is not shown."""


class Batches:
    """Batches of one Director."""

    def __init__(
        self, database: Inventory, assigning: Assigning, devices: DeviceService, clock: Clock, actor: str
    ) -> None:
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
        jobs = [
            read_job(_registration, source, data, second, self._actor, moment, vehicle=named_vehicle(data))
            for source, data in descriptions
        ]
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
        """Enter vehicles with aktualizr, each as ``DeviceService.enter``: (source, vehicle, body) triples.

        An item may carry a UsageError, as in ``assign``.
        """
        second, moment = self._devices.second_person, now or self._clock()
        entry = partial(
            _entry, identified_by=identified_by, second_person=second, actor=actor or self._actor, now=moment
        )
        jobs = [read_job(entry, *item, vehicle=item[1]) for item in registrations]
        return run_batch(self._database, "enter", jobs, skip_refused=skip_refused, advance=advance)

    def assign(
        self,
        orders: Iterable[tuple[str, str, Mapping[str, str] | TwinlockError]],
        *,
        actor: str | None = None,
        skip_refused: bool = False,
        advance: Advance = _silent,
        now: datetime | None = None,
    ) -> BatchResult:
        """Assign images, each as ``Director.assign``: (source, vehicle, images by ECU) triples.

        In place of images an item may carry the error that reading it raised: it is refused, and the others are judged.
        Also raises: RefusalError and TransportError of the Image repository, before anything is judged.
        """
        moment, waiting = now or self._clock(), list(orders)
        for attempt in range(_ATTEMPTS):
            planning = _Planning(self._assigning.preparing(moment), actor or self._actor, moment)
            jobs = [read_job(planning.job, *item, vehicle=item[1]) for item in waiting]
            result = run_batch(self._database, "assign", jobs, skip_refused=skip_refused, advance=advance)
            self._assigning.save()
            # A vehicle that reported between its plan and the transaction is planned again, with all the others.
            conflicts = all(isinstance(item.error, ConflictError) for item in result.refused)
            if result.stored or not conflicts or attempt + 1 == _ATTEMPTS:
                return result
        raise AssertionError("the last attempt returns")

    def issue_devices(
        self,
        vehicles: Iterable[tuple[str, str | UsageError]],
        deliveries: Deliveries,
        *,
        valid: timedelta = DEVICE_VALID,
        actor: str | None = None,
        skip_refused: bool = False,
        advance: Advance = _silent,
        now: datetime | None = None,
    ) -> BatchResult:
        """Make credentials, each as ``DeviceService.issue_device``: (source, vehicle) pairs.

        An item may carry a UsageError, as in ``assign``. Certificates are recorded first, all in one transaction, and then written by ``deliveries``, so that none is valid that
        the Director does not know. Those that cannot be written are revoked, and so are those that a run before was cut off
        from writing; what that run did write is left as it is.
        """
        moment, seen = now or self._clock(), dict[str, str]()
        actor = actor or self._actor
        made: dict[str, Credential] = {}
        self._revoke_lost(deliveries.undelivered.values(), actor, moment)

        def job(source: str, vehicle: str | UsageError) -> Job:
            if isinstance(vehicle, UsageError):
                raise vehicle
            _check_once(identifier(vehicle), source, seen)
            if len(vehicle.split()) != 1:
                raise UsageError(reason=f"one vehicle a line is expected, not {vehicle!r}")
            if (there := deliveries.delivered.get(vehicle)) is not None:
                return Job(source=source, vehicle=vehicle, apply=lambda _: (UNCHANGED, {"fingerprint": there}))
            deliveries.check(vehicle)
            made[vehicle] = credential = self._devices.make_device(vehicle, valid=valid, now=moment)

            def apply(connection: Connection) -> tuple[str, dict[str, Any]]:
                note_issued(connection, credential, kind=SINGLE, name=vehicle, actor=actor, now=moment)
                return ISSUED, {"fingerprint": credential.fingerprint}

            return Job(source=source, vehicle=vehicle, apply=apply)

        jobs = [read_job(job, *item, vehicle=item[1] if isinstance(item[1], str) else "") for item in vehicles]
        deliveries.announce(made)
        result = run_batch(self._database, "issue", jobs, skip_refused=skip_refused, advance=advance)
        if not result.stored:
            deliveries.give_up()
        waiting = [item.vehicle for item in result.items if result.stored and item.outcome == ISSUED]
        try:
            while waiting:
                deliveries.write(waiting[0], made[waiting[0]])
                waiting.pop(0)
        except BaseException:
            with suppress(StorageError):  # the next run finds them in the journal, and revokes them
                self._revoke_lost([made[vehicle].fingerprint for vehicle in waiting], actor, moment)
            raise
        if result.stored:
            deliveries.finish()
        return result

    def _revoke_lost(self, fingerprints: Collection[str], actor: str, now: datetime) -> None:
        """Revoke certificates whose private keys were never written, as far as they are on record and not revoked."""
        if not fingerprints:
            return
        with self._database.writing("revoke") as connection:
            for fingerprint in fingerprints:
                if any(item.revoked_at is None for item in list_certificates(connection, fingerprint=fingerprint)):
                    revoke(connection, fingerprint, actor=actor, reason="never delivered", now=now)


@dataclass(frozen=True, slots=True)
class _Planning:
    """How the assignments of one batch are checked before they are stored."""

    prepare: Callable[[str, Mapping[str, str]], PreparedAssignment]
    actor: str
    now: datetime
    seen: dict[str, str] = field(default_factory=dict)

    def job(self, source: str, vehicle: str, images: Mapping[str, str] | TwinlockError) -> Job:
        """One vehicle's assignment. Raises: as ``Director.assign``."""
        if isinstance(images, TwinlockError):
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
        change = apply_registration(
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
    """Check that a batch names a vehicle once. Raises: UsageError."""
    first = seen.setdefault(vehicle, source)
    if first != source:
        raise NamedTwiceError(vehicle=vehicle, first=first, second=source)
