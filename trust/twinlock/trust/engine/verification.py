"""Full and partial verification as generators: the order of the steps, and nothing else.

A generator yields commands (``commands.py``) and returns a ``Decision``. It raises to refuse. Nothing may be installed
before it has returned; files that passed their own checks on the way have been persisted, so that no rollback floor is
lost by a refusal that comes later.

=====================  ==============================================================
Uptane 2.1.0 5.4.4.2   where
=====================  ==============================================================
step 1, time           the ``now`` argument; ``time_floor.not_before`` raises it to the floor
steps 2 to 5           ``refresh_repository`` on the Director, with ``check_director_targets``
step 6                 ``_pending``
steps 6 to 9           ``refresh_repository`` on each repository that has to agree
step 10.1              ``find_image``
steps 10.2.1, 10.2.2   ``check_match``
step 10.2.3            ``check_entry``, on what the agreeing repositories state as well
=====================  ==============================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import NamedTuple

from twinlock.trust.checks.context import Context
from twinlock.trust.checks.director import check_director_targets
from twinlock.trust.checks.image import check_entry
from twinlock.trust.checks.index import check_expiry
from twinlock.trust.checks.match import check_match, complete_entry
from twinlock.trust.checks.naming import check_file_names
from twinlock.trust.engine.commands import Steps
from twinlock.trust.engine.delegation import Found, find_image
from twinlock.trust.engine.guarantees import NO_IMAGE_REPOSITORY, missing_guarantees
from twinlock.trust.engine.refresh import refresh_repository, refresh_targets_alone, walk_roots
from twinlock.trust.engine.time_floor import not_before
from twinlock.trust.errors.images import ImageNotFoundError
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.ecu import Ecu, InstalledImage
from twinlock.trust.model.targets import ImageEntry, Targets
from twinlock.trust.names import DIRECTOR, ROOT, RepositoryName
from twinlock.trust.policy import STRICT, Policy
from twinlock.trust.state.trusted import ApprovedImage, Decision, TrustedRepository, TrustedVehicle, Vehicle
from twinlock.trust.wire.json.cursor import DIGEST_DIGITS

_IMAGE_CHECK = "Uptane 2.1.0 5.4.3.4"  # partial verification has no step of its own for release counters


def full_verification(
    state: TrustedVehicle,
    vehicle: Vehicle,
    now: datetime,
    *,
    limits: Limits = DEFAULT_LIMITS,
    policy: Policy = STRICT,
    ceiling: datetime | None = None,
) -> Steps[Decision]:
    """Decide what this vehicle may install: what its Director orders and every agreeing repository lists.

    ``vehicle.complete`` (a Primary) judges every image that the Director lists; otherwise (a Secondary) only those for
    the ECUs in ``vehicle``. ``now`` is UTC, from a secure source, and holds for the whole cycle. ``ceiling``
    (UTC) is the latest time that a file can prove; give it only where the clock was itself proven in this boot.
    Raises: any RefusalError; the state is the caller's to restore from what was persisted.
    Source: Uptane 2.1.0 5.4.4.2.
    """
    settings = _Settings(limits, policy, ceiling)
    inspect = partial(check_director_targets, vehicle=vehicle, policy=policy, limits=limits)
    repositories = dict(state.repositories)
    # Steps 2 to 5.
    director = yield from refresh_repository(
        repositories[DIRECTOR],
        now,
        limits=limits,
        policy=policy,
        vehicle=vehicle.vehicle,
        inspect=inspect,
        ceiling=ceiling,
    )
    repositories[DIRECTOR] = director
    assert director.targets is not None
    # The Director is fresh now: no other repository is judged by an earlier time than it proves.
    now = not_before(now, [director])
    orders = list(_orders(director.targets.signed, vehicle, director.valid_until))
    agreeing: dict[RepositoryName, None] = {}
    listed: list[ImageEntry] = []
    # Step 6: nothing but what is installed already means that there is nothing to do.
    if _pending(orders):
        # Steps 6 to 9.
        agreeing = dict.fromkeys(name for order in orders for name in state.map.agreeing(order.entry.path))
        for name in agreeing:
            repositories[name] = yield from _refresh_agreeing(repositories[name], now, settings)
        # Step 10.
        for number, order in enumerate(orders):
            names = state.map.agreeing(order.entry.path)
            orders[number], entries = yield from _judge(order, names, repositories, now, settings)
            listed += entries
    return Decision(
        repositories=repositories,
        approved=tuple(order.approve(state.map.agreeing(order.entry.path)) for order in _pending(orders)),
        correlation_id=director.targets.signed.correlation_id,
        now=now,
        missing_guarantees=missing_guarantees(director, [repositories[name] for name in agreeing], listed),
    )


def partial_verification(
    director: TrustedRepository,
    vehicle: Vehicle,
    now: datetime,
    *,
    limits: Limits = DEFAULT_LIMITS,
    policy: Policy = STRICT,
    ceiling: datetime | None = None,
) -> Steps[Decision]:
    """Decide what this ECU may install by Director Root and Director Targets alone.

    The Root chain comes first, so that a rotation of the Targets keys reaches the ECU; it has no Snapshot that would
    name a version, so Targets are asked for by their bare name.
    Source: Uptane 2.1.0 5.4.4.1, with the optional check of Root.
    """
    context = Context(repository=DIRECTOR, now=now, limits=limits, wire=director.wire, policy=policy, ceiling=ceiling)
    director = yield from walk_roots(director, context)
    context = context._replace(now=not_before(now, [director]))
    check_expiry(director.root.signed, ROOT, context)
    context = check_file_names(director.root.signed, context)
    inspect = partial(check_director_targets, vehicle=vehicle, policy=policy, limits=limits)
    director = yield from refresh_targets_alone(director, context, inspect)
    assert director.targets is not None
    targets = director.targets
    orders = list(_orders(targets.signed, vehicle, director.valid_until))
    for order in orders:
        check_entry(order.entry, order.ecu, order.installed, policy=policy, counter_clause=_IMAGE_CHECK)
    return Decision(
        repositories={DIRECTOR: director},
        approved=tuple(order.approve(()) for order in _pending(orders)),
        correlation_id=targets.signed.correlation_id,
        now=context.now,
        missing_guarantees=(*missing_guarantees(director, (), [order.entry for order in orders]), NO_IMAGE_REPOSITORY),
    )


class _Settings(NamedTuple):
    limits: Limits
    policy: Policy
    ceiling: datetime | None


class _Order(NamedTuple):
    """One line of the Director's Targets for one ECU known here, and the earliest expiry of what it rests on so far."""

    ecu: Ecu
    entry: ImageEntry
    installed: InstalledImage | None
    valid_until: datetime

    @property
    def is_installed(self) -> bool:
        """Whether the ECU runs exactly this image: by name, length and every hash that both sides list.

        At least one of these has to be of a known algorithm.
        """
        if self.installed is None:
            return False
        common = self.installed.hashes.keys() & self.entry.hashes.keys()
        return (
            self.installed.path == self.entry.path
            and self.installed.length == self.entry.length
            and bool(common & DIGEST_DIGITS.keys())
            and all(self.installed.hashes[name] == self.entry.hashes[name] for name in common)
        )

    def completed(self, image: ImageEntry, found: Found) -> _Order:
        entry = complete_entry(self.entry, image, with_address=found.trusted.wire.addresses_images)
        return self._replace(entry=entry, valid_until=min(self.valid_until, found.valid_until))

    def approve(self, agreeing: tuple[RepositoryName, ...]) -> ApprovedImage:
        return ApprovedImage(
            ecu=self.ecu.ecu,
            hardware_id=self.ecu.hardware_id,
            entry=self.entry,
            repositories=(DIRECTOR, *agreeing),
            valid_until=self.valid_until,
        )


