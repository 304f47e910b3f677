"""Several roles that have to agree.

Each scenario is told and expected in ``tests/simulator/scenarios``; ``play`` runs it from the legitimate state, through
the attack and its refusal with exactly the honest files stored, to the next honest update.
"""

from __future__ import annotations

import pytest

from tests.simulator.scenario import Scenario, family, play


@pytest.mark.parametrize("scenario", family("multi-role"), ids=str)
def test_multi_role(scenario: Scenario) -> None:
    play(scenario)
