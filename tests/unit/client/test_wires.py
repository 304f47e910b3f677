"""A vehicle whose repositories speak the aktualizr profile, both or one of them: what it asks for, installs and reports."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.unit.client.vehicle import FAST_FETCH, Car, only_the_gateway, roots, running_car
from twinlock.client.ecu.provision import EcuPlan, KnownRepositories, provision_primary, provision_secondary
from twinlock.client.ecu.reports import report_profile
from twinlock.client.inspect.status import inspect_primary
from twinlock.client.inspect.why_trusted import what_is_trusted, why_trusted
from twinlock.client.model.errors import (
    ConfigurationError,
    EnrolmentRefusedError,
    ManifestRefusedError,
    RegistrationMethodError,
)
from twinlock.client.model.results import Outcome, Step
from twinlock.client.primary.primary import Primary
from twinlock.client.storage.state import TrustedState
from twinlock.testing.servers import serving
from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.world import ADAS, BRAKE, GATEWAY, PARTS, VIN, World
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.images import DigestError
from twinlock.trust.errors.local import FetchError, ProfileError, TransportError
from twinlock.trust.errors.metadata import RollbackError, ThresholdError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import EcuId, target_path
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.tuf.reports import verify_manifest, verify_report

FOREIGN = report_profile(AKTUALIZR)
Story = Callable[[Car], Awaitable[None]]


def tell(
    directory: Path, story: Story, *, director: str = "aktualizr", image: str = "aktualizr", **options: Any
) -> None:
    """Run ``story`` with a vehicle and its servers."""

    async def scenario() -> None:
        async with running_car(directory, world=World(director=director, image=image), **options) as car:
            await story(car)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("director", "image"), [("aktualizr", "aktualizr"), ("aktualizr", "tuf"), ("tuf", "aktualizr"), ("tuf", "tuf")]
)
def test_a_whole_vehicle_updates_twice(tmp_path: Path, director: str, image: str) -> None:
    async def story(car: Car) -> None:
        for release in (1, 2):
            result = await car.primary.update_cycle()
            assert (result.outcome, result.problems, result.missing_guarantees) == (Outcome.UPDATED, (), ())
            assert car.paths() == {part.ecu: part.path(release) for part in PARTS}
            assert (await car.primary.update_cycle()).outcome is Outcome.UP_TO_DATE
            car.world.pass_time(hours=1)
            car.world.release()

    tell(tmp_path, story, director=director, image=image)


def test_files_are_asked_for_where_the_profile_has_them(tmp_path: Path) -> None:
    async def story(car: Car) -> None:
        await car.primary.update_cycle()
        got = [path for method, path in car.servers.asked if method == "GET"]
        own = f"/vehicles/{VIN}"
        assert got[:4] == [f"{own}/{name}.json" for name in ("2.root", "timestamp", "snapshot", "targets")]
        assert got[4:9] == [
            *(f"/image/{name}.json" for name in ("2.root", "timestamp", "snapshot", "targets")),
            "/image/delegations/acme.json",
        ]
        # The images, and the last look at whether the Director has published anything meanwhile.
        assert set(got[9:-2]) == {f"/image/targets/{part.path(1)}" for part in PARTS}
        assert got[-2:] == [f"{own}/2.root.json", f"{own}/timestamp.json"]

    tell(tmp_path, story)


def test_what_is_reported(tmp_path: Path) -> None:
    async def story(car: Car) -> None:
        await car.primary.update_cycle()
        first, last = car.servers.manifests
        keys = {GATEWAY.ecu: car.primary._services.signer.public_key}
        keys |= {ecu: item._identity.public_key for ecu, item in car.secondaries.items()}
        for manifest in (first, last):
            assert (manifest.vehicle, manifest.primary) == (None, GATEWAY.ecu)
            verify_manifest(manifest, FOREIGN.reporting_key(keys[GATEWAY.ecu]))
            for signed in manifest.reports:
                verify_report(signed, FOREIGN.reporting_key(keys[signed.report.ecu]))
        assert first.installation is None
        counters = [{item.report.ecu: item.report.counter for item in manifest.reports} for manifest in (first, last)]
        assert [found[EcuId(GATEWAY.ecu)] for found in counters] == [1, 2]
        assert {item.report.ecu: item.report.installed.path for item in last.reports} == {
            part.ecu: part.path(1) for part in PARTS
        }
        assert last.installation is not None
        assert last.installation.correlation_id == "urn:test:1"
        assert (last.installation.result.success, last.installation.result.code) == (True, "OK")
        assert {ecu: result.code for ecu, result in last.installation.ecus.items()} == {
            part.ecu: "OK" for part in PARTS
        }
        await car.primary.update_cycle()
        assert car.servers.manifests[-1].installation is None  # heard once is heard

    tell(tmp_path, story)


def test_a_refusal_is_told_in_the_words_there_are(tmp_path: Path) -> None:
    async def story(car: Car) -> None:
        await car.primary.update_cycle()
        car.world.pass_time(hours=1)
        car.world.release()
        before = car.slot_bytes()
        with car.world.attack():
            car.world.director.rewind_all(2)
            result = await car.primary.update_cycle()
        assert isinstance(result.error, RollbackError)
        assert car.slot_bytes() == before
        last = car.servers.manifests[-1]
        assert {item.report.ecu: item.report.attack for item in last.reports}[EcuId(GATEWAY.ecu)] == "rollback"
        assert last.installation is None  # whose order it would have been is not known
        assert (await car.primary.update_cycle()).outcome is Outcome.UPDATED

    tell(tmp_path, story)


def test_a_failed_download_is_told_until_it_was_heard(tmp_path: Path) -> None:
    async def other(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x" * len(GATEWAY.image(1)))

    async def story(car: Car) -> None:
        path = f"/image/targets/{GATEWAY.path(1)}"
        car.servers.lies[path] = other
        put = f"/vehicles/{VIN}/manifest"
        asked = 0

        async def deaf(_request: web.Request) -> web.StreamResponse:
            nonlocal asked
            asked += 1
            return web.Response(status=400, text="no")

        car.servers.lies[put] = deaf
        result = await car.primary.update_cycle()
        assert isinstance(result.problems[0].error, ManifestRefusedError)
        assert (result.problems[0].error.status, result.problems[0].error.detail) == (400, "no")
        assert [problem.step for problem in result.problems] == [Step.MANIFEST, Step.IMAGES, Step.REPORT]
        assert asked == 2
        del car.servers.lies[path], car.servers.lies[put]
        assert (await car.primary.update_cycle()).outcome is Outcome.UPDATED
        told = car.servers.manifests[0].installation
        assert told is not None
        assert (told.correlation_id, told.result.success, told.result.code) == ("urn:test:1", False, "DOWNLOAD_FAILED")
        assert told.result.description.startswith("wrong-digest: ")
        last = car.servers.manifests[-1].installation
        assert last is not None
        assert last.result.code == "OK"

    tell(tmp_path, story)


def test_every_listed_digest_of_an_image_is_checked_not_the_strongest_alone(tmp_path: Path) -> None:
    async def story(car: Car) -> None:
        only_the_gateway(car.world)
        for repository in car.world.repositories.values():
            listed = repository.bodies["targets"]["targets"][GATEWAY.path(1)]["hashes"]
            assert listed["sha256"] == hashlib.sha256(GATEWAY.image(1)).hexdigest()
            listed["sha512"] = "0" * 128
            repository.publish("targets")
        result = await car.primary.update_cycle()
        assert isinstance(result.error, DigestError)
        assert result.error.algorithm == "sha512"
        assert result.installed == ()
        car.world.release()
        only_the_gateway(car.world)
        assert (await car.primary.update_cycle()).outcome is Outcome.UPDATED

    tell(tmp_path, story, with_secondaries=False)


def _address(car: Car, name: str, address: str) -> None:
    member = "downloadUrl"
    car.world.repositories[name].bodies["targets"]["targets"][GATEWAY.path(1)]["custom"][member] = address
    car.world.repositories[name].publish("targets")


@pytest.mark.parametrize("name", ["director", "image"])
def test_an_entry_of_either_repository_may_say_where_the_image_is(tmp_path: Path, name: str) -> None:
    async def story(car: Car) -> None:
        asked = []

        async def image(request: web.Request) -> web.StreamResponse:
            asked.append(request.path)
            return web.Response(body=GATEWAY.image(1))

        elsewhere = web.Application()
        elsewhere.add_routes([web.get("/cdn/x", image)])
        async with serving(elsewhere) as base:
            _address(car, name, f"{base}/cdn/x")
            assert (await car.primary.update_cycle()).outcome is Outcome.UPDATED
        assert asked == ["/cdn/x"]
        assert f"/image/targets/{GATEWAY.path(1)}" not in [path for _, path in car.servers.asked]

    tell(tmp_path, story, with_secondaries=False)


@pytest.mark.parametrize("address", ["https://example.com/", "file:///etc/hostname", "ftp://127.0.0.1/x", "x"])
def test_an_address_that_is_none_leaves_the_repository_to_ask(tmp_path: Path, address: str) -> None:
    async def story(car: Car) -> None:
        _address(car, "image", address)
        assert (await car.primary.update_cycle()).outcome is Outcome.UPDATED
        assert f"/image/targets/{GATEWAY.path(1)}" in [path for _, path in car.servers.asked]

    tell(tmp_path, story, with_secondaries=False)


def test_a_redirect_to_a_stranger_is_not_followed(tmp_path: Path) -> None:
    async def away(_request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("http://localhost:1/targets.json")

    async def story(car: Car) -> None:
        car.servers.lies["/image/targets.json"] = away
        result = await car.primary.update_cycle()
        assert isinstance(result.error, FetchError)
        assert result.error.status == 302
        assert result.installed == ()

    tell(tmp_path, story, with_secondaries=False)


def test_a_director_without_index_is_read_by_the_lax_policy_and_explained(tmp_path: Path) -> None:
    world = World(director="aktualizr", image="aktualizr")
    for role in ("timestamp", "snapshot"):
        del world.director.bodies["root"]["roles"][role]
    world.director.put("root")

    async def story(car: Car) -> None:
        result = await car.primary.update_cycle()
        assert result.outcome is Outcome.UPDATED
        assert result.missing_guarantees == ("director-without-index",)
        assert result.as_json()["weaker"] == ["director-without-index"]
        config = car.primary.config
        assert inspect_primary(config)["lastDecision"]["weaker"] == ["director-without-index"]
        assert {entry["installed"]["path"] for entry in inspect_primary(config)["ecus"]} == {GATEWAY.path(1)}
        with TrustedState.open(config.state, wires=config.wires, read_only=True, limits=DEFAULT_LIMITS) as state:
            found = what_is_trusted(config, state, world.now)
            assert [[role["role"] for role in entry["roles"]] for entry in found["repositories"]] == [
                ["root", "targets"],
                ["root", "timestamp", "snapshot", "targets"],
            ]
            why = why_trusted(config, state, target_path(GATEWAY.path(1)), world.now)
        assert why["trusted"]
        assert [(link["repository"], link["role"]) for link in why["chain"]][:2] == [
            ("director", "root"),
            ("director", "targets"),
        ]

    async def scenario() -> None:
        async with running_car(tmp_path, world=world, with_secondaries=False, changes={"policy": "lax"}) as car:
            await story(car)

    asyncio.run(scenario())


def test_what_inspection_and_explanation_say_of_secondaries(tmp_path: Path) -> None:
    async def story(car: Car) -> None:
        await car.primary.update_cycle()
        config = car.primary.config
        found = {entry["ecu"]: entry["installed"]["path"] for entry in inspect_primary(config)["ecus"]}
        assert found == {part.ecu: part.path(1) for part in PARTS}
        with TrustedState.open(config.state, wires=config.wires, read_only=True, limits=DEFAULT_LIMITS) as state:
            assert why_trusted(config, state, target_path(BRAKE.path(1)), car.world.now)["trusted"]

    tell(tmp_path, story)


# registration


def test_registration_says_which_ecus_there_are(tmp_path: Path) -> None:
    async def story(car: Car) -> None:
        await car.primary.register()
        (body,) = car.servers.registered
        told = json.loads(body)
        assert told["primary_ecu_serial"] == GATEWAY.ecu
        assert [(item["ecu_serial"], item["hardware_identifier"]) for item in told["ecus"]] == [
            (part.ecu, part.hardware_id) for part in (GATEWAY, BRAKE, ADAS)
        ]
        assert {item["clientKey"]["keytype"] for item in told["ecus"]} == {"ED25519"}
        own = car.primary._services.signer.public_key
        assert told["ecus"][0]["clientKey"]["keyval"]["public"] == own.public.upper()
        await car.primary.register()
        assert car.servers.registered == [body, body]
        with pytest.raises(RegistrationMethodError) as refused:
            await car.primary.enrol("token")
        assert (refused.value.profile, refused.value.command) == ("aktualizr", "twinlock primary register")

    tell(tmp_path, story)


@pytest.mark.parametrize(
    ("answer", "problem", "detail"),
    [
        (b'{"code":"ecu_already_registered","description":"known"}', "ecu_already_registered", "known"),
        (b'{"code":"x","detail":"y"}', "x", "y"),
        (b"<html>go away</html>", "refused", "<html>go away</html>"),
        (b"", "refused", "no reason given"),
        (b"[1]", "refused", "[1]"),
    ],
)
def test_a_registration_that_is_refused(tmp_path: Path, answer: bytes, problem: str, detail: str) -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=400, body=answer)

    async def story(car: Car) -> None:
        car.servers.lies[f"/vehicles/{VIN}/ecus"] = refuse
        with pytest.raises(EnrolmentRefusedError) as caught:
            await car.primary.register()
        assert (caught.value.status, caught.value.problem, caught.value.detail) == (400, problem, detail)

    tell(tmp_path, story, with_secondaries=False)


def test_a_director_in_trouble_refuses_nothing(tmp_path: Path) -> None:
    async def trouble(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=500, text="oops")

    async def story(car: Car) -> None:
        car.servers.lies[f"/vehicles/{VIN}/ecus"] = trouble
        with pytest.raises(TransportError):
            await car.primary.register()

    tell(tmp_path, story, with_secondaries=False)


def test_a_director_of_ours_is_not_told_in_that_way(tmp_path: Path) -> None:
    async def story(car: Car) -> None:
        with pytest.raises(RegistrationMethodError) as refused:
            await car.primary.register()
        assert (refused.value.profile, refused.value.command) == ("tuf", "twinlock primary enrol")
        assert car.servers.registered == []

    tell(tmp_path, story, director="tuf", with_secondaries=False)


# configuration


def _plan(**changes: Any) -> EcuPlan:
    return EcuPlan(**{"vehicle": VIN, "ecu": GATEWAY.ecu, "hardware_id": GATEWAY.hardware_id, **changes})


def _repositories() -> KnownRepositories:
    return roots(World(director="aktualizr", image="aktualizr"))


def test_rsa_keys_sign_reports(tmp_path: Path) -> None:
    world = World(director="aktualizr", image="aktualizr")

    async def scenario() -> None:
        from twinlock.testing.servers import serving_world

        async with serving_world(world) as servers:
            only_the_gateway(world)
            config = provision_primary(tmp_path / "gw", _plan(key_type="rsa"), roots(world, servers), fetch=FAST_FETCH)
            async with Primary.open(config, wall=world.time) as primary:
                assert (await primary.update_cycle()).outcome is Outcome.UPDATED
                await primary.register()
                key = primary._services.signer.public_key
            verify_manifest(servers.manifests[-1], FOREIGN.reporting_key(key))
            assert json.loads(servers.registered[0])["ecus"][0]["clientKey"]["keytype"] == "RSA"

    asyncio.run(scenario())


def test_a_key_that_the_director_cannot_read_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ProfileError) as caught:
        provision_primary(tmp_path / "gw", _plan(key_type="ecdsa"), _repositories())
    assert caught.value.profile == "aktualizr"
    assert "ecdsa" in caught.value.reason
    with pytest.raises(ProfileError):
        provision_secondary(
            tmp_path / "brake", _plan(key_type="ecdsa"), _repositories(), verification="full", listen="unix:x"
        )
    ours = KnownRepositories(director_root=World().director.files["1.root.json"])
    described = provision_secondary(
        tmp_path / "sec", _plan(ecu="e2", key_type="ecdsa"), ours, verification="partial", listen="unix:x"
    )
    with pytest.raises(ProfileError) as caught:
        provision_primary(tmp_path / "gw", _plan(), _repositories(), secondaries=[described])
    assert "e2" in caught.value.what
    assert [path.name for path in tmp_path.iterdir()] == ["sec"]


def test_a_configuration_that_was_changed_to_another_profile_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    config = provision_primary(tmp_path / "gw", _plan(key_type="ecdsa"), roots(World()))
    values = json.loads(config.read_text())
    assert "wires" not in values
    config.write_text(json.dumps(values | {"wires": {"director": "aktualizr"}}))
    with pytest.raises(ProfileError):
        Primary.open(config)
    key = KeyPool()("ecdsa", "ecdsa-p256")
    other = {
        "ecu": "e2",
        "hardwareId": "h",
        "verification": "full",
        "address": "unix:x",
        "keyid": key.keyid,
        "key": key.public,
    }
    foreign = provision_primary(tmp_path / "gw2", _plan(), _repositories())
    foreign.write_text(json.dumps(json.loads(foreign.read_text()) | {"secondaries": [other]}))
    with pytest.raises(ProfileError) as caught:
        Primary.open(foreign)
    assert caught.value.what == key.keyid


def test_stored_state_is_of_one_profile(tmp_path: Path) -> None:
    config = provision_primary(tmp_path / "gw", _plan(), roots(World()))
    values = json.loads(config.read_text())
    config.write_text(json.dumps(values | {"wires": {"image": "aktualizr"}}))

    async def scenario() -> None:
        async with Primary.open(config) as primary:
            state = primary._services.state
            with pytest.raises(ThresholdError):
                state.repositories(primary._services.map.repositories)

    asyncio.run(scenario())


@pytest.mark.parametrize("wires", [{"director": "x"}, {"director": 1}, {"image": None}, [], "aktualizr"], ids=repr)
def test_profiles_that_nobody_knows(tmp_path: Path, wires: object) -> None:
    config = provision_primary(tmp_path / "gw", _plan(), roots(World()))
    config.write_text(json.dumps(json.loads(config.read_text()) | {"wires": wires}))
    with pytest.raises(ConfigurationError) as caught:
        Primary.open(config)
    assert caught.value.field.startswith("wires")


def test_provisioning_for_a_profile_that_nobody_knows(tmp_path: Path) -> None:
    unknown = KnownRepositories(
        director_root=b"", image_root=b"", director_url="x", image_url="x", wires={"image": "x"}
    )
    with pytest.raises(UsageError):
        provision_primary(tmp_path / "gw", _plan(), unknown)
    assert not list(tmp_path.iterdir())


def test_a_root_of_another_profile_is_no_anchor(tmp_path: Path) -> None:
    world = World()
    wrong = KnownRepositories(
        director_root=world.director.files["1.root.json"],
        image_root=world.image.files["1.root.json"],
        director_url="http://x",
        image_url="http://x",
        wires={"director": "aktualizr"},
    )
    with pytest.raises(ThresholdError):
        provision_primary(tmp_path / "gw", _plan(), wrong)
