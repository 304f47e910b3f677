"""A manifest judged in one go, as ``intake.py`` does in two steps with a look at the Image repository between."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from twinlock.director.manifests.judge import conclude, verify_reports
from twinlock.director.model.judgement import NOTHING_KNOWN, USUAL_POLICY, Findings, Knowledge, ManifestPolicy
from twinlock.director.model.records import VehicleRecord
from twinlock.director.setup.create import open_profiles
from twinlock.trust.wire.tuf.reports import UnverifiedManifest


def judge_manifest(
    manifest: UnverifiedManifest,
    record: VehicleRecord,
    *,
    now: datetime,
    address: str | None = None,
    knowledge: Knowledge = NOTHING_KNOWN,
    policy: ManifestPolicy = USUAL_POLICY,
) -> Findings:
    """``verify_reports`` and ``conclude``. Raises: as ``verify_reports``."""
    knowledge = replace(knowledge, client=open_profiles().of(record).client)
    verified = verify_reports(manifest, record, now=now, address=address, knowledge=knowledge, policy=policy)
    return conclude(verified, record, knowledge)
