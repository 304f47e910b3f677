"""Our Primary against repositories in the aktualizr form that somebody else publishes, over real HTTP, from first contact on.

What aktualizr would follow and we refuse stands at the end: the same files, and another verdict.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.interop.foreign_publisher import Gateway, PublisherKey, Repository, canonical, entry
from twinlock.client.ecu.provision import EcuPlan, KnownRepositories, provision_primary
from twinlock.client.model.results import CycleResult, Outcome
from twinlock.client.primary.primary import Primary
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.errors.images import HardwareError, RepositoryMismatchError
from twinlock.trust.errors.metadata import (
    EquivocationError,
    MissingRoleError,
    RoleRemovedError,
    RollbackError,
    ThresholdError,
)

ECU, HARDWARE = "primary-0001", "gw-hw"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
FETCH = {"attempts": 1, "windowSeconds": 5.0, "deadlineSeconds": 20.0}


@dataclass
class Device:
    """A Primary of ours at a foreign gateway."""

    gateway: Gateway
    primary: Primary

    async def update(self) -> CycleResult:
        return await self.primary.update_cycle()

    async def updated(self, path: str) -> CycleResult:
        """A cycle that has to end with this image running."""
        result = await self.update()
        assert (result.outcome, result.problems) == (Outcome.UPDATED, ())
        assert self.runs() == path
        return result

    async def refused(self, kind: type[TwinlockError]) -> TwinlockError:
        """A cycle that has to end in this refusal, with nothing installed."""
        before = self.runs()
        result = await self.update()
        assert type(result.error) is kind, result.error
        assert (result.installed, self.runs()) == ((), before)
        return result.error

    def runs(self) -> str:
        return str(next(iter(self.primary.installed().values())).path)


def gateway(*, hashed: bool = True, index: bool = True) -> Gateway:
    """Both repositories with one image at the top and one at a supplier's, which is the one that is ordered."""
    director = Repository(
        roles=("root", "targets", "snapshot", "timestamp") if index else ("root", "targets"), hashed=hashed
    )
    made = Gateway(director, Repository(hashed=hashed))
    made.images = {"fw-1.bin": b"first", "acme/fw-2.bin": b"second", "acme/sub/fw-3.bin": b"third"}
    made.image.keys["acme"] = [PublisherKey("RSA")]
    publish_supplier(made)
    publish_top(made)
    made.order("fw-1.bin", ECU, HARDWARE, "urn:1")
    return made


def publish_top(made: Gateway, **changes: Any) -> None:
    (key,) = made.image.keys["acme"]
    role = {"name": "acme", "keyids": [key.keyid], "threshold": 1, "paths": ["acme/*"], "terminating": False}
    delegations = {"keys": {key.keyid: key.public}, "roles": [role]}
    listed = {"fw-1.bin": entry(made.images["fw-1.bin"], hardwareIds=[HARDWARE], version=1)}
    made.image.publish("targets", {"targets": listed, "delegations": delegations} | changes)


def publish_supplier(made: Gateway, **changes: Any) -> None:
    listed = {
        path: entry(data, hardwareIds=[HARDWARE]) for path, data in made.images.items() if path.startswith("acme/")
    }
    made.image.publish("acme", {"targets": listed} | changes, "delegations/acme.json")


def tell(
    directory: Path, story: Callable[[Device], Awaitable[None]], made: Gateway | None = None, policy: str = "lax"
) -> None:
    """Run ``story`` with a device that its factory gave the first Root of both repositories."""
    made = made or gateway()

    async def scenario() -> None:
        async with made.serving() as base:
            plan = EcuPlan(vehicle="V1", ecu=ECU, hardware_id=HARDWARE, policy=policy)
            repositories = KnownRepositories(
                director_root=made.director.files["1.root.json"],
                image_root=made.image.files["1.root.json"],
                director_url=f"{base}/director",
                image_url=f"{base}/repo",
                wires={"director": "aktualizr", "image": "aktualizr"},
            )
            config = provision_primary(directory / "gw", plan, repositories, fetch=FETCH)
            async with Primary.open(config, wall=lambda: NOW) as primary:
                await story(Device(made, primary))

    asyncio.run(scenario())


