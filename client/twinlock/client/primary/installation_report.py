"""How an order ended, in the terms of the aktualizr profile: the installation report of a manifest."""

from __future__ import annotations

from collections.abc import Sequence

from twinlock.client.model.foreign_text import sanitize
from twinlock.client.model.results import Problem, Step, most_severe
from twinlock.trust.names import EcuId
from twinlock.trust.wire.tuf.reports import InstallationReport, InstallResult, truncate

_DONE = InstallResult(success=True, code="OK", description="installed")
_CODES = {
    Step.IMAGES: "DOWNLOAD_FAILED",
    Step.SECONDARY_TIME: "VERIFICATION_FAILED",
    Step.SECONDARY_METADATA: "VERIFICATION_FAILED",
    Step.SECONDARY_IMAGES: "INSTALL_FAILED",
    Step.INSTALL: "INSTALL_FAILED",
}
_OTHER = "GENERAL_ERROR"
_MAX_CORRELATION = 256  # characters; the profile has a URN of some sort, and what we sign needs a bound


def installation_report(
    correlation_id: str, approved: Sequence[EcuId], installed: Sequence[EcuId], problems: Sequence[Problem]
) -> InstallationReport:
    """The report on the order ``correlation_id``, which approved images for these ECUs.

    It succeeded if every one of them installed. ``description`` starts with our error code, for which the profile has
    no other place. An ECU that was not reached has no result of its own.
    """
    correlation_id = sanitize(correlation_id, _MAX_CORRELATION)
    ecus = dict.fromkeys(installed, _DONE)
    for problem in problems:
        if problem.ecu is not None and problem.ecu in approved and problem.ecu not in ecus:
            ecus[problem.ecu] = _failed(problem)
    if set(installed) >= set(approved):
        return InstallationReport(correlation_id, _DONE, ecus)
    relevant = [problem for problem in problems if problem.step in _CODES] or list(problems)
    worst = most_severe(relevant)
    result = InstallResult(False, _OTHER, "nothing was installed") if worst is None else _failed(worst)  # noqa: FBT003
    return InstallationReport(correlation_id, result, ecus)


def _failed(problem: Problem) -> InstallResult:
    code = _CODES.get(problem.step, _OTHER)
    return InstallResult(success=False, code=code, description=truncate(f"{problem.error.code}: {problem.error}"))
