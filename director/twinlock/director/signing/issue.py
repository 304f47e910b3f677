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
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from twinlock.director.catalogue.catalogue import Catalogue, CatalogueKeeper
from twinlock.director.config import Settings
from twinlock.director.errors import WireDisabledError
from twinlock.director.inventory import schema
from twinlock.director.inventory.assignments import load_assignments
from twinlock.director.inventory.database import Database
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
from twinlock.director.inventory.vehicles import load_active_vehicle, lock_vehicle
from twinlock.director.manifests.acknowledgement import signed_members, stated_members
from twinlock.director.model.plan import Planned, Situation, entries_as_json
from twinlock.director.model.records import AKTUALIZR_WIRE, IMPOSSIBLE, DecisionRecord, Issue, Plan
from twinlock.director.planning.aktualizr_rules import list_installed
from twinlock.director.planning.plan import make_plan
from twinlock.director.signing.aktualizr_roots import read_wire_root
from twinlock.director.signing.clock import SigningClock
from twinlock.director.signing.roots import read_root
from twinlock.director.signing.sign import Before, Order, is_in_wire, keys_changed, sign_set, verify_set
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
class View:
    """One reading of all that concerns a vehicle. ``decision`` is the newest one; ``before`` is what is in force, and
    ``issue_root`` the Root under which that was signed. ``wire_root`` is the newest Root in the vehicle's profile."""

    situation: Situation
    revision: int
    planned_from: str | None
    decision: DecisionRecord | None
    before: Before
    root: bytes
    wire_root: bytes
    issue_root: bytes | None


class Ordering:
    """Keeps the metadata of vehicles current."""

    def __init__(
        self,
        database: Database,
        catalogues: CatalogueKeeper,
        keyring: Keyring,
        settings: Settings,
        *,
        clock: SigningClock,
    ) -> None:
        self._database = database
        self._catalogues = catalogues
        self._keyring = keyring
        self._settings = settings
        self._clock = clock
        self._quiet = QuietLog(log, lines=1, seconds=60.0)
        self._turns = [threading.Lock() for _ in range(_STRIPES)]

    def see_to(self, vehicle: str, now: datetime, *, force: bool = False) -> Issue:
        """Return the set of files that is in force for a vehicle, after making a new one if that is due.

        Raises: UnknownVehicleError, StorageError, ConflictError, MissingKeysError, PassphraseError, RefusalError;
        ClockBehindError or ClockContradictedError where nothing may be signed by this clock.
        """
        for _ in range(_ATTEMPTS):
            # Requests for one vehicle take turns, so that all but the first find the work done. Other processes are
            # not held off by this; they meet in the transaction.
            with self._turns[hash(vehicle) % _STRIPES]:
                made = self._attempt(vehicle, now, force=force)
            if made is not None:
                return made
        raise ConflictError(what=f"the vehicle {vehicle}", reason="it changed each time while its metadata was signed")

    def _attempt(self, vehicle: str, now: datetime, *, force: bool) -> Issue | None:
        view = self.view(vehicle)
        issue = view.before.issue
        catalogue = self.catalogue_for(view.situation, now)
        inputs = _inputs(view, catalogue)
        if issue is not None and not force and inputs == view.planned_from and not self._is_due(view, issue, now):
            return issue
        planned = plan_with(view.situation, catalogue)
        try:
            made = self._make(view, planned, catalogue, inputs, now=now, force=force)
        except (RefusalError, ProfileError) as error:
            if not planned.entries:
                raise
            # The engine refused the order as the vehicle would have. Tell the vehicle to do nothing, and people why.
            spare = list_installed(view.situation, _unusable(view.situation, error), _usable(catalogue))
            made = self._make(view, spare, catalogue if spare.entries else None, inputs, now=now, force=force)
        self._catalogues.save()
        return made

    def view(self, vehicle: str) -> View:
        """Read everything that concerns a vehicle, in one transaction. Raises: UnknownVehicleError, StorageError."""
        with self._database.reading() as connection:
            return _read_view(connection, vehicle)

    def catalogue_for(self, situation: Situation, now: datetime) -> Catalogue | RefusalError | TransportError | None:
        """The Image repository if this vehicle needs it: an error if it cannot be used, None if nothing is assigned.

        A client that has to be told of what it has installed needs it even then.
        """
        if not situation.assigned and not situation.listed:
            return None
        try:
            return self._catalogues.current(now)
        except (RefusalError, TransportError) as error:
            self._quiet.line("image-repository-unusable", code=error.code, reason=str(error))
            return error

    def _is_due(self, view: View, issue: Issue, now: datetime) -> bool:
        # After a signature of the future, files outlast it; they are renewed at the usual pace all the same.
        until = min(issue.expires, issue.issued_at + self._settings.shortest)
        if until - now <= timedelta(seconds=self._settings.renew_before_s) or issue.issued_at > now + BEHIND:
            return True
        targets = view.before.files.get(TARGETS)
        record = view.situation.record
        if targets is not None and not is_in_wire(targets, record.wire):
            return True
        if targets is not None and stated_members(targets) != signed_members(record, now):
            return True
        root = view.issue_root
        return root is not None and root != view.root and keys_changed(root, view.root)

    def _make(
        self,
        view: View,
        planned: Planned,
        catalogue: Catalogue | RefusalError | TransportError | None,
        inputs: str,
        *,
        now: datetime,
        force: bool,
    ) -> Issue | None:
        """Record the plan and, where needed, sign; None if the vehicle changed meanwhile."""
        record, issue = view.situation.record, view.before.issue
        entries = entries_as_json(planned, record.ecus)
        last = view.decision
        same = last is not None and last.entries == entries
        correlation = last.correlation_id if last is not None and same else f"urn:uuid:{uuid.uuid4()}"
        usable = _usable(catalogue)
        files: dict[RoleName, bytes] = {}
        if issue is None or force or not same or self._is_due(view, issue, now):
            members = signed_members(record, now)
            order = Order(record=record, entries=entries, correlation_id=correlation, members=members)
            lasting_from = self._clock.check(now).lasting_from(now)
            issue, files = sign_set(
                order,
                view.before,
                root=view.root,
                keyring=self._keyring,
                periods=self._settings.periods,
                now=now,
                lasting_from=lasting_from,
            )
            judge = usable if entries else None
            verify_set(order, files, before=view.before, root=view.wire_root, catalogue=judge, now=now)
        versions = {} if usable is None else usable.versions
        decision = _Decision(planned, entries, correlation, versions, inputs)
        try:
            with self._database.writing("store signed metadata") as connection:
                return self._store(connection, view, decision, issue, files, now)
        except ConflictError:
            return None

    def _store(  # noqa: PLR0917 - one transaction
        self,
        connection: Connection,
        view: View,
        decision: _Decision,
        issue: Issue,
        files: Mapping[RoleName, bytes],
        now: datetime,
    ) -> Issue | None:
        vehicle = view.situation.record.vehicle
        revision = lock_vehicle(connection, vehicle)
        newest = newest_issue(connection, vehicle)
        if revision != view.revision or (newest and newest[0]) != view.before.issue:
            return None
        number = _record_decision(connection, view, decision, now)
        connection.execute(
            update(schema.vehicles).where(schema.vehicles.c.vehicle == vehicle).values(planned_from=decision.inputs)
        )
        if files:
            insert_issue(connection, issue, number, files)
            note_signature(connection, now)
            installed = {ecu: report.installed for ecu, report in view.situation.record.reports.items()}
            update_outstanding(connection, vehicle, decision.entries, installed)
            remember_images(connection, decision.planned.entries.values(), now)
        return issue


