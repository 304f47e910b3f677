"""From a change to signed metadata: plan for one vehicle, record the decision, sign, verify, store.

Nothing slow happens inside a write transaction. A plan is made from one reading of the inventory and stored only if the
vehicle has not changed since; otherwise it is made again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, update

from twinlock.director.catalogue.catalogue import Catalogue, CatalogueKeeper
from twinlock.director.errors.vehicles import WireDisabledError
from twinlock.director.inventory import schema
from twinlock.director.inventory.assignments import load_assignments
from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.history import insert_decision, list_decisions
from twinlock.director.inventory.signed_files import (
    current_files,
    insert_issue,
    list_outstanding,
    listed_images,
    newest_issue,
    ordered_images,
    recall_images,
    remember_images,
    update_outstanding,
)
from twinlock.director.inventory.signing_marks import note_signature
from twinlock.director.inventory.vehicles import load_active_vehicle, lock_vehicle, read_marks
from twinlock.director.model.clients import ImageListing
from twinlock.director.model.plan import PlanInputs, PlannedTargets, entries_as_json
from twinlock.director.model.profiles import DirectorProfile, Profiles
from twinlock.director.model.records import IMPOSSIBLE, DecisionRecord, Issue, Plan
from twinlock.director.model.settings import Settings
from twinlock.director.planning.plan import make_plan, plan_images
from twinlock.director.signing.acknowledgement import stated_members
from twinlock.director.signing.clock import SigningClock
from twinlock.director.signing.published_roots import read_root
from twinlock.director.signing.sign import InForce, SigningRequest, keys_changed, sign_set, verify_set
from twinlock.io.http.quiet_log import QuietLog
from twinlock.repository.keys.keyring import Keyring
from twinlock.repository.signing.clock import BEHIND
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.local import ConflictError, ProfileError, StorageError, TransportError
from twinlock.trust.names import TARGETS, RoleName
from twinlock.trust.wire.json.olpc import encode_canonical

log = logging.getLogger("twinlock.director.signing.issue")

_ATTEMPTS = 5
_STRIPES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleReading:
    """One reading of all that concerns a vehicle. ``decision`` is the newest one; ``in_force`` is the newest set of files, and
    ``issue_root`` the Root under which that was signed. ``profile`` is that of the vehicle's client, and
    ``profile_root`` its newest Root."""

    inputs: PlanInputs
    revision: int
    planned_from: str | None
    decision: DecisionRecord | None
    in_force: InForce
    root: bytes
    profile: DirectorProfile
    profile_root: bytes
    issue_root: bytes | None


class MetadataIssuer:
    """Issues the metadata of vehicles, and keeps it current."""

    def __init__(
        self,
        database: Inventory,
        catalogues: CatalogueKeeper,
        keyring: Keyring,
        settings: Settings,
        *,
        clock: SigningClock,
        profiles: Profiles,
    ) -> None:
        self._database = database
        self._catalogues = catalogues
        self._keyring = keyring
        self._settings = settings
        self._clock = clock
        self._profiles = profiles
        self._quiet = QuietLog(log, lines=1, seconds=60.0)
        self._turns = [threading.Lock() for _ in range(_STRIPES)]

    def ensure_current(self, vehicle: str, now: datetime, *, force: bool = False) -> Issue:
        """As ``current``, without the files; with ``force`` all of them are signed again."""
        issue = self.current(vehicle, now, force=force).issue
        assert issue is not None, "a set was made"
        return issue

    def current(self, vehicle: str, now: datetime, *, force: bool = False) -> InForce:
        """The set of files that is in force for a vehicle, after making a new one if that is due.

        Raises: UnknownVehicleError, StorageError, ConflictError, MissingKeysError, PassphraseError, RefusalError;
        ClockBehindError or ClockContradictedError where nothing may be signed by this clock.
        """
        for _ in range(_ATTEMPTS):
            # Requests for one vehicle take turns, so that all but the first find the work done. Other processes are
            # excluded by the transaction.
            with self._turns[hash(vehicle) % _STRIPES]:
                made = self._attempt(vehicle, now, force=force)
            if made is not None:
                return made
        raise ConflictError(
            what=f"the vehicle {vehicle}", reason="its metadata could not be signed between two changes"
        )

    def _attempt(self, vehicle: str, now: datetime, *, force: bool) -> InForce | None:
        reading = self.read_vehicle(vehicle)
        issue = reading.in_force.issue
        catalogue = self.catalogue_for(reading.inputs, now)
        planned_from = _digest_inputs(reading, catalogue)
        if (
            issue is not None
            and not force
            and planned_from == reading.planned_from
            and not self._is_due(reading, issue, now)
        ):
            return reading.in_force
        # A vehicle waits for the answer, and others behind it: an operator's `explain` searches for causes.
        planned = plan_with(reading.inputs, catalogue, explained=False)
        try:
            made = self._make(reading, planned, catalogue, planned_from, now=now, force=force)
        except (RefusalError, ProfileError) as error:
            if not planned.entries:
                raise
            # The engine refused the order as the vehicle would have: order nothing, and state why in the plan.
            refused = _unusable(reading.inputs, error)
            spare = reading.inputs.client.list_installed(reading.inputs, refused, _usable(catalogue))
            made = self._make(reading, spare, catalogue if spare.entries else None, planned_from, now=now, force=force)
        self._catalogues.save()
        return made

    def read_vehicle(self, vehicle: str) -> VehicleReading:
        """Read everything that concerns a vehicle, in one transaction. Raises: UnknownVehicleError, StorageError."""
        with self._database.reading() as connection:
            return _read_vehicle(connection, vehicle, self._profiles)

    def refresh_catalogue(self, now: datetime) -> Catalogue:
        """The Image repository as it is now. Not to be called inside a transaction. Raises: RefusalError, TransportError."""
        return self._catalogues.refresh(now)

    def save_catalogue(self) -> None:
        """Store what looks at the Image repository brought. Not to be called inside a transaction."""
        self._catalogues.save()

    def catalogue_for(self, inputs: PlanInputs, now: datetime) -> Catalogue | RefusalError | TransportError | None:
        """The Image repository if this vehicle needs it: an error if it cannot be used, None if nothing is assigned.

        A client whose Targets have to list what it has installed needs it even then.
        """
        if not inputs.assigned and not inputs.listed:
            return None
        try:
            return self._catalogues.current(now)
        except (RefusalError, TransportError) as error:
            self._quiet.line("image-repository-unusable", code=error.code, reason=str(error))
            return error

    def _is_due(self, reading: VehicleReading, issue: Issue, now: datetime) -> bool:
        # After a signature of the future, files outlast it; they are renewed at the usual pace all the same.
        until = min(issue.expires, issue.issued_at + self._settings.shortest)
        if until - now <= timedelta(seconds=self._settings.renew_before_s) or issue.issued_at > now + BEHIND:
            return True
        targets = reading.in_force.files.get(TARGETS)
        record = reading.inputs.record
        if targets is not None and not reading.profile.is_written_in(targets):
            return True
        if targets is not None and stated_members(targets) != reading.profile.signed_members(record, now):
            return True
        root = reading.issue_root
        return root is not None and root != reading.root and keys_changed(root, reading.root)

    def _make(
        self,
        reading: VehicleReading,
        planned: PlannedTargets,
        catalogue: Catalogue | RefusalError | TransportError | None,
        planned_from: str,
        *,
        now: datetime,
        force: bool,
    ) -> InForce | None:
        """Record the plan and, where needed, sign; None if the vehicle changed meanwhile."""
        record, issue = reading.inputs.record, reading.in_force.issue
        entries = entries_as_json(planned, record.ecus)
        last = reading.decision
        same = last is not None and last.entries == entries
        correlation = last.correlation_id if last is not None and same else f"urn:uuid:{uuid.uuid4()}"
        usable = _usable(catalogue)
        files: dict[RoleName, bytes] = {}
        if issue is None or force or not same or self._is_due(reading, issue, now):
            members = reading.profile.signed_members(record, now)
            request = SigningRequest(
                record=record, profile=reading.profile, entries=entries, correlation_id=correlation, members=members
            )
            lasting_from = self._clock.check(now).lasting_from(now)
            issue, files = sign_set(
                request,
                reading.in_force,
                root=reading.root,
                keyring=self._keyring,
                periods=self._settings.periods,
                now=now,
                lasting_from=lasting_from,
            )
            judge = usable if entries else None
            verify_set(request, files, in_force=reading.in_force, root=reading.profile_root, catalogue=judge, now=now)
        versions = {} if usable is None else usable.versions
        decision = _Decision(planned, entries, correlation, versions, planned_from)
        try:
            with self._database.writing("store signed metadata") as connection:
                return self._store(connection, reading, decision, issue, files, now)
        except ConflictError:
            return None

    def _store(  # noqa: PLR0917 - one transaction
        self,
        connection: Connection,
        reading: VehicleReading,
        decision: _Decision,
        issue: Issue,
        files: Mapping[RoleName, bytes],
        now: datetime,
    ) -> InForce | None:
        vehicle = reading.inputs.record.vehicle
        revision = lock_vehicle(connection, vehicle)
        newest = newest_issue(connection, vehicle)
        if revision != reading.revision or (newest and newest[0]) != reading.in_force.issue:
            return None
        number = _record_decision(connection, reading, decision, now)
        connection.execute(
            update(schema.vehicles)
            .where(schema.vehicles.c.vehicle == vehicle)
            .values(planned_from=decision.planned_from)
        )
        if files:
            insert_issue(connection, issue, number, files)
            note_signature(connection, now)
            installed = {ecu: report.installed for ecu, report in reading.inputs.record.reports.items()}
            update_outstanding(connection, vehicle, decision.entries, installed)
            remember_images(connection, decision.planned.entries.values(), now)
        return InForce(issue=issue, files={**reading.in_force.files, **files})


@dataclass(frozen=True, slots=True)
class _Decision:
    planned: PlannedTargets
    entries: Mapping[str, Any]
    correlation_id: str
    versions: Mapping[str, int]
    planned_from: str


def plan_with(
    inputs: PlanInputs,
    catalogue: Catalogue | RefusalError | TransportError | None,
    *,
    images: PlannedTargets | None = None,
    explained: bool = True,
) -> PlannedTargets:
    """A plan, also where the Image repository cannot be used: then it orders nothing and states the reason.

    ``images`` and ``explained``: see ``make_plan``.
    """
    planned = _plan_with(inputs, catalogue, images, explained=explained)
    return inputs.client.list_installed(inputs, planned, _usable(catalogue))


def check_assignments(inputs: PlanInputs, listing: ImageListing) -> PlannedTargets:
    """The images for assignments; refuses those that no set of images fits. Raises: as ``plan_images``.

    One for an ECU of unknown software is stored and held; whether it fits is judged by what was known last.
    """
    return plan_images(replace(inputs, unknown=frozenset()), listing)


def _plan_with(
    inputs: PlanInputs,
    catalogue: Catalogue | RefusalError | TransportError | None,
    images: PlannedTargets | None,
    *,
    explained: bool,
) -> PlannedTargets:
    if isinstance(catalogue, (RefusalError, TransportError)):
        return _unusable(inputs, catalogue) if inputs.assigned else make_plan(inputs, None)
    try:
        return make_plan(inputs, catalogue, images=images, explained=explained)
    except (TransportError, StorageError) as error:
        return _unusable(inputs, error)


def _usable(catalogue: Catalogue | RefusalError | TransportError | None) -> Catalogue | None:
    return catalogue if isinstance(catalogue, Catalogue) else None


def _unusable(inputs: PlanInputs, error: Exception) -> PlannedTargets:
    what = "the order cannot be signed" if isinstance(error, ProfileError) else "the Image repository cannot be used"
    reason = f"{what}: {error}"
    return PlannedTargets(plan=Plan(vehicle=inputs.record.vehicle, outcome=IMPOSSIBLE, orders=(), reasons=(reason,)))


def _read_vehicle(connection: Connection, vehicle: str, profiles: Profiles) -> VehicleReading:
    record = load_active_vehicle(connection, vehicle)
    profile = profiles.of(record)
    marks = read_marks(connection, vehicle)
    newest = newest_issue(connection, vehicle)
    decisions = list_decisions(connection, vehicle, 1)
    in_force, issue_root = InForce(), None
    if newest is not None:
        in_force = InForce(issue=newest[0], files=current_files(connection, newest[0]))
        issue_root = read_root(connection, newest[0].root)
    inputs = PlanInputs(
        record=record,
        client=profile.client,
        assigned={item.ecu: item.path for item in load_assignments(connection, vehicle)},
        # Whenever a decision changes what is listed, it is stored in one transaction with the files that list it.
        ordered=ordered_images(decisions[0].entries) if decisions else {},
        outstanding=list_outstanding(connection, vehicle),
        known=recall_images(connection, {ecu: report.installed for ecu, report in record.reports.items()}),
        manifest=marks.last_manifest,
        listed=() if profile.client.forgets_withdrawn else listed_images(connection, vehicle),
        unknown=record.unknown,
    )
    root = read_root(connection)
    if root is None:
        raise StorageError(path=vehicle, operation="read", reason="the inventory holds no Root")
    profile_root = profile.read_root(connection)
    if profile_root is None:
        raise WireDisabledError(vehicle=vehicle, wire=record.profile)
    return VehicleReading(
        inputs=inputs,
        revision=marks.revision,
        planned_from=marks.planned_from,
        decision=decisions[0] if decisions else None,
        in_force=in_force,
        root=root,
        profile=profile,
        profile_root=profile_root,
        issue_root=issue_root,
    )


def _record_decision(connection: Connection, reading: VehicleReading, decision: _Decision, now: datetime) -> int:
    """Keep the decision if it differs from the last one; returns the number of the one in force."""
    last = reading.decision
    if last is not None and last.plan == decision.planned.plan and last.correlation_id == decision.correlation_id:
        return last.number
    plan = decision.planned.plan
    if plan.outcome == IMPOSSIBLE:
        line = {"event": "order-impossible", "vehicle": plan.vehicle, "reasons": list(plan.reasons)}
        log.warning("%s", json.dumps(line))
    return insert_decision(
        connection,
        decision.planned.plan,
        entries=decision.entries,
        correlation_id=decision.correlation_id,
        manifest=reading.inputs.manifest,
        versions=decision.versions,
        now=now,
    )


def _digest_inputs(reading: VehicleReading, catalogue: object) -> str:
    content: Any = None
    if isinstance(catalogue, Catalogue):
        content = dict(catalogue.content)
    elif catalogue is not None:
        content = str(catalogue)
    return hashlib.sha256(encode_canonical([reading.revision, content])).hexdigest()