@pytest.mark.parametrize("hashed", [True, False], ids=["digests", "versions alone"])
@pytest.mark.parametrize("index", [True, False], ids=["index", "no index"])
def test_from_first_contact_to_a_suppliers_image(tmp_path: Path, hashed: bool, index: bool) -> None:
    async def story(device: Device) -> None:
        await device.primary.register()
        result = await device.updated("fw-1.bin")
        missing = ("vehicle-id-missing", "release-counter-missing", "must-agree-missing")
        assert result.missing_guarantees == (missing if index else ("director-without-index", *missing))
        assert "/repo/delegations/acme.json" not in device.gateway.asked
        for path, order in (("acme/fw-2.bin", "urn:2"), ("acme/sub/fw-3.bin", "urn:3")):
            device.gateway.order(path, ECU, HARDWARE, order)
            await device.updated(path)
        assert (await device.update()).outcome is Outcome.UP_TO_DATE
        assert device.gateway.asked.count("/repo/delegations/acme.json") == 1

    tell(tmp_path, story, gateway(hashed=hashed, index=index))


def test_what_the_gateway_is_told(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        await device.primary.register()
        await device.updated("fw-1.bin")
        (_, path, told), *others = device.gateway.sent
        assert path == "/director/ecus"
        (own,) = told["ecus"]
        assert (told["primary_ecu_serial"], own["ecu_serial"], own["hardware_identifier"]) == (ECU, ECU, HARDWARE)
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(own["clientKey"]["keyval"]["public"]))
        keyid = hashlib.sha256(canonical(own["clientKey"]["keyval"]["public"])).hexdigest()
        assert len(others) == 2
        for number, (_, _, manifest) in enumerate(others, start=1):
            report = manifest["signed"]["ecu_version_manifests"][ECU]
            for item in (manifest, report):
                (signature,) = item["signatures"]
                assert (signature["keyid"], signature["method"]) == (keyid, "ed25519")
                public.verify(base64.b64decode(signature["sig"]), canonical(item["signed"]))
            assert report["signed"]["report_counter"] == str(number)
            assert (report["signed"]["ecu_serial"], report["signed"]["attacks_detected"]) == (ECU, "")
        last = device.gateway.manifests()[-1]
        image = last["ecu_version_manifests"][ECU]["signed"]["installed_image"]
        assert (image["filepath"], image["fileinfo"]["length"]) == ("fw-1.bin", 5)
        assert last["installation_report"]["report"]["correlation_id"] == "urn:1"
        assert last["installation_report"]["report"]["result"]["success"] is True
        assert last["installation_report"]["report"]["items"][0]["ecu"] == ECU

    tell(tmp_path, story)


@pytest.mark.parametrize("kind", ["ED25519", "RSA"])
def test_every_key_is_rotated(tmp_path: Path, kind: str) -> None:
    async def story(device: Device) -> None:
        await device.updated("fw-1.bin")
        for repository in (device.gateway.director, device.gateway.image):
            for role in ("root", "targets", "snapshot", "timestamp"):
                repository.rotate(role, kind)
        device.gateway.image.keys["acme"] = [PublisherKey(kind)]
        publish_supplier(device.gateway)
        publish_top(device.gateway)
        device.gateway.order("acme/fw-2.bin", ECU, HARDWARE, "urn:2")
        await device.updated("acme/fw-2.bin")
        assert [path for path in device.gateway.asked if path.endswith(("6.root.json", "5.root.json"))][-5:] == [
            "/director/5.root.json",
            "/director/6.root.json",
            "/repo/5.root.json",
            "/repo/6.root.json",
            "/director/6.root.json",  # the last look
        ]

    tell(tmp_path, story)