@dataclass(frozen=True, slots=True)
class _Decision:
    planned: Planned
    entries: Mapping[str, Any]
    correlation_id: str
    versions: Mapping[str, int]
    inputs: str


def plan_with(
    situation: Situation, catalogue: Catalogue | RefusalError | TransportError | None, *, images: Planned | None = None
) -> Planned:
    """A plan, also where the Image repository cannot be used: then nothing is ordered, and the plan says so.

    ``images``: see ``make_plan``.
    """
    return list_installed(situation, _plan_with(situation, catalogue, images), _usable(catalogue))


def _plan_with(
    situation: Situation, catalogue: Catalogue | RefusalError | TransportError | None, images: Planned | None
) -> Planned:
    if isinstance(catalogue, (RefusalError, TransportError)):
        return _unusable(situation, catalogue) if situation.assigned else make_plan(situation, None)
    try:
        return make_plan(situation, catalogue, images=images)
    except (TransportError, StorageError) as error:
        return _unusable(situation, error)


def _usable(catalogue: Catalogue | RefusalError | TransportError | None) -> Catalogue | None:
    return catalogue if isinstance(catalogue, Catalogue) else None


def _unusable(situation: Situation, error: Exception) -> Planned:
    what = "the order cannot be signed" if isinstance(error, ProfileError) else "the Image repository cannot be used"
    reason = f"{what}: {error}"
    return Planned(plan=Plan(vehicle=situation.record.vehicle, outcome=IMPOSSIBLE, orders=(), reasons=(reason,)))


def _read_view(connection: Connection, vehicle: str) -> View:
    record = load_active_vehicle(connection, vehicle)
    columns = schema.vehicles.c
    query = select(columns.revision, columns.planned_from, columns.last_manifest).where(columns.vehicle == vehicle)
    row = connection.execute(query).one()
    newest = newest_issue(connection, vehicle)
    decisions = list_decisions(connection, vehicle, 1)
    before, issue_root = Before(), None
    if newest is not None:
        before = Before(issue=newest[0], files=current_files(connection, newest[0]))
        issue_root = read_root(connection, newest[0].root)
    situation = Situation(
        record=record,
        assigned={item.ecu: item.path for item in load_assignments(connection, vehicle)},
        # Whenever a decision changes what is listed, it is stored in one transaction with the files that list it.
        ordered=ordered_images(decisions[0].entries) if decisions else {},
        outstanding=list_outstanding(connection, vehicle),
        known=recall_images(connection, {ecu: report.installed for ecu, report in record.reports.items()}),
        manifest=row.last_manifest,
        listed=listed_images(connection, vehicle) if record.wire == AKTUALIZR_WIRE else (),
        unknown=record.unknown,
    )
    root = read_root(connection)
    if root is None:
        raise StorageError(path=vehicle, operation="read", reason="the inventory holds no Root")
    wire_root = read_wire_root(connection) if record.wire == AKTUALIZR_WIRE else root
    if wire_root is None:
        raise WireDisabledError(vehicle=vehicle, wire=record.wire)
    return View(
        situation=situation,
        revision=row.revision,
        planned_from=row.planned_from,
        decision=decisions[0] if decisions else None,
        before=before,
        root=root,
        wire_root=wire_root,
        issue_root=issue_root,
    )


def _record_decision(connection: Connection, view: View, decision: _Decision, now: datetime) -> int:
    """Keep the decision if it says something new; returns the number of the one that holds."""
    last = view.decision
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
        manifest=view.situation.manifest,
        versions=decision.versions,
        now=now,
    )


def _inputs(view: View, catalogue: object) -> str:
    content: Any = None
    if isinstance(catalogue, Catalogue):
        content = dict(catalogue.content)
    elif catalogue is not None:
        content = str(catalogue)
    return hashlib.sha256(encode_canonical([view.revision, content])).hexdigest()
