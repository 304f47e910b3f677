"""One real update, played with TEST keys under a clock that stands still, so that every byte sent is always the same.

A repository with a supplier, a Director, a Primary and a Secondary that verifies fully, each the real thing on its own
socket. ``play`` gives everything that was sent, which ``docs/POUF.md`` shows and describes.

The n-th key that anybody makes here is the ed25519 key whose private half is SHA-256 of ``KEY_SEED`` and n in decimal.
Belongs here: the play. Does not belong here: the document (``pouf.py``), and any expectation.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import secrets
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import SSlibKey

from twinlock.client.ecu.clock import Clock
from twinlock.client.ecu.config import FetchSettings
from twinlock.client.ecu.provision import EcuPlan, KnownRepositories, provision_primary, provision_secondary
from twinlock.client.model.results import Outcome
from twinlock.client.net.transport import Reply, Transport
from twinlock.client.primary.primary import Primary
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.secondary.server import secondary_application
from twinlock.client.storage.bundle import make_bundle
from twinlock.client.storage.state import TrustedState
from twinlock.director.api.device_api import director_application
from twinlock.director.director import Director
from twinlock.repository.authoring.entries import Component
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.serving.app import image_application
from twinlock.repository.serving.http import serving
from twinlock.repository.suppliers.workspace import SupplierWorkspace
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import Verification

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
KEY_SEED = "TEST KEY, NOT SECRET: twinlock POUF "
VIN = "TESTVIN0000000001"
PRIMARY, SECONDARY = "ecu-gw", "ecu-lidar"
_BOUND = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request and its answer. ``server`` is ``image``, ``director`` or ``secondary``."""

    server: str
    method: str
    path: str
    request: bytes
    status: int
    answer: bytes

    @property
    def route(self) -> str:
        """What was asked for, such as ``PUT director /vehicles/VIN/manifest``."""
        return f"{self.method} {self.server} {self.path}"


@dataclass
class Play:
    """Everything that the play left. ``keys`` says whose each key is, in the order in which they were made."""

    exchanges: list[Exchange] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    keys: list[tuple[str, str]] = field(default_factory=list)

    def find(self, route: str, number: int = -1) -> Exchange:
        """The exchange of that route; by default the last."""
        return [exchange for exchange in self.exchanges if exchange.route == route][number]


def play(directory: Path) -> Play:
    """Play it in an empty directory."""
    made = Play()
    with _test_world() as owners:
        asyncio.run(_play(directory, made, owners))
        made.keys = [(public, owners.names[public]) for public in owners.made if public in owners.names]
    return made


@dataclass
class _Owners:
    made: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def note(self, owner: str, *keyids: str) -> None:
        self.names |= dict.fromkeys(keyids, owner)


@contextmanager
def _test_world() -> Iterator[_Owners]:
    """TEST keys, a clock that stands still, and no chance, wherever the code would have used the real thing."""
    owners = _Owners()
    nonces = (hashlib.sha256(f"TEST nonce {number}".encode()).hexdigest() for number in itertools.count(1))
    orders = (uuid.UUID(int=number) for number in itertools.count(1))

    def generate() -> Ed25519PrivateKey:
        seed = hashlib.sha256(f"{KEY_SEED}{len(owners.made) + 1}".encode()).digest()
        private = Ed25519PrivateKey.from_private_bytes(seed)
        owners.made.append(SSlibKey.from_crypto(private.public_key()).keyid)
        return private

    with (
        patch.object(Ed25519PrivateKey, "generate", generate),
        patch.object(secrets, "token_hex", lambda size: next(nonces)[: 2 * size]),
        patch("twinlock.director.signing.issue.uuid", SimpleNamespace(uuid4=lambda: next(orders))),
        patch.dict(Clock.__init__.__kwdefaults__, {"monotonic": lambda: 0.0}),
        patch("os.fsync", lambda _descriptor: None),
    ):
        yield owners


async def _play(directory: Path, made: Play, owners: _Owners) -> None:
    image = _publish(directory, owners)
    root = image.root_bytes(1)
    with Director.create(
        directory / "director", image_root=root, image_url=str(directory / "image" / "public"), clock=_now
    ) as director:
        _note_roles(owners, "the Director's", director.root_bytes(1))
        async with AsyncExitStack() as stack:
            servers = {
                "image": await stack.enter_async_context(_served(image_application(image.store))),
                "director": await stack.enter_async_context(_served(director_application(director))),
            }
            stack.enter_context(_recording(made, servers))
            await _drive(directory, made, owners, image, director, servers)
    for name in ("1.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json", "1.acme.json"):
        made.files[f"image/{name}"] = (image.path / "public" / "metadata" / name).read_bytes()


def _publish(directory: Path, owners: _Owners) -> ImageRepository:
    """An Image repository with one image of its own and one of the supplier ``acme``."""
    image = ImageRepository.create(directory / "image", clock=_now)
    _note_roles(owners, "the Image repository's", image.root_bytes(1))
    place = SupplierWorkspace.create(directory / "acme", role="acme", clock=_now)
    owners.note("the supplier acme's Targets", *(record.keyid for record in place.keyring.records()))
    place.add_image(
        _file(directory, "lidar 1.0"),
        "acme/lidar-1.0.bin",
        hardware_ids=["lidar-3"],
        release_counter=1,
        component=Component(name="lidar", version="1.0"),
    )
    place.sign()
    image.add_image(
        _file(directory, "gateway 2.0"),
        "gateway/gateway-2.0.bin",
        hardware_ids=["gw-1"],
        release_counter=2,
        component=Component(name="gateway", version="2.0", dependencies={"lidar": ">=1.0"}, conflicts={"radar": "<3"}),
    )
    image.delegate("acme", keys=[place.public_key_file], paths=["acme/*"], hardware_ids=["lidar-3"])
    image.accept(place.path / "outbox")
    image.publish()
    return image


