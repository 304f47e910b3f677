"""Deletes old history that no rule needs and whose retention period has ended. The caller owns the transaction.

Counters, digests of reports whose counter was reset, the newest report of each ECU, decisions with the manifests that they
name, signed metadata, Roots and the audit are never deleted.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from twinlock.director.inventory import schema
from twinlock.director.inventory.history import record_audit
from twinlock.trust.errors.base import UsageError
from twinlock.trust.text.times import format_time

_M, _R, _E = schema.manifests.c, schema.reports.c, schema.events.c


def prune_history(connection: Connection, before: datetime, *, actor: str, now: datetime) -> dict[str, int]:
    """Delete manifests, reports, events, device events and counts of junk from before ``before``; returns how many.

    Raises: UsageError unless ``before`` has passed, because the whole history would go.
    """
    if before >= now:
        raise UsageError(reason="the age must be longer than 0")
    connection.execute(insert(schema.pruning).values(before=before))
    old = select(_M.number).where(_M.received_at < before)
    newest = select(schema.ecus.c.last_report).where(schema.ecus.c.last_report.is_not(None))
    decided, seen = schema.decisions.c.manifest, schema.vehicles.c.last_manifest
    reported, junk = schema.device_events, schema.junk
    deleted = {
        "events": connection.execute(delete(schema.events).where(_E.at < before)).rowcount,
        "reports": connection.execute(
            delete(schema.reports).where(_R.manifest.in_(old), _R.number.not_in(newest))
        ).rowcount,
    }
    needed = (
        select(_R.manifest),
        select(_E.manifest).where(_E.manifest.is_not(None)),
        select(decided).where(decided.is_not(None)),
        select(seen).where(seen.is_not(None)),
    )
    unneeded = [_M.number.not_in(query) for query in needed]
    query = delete(schema.manifests).where(_M.received_at < before, *unneeded)
    deleted["manifests"] = connection.execute(query).rowcount
    deleted["deviceEvents"] = connection.execute(delete(reported).where(reported.c.received_at < before)).rowcount
    deleted["junk"] = connection.execute(delete(junk).where(junk.c.last_at < before)).rowcount
    connection.execute(delete(schema.pruning))
    detail = {"before": format_time(before), **deleted}
    record_audit(connection, actor=actor, action="prune", detail=detail, now=now)
    return deleted
