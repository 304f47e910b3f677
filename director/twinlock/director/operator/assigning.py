"""An operator's work on one vehicle: assigning images, withdrawing assignments, and explaining what the Director would order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from twinlock.director.errors.operator import NoSuchEcuError, NothingAssignedError
from twinlock.director.inventory.assignments import drop_assignments, put_assignments
from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.vehicles import lock_vehicle
from twinlock.director.model.clients import ImageListing
from twinlock.director.model.plan import PlanInputs, PlannedTargets
from twinlock.director.model.records import AssignedPlan, Plan
from twinlock.director.signing.issue import MetadataIssuer, check_assignments, plan_with
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import ConflictError
from twinlock.trust.names import EcuId, TargetPath, target_path


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedAssignment:
    """Images for ECUs of a vehicle, for which a full plan was found while the vehicle was at ``revision``.

    ``planned`` is that plan: what the vehicle should have, whatever is outstanding.
    """

    vehicle: str
    images: Mapping[EcuId, TargetPath]
    inputs: PlanInputs
    planned: PlannedTargets
    revision: int

    def store(self, connection: Connection, *, actor: str, now: datetime) -> None:
        """Store the assignments. Raises: ConflictError if the vehicle changed since it was planned."""
        if lock_vehicle(connection, self.vehicle) != self.revision:
            raise ConflictError(
                what=f"the vehicle {self.vehicle}", reason="a report came in, or other images were assigned"
            )
        put_assignments(connection, self.vehicle, self.images, actor=actor, now=now)


class Assigning:
    """Stores and withdraws an operator's assignments for the vehicles of one inventory."""

    def __init__(self, database: Inventory, issuer: MetadataIssuer) -> None:
        self._database = database
        self._issuer = issuer

    def assign(self, vehicle: str, images: Mapping[str, str], *, actor: str, now: datetime) -> AssignedPlan:
        """Store assignments after a full plan with them was found. Raises: see ``Director.assign``."""
        catalogue = self._issuer.refresh_catalogue(now)
        prepared = self._prepare(vehicle, images, catalogue)
        with self._database.writing("store assignments") as connection:
            prepared.store(connection, actor=actor, now=now)
        self._issuer.save_catalogue()
        plan = plan_with(prepared.inputs, catalogue, images=prepared.planned).plan
        assigned = tuple(order for order in prepared.planned.plan.orders if order.ecu in prepared.images)
        return AssignedPlan(
            vehicle=plan.vehicle, outcome=plan.outcome, orders=plan.orders, reasons=plan.reasons, assigned=assigned
        )

    def preparing(self, now: datetime) -> Callable[[str, Mapping[str, str]], PreparedAssignment]:
        """What checks one vehicle's assignment as ``assign`` does and stores nothing, with one look at the repository.

        Not to be called inside a transaction. Raises: RefusalError and TransportError of the Image repository.
        """
        catalogue = self._issuer.refresh_catalogue(now)
        return lambda vehicle, images: self._prepare(vehicle, images, catalogue)

    def save(self) -> None:
        """Store what the look at the repository brought. Not to be called inside a transaction."""
        self._issuer.save_catalogue()

    def _prepare(self, vehicle: str, images: Mapping[str, str], catalogue: ImageListing) -> PreparedAssignment:
        if not images:
            raise UsageError(reason="name at least one ECU and its image")
        wanted = {EcuId(ecu): target_path(path) for ecu, path in images.items()}
        reading = self._issuer.read_vehicle(vehicle)
        inputs = _with(reading.inputs, wanted)
        planned = check_assignments(inputs, catalogue)
        return PreparedAssignment(
            vehicle=vehicle, images=wanted, inputs=inputs, planned=planned, revision=reading.revision
        )

    def unassign(self, vehicle: str, ecus: Iterable[str] | None, *, actor: str, now: datetime) -> Plan:
        """Withdraw assignments (None: all). Raises: see ``Director.unassign``."""
        inputs = self._issuer.read_vehicle(vehicle).inputs
        gone = set(inputs.assigned) if ecus is None else {EcuId(ecu) for ecu in ecus}
        for ecu in sorted(gone - inputs.record.ecus.keys()):
            raise NoSuchEcuError(ecus=(ecu,), vehicle=vehicle)
        if not gone or not gone <= inputs.assigned.keys():
            missing = (gone or inputs.record.ecus.keys()) - inputs.assigned.keys()
            raise NothingAssignedError(vehicle=vehicle, ecus=tuple(sorted(missing)))
        with self._database.writing("withdraw assignments") as connection:
            lock_vehicle(connection, vehicle)
            drop_assignments(connection, vehicle, gone, actor=actor, now=now)
        return self.explain(vehicle, None, now=now)

    def explain(self, vehicle: str, images: Mapping[str, str] | None, *, now: datetime) -> Plan:
        """What the Director would order, with ``images`` as if they were assigned. Raises: see ``Director.explain``."""
        inputs = self._issuer.read_vehicle(vehicle).inputs
        if images:
            wanted = {EcuId(ecu): target_path(path) for ecu, path in images.items()}
            inputs = _with(inputs, wanted)
            for ecu in sorted(wanted.keys() - inputs.record.ecus.keys()):
                raise NoSuchEcuError(ecus=(ecu,), vehicle=vehicle)
        if inputs.assigned:
            return plan_with(inputs, self._issuer.refresh_catalogue(now)).plan
        return plan_with(inputs, self._issuer.catalogue_for(inputs, now)).plan


def _with(inputs: PlanInputs, wanted: Mapping[EcuId, TargetPath]) -> PlanInputs:
    return replace(inputs, assigned={**inputs.assigned, **wanted})
