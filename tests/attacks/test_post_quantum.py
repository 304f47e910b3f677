"""A role that demands a post-quantum signature, and files without one.

Each scenario is told and expected in ``tests/simulator/scenarios``; ``play`` runs it from the legitimate state, through
the attack and its refusal with exactly the honest files stored, to the next honest update.
"""

from __future__ import annotations

import pytest

from tests.simulator.scenario import Scenario, family, play


@pytest.mark.parametrize("scenario", family("post-quantum"), ids=str)
def test_post_quantum(scenario: Scenario) -> None:
    play(scenario)
