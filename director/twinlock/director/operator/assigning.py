"""The operator's side: assigning images, withdrawing that, and asking what would come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from twinlock.director.catalogue.catalogue import Catalogue, CatalogueKeeper
from twinlock.director.inventory.assignments import drop_assignments, put_assignments
from twinlock.director.inventory.database import Database
from twinlock.director.inventory.vehicles import lock_vehicle
from twinlock.director.model.plan import Planned, Situation
from twinlock.director.model.records import Plan
from twinlock.director.planning.plan import plan_images
from twinlock.director.signing.issue import Ordering, plan_with
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.images import UnknownEcuError
from twinlock.trust.errors.local import ConflictError
from twinlock.trust.names import EcuId, TargetPath, target_path


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedAssignment:
    """Images for ECUs of a vehicle, for which a full plan was found while the vehicle was at ``revision``.

    ``planned`` is that plan: what the vehicle should have, whatever is outstanding.
    """

    vehicle: str
    images: Mapping[EcuId, TargetPath]
    situation: Situation
    planned: Planned
    revision: int

    def store(self, connection: Connection, *, actor: str, now: datetime) -> None:
        """Store the assignments. Raises: ConflictError if the vehicle changed since it was planned."""
        if lock_vehicle(connection, self.vehicle) != self.revision:
            raise ConflictError(what=f"the vehicle {self.vehicle}", reason="it reported or was reassigned meanwhile")
        put_assignments(connection, self.vehicle, self.images, actor=actor, now=now)


class Assigning:
    """Takes the operator's wishes for vehicles of one inventory."""

    def __init__(self, database: Database, catalogues: CatalogueKeeper, ordering: Ordering) -> None:
        self._database = database
        self._catalogues = catalogues
        self._ordering = ordering

    def assign(self, vehicle: str, images: Mapping[str, str], *, actor: str, now: datetime) -> Plan:
        """Store assignments after a full plan with them was found. Raises: see ``Director.assign``."""
        catalogue = self._catalogues.refresh(now)
        prepared = self._prepare(vehicle, images, catalogue)
        with self._database.writing("store assignments") as connection:
            prepared.store(connection, actor=actor, now=now)
        self._catalogues.save()
        return plan_with(prepared.situation, catalogue, images=prepared.planned).plan

    def preparing(self, now: datetime) -> Callable[[str, Mapping[str, str]], PreparedAssignment]:
        """What checks one vehicle's assignment as ``assign`` does and stores nothing, with one look at the repository.

        Not to be called inside a transaction. Raises: RefusalError and TransportError of the Image repository.
        """
        catalogue = self._catalogues.refresh(now)
        return lambda vehicle, images: self._prepare(vehicle, images, catalogue)

    def save(self) -> None:
        """Store what the look at the repository brought. Not to be called inside a transaction."""
        self._catalogues.save()

    def _prepare(self, vehicle: str, images: Mapping[str, str], catalogue: Catalogue) -> PreparedAssignment:
        if not images:
            raise UsageError(reason="name at least one ECU and its image")
        wanted = {EcuId(ecu): target_path(path) for ecu, path in images.items()}
        view = self._ordering.view(vehicle)
        situation = _with(view.situation, wanted)
        # An order for an ECU of unknown software is stored and held; whether it fits is judged by what was known last.
        planned = plan_images(replace(situation, unknown=frozenset()), catalogue)
        return PreparedAssignment(
            vehicle=vehicle, images=wanted, situation=situation, planned=planned, revision=view.revision
        )

    def unassign(self, vehicle: str, ecus: Iterable[str] | None, *, actor: str, now: datetime) -> Plan:
        """Withdraw assignments (None: all). Raises: see ``Director.unassign``."""
        situation = self._ordering.view(vehicle).situation
        gone = set(situation.assigned) if ecus is None else {EcuId(ecu) for ecu in ecus}
        for ecu in sorted(gone - situation.record.ecus.keys()):
            raise UnknownEcuError(vehicle=vehicle, ecu=ecu)
        if not gone or not gone <= situation.assigned.keys():
            missing = ", ".join(sorted(gone - situation.assigned.keys())) or vehicle
            raise UsageError(reason=f"nothing is assigned to {missing}")
        with self._database.writing("withdraw assignments") as connection:
            lock_vehicle(connection, vehicle)
            drop_assignments(connection, vehicle, gone, actor=actor, now=now)
        return self.explain(vehicle, None, now=now)

    def explain(self, vehicle: str, images: Mapping[str, str] | None, *, now: datetime) -> Plan:
        """What the vehicle would be told, with ``images`` as if they were assigned. Raises: see ``Director.explain``."""
        situation = self._ordering.view(vehicle).situation
        if images:
            wanted = {EcuId(ecu): target_path(path) for ecu, path in images.items()}
            situation = _with(situation, wanted)
            for ecu in sorted(wanted.keys() - situation.record.ecus.keys()):
                raise UnknownEcuError(vehicle=vehicle, ecu=ecu)
        if situation.assigned:
            return plan_with(situation, self._catalogues.refresh(now)).plan
        return plan_with(situation, self._ordering.catalogue_for(situation, now)).plan


def _with(situation: Situation, wanted: Mapping[EcuId, TargetPath]) -> Situation:
    return replace(situation, assigned={**situation.assigned, **wanted})
