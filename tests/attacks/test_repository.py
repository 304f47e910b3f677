"""One repository by itself, as TUF has it.

Each scenario is told and expected in ``tests/simulator/scenarios``; ``play`` runs it from the legitimate state, through
the attack and its refusal with exactly the honest files stored, to the next honest update.
"""

from __future__ import annotations

import pytest

from tests.simulator.scenario import Scenario, family, play


@pytest.mark.parametrize("scenario", family("repository"), ids=str)
def test_repository(scenario: Scenario) -> None:
    play(scenario)
