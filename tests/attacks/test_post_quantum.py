"""A role that demands a post-quantum signature, and files without one.

Each scenario is told and expected in ``tests/simulator/scenarios``; ``play`` runs it from the legitimate state, through
the attack and its refusal with exactly the honest files stored, to the next honest update.
"""

from __future__ import annotations

import pytest

from tests.simulator.scenario import Scenario, family, play
from tests.simulator.world import BRAKE, World
from twinlock.trust.engine.commands import Answer, Command, Fetch, drive
from twinlock.trust.engine.delegation import Found, find_image
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.metadata import PostQuantumError
from twinlock.trust.names import IMAGE, HardwareId, TargetPath
from twinlock.trust.state import TrustedRepository


@pytest.mark.parametrize("scenario", family("post-quantum"), ids=str)
def test_post_quantum(scenario: Scenario) -> None:
    play(scenario)


def test_a_demand_made_later_is_not_met_by_what_was_verified_before_it() -> None:
    """A delegator demands more of the same keys: the file that this process has opened already counts no longer."""
    world = World()

    def answer(command: Command) -> Answer:
        return world.image.serve(command) if isinstance(command, Fetch) else None

    def search(known: TrustedRepository) -> Found:
        trusted = drive(refresh_repository(known, world.now), answer)
        path, hardware = TargetPath(BRAKE.path(1)), HardwareId(BRAKE.hardware_id)
        return drive(find_image(trusted, path, hardware, world.now), answer)

    found = search(bootstrap_repository(IMAGE, world.image.files["1.root.json"]))
    assert found.entry is not None
    assert found.trusted.opened
    world.image.bodies["targets"]["custom"] = {"postQuantum": ["acme"]}
    world.image.publish("targets")
    with pytest.raises(PostQuantumError) as refused:
        search(found.trusted)
    assert refused.value.fields()["role"] == "acme"
    del world.image.bodies["targets"]["custom"]
    world.image.publish("targets")
    assert search(found.trusted).entry == found.entry
