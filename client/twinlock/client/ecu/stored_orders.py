"""The orders in the stored metadata of an ECU, verified again from its Roots alone.

Anyone who can write to the state can write a row that states anything; a row counts only if signatures prove it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from datetime import datetime

from twinlock.client.ecu.clock import BUILT
from twinlock.client.ecu.config import EcuSettings
from twinlock.client.storage.bundle import make_bundle
from twinlock.client.storage.state import TrustedState
from twinlock.trust.engine.commands import Answer, Command, Fetch, drive
from twinlock.trust.engine.verification import full_verification, partial_verification
from twinlock.trust.model.base import NOTHING
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import DIRECTOR, EcuId, RepositoryName, Verification
from twinlock.trust.state.repository_map import RepositoryMap
from twinlock.trust.state.trusted import Decision, TrustedRepository, TrustedVehicle, Vehicle


def stored_orders(
    settings: EcuSettings,
    state: TrustedState,
    vehicle: Vehicle,
    repositories: RepositoryMap | None,
    *,
    ceiling: datetime | None,
) -> Mapping[EcuId, ImageEntry]:
    """The image that the stored metadata approve for each ECU. ``repositories`` is None for partial verification.

    Every signature is counted again, whatever proofs are stored. Expiry is judged by the times that the files themselves
    prove and not by the time now. Raises: any RefusalError; StorageError.
    """
    names = (DIRECTOR,) if repositories is None else tuple(repositories.repositories)
    kind = Verification.PARTIAL if repositories is None else Verification.FULL
    offered = make_bundle(kind, names, state.files, settings.wires)
    roots = {name: _root_alone(state, name) for name in names}
    steps: Generator[Command, Answer, Decision]
    policy, limits = settings.policy, settings.limits
    if repositories is None:
        steps = partial_verification(roots[DIRECTOR], vehicle, BUILT, policy=policy, limits=limits, ceiling=ceiling)
    else:
        known = TrustedVehicle(map=repositories, repositories=roots)
        steps = full_verification(known, vehicle, BUILT, policy=policy, limits=limits, ceiling=ceiling)
    decision = drive(steps, lambda command: offered.fetch(command) if isinstance(command, Fetch) else None)
    return {image.ecu: image.entry for image in decision.approved}


def _root_alone(state: TrustedState, name: RepositoryName) -> TrustedRepository:
    trusted = state.repository(name)
    return trusted._replace(
        timestamp=None, snapshot=None, targets=None, delegated=NOTHING, proofs=NOTHING, opened=NOTHING
    )