async def _drive(
    directory: Path,
    made: Play,
    owners: _Owners,
    image: ImageRepository,
    director: Director,
    servers: dict[str, str],
) -> None:
    """Enrol a vehicle, let it update, and then do what is refused."""
    known = KnownRepositories(
        director_root=director.root_bytes(1),
        image_root=image.root_bytes(1),
        director_url=f"{servers['director']}/vehicles/{VIN}",
        image_url=servers["image"],
    )
    attested = {"source": "attested"}
    plan = EcuPlan(vehicle=VIN, ecu=SECONDARY, hardware_id="lidar-3", time=attested)
    other = provision_secondary(directory / "lidar", plan, known, verification="full", listen="http://127.0.0.1:0")
    owners.note(f"the ECU {SECONDARY}'s", other["keyid"])
    with Secondary.open(directory / "lidar" / "secondary.json", wall=_now) as secondary:
        async with _served(secondary_application(secondary)) as address:
            servers["secondary"] = other["address"] = address
            time = {**attested, "url": f"{servers['director']}/time"}
            plan = EcuPlan(vehicle=VIN, ecu=PRIMARY, hardware_id="gw-1", time=time)
            config = provision_primary(directory / "gw", plan, known, secondaries=[other])
            async with Primary.open(config, wall=_now) as primary:
                description = primary.describe()
                owners.note(f"the ECU {PRIMARY}'s", description["ecus"][0]["keyid"])
                await primary.enrol(director.enrolment_token(VIN))
                await _cycle(primary, Outcome.UP_TO_DATE)
                director.assign(VIN, {PRIMARY: "gateway/gateway-2.0.bin"})
                await _cycle(primary, Outcome.UPDATED)
            await _refusals(made, servers)
    for name in ("1.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"):
        made.files[f"director/{name}"] = director.metadata(VIN, name) or b""
    _pack(made, directory)


async def _cycle(primary: Primary, expected: Outcome) -> None:
    result = await primary.update_cycle()
    assert result.outcome is expected, result.as_json()


async def _refusals(made: Play, servers: Mapping[str, str]) -> None:
    vehicle = f"{servers['director']}/vehicles/{VIN}"
    replayed = made.find(f"PUT director /vehicles/{VIN}/manifest").request
    transport = Transport(FetchSettings())
    try:
        for method, url, body in (
            ("PUT", f"{vehicle}/manifest", replayed),
            ("GET", f"{servers['image']}/metadata/9.root.json", None),
            ("PUT", f"{servers['secondary']}/v1/metadata", b'{"director":{}}'),
        ):
            async with transport.request(method, url, body=body, deadline_s=30) as reply:
                await reply.read(url, _BOUND)
    finally:
        await transport.close()


def _pack(made: Play, directory: Path) -> None:
    """The bundle that a Secondary with partial verification gets, and the map of the Primary."""
    with TrustedState.open(directory / "gw" / "state.db", read_only=True, limits=DEFAULT_LIMITS) as state:
        made.files["bundle/partial"] = make_bundle(Verification.PARTIAL, (), state.files).encode()
    made.files["map"] = (directory / "gw" / "map.json").read_bytes()


@contextmanager
def _recording(made: Play, servers: Mapping[str, str]) -> Iterator[None]:
    """Note every request whose answer somebody reads as a whole: images are left out."""
    send = Transport.request

    @asynccontextmanager
    async def request(self: Transport, method: str, url: str, **options: Any) -> AsyncIterator[Reply]:
        async with send(self, method, url, **options) as reply:
            read = reply.read
            server, base = next((name, base) for name, base in servers.items() if url.startswith(base))
            body = options.get("body")

            async def keep(what: str, max_bytes: int, **bound: str) -> bytes:
                note(await read(what, max_bytes, **bound))
                return made.exchanges[-1].answer

            def note(answer: bytes) -> None:
                made.exchanges.append(
                    Exchange(
                        server=server,
                        method=method,
                        path=url.removeprefix(base),
                        request=body if isinstance(body, bytes) else b"",
                        status=reply.status,
                        answer=answer,
                    )
                )

            reply.read = keep  # type: ignore[method-assign]
            if reply.status == 204:
                note(b"")
            yield reply

    with patch.object(Transport, "request", request):
        yield


@asynccontextmanager
async def _served(application: web.Application) -> AsyncIterator[str]:
    async with serving(application, shutdown_s=0.1) as server:
        yield server.url


def _note_roles(owners: _Owners, whose: str, root: bytes) -> None:
    signed = json.loads(root)["signed"]
    for role, found in signed["roles"].items():
        owners.note(f"{whose} {role.capitalize()}", *found["keyids"])
    for name, found in signed.get("custom", {}).items():
        owners.note(f"{whose} {name}", *found["keyids"])


def _file(directory: Path, text: str) -> Path:
    path = directory / f"{text}.bin"
    path.write_bytes(f"TEST image {text}\n".encode())
    return path


def _now() -> datetime:
    return NOW


def public_half(number: int) -> str:
    """The public half of the n-th TEST key, in hexadecimal."""
    seed = hashlib.sha256(f"{KEY_SEED}{number}".encode()).digest()
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