def _orders(targets: Targets, vehicle: Vehicle, valid_until: datetime) -> Iterator[_Order]:
    for path in targets.images:
        entry = targets.images[path]
        for ecu in entry.ecus:
            if ecu in vehicle.ecus:
                yield _Order(vehicle.ecus[ecu], entry, vehicle.installed.get(ecu), valid_until)


def _pending(orders: list[_Order]) -> list[_Order]:
    return [order for order in orders if not order.is_installed]


def _refresh_agreeing(repository: TrustedRepository, now: datetime, settings: _Settings) -> Steps[TrustedRepository]:
    return (
        yield from refresh_repository(
            repository, now, limits=settings.limits, policy=settings.policy, ceiling=settings.ceiling
        )
    )


def _judge(
    order: _Order,
    agreeing: tuple[RepositoryName, ...],
    repositories: dict[RepositoryName, TrustedRepository],
    now: datetime,
    settings: _Settings,
) -> Steps[tuple[_Order, list[ImageEntry]]]:
    """Step 10 for one order: it, completed by the entries of the agreeing repositories, and those entries.

    What was fetched on the way is stored in ``repositories``.
    """
    entries = []
    for name in agreeing:
        found, image = yield from _check_agreement(order, repositories[name], now, settings)
        repositories[name] = found.trusted
        order = order.completed(image, found)  # the next one has to agree with the whole
        entries.append(image)
    check_entry(order.entry, order.ecu, order.installed, policy=settings.policy)
    return order, entries


def _check_agreement(
    order: _Order, repository: TrustedRepository, now: datetime, settings: _Settings
) -> Steps[tuple[Found, ImageEntry]]:
    found = yield from find_image(
        repository,
        order.entry.path,
        order.ecu.hardware_id,
        now,
        limits=settings.limits,
        policy=settings.policy,
        ceiling=settings.ceiling,
    )
    if found.entry is None:
        raise ImageNotFoundError(target=order.entry.path, repository=repository.name, hardware_id=order.ecu.hardware_id)
    check_match(order.entry, found.entry, repository=repository.name, policy=settings.policy)
    return found, found.entry
