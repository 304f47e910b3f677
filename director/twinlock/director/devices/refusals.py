"""Registrations that were refused, in the history of the vehicle that sent them. The caller owns the transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from twinlock.director.errors.vehicles import EcuKeyChangedError
from twinlock.director.inventory.history import record_refusal
from twinlock.director.model.records import EcuRecord
from twinlock.director.ways_out.key_changes import note_pending
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.names import EcuId, VehicleId


def note_refused_registration(
    connection: Connection,
    vehicle: VehicleId,
    offered: Mapping[EcuId, EcuRecord],
    error: TwinlockError,
    *,
    authenticated: bool,
    now: datetime,
) -> None:
    """Keep the refusal and, where other keys were the reason, the keys, so that an operator can confirm one.

    What a sender that proved nothing sent is not part of the history: its keys are kept, the rest is in the server's log.
    """
    if isinstance(error, EcuKeyChangedError):
        note_pending(connection, vehicle, [offered[EcuId(ecu)] for ecu in error.ecus], now, authenticated=authenticated)
    if authenticated:
        record_refusal(connection, vehicle, error, now)