def test_the_strict_policy_takes_no_such_director(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        error = await device.refused(MissingRoleError)
        assert error.fields()["role"] == "timestamp"
        attacks = device.gateway.manifests()[-1]["ecu_version_manifests"][ECU]["signed"]["attacks_detected"]
        assert attacks.startswith("missing-role: ")

    tell(tmp_path, story, gateway(index=False), policy="strict")


# What aktualizr follows, and we do not. Each is rightly signed by a thief of online keys, or by a careless publisher.


def _older_snapshot(made: Gateway) -> None:
    """An older Snapshot under a newer Timestamp."""
    made.image.versions["snapshot"] = 0
    made.image.list("acme", made.image.files["delegations/acme.json"])


def _older_targets(made: Gateway) -> None:
    """Older Targets under a newer Snapshot, with their digest in it."""
    made.image.versions["targets"] = 0
    publish_top(made)


def _role_gone(made: Gateway) -> None:
    """A delegated role that Snapshot lists no longer."""
    del made.image.meta["acme.json"]
    publish_top(made)


def _same_version(made: Gateway) -> None:
    """Other Targets under the version that is stored."""
    made.image.versions["targets"] -= 1
    publish_top(made, **{"x-other": 1})


def _director_after_rotation(made: Gateway) -> None:
    """The Director's older Targets after a new Root, with which that client forgets what it has stored."""
    made.director.rotate("root")
    made.director.versions["targets"] = 0
    made.order("acme/fw-2.bin", ECU, HARDWARE, "urn:9")


def _other_content_above(made: Gateway) -> None:
    """Top-level Targets list the supplier's image with another content; that client searches on."""
    other = {"acme/fw-2.bin": entry(b"elsewhere", hardwareIds=[HARDWARE])}
    publish_top(made, targets=other)


def _must_agree_differs(made: Gateway) -> None:
    """Both sides have a section that has to agree, and it does not: that client compares none."""
    agreed = {"hardwareIds": [HARDWARE], "releaseCounter": 1}
    listed = {"acme/fw-2.bin": entry(made.images["acme/fw-2.bin"], hardwareIds=[HARDWARE], mustAgree=agreed)}
    publish_supplier(made, targets=listed)
    wanted = entry(
        made.images["acme/fw-2.bin"],
        ecuIdentifiers={ECU: {"hardwareId": HARDWARE}},
        mustAgree=agreed | {"releaseCounter": 2},
    )
    made.director.publish("targets", {"targets": {"acme/fw-2.bin": wanted}, "custom": {"correlationId": "urn:9"}})


@pytest.mark.parametrize(
    ("attack", "error", "fields"),
    [
        (_older_snapshot, RollbackError, {"repository": "image", "role": "snapshot"}),
        (_older_targets, RollbackError, {"repository": "image", "role": "targets"}),
        (_role_gone, RoleRemovedError, {"repository": "image", "role": "acme"}),
        (_same_version, EquivocationError, {"repository": "image", "role": "targets"}),
        (_director_after_rotation, RollbackError, {"repository": "director", "role": "targets"}),
        (_other_content_above, RepositoryMismatchError, {"target": "acme/fw-2.bin", "field": "length"}),
        (_must_agree_differs, RepositoryMismatchError, {"target": "acme/fw-2.bin", "field": "mustAgree"}),
    ],
    ids=lambda value: value.__name__.strip("_") if hasattr(value, "__name__") else "",
)
def test_what_aktualizr_would_follow(
    tmp_path: Path, attack: Callable[[Gateway], None], error: type[TwinlockError], fields: dict[str, str]
) -> None:
    async def story(device: Device) -> None:
        made = device.gateway
        for _ in range(2):
            publish_supplier(made)
            publish_top(made)
            made.order("fw-1.bin", ECU, HARDWARE, "urn:1")
        await device.updated("fw-1.bin")
        made.order("acme/fw-2.bin", ECU, HARDWARE, "urn:2")
        kept = json.loads(json.dumps(made.image.meta))
        saved = [(repository, dict(repository.versions)) for repository in (made.director, made.image)]
        attack(made)
        refusal = await device.refused(error)
        assert {name: refusal.fields()[name] for name in fields} == fields
        last = made.manifests()[-1]["ecu_version_manifests"][ECU]["signed"]
        assert last["attacks_detected"].startswith(f"{refusal.code}: ")
        assert last["installed_image"]["filepath"] == "fw-1.bin"
        # Honest people go on from higher versions.
        made.image.meta = kept
        for repository, before in saved:
            repository.versions |= {
                role: max(before.get(role, 0), version) + 1
                for role, version in repository.versions.items()
                if role != "root"
            }
        publish_supplier(made)
        publish_top(made)
        made.order("acme/fw-2.bin", ECU, HARDWARE, "urn:3")
        await device.updated("acme/fw-2.bin")

    tell(tmp_path, story)


def test_hardware_that_only_the_image_repository_names(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        device.gateway.order("acme/fw-2.bin", ECU, HARDWARE, "urn:2")
        listed = {"acme/fw-2.bin": entry(device.gateway.images["acme/fw-2.bin"], hardwareIds=["other-hw"])}
        publish_supplier(device.gateway, targets=listed)
        error = await device.refused(HardwareError)
        assert (error.fields()["listed"], error.fields()["actual"]) == (("other-hw",), HARDWARE)

    tell(tmp_path, story)


def test_foreign_keys(tmp_path: Path) -> None:
    async def story(device: Device) -> None:
        stranger = Repository()
        device.gateway.director.files["targets.json"] = stranger.sign("targets", {"targets": {}})
        device.gateway.director.list("targets", device.gateway.director.files["targets.json"])
        error = await device.refused(ThresholdError)
        assert error.fields()["repository"] == "director"

    tell(tmp_path, story)
