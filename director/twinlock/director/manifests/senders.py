"""What a manifest proves of its sender by itself: that the vehicle signed it, and that it is newer than what counted."""

from __future__ import annotations

import hashlib

from twinlock.director.model.records import VehicleRecord
from twinlock.trust.errors.reports import ReportSignatureError
from twinlock.trust.wire.tuf.reports import UnverifiedManifest, verify_manifest


def content_digest(manifest: UnverifiedManifest) -> str:
    """What a manifest is known by: SHA-256 of what its signature is over, whatever was written around that."""
    return hashlib.sha256(manifest.message).hexdigest()


def is_news_of(manifest: UnverifiedManifest, record: VehicleRecord) -> bool:
    """Whether the vehicle's Primary signed ``manifest`` after the newest one that counted.

    Anyone who saw an older manifest can send it again, so an older one proves nothing of its sender.
    """
    sender = record.ecus.get(record.primary)
    if sender is None:
        return False
    try:
        verify_manifest(manifest, sender.key)
    except ReportSignatureError:
        return False
    sent = [item.report.counter for item in manifest.reports if item.report.ecu == record.primary]
    counters = [counter + sender.counter_base for counter in sent if counter is not None]
    return sender.highest_counter is None or not counters or max(counters) > sender.highest_counter
