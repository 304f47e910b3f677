"""The vehicle: a gateway and three more ECUs, each a process of its own, and what they really run.

Belongs here: building the vehicle, starting and stopping its ECUs, running a cycle, and looking at what every ECU runs,
once on its disk and once by asking it. Does not belong here: servers (``stage.py``) and attacks.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from demo.clock import StageClock
from demo.process import Part
from twinlock.client.ecu.config import load_primary
from twinlock.client.ecu.provision import EcuPlan, KnownRepositories, provision_primary, provision_secondary
from twinlock.client.primary.primary import describe_vehicle
from twinlock.trust.keys.public_keys import PublicKey
from twinlock.trust.wire.tuf.reports import decode_report, verify_report

VEHICLE = "DEMO-0001"


@dataclass(frozen=True, slots=True)
class EcuSpec:
    """One kind of ECU on the stage. ``verification`` is None for the gateway, which is the Primary."""

    name: str
    hardware_id: str
    verification: str | None
    what: str


GATEWAY = EcuSpec("gateway", "gw-1", None, "talks to the outside for the whole vehicle (the Primary)")
BRAKE = EcuSpec("brake", "brake-7", "full", "brake controller, checks everything itself")
LIDAR = EcuSpec("lidar", "lidar-3", "full", "distance sensor, software by the supplier acme, checks everything itself")
DOOR = EcuSpec("door", "door-2", "partial", "small door controller, checks only what the Director signs")
ECUS = (GATEWAY, BRAKE, LIDAR, DOOR)


@dataclass(frozen=True, slots=True)
class Running:
    """What one ECU runs: the target path it names, the SHA-256 of the bytes on its disk, and the one it reports."""

    path: str
    on_disk: str
    reported: str


Evidence = dict[str, Running]


@dataclass(slots=True)
class Vehicle:
    """A vehicle built in ``directory``."""

    directory: Path
    primary: Part
    secondaries: dict[str, Part]
    keys: Mapping[str, PublicKey]

    @classmethod
    async def start(cls, directory: Path, clock: StageClock) -> Vehicle:
        """Switch every ECU of a built vehicle on."""
        config = directory / GATEWAY.name / "primary.json"
        secondaries = {
            spec.name: Part("secondary", directory / spec.name / "secondary.json", clock.file)
            for spec in ECUS
            if spec.verification is not None
        }
        keys = {str(item.ecu.ecu): item.key for item in load_primary(config).secondaries}
        vehicle = cls(directory, Part("primary", config, clock.file), secondaries, keys)
        try:
            for part in (*secondaries.values(), vehicle.primary):
                await part.start()
            for part in (*secondaries.values(), vehicle.primary):
                await part.ready()
        except BaseException:
            await vehicle.stop()
            raise
        return vehicle

    async def stop(self) -> None:
        """Switch every ECU off."""
        for part in (self.primary, *self.secondaries.values()):
            await part.stop()

    async def cycle(self) -> dict[str, Any]:
        """Have the gateway run one update cycle; its result as JSON values."""
        return await self.primary.ask("cycle")

    async def evidence(self) -> Evidence:
        """What every ECU runs now, found on its disk and by asking it."""
        reports = await asyncio.gather(*(self.report(name) for name in self.secondaries))
        asked = {name: hashes["sha256"] for name, hashes in zip(self.secondaries, reports, strict=True)}
        asked[GATEWAY.name] = (await self.primary.ask("installed"))["hashes"]["sha256"]
        return {spec.name: self._on_disk(spec.name, asked[spec.name]) for spec in ECUS}

    async def report(self, ecu: str) -> dict[str, str]:
        """Ask an ECU over its link what it runs; its report has to be signed with its own key."""
        async with self.link(ecu) as session, session.post("http://ecu/v1/report") as reply:
            envelope = decode_report(await reply.read())
        return dict(verify_report(envelope, self.keys[ecu]).installed.hashes)

    def link(self, ecu: str) -> aiohttp.ClientSession:
        """A session on the socket between the gateway and ``ecu``; the host in URLs does not matter."""
        return aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self.directory / ecu / "link.sock")))

    def _on_disk(self, ecu: str, reported: str) -> Running:
        slots = self.directory / ecu / "slots"
        active = json.loads((slots / "active.json").read_bytes())["active"]
        data = (slots / f"slot-{active['slot']}").read_bytes()
        return Running(active["path"], hashlib.sha256(data).hexdigest(), reported)


def build(directory: Path, repositories: KnownRepositories, factory: dict[str, Path]) -> bytes:
    """Make every ECU of the vehicle; returns the description that a Director registers.

    ``factory`` is the file that each ECU leaves the factory with.
    """

    def plan(spec: EcuSpec) -> EcuPlan:
        image = (f"factory/{spec.name}.bin", factory[spec.name])
        return EcuPlan(vehicle=VEHICLE, ecu=spec.name, hardware_id=spec.hardware_id, factory_image=image)

    secondaries = [
        provision_secondary(
            directory / spec.name,
            plan(spec),
            repositories,
            verification=spec.verification,
            listen="unix:link.sock",
        )
        for spec in ECUS
        if spec.verification is not None
    ]
    # An attacker who sends slowly is found out within two seconds here; a real vehicle would wait longer.
    fetch = {"windowSeconds": 1.5, "floorBytesPerSecond": 10_000, "attempts": 1}
    config = provision_primary(
        directory / GATEWAY.name, plan(GATEWAY), repositories, secondaries=secondaries, fetch=fetch
    )
    return json.dumps(describe_vehicle(load_primary(config))).encode()


def build_other(directory: Path, repositories: KnownRepositories, vehicle: str) -> bytes:
    """Make another vehicle, a gateway alone; returns its description. It is never switched on."""
    plan = EcuPlan(vehicle=vehicle, ecu=f"gateway-of-{vehicle}", hardware_id=GATEWAY.hardware_id)
    config = provision_primary(directory, plan, repositories)
    return json.dumps(describe_vehicle(load_primary(config))).encode()
