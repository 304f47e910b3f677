"""What a Director remembers, to be read: decisions, manifests, events, junk, and who did what."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.history import list_decisions, list_events, list_manifests, read_audit
from twinlock.director.inventory.installations import check_known_in, list_installations
from twinlock.director.inventory.junk import list_junk
from twinlock.director.inventory.vehicles import load_vehicle
from twinlock.director.model.records import DecisionRecord, Event, InstallationRecord, ManifestRecord
from twinlock.director.status.event_summary import EventSummary, summarize_events


class HistoryView:
    """The part of a Director that only reads its history."""

    _database: Inventory

    def decisions(self, vehicle: str, *, limit: int = 50) -> tuple[DecisionRecord, ...]:
        """What was decided for the vehicle, newest first."""
        with self._database.reading() as connection:
            load_vehicle(connection, vehicle)
            return list_decisions(connection, vehicle, limit)

    def manifests(self, vehicle: str, *, limit: int = 50) -> tuple[ManifestRecord, ...]:
        """What the vehicle sent, accepted or refused, newest first."""
        with self._database.reading() as connection:
            load_vehicle(connection, vehicle)
            return list_manifests(connection, vehicle, limit)

    def events(self, vehicle: str, *, limit: int = 50) -> tuple[tuple[datetime, Event], ...]:
        """What accepted manifests showed that people should see, such as attack indicators; newest first.

        Registrations that were refused are among them, so a vehicle that was never registered may have events.
        Raises: UnknownVehicleError for one that is not registered and has none.
        """
        with self._database.reading() as connection:
            events = list_events(connection, vehicle, limit)
            if not events:
                load_vehicle(connection, vehicle)
            return events

    def event_summaries(self, vehicle: str) -> tuple[EventSummary, ...]:
        """The same by ECU and code: attacks first, and what one ECU makes up hides nothing that another met."""
        with self._database.reading() as connection:
            return summarize_events(connection, vehicle=vehicle).get(vehicle, ())

    def installations(
        self, vehicle: str, *, ecus: Collection[str] = (), since: datetime | None = None, limit: int = 50
    ) -> tuple[InstallationRecord, ...]:
        """What ran on the vehicle's ECUs (None named: all) at ``since`` or later, newest first.

        Raises: UnknownVehicleError; NoSuchEcuError for an ECU that never was in the vehicle.
        """
        with self._database.reading() as connection:
            record = load_vehicle(connection, vehicle)
            check_known_in(connection, record, ecus)
            found = list_installations(connection, vehicle, ecus=ecus, since=since, limit=limit)
        return tuple(
            replace(item, left_at=record.retired.get(item.ecu)) if item.replaced_at is None else item for item in found
        )

    def junk(self, vehicle: str | None = "", *, limit: int = 50) -> list[dict[str, Any]]:
        """What senders that proved nothing sent to the vehicle's address, by kind and day.

        "" is what came to no known vehicle's address, None is all.
        """
        with self._database.reading() as connection:
            return list_junk(connection, vehicle, limit)

    def audit(
        self,
        vehicle: str | None = None,
        *,
        actor: str | None = None,
        action: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Who did what, newest first; only rows of the ``vehicle``, the ``actor`` and the ``action`` that are given.

        Raises: UnknownActionError.
        """
        with self._database.reading() as connection:
            return read_audit(connection, limit=limit, since=since, vehicle=vehicle, actor=actor, action=action)
