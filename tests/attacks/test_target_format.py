"""Target formats: files and OSTree commits, whose entries differ by one member and a length.

Each scenario is told and expected in ``tests/simulator/scenarios``; ``play`` runs it from the legitimate state, through
the attack and its refusal with exactly the honest files stored, to the next honest update.
"""

from __future__ import annotations

import pytest

from tests.simulator.scenario import Scenario, family, play


@pytest.mark.parametrize("scenario", family("target-format"), ids=str)
def test_target_format(scenario: Scenario) -> None:
    play(scenario)
