"""The limits of the configuration hold on the links inside the vehicle too, on both ends."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.unit.client.vehicle import roots
from twinlock.client.ecu.config import FetchSettings
from twinlock.client.ecu.provision import EcuPlan, provision_primary, provision_secondary
from twinlock.client.link.http import HttpLink
from twinlock.client.model.errors import SecondaryRefusedError
from twinlock.client.model.results import Problem, Step
from twinlock.client.primary.primary import Primary
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.secondary.server import start_secondary
from twinlock.client.storage.bundle import Bundle
from twinlock.testing.simulator.world import BRAKE, GATEWAY, World
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.metadata import LimitError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, EcuId

ECU = EcuId(BRAKE.ecu)
SETTINGS = FetchSettings(attempts=1, deadline_s=20.0)


def brake(tmp_path: Path, **limits: int) -> Path:
    plan = EcuPlan(vehicle="TESTVIN0000000001", ecu=BRAKE.ecu, hardware_id=BRAKE.hardware_id)
    provision_secondary(tmp_path / "brake", plan, roots(World()), verification="full", listen="http://127.0.0.1:0")
    return provisioned(tmp_path / "brake" / "secondary.json", **limits)


def provisioned(path: Path, **limits: int) -> Path:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"limits": limits}))
    return path


@pytest.mark.parametrize("small", [True, False])
def test_a_secondary_takes_a_bundle_within_its_own_limits_and_states_them(tmp_path: Path, small: bool) -> None:
    async def scenario() -> None:
        with Secondary.open(brake(tmp_path, targetsBytes=1_000 if small else 10_000)) as secondary:
            server, address = await start_secondary(secondary)
            link = HttpLink(ECU, address, SETTINGS, DEFAULT_LIMITS)
            try:
                assert (await link.identity())["bundleBytes"] == (2_000 if small else 20_000)
                with pytest.raises(SecondaryRefusedError) as caught:
                    await link.send_metadata(Bundle({DIRECTOR: {"timestamp.json": b" " * 3_000}}))
                assert (caught.value.problem == "endless-data") is small
            finally:
                await link.close()
                await server.cleanup()

    asyncio.run(scenario())


@pytest.mark.parametrize("small", [True, False])
def test_a_primary_reads_a_report_within_its_own_limits(tmp_path: Path, small: bool) -> None:
    async def scenario() -> None:
        with Secondary.open(brake(tmp_path)) as secondary:
            server, address = await start_secondary(secondary)
            description = provision_description(tmp_path, address)
            plan = EcuPlan(vehicle="TESTVIN0000000001", ecu=GATEWAY.ecu, hardware_id=GATEWAY.hardware_id)
            config = provision_primary(tmp_path / "gw", plan, roots(World()), secondaries=[description])
            primary = Primary.open(provisioned(config, reportBytes=100 if small else 10_000))
            problems: list[Problem] = []
            try:
                found = await primary._services.secondaries.collect_reports(Step.MANIFEST, problems)
            finally:
                await primary.close()
                await server.cleanup()
            assert (ECU in found) is not small
            assert [isinstance(problem.error, EndlessDataError | LimitError) for problem in problems] == [True] * small

    asyncio.run(scenario())


def provision_description(tmp_path: Path, address: str) -> dict[str, object]:
    from twinlock.client.ecu.config import load_secondary
    from twinlock.client.ecu.provision import describe_secondary

    return describe_secondary(load_secondary(tmp_path / "brake" / "secondary.json")) | {"address": address}
