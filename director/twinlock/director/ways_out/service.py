"""Every audited way out of a state as one object: ``director.ways_out``.

    ways_out.declare_out_of_order("VIN1", ["ecu-brake"])
    ways_out.retire("VIN1", ["ecu-brake"]), ways_out.retire("VIN1"), ways_out.reactivate("VIN1")
    ways_out.change_key("VIN1", NewKey(ecu="ecu-brake", fingerprint="..."))     # rekey and replace-ecu
    ways_out.reset_counter("VIN1", ["ecu-gw"])
    ways_out.release("ecu-brake", to="VIN2"), ways_out.declare_delivery(record)

Each method is one transaction and leaves a row in the audit. Vehicles of both profiles are treated alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.vehicles import load_vehicle
from twinlock.director.model.profiles import Profiles
from twinlock.director.model.records import CounterReset
from twinlock.director.model.settings import Settings
from twinlock.director.model.vehicle_description import read_ecu
from twinlock.director.ways_out import key_changes, retirement
from twinlock.director.ways_out.addition import add_ecu
from twinlock.director.ways_out.counter_resets import arm_reset, read_all_sent
from twinlock.director.ways_out.delivery import declare_delivery, read_delivery
from twinlock.director.ways_out.key_changes import KeyChange, NewKey
from twinlock.repository.workspace.validity import Clock
from twinlock.trust.names import EcuId, VehicleId, identifier

DAY_S = 86_400


class RecoveryService:
    """What an operator can do about a vehicle that is stuck. Every method may raise UnknownVehicleError, StorageError."""

    def __init__(
        self, database: Inventory, settings: Settings, profiles: Profiles, *, clock: Clock, actor: str
    ) -> None:
        self._database = database
        self._settings = settings
        self._profiles = profiles
        self._clock = clock
        self._actor = actor

    def declare_out_of_order(
        self, vehicle: str, ecus: Iterable[str], *, actor: str | None = None, now: datetime | None = None
    ) -> None:
        """Expect no report of these ECUs until they report again. Raises: NoSuchEcuError, UsageError."""
        with self._database.writing("declare ECUs out of order") as connection:
            retirement.declare_out_of_order(
                connection, VehicleId(vehicle), map(EcuId, ecus), actor=actor or self._actor, now=now or self._clock()
            )

    def add_ecu(
        self,
        vehicle: str,
        description: bytes | Mapping[str, Any],
        *,
        actor: str | None = None,
        now: datetime | None = None,
    ) -> EcuId:
        """Add a Secondary by its description; returns its id. Raises: as ``Director.register``, SecondPersonError."""
        described = read_ecu(description)
        with self._database.writing("add an ECU") as connection:
            add_ecu(
                connection,
                VehicleId(vehicle),
                described,
                second_person=self._settings.second_person,
                actor=actor or self._actor,
                now=now or self._clock(),
            )
        return described.ecu

    def retire(
        self,
        vehicle: str,
        ecus: Iterable[str] | None = None,
        *,
        release: bool = False,
        actor: str | None = None,
        now: datetime | None = None,
    ) -> None:
        """Retire a vehicle, or remove ``ecus`` from it; with ``release`` other vehicles may have their serials and keys.

        Raises: NoSuchEcuError, UsageError for a Primary by itself.
        """
        moment, named = now or self._clock(), VehicleId(vehicle)
        with self._database.writing("retire") as connection:
            if ecus is None:
                retirement.retire_vehicle(connection, named, release=release, actor=actor or self._actor, now=moment)
            else:
                retirement.retire_ecus(
                    connection, named, map(EcuId, ecus), release=release, actor=actor or self._actor, now=moment
                )

    def reactivate(
        self,
        vehicle: str,
        ecus: Iterable[str] | None = None,
        *,
        actor: str | None = None,
        now: datetime | None = None,
    ) -> None:
        """Return a retired vehicle, or ECUs that are retired or out of order, to service. Raises: UsageError, RegistrationError."""
        moment, named = now or self._clock(), VehicleId(vehicle)
        with self._database.writing("reactivate") as connection:
            if ecus is None:
                retirement.reactivate_vehicle(connection, named, actor=actor or self._actor, now=moment)
            else:
                retirement.reactivate_ecus(connection, named, map(EcuId, ecus), actor=actor or self._actor, now=moment)

    def change_key(
        self,
        vehicle: str,
        wanted: NewKey,
        *,
        valid_s: int = DAY_S,
        actor: str | None = None,
        now: datetime | None = None,
    ) -> KeyChange:
        """Permit one ECU one change to the key named. Raises: NoSuchEcuError, UsageError, RegistrationError."""
        with self._database.writing("permit another key") as connection:
            return key_changes.change_key(
                connection,
                VehicleId(vehicle),
                wanted,
                valid_s=valid_s,
                second_person=self._settings.second_person,
                actor=actor or self._actor,
                now=now or self._clock(),
            )

    def confirm(self, number: int, *, actor: str, now: datetime | None = None) -> KeyChange:
        """Confirm a change of a key as the second person. Raises: UsageError."""
        with self._database.writing("confirm another key") as connection:
            return key_changes.confirm_change(connection, number, actor=actor or self._actor, now=now or self._clock())

    def key_changes(self, vehicle: str, *, now: datetime | None = None) -> tuple[KeyChange, ...]:
        """The changes of keys that wait to be confirmed or used."""
        with self._database.reading() as connection:
            load_vehicle(connection, vehicle)
            return key_changes.list_changes(connection, vehicle, now or self._clock())

    def pending_keys(self, vehicle: str) -> list[dict[str, Any]]:
        """The keys that the vehicle came with and that were refused, newest first."""
        with self._database.reading() as connection:
            return key_changes.list_pending(connection, vehicle)

    def reset_counter(
        self,
        vehicle: str,
        ecus: Iterable[str] = (),
        *,
        valid_s: int = DAY_S,
        actor: str | None = None,
        now: datetime | None = None,
    ) -> dict[EcuId, CounterReset]:
        """Let ECUs (none named: all that count) start their counters again once. Raises: NoSuchEcuError, UsageError."""
        sent = read_all_sent(self._database, vehicle)
        with self._database.writing("reset a counter") as connection:
            return arm_reset(
                connection,
                VehicleId(vehicle),
                map(EcuId, ecus),
                sent=sent,
                profiles=self._profiles,
                valid_s=valid_s,
                actor=actor or self._actor,
                now=now or self._clock(),
            )

    def release(
        self, ecu: str, *, to: str | None = None, actor: str | None = None, now: datetime | None = None
    ) -> VehicleId | None:
        """Free a serial that the wrong vehicle registered; returns which had it. Raises: UsageError for a Primary."""
        owner = None if to is None else VehicleId(identifier(to))
        with self._database.writing("release a serial") as connection:
            return retirement.release_serial(
                connection, EcuId(identifier(ecu)), owner=owner, actor=actor or self._actor, now=now or self._clock()
            )

    def declare_delivery(self, record: bytes, *, actor: str | None = None, now: datetime | None = None) -> int:
        """Note a factory's record of ECUs and the software that they are delivered with; returns how many vehicles.

        Raises: MalformedError, LimitError, UnsafePathError.
        """
        delivery = read_delivery(record)
        with self._database.writing("store a delivery record") as connection:
            declare_delivery(connection, delivery, actor=actor or self._actor, now=now or self._clock())
        return len(delivery)
