"""Counters that start again, once: an operator arms a nonce, Director Targets sign it, and the next report carries it.

No stored counter falls: counting goes on from the highest. The reports that an ECU sent before never count a second time,
because their digests are kept. A client of aktualizr cannot carry a nonce, and a restored one sends the very reports that
it sent before; there the next report counts, and the vehicle's certificate alone identifies its sender. So a vehicle that is
known by its serial only cannot have its counter reset: it gets another key. The caller owns the transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select, update

from twinlock.director.errors.operator import CounterResetError, NoSuchEcuError, ValidityError
from twinlock.director.inventory import schema
from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.history import record_audit
from twinlock.director.inventory.vehicles import key_identity, load_active_vehicle, lock_vehicle, touch_vehicle
from twinlock.director.model.profiles import Profiles
from twinlock.director.model.records import BY_CERTIFICATE, CounterReset, VehicleRecord
from twinlock.director.ways_out.key_changes import MAX_VALID_S
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.names import EcuId, VehicleId
from twinlock.trust.wire.json.cursor import MAX_INTEGER
from twinlock.trust.wire.tuf.reports import MAX_COUNTER, decode_manifest, report_digest

_NONCE_BYTES = 16
PAGE = 200  # manifests that are decoded in one reading transaction
_R = schema.counter_resets.c
_S = schema.spent_reports.c
_M = schema.manifests.c


class Sent(NamedTuple):
    """The reports that a vehicle sent, by ECU and digest, in its stored manifests up to number ``newest``."""

    digests: frozenset[tuple[EcuId, str]] = frozenset()
    newest: int = 0


def read_all_sent(database: Inventory, vehicle: str) -> Sent:
    """What is stored of a vehicle's reports. Each page is a reading transaction, which no writer waits for."""
    digests, newest = frozenset[tuple[EcuId, str]](), 0
    while True:
        with database.reading() as connection:
            page = read_sent(connection, vehicle, after=newest)
        if page.newest == newest:
            return Sent(digests, newest)
        digests, newest = digests | page.digests, page.newest


def arm_reset(
    connection: Connection,
    vehicle: VehicleId,
    ecus: Iterable[EcuId],
    *,
    sent: Sent,
    profiles: Profiles,
    valid_s: int,
    actor: str,
    now: datetime,
) -> dict[EcuId, CounterReset]:
    """Let each of ``ecus`` start its counter again once (none named: all that count). Raises: NoSuchEcuError, UsageError.

    ``sent`` is what ``read_all_sent`` found before this transaction.
    """
    if not 0 < valid_s <= MAX_VALID_S:
        raise ValidityError(what="a reset", longest_s=MAX_VALID_S, offered_s=valid_s)
    lock_vehicle(connection, vehicle)
    record = load_active_vehicle(connection, vehicle)
    echoes_nonces = profiles.of(record).client.echoes_nonces
    if not echoes_nonces and record.identified_by != BY_CERTIFICATE:
        reason = "no certificate proves who sends its reports; give the vehicle one, or other keys with `rekey`"
        raise CounterResetError(vehicle=vehicle, ecus=tuple(ecus) or tuple(record.ecus), reason=reason)
    counting = {ecu for ecu, item in record.ecus.items() if item.highest_counter is not None}
    named = set(ecus) or counting
    for ecu in sorted(named - record.ecus.keys()):
        raise NoSuchEcuError(ecus=(ecu,), vehicle=vehicle)
    if not named or not named <= counting:
        silent = tuple(sorted((named or record.ecus.keys()) - counting))
        raise CounterResetError(
            vehicle=vehicle, ecus=silent, reason="no counter was reported yet, so there is nothing to reset"
        )
    _check_countable(record, named)
    if echoes_nonces:
        _remember_reports(connection, vehicle, named, sent)
    expires = now + timedelta(seconds=valid_s)
    resets = {
        ecu: _insert_reset(connection, record, ecu, expires=expires, actor=actor, now=now) for ecu in sorted(named)
    }
    detail = {"ecus": sorted(named), "validS": valid_s}
    record_audit(connection, actor=actor, action="reset-counter", vehicle=vehicle, detail=detail, now=now)
    touch_vehicle(connection, vehicle)
    return resets


def _insert_reset(
    connection: Connection, record: VehicleRecord, ecu: EcuId, *, expires: datetime, actor: str, now: datetime
) -> CounterReset:
    """Store the permission of one ECU; one that was not used ends."""
    nonce = secrets.token_hex(_NONCE_BYTES)
    connection.execute(
        update(schema.counter_resets)
        .where(_R.vehicle == record.vehicle, _R.ecu == ecu, _R.used_at.is_(None), _R.expires > now)
        .values(expires=now)
    )
    row: dict[str, Any] = {"vehicle": record.vehicle, "ecu": ecu, "key_identity": key_identity(record.ecus[ecu].key)}
    row |= {"nonce": nonce, "created_at": now, "expires": expires, "actor": actor, "confirmed_by": actor}
    inserted = connection.execute(insert(schema.counter_resets).values(**row)).inserted_primary_key
    assert inserted is not None
    return CounterReset(number=int(inserted[0]), nonce=nonce, expires=expires)


def _check_countable(record: VehicleRecord, ecus: Iterable[EcuId]) -> None:
    """Counting goes on from the highest counter, and has to stay within what the inventory can hold. Raises: UsageError."""
    for ecu in sorted(ecus):
        if (record.ecus[ecu].highest_counter or 0) > MAX_INTEGER - 2 * MAX_COUNTER:
            reason = "the counter has reached its maximum; give the ECU another key with `rekey`"
            raise CounterResetError(vehicle=record.vehicle, ecus=(ecu,), reason=reason)


def read_sent(connection: Connection, vehicle: str, *, after: int = 0) -> Sent:
    """The reports in the next stored manifests of a vehicle after number ``after``: at most ``PAGE`` of them.

    Decoding is slow where a vehicle has sent thousands, so most of it is done before the writing transaction.
    """
    query = select(_M.number, _M.data).where(_M.vehicle == vehicle, _M.number > after).order_by(_M.number).limit(PAGE)
    digests: set[tuple[EcuId, str]] = set()
    newest = after
    for row in connection.execute(query):
        newest = int(row.number)
        try:
            manifest = decode_manifest(bytes(row.data))
        except RefusalError:
            continue  # what cannot be read was never accepted and will not be
        digests |= {(signed.report.ecu, report_digest(signed.message)) for signed in manifest.reports}
    return Sent(frozenset(digests), newest)


def _remember_reports(connection: Connection, vehicle: VehicleId, ecus: set[EcuId], sent: Sent) -> None:
    """Keep the digest of every stored report of these ECUs, accepted or not: none of them may answer for a reset.

    ``sent`` is what was read before this transaction; what came since is read now.
    """
    digests, newest = set(sent.digests), sent.newest
    while (more := read_sent(connection, vehicle, after=newest)).newest > newest:
        digests |= more.digests
        newest = more.newest
    query = select(_S.ecu, _S.digest).where(_S.ecu.in_(sorted(ecus)))
    known = {(row.ecu, row.digest) for row in connection.execute(query)}
    new = [{"ecu": ecu, "digest": digest} for ecu, digest in digests - known if ecu in ecus]
    if new:
        connection.execute(insert(schema.spent_reports), new)
