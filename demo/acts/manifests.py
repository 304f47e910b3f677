"""Lies about what the vehicle runs, told to the Director, who has to judge what to order next."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable

from demo.script import GATEWAY_ITSELF, NETWORK, Act, Attack, Play, Seen, seen_in_problem
from demo.stage import OTHER_VEHICLE, Stage
from demo.vehicle import BRAKE, ECUS, GATEWAY, VEHICLE
from twinlock.client.ecu.identity import Identity, create_identity, load_identity
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import EcuId, VehicleId
from twinlock.trust.wire.tuf.reports import EcuReport, sign_manifest, sign_report

FAR_AHEAD = 1_000_000  # a counter that no honest report has used yet


def told(make: Callable[[Stage], Awaitable[bytes]], vehicle: str = VEHICLE) -> Play:
    """Send a manifest to the Director. What it knows of the vehicle has to be the same afterwards."""

    async def play(stage: Stage) -> Seen | None:
        before = stage.director.vehicle(VEHICLE).reports
        status, answer = await stage.proxy.send_manifest(await make(stage), vehicle)
        if status < 400 or stage.director.vehicle(VEHICLE).reports != before:
            return None
        return seen_in_problem("director", json.loads(answer))

    return play


def dropped_in_part(make: Callable[[Stage], Awaitable[bytes]], code: str) -> Play:
    """Send a manifest of which the Director may believe anything but what it says of the brake."""

    async def play(stage: Stage) -> Seen | None:
        before = stage.director.vehicle(VEHICLE).reports[EcuId(BRAKE.name)]
        await stage.proxy.send_manifest(await make(stage), VEHICLE)
        if stage.director.vehicle(VEHICLE).reports[EcuId(BRAKE.name)] != before:
            return None
        return next(
            (
                Seen(by="director", code=code, clause=str((event.data or {}).get("clause", "")), detail=event.detail)
                for _, event in stage.director.events(VEHICLE)
                if event.code == code and event.ecu == BRAKE.name
            ),
            None,
        )

    return play


async def replayed(stage: Stage) -> bytes:
    """The last manifest that passed by."""
    return stage.proxy.manifests[-1]


async def signed_by_a_stranger(stage: Stage) -> bytes:
    """All is well, says somebody who is not this vehicle."""
    stranger = create_identity(stage.directory / "stranger.pem")
    return _manifest([_report(stage, spec.name, stranger) for spec in ECUS], stranger)


async def brakes_report_made_up(stage: Stage) -> bytes:
    """The brake has long been updated, says the gateway, with its own genuine key."""
    gateway = _gateway(stage)
    return _manifest([*await _without_the_brake(stage), _report(stage, BRAKE.name, gateway)], gateway)


async def brake_left_out(stage: Stage) -> bytes:
    """Genuine reports of every ECU but the brake."""
    return _manifest(await _without_the_brake(stage), _gateway(stage))


async def _without_the_brake(stage: Stage) -> list[bytes]:
    """Genuine reports that the vehicle made just now and that the gateway holds back: all but the brake's."""
    for repository in ("director", "image"):
        stage.proxy.fail(repository, "*")
    await stage.cycle()
    stage.proxy.honest()
    reports = json.loads(stage.proxy.manifests[-1])["signed"]["reports"]
    return [json.dumps(report).encode() for report in reports if report["signed"]["ecuIdentifier"] != BRAKE.name]


def _report(stage: Stage, ecu: str, signer: Identity) -> bytes:
    waiting = stage.firmware.make(ecu, stage.releases[ecu])
    installed = InstalledImage(
        path=stage.director.vehicle(VEHICLE).reports[EcuId(ecu)].installed.path,
        length=waiting.stat().st_size,
        hashes={"sha256": "0" * 64},
        release_counter=0,
    )
    report = EcuReport(ecu=EcuId(ecu), installed=installed, time=stage.clock(), counter=FAR_AHEAD)
    return sign_report(report, signer)


def _manifest(reports: Iterable[bytes], signer: Identity) -> bytes:
    return sign_manifest(VehicleId(VEHICLE), EcuId(GATEWAY.name), reports, signer)


def _gateway(stage: Stage) -> Identity:
    return _key(stage, GATEWAY.name)


def _key(stage: Stage, ecu: str) -> Identity:
    return load_identity(stage.directory / VEHICLE / ecu / "identity.pem")


def _attack(
    title: str,
    story: str,
    make: Callable[[Stage], Awaitable[bytes]],
    code: str,
    *,
    attacker: str = NETWORK,
    in_part: bool = False,
) -> Attack:
    play = dropped_in_part(make, code) if in_part else told(make)
    return Attack(title=title, story=story, attacker=attacker, play=play, by="director", code=code)


MANIFESTS = Act(
    title="Somebody lies to the Director about the vehicle",
    story="The Director decides by what the ECUs report; each report is signed by its ECU and numbered.",
    attacks=(
        _attack("replayed manifest", "A genuine report of the vehicle is sent again.", replayed, "report-replay"),
        _attack(
            "forged manifest",
            "A stranger reports in the vehicle's name.",
            signed_by_a_stranger,
            "report-signature",
        ),
        _attack(
            "gateway reports for the brake",
            "The gateway makes up the brake's report, so that the brake seems updated.",
            brakes_report_made_up,
            "report-signature",
            attacker=GATEWAY_ITSELF,
            in_part=True,
        ),
        _attack(
            "gateway leaves out the brake",
            "The gateway says nothing of the brake, as if it were not there.",
            brake_left_out,
            "missing-ecu",
            attacker=GATEWAY_ITSELF,
            in_part=True,
        ),
        Attack(
            title="manifest at another's address",
            story="This vehicle's genuine report is sent as if another vehicle had made it.",
            attacker=NETWORK,
            play=told(replayed, OTHER_VEHICLE),
            by="director",
            code="other-vehicle",
        ),
    ),
)
