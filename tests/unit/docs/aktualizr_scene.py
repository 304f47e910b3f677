"""The files and reports that ``docs/POUF-aktualizr.md`` shows: a small pair of repositories with TEST keys, translated.

Belongs here: making them, with a clock that stands still. Does not belong here: what the page says of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from twinlock.testing.simulator.director import DirectorSimulator
from twinlock.testing.simulator.keys import JSON, Key, KeyPool
from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.trust.keys.public_keys import PublicKey
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import EcuId, TargetPath
from twinlock.trust.wire.aktualizr import encode, form, reports
from twinlock.trust.wire.tuf.reports import EcuReport, InstallationReport, InstallResult

NOW = datetime(2030, 1, 1, tzinfo=UTC)
VEHICLE, ECU, HARDWARE, PATH = "VIN0001", "gw-0001", "gw-7", "gateway/fw-2.bin"
IMAGE = b"TEST image"


class EcuKey:
    """The TEST key of an ECU as a ``Signer``."""

    def __init__(self, key: Key) -> None:
        self._key = key

    @property
    def public_key(self) -> PublicKey:
        """See ``Signer``."""
        return self._key.public_key

    def sign(self, message: bytes) -> bytes:
        """See ``Signer``."""
        return self._key.sign(message)


def files() -> dict[str, bytes]:
    """Every example by the name it has in the page."""
    keys = KeyPool()
    image = RepositorySimulator("image", keys, lambda: NOW)
    image.delegate("targets", "acme", ["brake/*"], hardwareIds=["brake-1"])
    agreed = {"hardwareIds": [HARDWARE], "releaseCounter": 2}
    image.add_image(PATH, IMAGE, mustAgree=agreed, version="2.0")
    image.publish("acme", "targets")
    director = DirectorSimulator(keys, lambda: NOW, VEHICLE)
    director.order(ECU, HARDWARE, PATH, image.bodies["targets"]["targets"][PATH])
    director.publish("targets")
    made = {
        "Root": _sealed(encode.translate_root(image.bodies["root"]), image.signers["root"]),
        "Targets": _sealed(encode.translate_targets("targets", image.bodies["targets"]), image.signers["targets"]),
        "Director Targets": _sealed(
            encode.translate_director_targets(director.bodies["targets"]), director.signers["targets"]
        ),
        "Snapshot": _sealed(encode.translate_snapshot(image.bodies["snapshot"]), image.signers["snapshot"]),
    }
    timestamp = encode.translate_timestamp(image.bodies["timestamp"], made["Snapshot"])
    return made | {"Timestamp": _sealed(timestamp, image.signers["timestamp"])} | _sent(EcuKey(keys("ecu")))


def shown(data: bytes) -> str:
    """A file as the page shows it: with line breaks, which the file does not have."""
    return json.dumps(json.loads(data), indent=1, ensure_ascii=True)


def _sent(key: EcuKey) -> dict[str, bytes]:
    hashes = image_hashes()
    report = EcuReport(EcuId(ECU), InstalledImage(TargetPath(PATH), len(IMAGE), hashes), NOW, 2)
    done = InstallResult(success=True, code="OK", description="installed")
    outcome = InstallationReport("urn:test:0", done, {EcuId(ECU): done})
    manifest = reports.sign_manifest(EcuId(ECU), [reports.sign_report(report, key)], key, installation=outcome)
    listed = {
        "clientKey": reports.encode_public_key(key.public_key),
        "ecu_serial": ECU,
        "hardware_identifier": HARDWARE,
    }
    registration = form.encode_canonical({"ecus": [listed], "primary_ecu_serial": ECU})
    return {"Manifest": manifest, "Registration": registration}


def image_hashes() -> dict[str, str]:
    """The digests of the one image."""
    return {"sha256": hashlib.sha256(IMAGE).hexdigest()}


def _sealed(signed: JSON, signers: Iterable[Key]) -> bytes:
    payload = form.encode_canonical(signed)
    entries: list[dict[str, Any]] = [
        form.encode_signature(key.keyid, key.public["scheme"], key.sign(payload)) for key in signers
    ]
    return form.encode_envelope(signed, entries)
