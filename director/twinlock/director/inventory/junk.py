"""What senders that prove nothing send, to any address: counted by kind and day, with the first and last sample.

What a vehicle signed counts as such too once it was received: anyone who saw it can send it again.

None of it is part of a vehicle's history, so it cannot displace what authenticated senders did. The caller owns the
transaction.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from twinlock.director.inventory import schema
from twinlock.trust.text.printable import printable

SAMPLE_BYTES = 4_096
SHOWN_BYTES = 120
_J = schema.junk.c


def count_junk(connection: Connection, vehicle: str, code: str, data: bytes, now: datetime) -> None:
    """Count one more of its kind for a registered vehicle; those of all other addresses are counted together."""
    known = select(schema.vehicles.c.vehicle).where(schema.vehicles.c.vehicle == vehicle)
    name = vehicle if connection.execute(known).first() is not None else ""
    day, sample = f"{now:%Y-%m-%d}", data[:SAMPLE_BYTES]
    this = (_J.vehicle == name, _J.code == code, _J.day == day)
    values = {"count": _J["count"] + 1, "last_at": now, "last_sample": sample}
    if not connection.execute(update(schema.junk).where(*this).values(**values)).rowcount:
        row: dict[str, Any] = {"vehicle": name, "code": code, "day": day, "count": 1, "first_at": now, "last_at": now}
        connection.execute(insert(schema.junk).values(**row, first_sample=sample, last_sample=sample))


def list_junk(connection: Connection, vehicle: str | None, limit: int) -> list[dict[str, Any]]:
    """What was counted for a vehicle (None: for every address), newest first, each with the beginning of two samples.

    ``vehicle`` is empty where it came to an address that no vehicle has.
    """
    query = select(schema.junk).order_by(_J.last_at.desc()).limit(limit)
    if vehicle is not None:
        query = query.where(_J.vehicle == vehicle)
    return [
        {
            "vehicle": row["vehicle"],
            "code": row["code"],
            "day": row["day"],
            "count": row["count"],
            "firstAt": row["first_at"],
            "lastAt": row["last_at"],
            "firstSample": _shown(row["first_sample"]),
            "lastSample": _shown(row["last_sample"]),
        }
        for row in connection.execute(query).mappings()
    ]


def _shown(sample: bytes) -> str:
    return printable(sample[:SHOWN_BYTES].decode(errors="replace"))
