"""How far each key of each ECU has counted its reports. Rows are kept forever and no counter ever falls.

All functions take a connection whose transaction the caller owns.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, insert, or_, select, update

from twinlock.director.inventory import schema
from twinlock.director.inventory.statements import Statement
from twinlock.director.model.judgement import VerifiedReports
from twinlock.trust.names import EcuId
from twinlock.trust.wire.tuf.reports import EcuReport

_C = schema.report_counters.c
_P = schema.spent_reports.c

_RAISE = Statement(
    update(schema.report_counters)
    .where(_C.ecu == bindparam("this_ecu"), _C.key_identity == bindparam("this_key"))
    .where(or_(_C.highest.is_(None), _C.highest < bindparam("counter")))
    .values(highest=bindparam("counter"))
)
_SPENT = Statement(select(_P.ecu).where(_P.ecu == bindparam("ecu"), _P.digest == bindparam("digest")))


def raise_counter(connection: Connection, ecu: EcuId, key_identity: str, counter: int) -> None:
    """Note that ``counter``, as stored (with the base), was accepted under this key. A higher one stays."""
    values = {"this_ecu": ecu, "this_key": key_identity, "counter": counter}
    if not _RAISE.run(connection, **values):
        ensure_counter(connection, ecu, key_identity)
        _RAISE.run(connection, **values)


def ensure_counter(connection: Connection, ecu: EcuId, key_identity: str) -> None:
    """Make sure that there is a row for this key of this ECU."""
    this = (_C.ecu == ecu, _C.key_identity == key_identity)
    touched = connection.execute(update(schema.report_counters).where(*this).values(ecu=ecu))
    if not touched.rowcount:
        row = {"ecu": ecu, "key_identity": key_identity, "base": 0}
        connection.execute(insert(schema.report_counters).values(**row))


def count_on(connection: Connection, ecu: EcuId, key_identity: str) -> None:
    """Have counters that start again count on from the highest that was accepted under this key."""
    ensure_counter(connection, ecu, key_identity)
    this = (_C.ecu == ecu, _C.key_identity == key_identity)
    connection.execute(update(schema.report_counters).where(*this).values(base=func.coalesce(_C.highest, 0)))


def note_evidence(connection: Connection, ecu: EcuId, key_identity: str, *, counter: int, digest: str) -> None:
    """Keep the counter, as it was sent, and the digest of the newest report with evidence: Targets acknowledge it."""
    this = (_C.ecu == ecu, _C.key_identity == key_identity)
    connection.execute(update(schema.report_counters).where(*this).values(evidence_counter=counter))
    table = schema.acknowledged_reports
    same = (table.c.ecu == ecu, table.c.key_identity == key_identity)
    if not connection.execute(update(table).where(*same).values(digest=digest)).rowcount:
        connection.execute(insert(table).values(ecu=ecu, key_identity=key_identity, digest=digest))


def note_resets(connection: Connection, verified: VerifiedReports, now: datetime) -> None:
    """Use up the resets that reports answered, and keep the digests of reports that must never count again."""
    resets, spent = schema.counter_resets.c, schema.spent_reports
    used = list(verified.resets.values())
    if used:
        connection.execute(update(schema.counter_resets).where(resets.number.in_(used)).values(used_at=now))
    for ecu, digest in verified.digests.items():
        connection.execute(insert(spent).values(ecu=ecu, digest=digest))


def find_spent(connection: Connection, digests: Iterable[tuple[EcuId, str]]) -> frozenset[EcuId]:
    """The ECUs of which a report, by its digest, counted before."""
    return frozenset(ecu for ecu, digest in digests if _SPENT.rows(connection, ecu=ecu, digest=digest))


def find_repeated_resets(connection: Connection, reports: Iterable[EcuReport]) -> frozenset[tuple[EcuId, str]]:
    """The nonces in ``reports`` of resets that were used up before, by ECU, where a counter shows that the report is new.

    An ECU repeats the nonce until it reads Targets without it, so that nothing is lost with one report.
    """
    resets = schema.counter_resets.c
    carried = [report for report in reports if report.nonce is not None and report.counter is not None]
    if not carried:
        return frozenset()
    same = or_(*((resets.ecu == report.ecu) & (resets.nonce == report.nonce) for report in carried))
    query = select(resets.ecu, resets.nonce).where(resets.used_at.is_not(None), same)
    return frozenset((EcuId(row.ecu), str(row.nonce)) for row in connection.execute(query))
