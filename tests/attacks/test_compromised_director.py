"""A compromised Director alone installs nothing that the Image repository does not list.

Each scenario is told and expected in ``tests/simulator/scenarios``; ``play`` runs it from the legitimate state, through
the attack and its refusal with exactly the honest files stored, to the next honest update.
"""

from __future__ import annotations

import pytest

from tests.simulator.scenario import Scenario, family, play


@pytest.mark.parametrize("scenario", family("compromised-director"), ids=str)
def test_compromised_director(scenario: Scenario) -> None:
    play(scenario)
