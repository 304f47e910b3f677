"""The vehicles that check in, with real keys, and the Director and Image repository that they belong to.

All TEST keys are made from names. Each vehicle has the image that was ordered last installed, and its Primary is the only
ECU that is given new ones.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from bench.checkin_load import CheckIn
from bench.documents import signer
from twinlock.director.director import Director
from twinlock.repository.authoring.image_requests import ImageRequest
from twinlock.repository.image_repository import ImageRepository
from twinlock.trust.keys.public_keys import PublicKey, load_key
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import EcuId, TargetPath, VehicleId
from twinlock.trust.wire.tuf.reports import EcuReport, sign_manifest, sign_report

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILES = ("timestamp.json", "snapshot.json", "targets.json")
_HARDWARE = ("gateway-1", "sensor-1")


class EcuSigner:
    """The identity key of one ECU, as the trust package's ``Signer``."""

    def __init__(self, name: str) -> None:
        self._signer = signer(name)
        key = self._signer.public_key
        self.public_key: PublicKey = load_key(
            key.keyid, keytype=key.keytype, scheme=key.scheme, public=key.keyval["public"]
        )

    def sign(self, message: bytes) -> bytes:
        """The raw signature."""
        return bytes.fromhex(self._signer.sign(message).signature)


@dataclass
class ReportingVehicle:
    """A vehicle of so many ECUs, the first of which is its Primary, and the images that they run."""

    name: str
    ecus: int
    primary_image: int = 0
    counter: int = 0
    signers: dict[str, EcuSigner] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = (f"{self.name}.ecu-{number}" for number in range(self.ecus))
        self.signers = {name: EcuSigner(name) for name in names}

    @property
    def primary(self) -> str:
        """The ECU that sends the manifests."""
        return f"{self.name}.ecu-0"

    def description(self) -> bytes:
        """What the Director registers."""
        ecus = [
            {
                "ecu": ecu,
                "hardwareId": _HARDWARE[ecu != self.primary],
                "keyid": own.public_key.keyid,
                "key": own.public_key.as_json(),
                "verification": "full",
            }
            for ecu, own in self.signers.items()
        ]
        return json.dumps({"vehicle": self.name, "primary": self.primary, "ecus": ecus}).encode()

    def public_keys(self) -> dict[str, str]:
        """The raw public keys of its ECUs in hexadecimal, by key id."""
        return {own.public_key.keyid: own.public_key.public for own in self.signers.values()}

    def check_in(self) -> CheckIn:
        """The next manifest: every report has a higher counter."""
        self.counter += 1
        now = datetime.now(UTC).replace(microsecond=0)
        reports = []
        for ecu, own in self.signers.items():
            installed = installed_image(self.primary_image if ecu == self.primary else 0)
            reports.append(sign_report(EcuReport(EcuId(ecu), installed, now, self.counter), own))
        sender = EcuId(self.primary)
        return CheckIn(self.name, sign_manifest(VehicleId(self.name), sender, reports, self.signers[sender]))


class Fleet:
    """Registered vehicles, in a Director below ``folder``. ``images`` is how many orders each of them can be given."""

    def __init__(self, folder: Path, *, vehicles: int, ecus: int, images: int) -> None:
        self.vehicles: tuple[ReportingVehicle, ...] = tuple(
            ReportingVehicle(f"TEST-{ecus}-{number:04}", ecus) for number in range(vehicles)
        )
        self.directory: Path = folder / "director"
        self._ordered, self._images = 0, images
        repository = _image_repository(folder, images)
        location = str(repository.path / "public")
        self._director = Director.create(self.directory, image_root=repository.root_bytes(), image_url=location)
        _stored(self._director.batches.register((each.name, each.description()) for each in self.vehicles))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._director.close()

    def sign(self, rounds: int = 1) -> list[CheckIn]:
        """The next check-ins of all vehicles, round after round."""
        return [vehicle.check_in() for _ in range(rounds) for vehicle in self.vehicles]

    @property
    def can_order(self) -> bool:
        """Whether there is an image left that was never ordered."""
        return self._ordered < self._images

    def order(self) -> None:
        """Assign the next image to every Primary."""
        self._ordered += 1
        path = _path(self._ordered)
        _stored(self._director.batches.assign((each.name, each.name, {each.primary: path}) for each in self.vehicles))

    def install(self) -> None:
        """Have every Primary report from now on that it runs what was ordered last."""
        for vehicle in self.vehicles:
            vehicle.primary_image = self._ordered

    def files(self) -> dict[str, bytes]:
        """The metadata of one vehicle, by name without a version."""
        found = {name: self._director.metadata(self.vehicles[0].name, name) for name in FILES}
        return {name: data for name, data in found.items() if data is not None}


def installed_image(number: int) -> InstalledImage:
    """The image of that number, as an ECU reports it."""
    content = _content(number)
    return InstalledImage(
        path=TargetPath(_path(number)), length=len(content), hashes={"sha256": hashlib.sha256(content).hexdigest()}
    )


def _path(number: int) -> str:
    return f"firmware-{number}.bin"


def _content(number: int) -> bytes:
    return f"TEST firmware {number}".encode()


def _image_repository(folder: Path, images: int) -> ImageRepository:
    """Image 0, with which the vehicles were built, and those that can be ordered."""
    repository = ImageRepository.create(folder / "image")
    sources = folder / "sources"
    sources.mkdir()
    requests = []
    for number in range(images + 1):
        source = sources / _path(number)
        source.write_bytes(_content(number))
        requests.append(
            ImageRequest(source=source, name=_path(number), hardware_ids=_HARDWARE, release_counter=number + 1)
        )
    repository.add_images(requests)
    repository.publish()
    return repository


def _stored(result: Any) -> None:
    if not result.stored:
        raise RuntimeError(f"the Director refused: {_reasons(result.refused)}")


def _reasons(refused: Iterable[Any]) -> str:
    return "; ".join(f"{item.vehicle}: {item.error}" for item in refused)
