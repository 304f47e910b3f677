"""How far each key of each ECU has counted its reports. Rows are kept for ever and no counter ever falls.

All functions take a connection whose transaction the caller owns.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, or_, update

from twinlock.director import schema
from twinlock.trust.names import EcuId

_C = schema.report_counters.c


def raise_counter(connection: Connection, ecu: EcuId, key_identity: str, counter: int) -> None:
    """Note that ``counter``, as stored (with the base), was accepted under this key. A higher one stays."""
    this = (_C.ecu == ecu, _C.key_identity == key_identity)
    ensure_counter(connection, ecu, key_identity)
    lower = or_(_C.highest.is_(None), _C.highest < counter)
    connection.execute(update(schema.report_counters).where(*this, lower).values(highest=counter))


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
