"""Rollback of metadata: older versions, vanished roles, Roots out of line.

Each scenario is told and expected in ``tests/simulator/scenarios``; ``play`` runs it from the legitimate state, through
the attack and its refusal with exactly the honest files stored, to the next honest update.
"""

from __future__ import annotations

import pytest

from tests.simulator.scenario import Scenario, family, play


@pytest.mark.parametrize("scenario", family("rollback"), ids=str)
def test_rollback(scenario: Scenario) -> None:
    play(scenario)
