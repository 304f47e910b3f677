"""A Secondary believes nobody: not its Primary, not the network, not the last cycle."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.client.vehicle import roots
from twinlock.client.ecu.provision import EcuPlan, provision_secondary
from twinlock.client.model.errors import NeverServedError, OutOfTurnError, PreconditionError
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.storage.bundle import Bundle
from twinlock.testing.simulator.world import ADAS, BRAKE, VIN, Part, World
from twinlock.trust.errors.base import Kind, RefusalError, TwinlockError
from twinlock.trust.errors.images import (
    DigestError,
    EndlessDataError,
    HardwareError,
    ImageNotFoundError,
    LengthError,
    ReleaseCounterError,
    VehicleMismatchError,
)
from twinlock.trust.errors.local import ConflictError
from twinlock.trust.errors.metadata import (
    EquivocationError,
    ExpiredError,
    MalformedError,
    MissingMetadataError,
    MixAndMatchError,
    RollbackError,
    ThresholdError,
    TimeError,
)
from twinlock.trust.errors.reports import AttestationError, AttestationKeyError, UnsolicitedTimeError
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import DIRECTOR, IMAGE
from twinlock.trust.wire.tuf.attestation import sign_attestation
from twinlock.trust.wire.tuf.reports import EcuReport, decode_report, verify_report

Make = Callable[..., Secondary]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def make(tmp_path: Path, world: World) -> Iterator[Make]:
    """Makes, or opens again, the Secondary of a part: brake with full, adas with partial verification."""
    opened: list[Secondary] = []

    def made(
        part: Part = BRAKE, *, again: bool = False, time: dict[str, Any] | None = None, **options: Any
    ) -> Secondary:
        directory = tmp_path / part.folder
        if not again:
            plan = EcuPlan(vehicle=VIN, ecu=part.ecu, hardware_id=part.hardware_id, time=time or {})
            kind = "partial" if part is ADAS else "full"
            provision_secondary(directory, plan, roots(world), verification=kind, listen="http://127.0.0.1:0")
        secondary = Secondary.open(directory / "secondary.json", wall=world.time, **options)
        opened.append(secondary)
        return secondary

    yield made
    for secondary in opened:
        secondary.close()


def bundle(world: World) -> bytes:
    """Everything both repositories serve, as a generous Primary would hand it over."""
    return Bundle({DIRECTOR: world.director.files, IMAGE: world.image.files}).encode()


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


def take(secondary: Secondary, path: str, *data: bytes) -> None:
    asyncio.run(secondary.accept_image(path, pieces(*data)))


def reported(secondary: Secondary) -> EcuReport:
    return verify_report(decode_report(secondary.report()), secondary._identity.public_key)


def refused(secondary: Secondary, error: type[TwinlockError], data: bytes) -> TwinlockError:
    """The bundle is refused, and the report carries the evidence; the ECU runs what it ran."""
    before = secondary.installed()
    with pytest.raises(TwinlockError) as caught:
        secondary.accept_metadata(data)
    assert type(caught.value) is error
    assert secondary.installed() == before
    report = reported(secondary)
    (event,) = (event for event in report.evidence if event.code == caught.value.code)
    assert (event.kind, event.detail) == (caught.value.kind, str(caught.value))
    assert bool(report.attack) is any(event.kind is Kind.ATTACK for event in report.evidence)
    assert report.detail
    return caught.value


def acknowledge(world: World, secondary: Secondary) -> None:
    """The Director names the newest report in signed Targets, and the ECU hears it."""
    custom = world.director.bodies["targets"]["custom"]
    custom["acknowledged"] = {secondary.config.ecu.ecu: reported(secondary).counter}
    world.director.publish("targets")
    secondary.accept_metadata(bundle(world))


@pytest.mark.parametrize("part", [BRAKE, ADAS], ids=["full", "partial"])
def test_it_verifies_takes_and_reports_an_image(make: Make, world: World, part: Part) -> None:
    secondary = make(part)
    assert reported(secondary).installed.path == "factory"
    entry = secondary.accept_metadata(bundle(world))
    assert entry is not None
    assert entry.path == part.path(1)
    take(secondary, entry.path, part.image(1)[:10], part.image(1)[10:])
    assert secondary.installed().path == part.path(1)
    assert secondary._installer.path.read_bytes() == part.image(1)  # type: ignore[attr-defined]
    assert secondary.accept_metadata(bundle(world)) is None
    report = reported(secondary)
    assert (report.ecu, report.installed.path, report.attack) == (part.ecu, part.path(1), "")
    assert report.time == world.now


def test_it_takes_the_next_release_after_a_restart(make: Make, world: World) -> None:
    first = make()
    first.accept_metadata(bundle(world))
    take(first, BRAKE.path(1), BRAKE.image(1))
    counter = reported(first).counter or 0
    first.close()
    second = make(again=True)
    assert second.installed().path == BRAKE.path(1)
    assert reported(second).counter == counter + 1
    world.release()
    second.accept_metadata(bundle(world))
    take(second, BRAKE.path(2), BRAKE.image(2))
    assert second.installed().path == BRAKE.path(2)


def test_it_runs_once(make: Make) -> None:
    make()
    with pytest.raises(ConflictError):
        make(again=True)


# What a Primary that lies, or is lied to, may hand over


def attacks(world: World) -> dict[str, tuple[Callable[[], object], type[TwinlockError]]]:
    director, image = world.director, world.image
    return {
        "old director targets": (lambda: director.rewind("targets"), RollbackError),
        "unsigned director targets": (
            lambda: director.deform("targets", lambda envelope: envelope["signatures"].clear()),
            ThresholdError,
        ),
        "changed director targets": (
            lambda: director.deform(
                "targets", lambda envelope: envelope["signed"].update(expires="2039-01-01T00:00:00Z")
            ),
            ThresholdError,
        ),
        "expired": (lambda: world.pass_time(days=100), ExpiredError),
        "another vehicle's": (lambda: another_vehicle(world), VehicleMismatchError),
        "wrong hardware": (lambda: wrong_hardware(world), HardwareError),
        "an older image": (lambda: older_image(world), ReleaseCounterError),
        "endless": (lambda: director.put("timestamp", data=b" " * 400_000), EndlessDataError),
        "no image timestamp": (lambda: image.drop("timestamp"), MissingMetadataError),
        "an image nobody listed": (lambda: unlisted(world), ImageNotFoundError),
    }


def another_vehicle(world: World) -> None:
    world.director.bodies["targets"]["custom"]["vehicleIdentifier"] = "TESTVIN0000000002"
    world.director.publish("targets")


def wrong_hardware(world: World) -> None:
    for entry in world.director.bodies["targets"]["targets"].values():
        for ecu in entry["custom"]["ecuIdentifiers"].values():
            ecu["hardwareId"] = "tractor-1"
    world.director.publish("targets")


def older_image(world: World) -> None:
    world.order_release(1)
    world.director.publish("targets")


def unlisted(world: World) -> None:
    agreed = {"mustAgree": {"hardwareIds": [BRAKE.hardware_id], "releaseCounter": 9}}
    entry = {"length": 4, "hashes": {"sha256": "0" * 64}, "custom": agreed}
    world.director.order(BRAKE.ecu, BRAKE.hardware_id, "brake/evil.bin", entry)
    world.director.publish("targets")


FULL = sorted(attacks(World()))
PARTIAL = [name for name in FULL if name not in ("endless", "no image timestamp", "an image nobody listed")]


@pytest.mark.parametrize(("part", "name"), [*((BRAKE, name) for name in FULL), *((ADAS, name) for name in PARTIAL)])
def test_bad_metadata_is_refused_reported_and_overcome(make: Make, world: World, part: Part, name: str) -> None:
    secondary = make(part)
    world.release()
    secondary.accept_metadata(bundle(world))
    take(secondary, part.path(2), part.image(2))
    world.release()
    secondary.accept_metadata(bundle(world))
    world.release()
    with world.attack():
        attack, error = attacks(world)[name]
        attack()
        if name == "old director targets" and part is ADAS:
            world.director.files["targets.json"] = world.director.history["targets"][0]
        elif part is ADAS:  # it asks for the bare name
            world.director.files["targets.json"] = world.director.files[world.director.current("targets")]
        elif name == "old director targets":
            world.director.rewind("targets", 2)
            error = MixAndMatchError
        refused(secondary, error, bundle(world))
    world.refresh_all()
    world.refresh_all()
    entry = secondary.accept_metadata(bundle(world))
    assert entry is not None
    take(secondary, part.path(4), part.image(4))
    acknowledge(world, secondary)
    assert (reported(secondary).attack, reported(secondary).evidence) == ("", ())
    assert secondary.installed().path == part.path(4)


@pytest.mark.parametrize("part", [BRAKE, ADAS], ids=["full", "partial"])
def test_the_counter_of_what_was_installed_outlives_the_record_of_the_slots(
    make: Make, world: World, tmp_path: Path, part: Part
) -> None:
    secondary = make(part)
    world.release()
    secondary.accept_metadata(bundle(world))
    take(secondary, part.path(2), part.image(2))
    next((tmp_path / part.folder).rglob("active.json")).unlink()
    with world.attack():
        older_image(world)
        if part is ADAS:
            world.director.files["targets.json"] = world.director.files[world.director.current("targets")]
        error = refused(secondary, ReleaseCounterError, bundle(world))
        assert error.fields()["installed"] == 2
    world.release()
    secondary.accept_metadata(bundle(world))
    take(secondary, part.path(3), part.image(3))


def test_equivocation_does_not_stop_it_but_is_reported(make: Make, world: World) -> None:
    secondary = make()
    secondary.accept_metadata(bundle(world))
    with world.attack():
        world.director.bodies["timestamp"]["expires"] = "2031-01-01T00:00:00Z"
        world.director.put("timestamp")
        assert secondary.accept_metadata(bundle(world)) is not None
        assert reported(secondary).attack == EquivocationError.code


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"director": {"timestamp.json": "{}"}}'])
def test_nonsense_is_refused(make: Make, data: bytes) -> None:
    secondary = make()
    with pytest.raises(TwinlockError) as caught:
        secondary.accept_metadata(data)
    assert isinstance(caught.value, (MalformedError, NeverServedError))


# Images


def wanting(make: Make, world: World, **options: Any) -> tuple[Secondary, ImageEntry]:
    secondary = make(**options)
    entry = secondary.accept_metadata(bundle(world))
    assert entry is not None
    return secondary, entry


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (BRAKE.image(1)[:-1], LengthError),
        (BRAKE.image(1)[:-1] + b"?", DigestError),
        (BRAKE.image(1) + b"?", EndlessDataError),
        (b"", LengthError),
    ],
)
def test_a_bad_image_is_refused_and_may_be_sent_again(
    make: Make, world: World, data: bytes, error: type[TwinlockError]
) -> None:
    secondary, entry = wanting(make, world)
    with pytest.raises(TwinlockError) as caught:
        take(secondary, entry.path, data)
    assert type(caught.value) is error
    assert secondary.installed().path == "factory"
    assert reported(secondary).attack == error.code
    assert list(secondary.config.staging.iterdir()) == []
    take(secondary, entry.path, BRAKE.image(1))
    assert secondary.installed().path == BRAKE.path(1)


def test_only_the_wanted_image_is_taken(make: Make, world: World) -> None:
    secondary, entry = wanting(make, world)
    with pytest.raises(OutOfTurnError) as refused:
        take(secondary, "gateway/gateway-1.bin", b"")
    assert (refused.value.ecu, refused.value.wanted) == (BRAKE.ecu, entry.path)
    take(secondary, entry.path, BRAKE.image(1))
    with pytest.raises(OutOfTurnError) as refused:
        take(secondary, entry.path, BRAKE.image(1))
    assert refused.value.wanted == ""


def test_nothing_is_taken_before_metadata_or_after_a_newer_root_in_refused_metadata(make: Make, world: World) -> None:
    secondary = make()
    with pytest.raises(OutOfTurnError):
        take(secondary, BRAKE.path(1), BRAKE.image(1))
    secondary.accept_metadata(bundle(world))
    withheld = dict(world.director.files)
    world.director.rotate("timestamp")
    withheld["2.root.json"] = world.director.files["2.root.json"]
    with pytest.raises(TwinlockError):
        secondary.accept_metadata(Bundle({DIRECTOR: withheld, IMAGE: world.image.files}).encode())
    with pytest.raises(OutOfTurnError):  # the approval may rest on a key that the newer Root revoked
        take(secondary, BRAKE.path(1), BRAKE.image(1))
    assert secondary.installed().path == "factory"
    secondary.accept_metadata(bundle(world))
    take(secondary, BRAKE.path(1), BRAKE.image(1))


def test_a_refused_bundle_which_takes_no_key_to_send_withdraws_no_approval(make: Make, world: World) -> None:
    secondary, entry = wanting(make, world)
    for bad in (b"", b"{}", b'{"director":{}}', b"\xff"):
        with pytest.raises(TwinlockError):
            secondary.accept_metadata(bad)
    take(secondary, entry.path, BRAKE.image(1))
    assert secondary.installed().path == entry.path


def test_an_order_that_changes_while_its_image_arrives_is_not_carried_out(make: Make, world: World) -> None:
    secondary, entry = wanting(make, world)

    async def arriving(meanwhile: Callable[[], object]) -> InstalledImage:
        async def slow() -> AsyncIterator[bytes]:
            yield BRAKE.image(1)[:5]
            meanwhile()
            yield BRAKE.image(1)[5:]

        return await secondary.accept_image(entry.path, slow())

    world.release()
    with pytest.raises(OutOfTurnError):
        asyncio.run(arriving(lambda: secondary.accept_metadata(bundle(world))))
    assert secondary.installed().path == "factory"
    assert secondary._evidence.events() == ()
    take(secondary, BRAKE.path(2), BRAKE.image(2))


def test_the_same_metadata_while_an_image_arrives_changes_nothing(make: Make, world: World) -> None:
    secondary, entry = wanting(make, world)

    async def pieces() -> AsyncIterator[bytes]:
        yield BRAKE.image(1)[:5]
        secondary.accept_metadata(bundle(world))
        yield BRAKE.image(1)[5:]

    assert asyncio.run(secondary.accept_image(entry.path, pieces())).path == entry.path


def test_metadata_waits_while_an_image_is_installed(make: Make, world: World) -> None:
    secondary, entry = wanting(make, world)

    async def scenario() -> None:
        async with secondary._installing:
            with pytest.raises(OutOfTurnError):
                secondary.accept_metadata(bundle(world))

    asyncio.run(scenario())
    take(secondary, entry.path, BRAKE.image(1))


def test_a_precondition_leaves_everything_as_it_is(make: Make, world: World) -> None:
    secondary, entry = wanting(make, world, precondition=lambda _entry: "the vehicle moves")
    with pytest.raises(PreconditionError) as caught:
        take(secondary, entry.path, BRAKE.image(1))
    assert caught.value.reason == "the vehicle moves"
    assert secondary.installed().path == "factory"


# Time


def attest(world: World, secondary: Secondary) -> bytes:
    return sign_attestation(world.now, (secondary.identity()["timeNonce"],), world.director.time_key())


def test_one_with_a_clock_asks_for_no_time(make: Make) -> None:
    assert make().identity()["timeNonce"] is None


def test_without_time_nothing_is_decided(make: Make, world: World) -> None:
    secondary = make(time={"source": "attested"})
    refused(secondary, TimeError, bundle(world))
    assert secondary.accept_time(attest(world, secondary)) == world.now
    assert secondary.accept_metadata(bundle(world)) is not None


def test_a_replayed_time_is_refused(make: Make, world: World) -> None:
    secondary = make(time={"source": "attested"})
    old = attest(world, secondary)
    secondary.accept_time(old)
    with pytest.raises(UnsolicitedTimeError):
        secondary.accept_time(old)
    assert reported(secondary).evidence == ()


def test_an_unsolicited_time_leaves_nothing_and_a_false_answer_leaves_evidence_once(make: Make, world: World) -> None:
    """A sender of garbage costs no write to the storage, and closes no question."""
    secondary = make(time={"source": "attested"})
    nonce, honest = secondary.identity()["timeNonce"], attest(world, secondary)
    state = secondary.config.state

    def rows() -> bytes:
        return b"".join(path.read_bytes() for path in sorted(state.parent.glob("state.db*")))

    before = rows()
    for garbage in (b"{", b"{}", sign_attestation(world.now, ("00" * 16,), world.director.time_key())):
        for _ in range(50):
            with pytest.raises(RefusalError):
                secondary.accept_time(garbage)
            secondary.identity()
    assert rows() == before
    for _ in range(20):
        with pytest.raises(AttestationKeyError):
            secondary.accept_time(sign_attestation(world.now, (nonce,), world.keys("stranger")))
    assert [(event.code, event.occurrences) for event in reported(secondary).evidence] == [("time-attestation-key", 1)]
    assert secondary.accept_time(honest) == world.now


def test_an_ecu_with_a_clock_of_its_own_takes_no_attestation_and_keeps_none(make: Make, world: World) -> None:
    """K8: one garbage time must not fail the honest bundle that comes next."""
    secondary = make()
    with pytest.raises(AttestationError):
        secondary.accept_time(sign_attestation(world.now, ("00" * 16,), world.keys("anybody")))
    assert secondary.accept_metadata(bundle(world)) is not None


def test_a_refused_attestation_plays_no_part_in_what_comes_next(make: Make, world: World) -> None:
    secondary = make(time={"source": "attested"})
    nonce = secondary.identity()["timeNonce"]
    with pytest.raises(AttestationKeyError) as caught:
        secondary.accept_time(sign_attestation(world.now, (nonce,), world.keys("stranger")))
    assert caught.value.kind is Kind.REFUSAL  # forged, or newer than the Root: nobody can tell here
    secondary.accept_time(sign_attestation(world.now, (nonce,), world.director.time_key()))
    assert secondary.accept_metadata(bundle(world)) is not None


def test_a_new_key_of_the_time_source_comes_with_the_root_chain_and_needs_no_time(make: Make, world: World) -> None:
    secondary = make(time={"source": "attested"})
    new = world.director.key("time", 2)
    world.director.bodies["root"]["custom"]["timeSource"]["keyids"] = [new.keyid]
    world.director.bodies["root"]["keys"][new.keyid] = new.public
    world.director.publish_root()
    with pytest.raises(AttestationKeyError):
        secondary.accept_time(sign_attestation(world.now, (secondary.identity()["timeNonce"],), new))
    with pytest.raises(TimeError):
        secondary.accept_metadata(bundle(world))
    secondary.accept_time(sign_attestation(world.now, (secondary.identity()["timeNonce"],), new))
    assert secondary.accept_metadata(bundle(world)) is not None


def test_its_identity_says_who_it_is(make: Make) -> None:
    secondary = make(ADAS)
    identity = secondary.identity()
    assert (identity["ecu"], identity["hardwareId"], identity["verification"]) == (
        ADAS.ecu,
        ADAS.hardware_id,
        "partial",
    )
    assert identity["keyid"] == secondary._identity.public_key.keyid
    assert json.loads(json.dumps(identity)) == identity
