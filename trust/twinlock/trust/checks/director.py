"""The rules that only a Director's Targets obey: Uptane 2.1.0 5.4.4.6 steps 6 to 8, and whose vehicle they are for."""

from __future__ import annotations

from twinlock.trust.errors.images import (
    CustomFieldError,
    DirectorDelegationError,
    DuplicateEcuError,
    HardwareError,
    UnknownEcuError,
    VehicleMismatchError,
)
from twinlock.trust.errors.metadata import LimitError, procedure_of
from twinlock.trust.limits import Limits
from twinlock.trust.model.targets import ImageEntry, Targets
from twinlock.trust.names import DIRECTOR, TARGETS, EcuId, TargetPath, VehicleId
from twinlock.trust.policy import Policy
from twinlock.trust.state.trusted import Vehicle


def check_director_targets(targets: Targets, vehicle: Vehicle, *, policy: Policy, limits: Limits) -> None:
    """Refuse Director Targets that delegate, name an ECU twice or an unknown one, or are another vehicle's.

    Every entry is decoded here, so a malformed one refuses the file as a whole.
    Raises: DirectorDelegationError, VehicleMismatchError, DuplicateEcuError, UnknownEcuError, HardwareError,
    CustomFieldError, LimitError, MalformedError, UnsafePathError.
    """
    # Step 6.
    if targets.delegations is not None:
        delegations = targets.delegations
        names = tuple(role.name for entry in delegations.entries for role in entry.roles)
        bins = () if delegations.bins is None else (delegations.bins.name_prefix,)
        raise DirectorDelegationError(roles=names + bins)
    # Beyond the Standard, which writes the field (5.2.3.1) and never reads it: without this, the empty Targets of any
    # other vehicle would withhold an update.
    check_vehicle(targets.vehicle, vehicle.vehicle, required=policy.require_vehicle)
    if len(targets.images) > limits.ecus:
        raise LimitError(
            what="images in Director Targets",
            value=len(targets.images),
            limit=limits.ecus,
            clause=procedure_of(TARGETS),
        )
    seen: dict[EcuId, TargetPath] = {}
    for path in targets.images:
        entry = targets.images[path]
        if not entry.ecus:  # Uptane 2.1.0 5.2.3.1.1: the Director SHALL name the ECU.
            raise CustomFieldError(target=path, repository=DIRECTOR, field="ecuIdentifiers")
        for ecu in entry.ecus:
            # Step 7.
            if ecu in seen:
                raise DuplicateEcuError(ecu=ecu, first=seen[ecu], second=path)
            seen[ecu] = path
            _check_ecu(ecu, entry, vehicle, policy)


def check_vehicle(named: VehicleId | None, expected: VehicleId | None, *, required: bool) -> None:
    """Refuse a Director's file that is another vehicle's. ``expected`` None: the repository is not a Director.

    Targets have to name their vehicle. Timestamp and Snapshot may: a Director's other vehicles have higher version
    numbers, and storing one of theirs would make our own look rolled back. Raises: VehicleMismatchError.
    """
    if expected is None or named == expected:
        return
    if named is not None or required:
        raise VehicleMismatchError(offered=named or "(none named)", expected=expected)


def _check_ecu(ecu: EcuId, entry: ImageEntry, vehicle: Vehicle, policy: Policy) -> None:
    known = vehicle.ecus.get(ecu)
    if known is None:
        # Step 8, on a Primary. A Secondary does not know the others.
        if vehicle.complete:
            raise UnknownEcuError(vehicle=vehicle.vehicle, ecu=ecu)
        return
    ordered = entry.ecus[ecu]
    if ordered is None and policy.require_hardware_ids:
        raise CustomFieldError(target=entry.path, repository=DIRECTOR, field="hardwareId")
    if ordered is not None and ordered != known.hardware_id:
        raise HardwareError(ecu=ecu, target=entry.path, listed=(ordered,), actual=known.hardware_id)
