"""Hostile and broken parties: whatever a server, a Secondary, a link or an installer does, the cycle ends in a report."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.unit.client.liars import lying, says
from tests.unit.client.test_primary import RELEASE, drive, updated
from tests.unit.client.vehicle import Car, only_the_gateway, running_car
from twinlock.client.ecu.identity import load_identity
from twinlock.client.install.ab_slots import SlotInstaller
from twinlock.client.install.guarded import GuardedInstaller, guarded_precondition
from twinlock.client.install.installer import Installer
from twinlock.client.link.http import HttpLink
from twinlock.client.model.errors import InstallerError, LinkError, SoftwareFaultError
from twinlock.client.model.party_faults import party_faults
from twinlock.client.model.results import CycleResult, Outcome, Problem, Step
from twinlock.client.primary.primary import Primary
from twinlock.testing.servers import serving
from twinlock.testing.simulator.world import ADAS, BRAKE, GATEWAY, VIN
from twinlock.trust.errors.base import Kind
from twinlock.trust.errors.local import FetchError, TransportError
from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import EcuId
from twinlock.trust.wire.json.olpc import encode_canonical

OPEN = {"holdIncompleteBundles": False}
LOCATIONS = [
    "http://[", "mailto:x", "http://h:99999/", "file:///etc/passwd", "javascript:1", "http://h:abc/",
    "http://[::1", "//", "http://h\u202e/",
]  # fmt: skip


def problems_of(result: CycleResult, ecu: str) -> list[Problem]:
    return [problem for problem in result.problems if problem.ecu == ecu]


def release(car: Car) -> None:
    """The next release, ordered for the ECUs that this vehicle has."""
    car.world.release()
    if not car.secondaries:
        only_the_gateway(car.world)


def replace_link(car: Car, ecu: str, link: object) -> Any:
    member = car.primary._services.secondaries.members[EcuId(ecu)]
    genuine = member.link
    object.__setattr__(member, "link", link)
    return genuine


# A server


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_redirect_to_nonsense_is_a_failure_of_that_server(tmp_path: Path, location: str) -> None:
    async def scenario(car: Car) -> None:
        async def lie(_request: web.Request) -> web.Response:
            return web.Response(status=302, headers={"Location": location})

        car.servers.lies[f"/vehicles/{VIN}/metadata/2.root.json"] = lie
        result = await car.primary.update_cycle()
        error = result.error
        assert isinstance(error, FetchError)
        assert error.kind is Kind.FAILURE
        assert error.url.endswith("/2.root.json")
        assert error.reason.isprintable()
        assert result.reported
        assert car.paths() == {GATEWAY.ecu: "factory"}
        car.servers.lies.clear()
        await updated(car)

    drive(tmp_path, scenario, with_secondaries=False)


@pytest.mark.parametrize("text", ["\x00", "\x1b[2J\u202e", "\r\nX-Injected: 1\r\n\r\nGET /", " ", "\x9b2J"])
def test_an_unusable_download_url_is_passed_over_and_shown_escaped(tmp_path: Path, text: str) -> None:
    """The Director names a place that cannot be requested; the Image repository has the image all the same."""

    async def scenario(car: Car) -> None:
        heads: list[str] = []

        async def listen(writer: asyncio.StreamWriter, head: str) -> None:
            heads.append(head)
            await says("HTTP/1.1 404 Not Found\nContent-Length: 0")(writer, head)

        async with lying(listen) as place:
            custom = car.world.director.bodies["targets"]["targets"][GATEWAY.path(1)]["custom"]
            custom["downloadUrl"] = f"{place}/{text}"
            car.world.director.publish("targets")
            await updated(car)
            assert heads == []  # such an address is not asked at all

            async def gone(_request: web.Request) -> web.Response:
                return web.Response(status=404)

            release(car)
            custom = car.world.director.bodies["targets"]["targets"][GATEWAY.path(2)]["custom"]
            custom["downloadUrl"] = f"{place}/{text}"
            car.world.director.publish("targets")
            car.servers._fill()
            car.servers.lies |= {f"/image/targets/{path}": gone for path in car.servers.blobs}
            result = await car.primary.update_cycle()
            assert all(str(problem.error).isprintable() for problem in result.problems)
            assert isinstance(result.error, TransportError)
            assert result.reported

    drive(tmp_path, scenario, with_secondaries=False)


def test_a_broken_server_is_described_in_our_words(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        async with lying(says("SSH-2.0-x")) as garbage:
            for url in ("http://127.0.0.1:1", garbage):
                car.primary._services.director._urls = (url,)
                result = await car.primary.update_cycle()
                assert isinstance(result.error, TransportError)
                for name in ("Client", "Error", "Exception", "aiohttp", "Server"):
                    assert name not in result.error.reason

    drive(tmp_path, scenario, with_secondaries=False)


def test_a_fault_of_our_own_is_logged_with_its_traceback_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(car: Car) -> None:
        def broken(*_values: object, **_named: object) -> None:
            raise IndexError("tuple index out of range")

        genuine = car.primary._services.staging.tidy
        car.primary._services.staging.tidy = broken  # type: ignore[method-assign]
        before = car.slot_bytes()
        result = await car.primary.update_cycle()
        error = result.error
        assert isinstance(error, SoftwareFaultError)
        assert (error.exception, error.step, error.kind) == ("IndexError", Step.IMAGES.value, Kind.FAILURE)
        assert result.outcome is Outcome.FAILED
        assert car.slot_bytes() == before
        assert result.reported
        assert any(record.exc_info and record.levelname == "ERROR" for record in caplog.records)
        car.primary._services.staging.tidy = genuine  # type: ignore[method-assign]
        await updated(car)

    drive(tmp_path, scenario, with_secondaries=False)


# A Secondary and its link


def test_a_secondary_that_redirects_to_nonsense_fails_alone(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        answer = says("HTTP/1.1 302 Found\nLocation: http://[\nContent-Length: 0\nConnection: close")
        async with lying(answer) as url:
            link = HttpLink(EcuId(ADAS.ecu), url, car.primary.config.fetch, DEFAULT_LIMITS)
            genuine = replace_link(car, ADAS.ecu, link)
            result = await car.primary.update_cycle()
            await link.close()
        assert {problem.ecu for problem in result.problems} == {ADAS.ecu}
        assert all(problem.error.kind is Kind.FAILURE for problem in result.problems)
        assert car.paths() == RELEASE[1] | {ADAS.ecu: "factory"}
        assert result.reported
        replace_link(car, ADAS.ecu, genuine)
        await updated(car)

    drive(tmp_path, scenario, changes=OPEN)


class BadLink:
    """A link that raises or returns what it is told to."""

    def __init__(self, behaviour: Callable[[], Any]) -> None:
        self._behaviour = behaviour

    async def _do(self, *_values: object) -> Any:
        return self._behaviour()

    identity = send_time = send_metadata = send_image = report = close = _do


def raising(error: BaseException) -> Callable[[], Any]:
    def behave() -> Any:
        raise error

    return behave


FOREIGN: dict[str, BaseException] = {
    "OSError": OSError(5, "bus off"),
    "CalledProcessError": subprocess.CalledProcessError(1, ["flash", "\x1b[2J"]),
    "TimeoutError": TimeoutError(),
    "ValueError": ValueError("embedded null byte"),
    "RecursionError": RecursionError("too deep"),
    "MemoryError": MemoryError(),
    "SystemExit": SystemExit(3),
    "CancelledError": asyncio.CancelledError("of a task of its own"),
    "StopAsyncIteration": StopAsyncIteration(),
    "BaseException": type("Outcome", (BaseException,), {})("of a test framework"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_link_that_raises_is_a_failure_of_that_link(tmp_path: Path, name: str) -> None:
    async def scenario(car: Car) -> None:
        genuine = replace_link(car, ADAS.ecu, BadLink(raising(FOREIGN[name])))
        result = await car.primary.update_cycle()
        errors = [problem.error for problem in problems_of(result, ADAS.ecu)]
        assert errors
        assert {problem.ecu for problem in result.problems} == {ADAS.ecu}
        for error in errors:
            assert isinstance(error, LinkError)
            assert (error.party, error.name, error.kind) == ("link", ADAS.ecu, Kind.FAILURE)
            assert error.exception == type(FOREIGN[name]).__name__
            assert str(error).isprintable()
        assert car.paths() == RELEASE[1] | {ADAS.ecu: "factory"}
        assert result.reported
        replace_link(car, ADAS.ecu, genuine)
        await updated(car)

    drive(tmp_path, scenario, changes=OPEN)


@pytest.mark.parametrize("value", [None, 7, "text", [], {}, object(), b"\xff"], ids=lambda value: type(value).__name__)
def test_a_link_that_answers_nonsense_is_a_failure_of_that_link(tmp_path: Path, value: object) -> None:
    async def scenario(car: Car) -> None:
        replace_link(car, ADAS.ecu, BadLink(lambda: value))
        result = await car.primary.update_cycle()
        assert {problem.ecu for problem in result.problems} == {ADAS.ecu}
        assert car.paths()[GATEWAY.ecu] == RELEASE[1][GATEWAY.ecu]
        assert car.paths()[ADAS.ecu] == "factory"
        assert result.reported

    drive(tmp_path, scenario, changes=OPEN)


def signed_report(car: Car, directory: Path, more: str) -> bytes:
    """The report of the ADAS with one more member, signed by its own key."""
    key = load_identity(directory / ADAS.folder / "identity.pem")
    base = json.loads(car.secondaries[ADAS.ecu].report())["signed"]
    text = encode_canonical(base).decode()[:-1] + f',"zz":{more}}}'
    digest = hashlib.sha256(text.encode()).digest()
    entry = {
        "hashFunction": "sha256",
        "keyid": key.public_key.keyid,
        "method": "ed25519",
        "payloadHash": digest.hex(),
        "sig": key.sign(digest).hex(),
    }
    return f'{{"signatures":[{json.dumps(entry)}],"signed":{text}}}'.encode()


@pytest.mark.parametrize("depth", [40, 900, 960, 972, 980, 990, 1100, 50_000])
def test_a_report_nested_too_deep_for_a_manifest_is_left_out(tmp_path: Path, depth: int) -> None:
    async def scenario(car: Car) -> None:
        genuine = car.primary._services.secondaries.members[EcuId(ADAS.ecu)].link
        genuine_report = genuine.report

        async def report() -> bytes:
            return signed_report(car, tmp_path, "[" * depth + "]" * depth)

        genuine.report = report  # type: ignore[method-assign]
        result = await car.primary.update_cycle()
        (first, *_) = problems_of(result, ADAS.ecu)
        assert isinstance(first.error, MalformedError)
        assert {problem.ecu for problem in result.problems} == {ADAS.ecu}
        assert set(car.servers.attacks()[-1]) == {GATEWAY.ecu, BRAKE.ecu}
        genuine.report = genuine_report  # type: ignore[method-assign]
        assert (await car.primary.update_cycle()).reported
        assert set(car.servers.attacks()[-1]) == {GATEWAY.ecu, BRAKE.ecu, ADAS.ecu}

    drive(tmp_path, scenario, changes=OPEN)


def test_a_padded_report_does_not_push_the_manifest_over_the_bound(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        link = car.primary._services.secondaries.members[EcuId(ADAS.ecu)].link
        sizes: list[int] = []
        whole = DEFAULT_LIMITS.report_bytes - 10_000
        put = car.primary._services.director.put_manifest

        async def measured(manifest: bytes) -> None:
            sizes.append(len(manifest))
            await put(manifest)

        async def report() -> bytes:
            return signed_report(car, tmp_path, '"' + "x" * whole + '"')

        car.primary._services.director.put_manifest = measured  # type: ignore[method-assign]
        link.report = report  # type: ignore[method-assign]
        result = await car.primary.update_cycle()
        (first, *_) = problems_of(result, ADAS.ecu)
        assert isinstance(first.error, LimitError)
        assert first.error.value > whole > first.error.limit
        assert max(sizes) < DEFAULT_LIMITS.report_bytes
        assert set(car.servers.attacks()[-1]) == {GATEWAY.ecu, BRAKE.ecu}
        assert result.reported

    drive(tmp_path, scenario, changes=OPEN)


# An installer


class BadInstaller:
    """An installer of a product: the built-in one, but for one method."""

    def __init__(self, inner: Installer, method: str, behaviour: Callable[[], Any]) -> None:
        self._inner = inner
        self._bad = {method: behaviour}

    def __getattr__(self, name: str) -> Any:
        behaviour = self._bad.get(name)
        return getattr(self._inner, name) if behaviour is None else lambda *_values: behaviour()


async def with_installer(car: Car, method: str, behaviour: Callable[[], Any]) -> CycleResult:
    """One cycle of the same vehicle whose gateway has a broken installer."""
    await car.primary.close()
    slots = SlotInstaller(car.primary.config.slots, car.primary.config.ecu.ecu)
    own = BadInstaller(slots, method, behaviour)
    async with Primary.open(car.config, wall=car.world.time, installer=own) as primary:
        return await primary.update_cycle()


@pytest.mark.parametrize("name", [*FOREIGN, "StopIteration"])
def test_an_installer_that_raises_is_a_failure_of_that_installer(tmp_path: Path, name: str) -> None:
    raised = FOREIGN.get(name) or StopIteration()

    async def scenario(car: Car) -> None:
        result = await with_installer(car, "install", raising(raised))
        (problem,) = result.problems
        error = problem.error
        assert isinstance(error, InstallerError)
        assert (error.party, error.name, error.kind) == ("installer", GATEWAY.ecu, Kind.FAILURE)
        assert (error.exception, problem.step) == (type(raised).__name__, Step.INSTALL)
        assert result.installed == ()
        assert result.reported
        assert car.servers.attacks()[-1][GATEWAY.ecu] in ("", "installer-failed")
        async with Primary.open(car.config, wall=car.world.time) as primary:
            assert (await primary.update_cycle()).outcome is Outcome.UPDATED

    drive(tmp_path, scenario, with_secondaries=False)


def test_an_installer_that_cannot_tell_what_runs_does_not_silence_the_vehicle(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        result = await with_installer(car, "installed", raising(OSError(5, "flash controller")))
        assert {type(problem.error) for problem in result.problems} == {InstallerError}
        assert result.installed == ()
        assert result.reported
        assert [report.report.installed.path for report in car.servers.manifests[-1].reports] == ["unknown"]
        async with Primary.open(car.config, wall=car.world.time) as primary:
            assert (await primary.update_cycle()).outcome is Outcome.UPDATED

    drive(tmp_path, scenario, with_secondaries=False)


def test_an_installer_that_returns_nonsense_has_failed(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        result = await with_installer(car, "install", lambda: None)
        (problem,) = result.problems
        assert isinstance(problem.error, InstallerError)
        assert result.reported

    drive(tmp_path, scenario, with_secondaries=False)


def test_a_precondition_that_raises_has_not_agreed(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        await car.primary.close()

        def ask(_entry: object) -> str | None:
            raise KeyError("gear")

        async with Primary.open(car.config, wall=car.world.time, precondition=ask) as primary:
            result = await primary.update_cycle()
            (problem,) = result.problems
            assert isinstance(problem.error, InstallerError)
            assert problem.error.party == "precondition"
            assert primary.installed()[EcuId(GATEWAY.ecu)].path == "factory"

    drive(tmp_path, scenario, with_secondaries=False)


# Cancellation is not a failure


def test_cancellation_passes_every_boundary(tmp_path: Path) -> None:
    async def run() -> None:
        async with running_car(tmp_path, changes=OPEN) as car:
            started = asyncio.Event()

            class Hanging(BadLink):
                async def report(self) -> bytes:  # type: ignore[override]
                    started.set()
                    await asyncio.Event().wait()
                    return b""

            replace_link(car, ADAS.ecu, Hanging(lambda: None))
            cycle = asyncio.create_task(car.primary.update_cycle())
            await started.wait()
            cycle.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cycle

    asyncio.run(run())


def test_the_boundary_lets_our_own_errors_and_an_interrupt_pass() -> None:
    for raised in (FetchError(url="u", status=500, reason="r"), KeyboardInterrupt()):
        with pytest.raises(type(raised)), party_faults(LinkError, "link", "e", "s"):
            raise raised


def test_an_exception_that_cannot_describe_itself_is_described() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    with pytest.raises(LinkError) as caught, party_faults(LinkError, "link", "e", "s"):
        raise Mute
    assert caught.value.exception == "Mute"
    assert caught.value.reason


def test_without_a_precondition_there_is_nothing_to_guard() -> None:
    assert guarded_precondition(None, EcuId("e")) is None


def test_a_guarded_installer_is_an_installer(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        guarded: Installer = GuardedInstaller(car.primary._services.installer, EcuId(GATEWAY.ecu))
        assert guarded.installed().path == GATEWAY.path(1)
        assert guarded.rollback().path == "factory"

    async def updated_first(car: Car) -> None:
        await updated(car)
        await scenario(car)

    drive(tmp_path, updated_first, with_secondaries=False)


# Places


async def garbage_place(body: bytes) -> Any:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=404) if "root" in request.path else web.Response(body=body)

    application = web.Application()
    application.router.add_get("/{path:.+}", answer)
    return serving(application)


@pytest.mark.parametrize("attack", ["garbage", "yesterday", "endless"])
def test_what_one_place_serves_is_a_reason_to_ask_the_next_and_is_reported(tmp_path: Path, attack: str) -> None:
    codes = {"garbage": "malformed", "yesterday": "rollback", "endless": "endless-data"}

    async def scenario(car: Car) -> None:
        old = car.world.director.files["timestamp.json"]
        await updated(car)
        release(car)
        await updated(car)
        release(car)
        body = {"garbage": b"garbage", "yesterday": old, "endless": b" " * 400_000}[attack]
        async with await garbage_place(body) as bad:
            fetcher = car.primary._services.fetcher
            genuine = dict(fetcher._urls)
            fetcher._urls = {name: (bad, *urls) if name == "director" else urls for name, urls in genuine.items()}
            result = await car.primary.update_cycle()
            assert result.outcome is Outcome.UPDATED
            assert car.paths() == {GATEWAY.ecu: GATEWAY.path(3)}
            assert [notice.code for notice in result.notices] == [codes[attack]]
            assert car.servers.attacks()[-1][GATEWAY.ecu] in (codes[attack], "")
            assert result.problems == ()
        fetcher._urls = genuine
        release(car)
        await updated(car)

    drive(tmp_path, scenario, with_secondaries=False)


def test_where_every_place_lies_all_refusals_are_told(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        await updated(car)
        old = car.world.director.files["timestamp.json"]
        release(car)
        await updated(car)
        release(car)
        before = car.slot_bytes()
        async with await garbage_place(b"garbage") as one, await garbage_place(old) as two:
            fetcher = car.primary._services.fetcher
            genuine = dict(fetcher._urls)
            fetcher._urls = {name: (one, two) if name == "director" else urls for name, urls in genuine.items()}
            result = await car.primary.update_cycle()
        assert [problem.error.code for problem in result.problems] == ["malformed"]
        assert [notice.code for notice in result.notices] == ["rollback"]
        assert car.slot_bytes() == before
        assert result.reported
        fetcher._urls = genuine
        await updated(car)

    drive(tmp_path, scenario, with_secondaries=False)


def test_a_place_that_repeats_an_old_timestamp_is_asked_past_half_its_life_only(tmp_path: Path) -> None:
    """A mirror that an attacker froze serves what is valid and old; the next one has the newer."""

    async def scenario(car: Car) -> None:
        await updated(car)
        old = car.world.director.files["timestamp.json"]
        life = json.loads(old)["signed"]
        assert "issued" in json.dumps(life)
        release(car)
        async with await garbage_place(old) as frozen:
            fetcher = car.primary._services.fetcher
            fetcher._urls = {n: (frozen, *urls) if n == "director" else urls for n, urls in fetcher._urls.items()}
            result = await car.primary.update_cycle()
            assert result.outcome is Outcome.UP_TO_DATE  # still young: nothing says that it is old
            car.world.pass_time(hours=13)
            car.world.image.refresh_timestamp()
            await updated(car)
            assert car.paths() == {GATEWAY.ecu: GATEWAY.path(2)}

    drive(tmp_path, scenario, with_secondaries=False)


def test_a_lying_first_place_for_images_does_not_stop_the_second(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        body = b"x" * len(GATEWAY.image(1))
        async with lying(says(f"HTTP/1.1 200 OK\nContent-Length: {len(body)}", body)) as bad:
            custom = car.world.director.bodies["targets"]["targets"][GATEWAY.path(1)]["custom"]
            custom["downloadUrl"] = f"{bad}/x"
            car.world.director.publish("targets")
            result = await car.primary.update_cycle()
        assert result.outcome is Outcome.UPDATED
        assert [notice.code for notice in result.notices] == ["wrong-digest"]
        assert car.paths() == {GATEWAY.ecu: GATEWAY.path(1)}

    drive(tmp_path, scenario, with_secondaries=False)


def test_a_running_primary_outlives_every_remote_party(tmp_path: Path) -> None:
    """`twinlock primary run` against one hostile redirect, and after it."""
    from click.testing import CliRunner

    from twinlock.cli.main import main

    async def scenario(car: Car) -> None:
        await car.primary.close()

        async def lie(_request: web.Request) -> web.Response:
            return web.Response(status=302, headers={"Location": "http://["})

        path = f"/vehicles/{VIN}/metadata/2.root.json"
        car.servers.lies[path] = lie
        run = ["primary", "run", str(car.config.parent), "--interval", "0.1", "--json"]
        outcomes: list[str] = []

        def note(_self: object, value: dict[str, Any], _text: str) -> None:
            if value["event"] == "cycle":
                outcomes.append(value["outcome"])
                if len(outcomes) == 2:
                    car.servers.lies.clear()
                if len(outcomes) == 3:
                    raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("twinlock.cli.shared.output.Output.event", note)
            patch.setattr("twinlock.cli.ecu.primary._open", lambda _path: Primary.open(car.config, wall=car.world.time))
            await asyncio.to_thread(CliRunner().invoke, main, run)
        assert outcomes == ["failed", "failed", "updated"]

    drive(tmp_path, scenario, with_secondaries=False)


def test_names_of_errors_are_stable() -> None:
    assert {error.code for error in (InstallerError, LinkError, SoftwareFaultError)} == {
        "installer-failed", "link-failed", "software-fault"
    }  # fmt: skip
