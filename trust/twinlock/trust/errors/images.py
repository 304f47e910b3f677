"""Refusals of an image or of its entries: Director against Image repository, and entry against bytes."""

from __future__ import annotations

from typing import Any

from twinlock.trust.errors.base import Attack, RefusalError, party_of


class ImageNotFoundError(RefusalError):
    """The Director orders an image that a repository which has to agree does not list."""

    code = "image-not-found"
    attack = Attack.ARBITRARY_SOFTWARE
    clause = "Uptane 2.1.0 5.4.4.2"
    template = "the Director orders {target}, but {repository} lists no such image for {hardware_id}"
    target: str
    repository: str
    hardware_id: str


class RepositoryMismatchError(RefusalError):
    """Director and Image repository list one image differently. ``field`` is what differs."""

    code = "repository-mismatch"
    attack = Attack.ARBITRARY_SOFTWARE
    clause = "Uptane 2.1.0 5.4.4.2"
    template = "{target}: {field} is {director} at the Director, but {image} at {repository}"
    target: str
    repository: str
    field: str
    director: str
    image: str


class ReleaseCounterError(RefusalError):
    """An image older than the one installed."""

    code = "release-counter"
    attack = Attack.ROLLBACK
    clause = "Uptane 2.1.0 5.4.4.2"
    template = "{target}: release counter {offered} is lower than {installed}, that of the image on {ecu}"
    ecu: str
    target: str
    offered: int
    installed: int


class CustomFieldError(RefusalError):
    """An entry lacks a field that the strict profile requires."""

    code = "missing-field"
    attack = Attack.ARBITRARY_SOFTWARE
    clause = "Uptane 2.1.0 5.2.3.1.1"
    template = "{target}: its entry at {repository} has no {field}"
    target: str
    repository: str
    field: str

    def _worded(self) -> dict[str, Any]:
        return super()._worded() | {"repository": party_of(self.repository)}


class HardwareError(RefusalError):
    """An image, or an order, for other hardware."""

    code = "wrong-hardware"
    attack = Attack.WRONG_HARDWARE
    clause = "Uptane 2.1.0 5.4.3.4"
    template = "{target} is for hardware {listed}, but the hardware of {ecu} is {actual}"
    ecu: str
    target: str
    listed: tuple[str, ...]
    actual: str


class TargetFormatError(RefusalError):
    """An entry whose length or hashes are not those of its format. ``target_format`` is ``file`` or ``OSTREE``."""

    code = "target-format"
    clause = "Uptane 2.1.0 5.2.3.1"
    template = "{target} is listed as {target_format}, but {reason}"
    hint = "an OSTree commit has length 0, targetFormat OSTREE and its id as sha256; a file has at least one byte"
    target: str
    target_format: str
    reason: str


class UnsupportedFormatError(RefusalError):
    """An image of a format that the ECU does not install."""

    code = "unsupported-target-format"
    clause = "Uptane 2.1.0 5.4.3.4"
    template = "{target} is of the target format {target_format}; {ecu} installs only {supported}"
    hint = "OSTree commits are for vehicles whose client pulls them, such as aktualizr; order a file for this one"
    ecu: str
    target: str
    target_format: str
    supported: tuple[str, ...]


class TargetNotAcceptedError(RefusalError):
    """An image whose name the ECU is configured not to accept."""

    code = "target-not-accepted"
    attack = Attack.ARBITRARY_SOFTWARE
    clause = "Uptane 2.1.0 5.4.3.4"
    template = "{ecu} accepts only target names like {accepted}, not {target}"
    ecu: str
    target: str
    accepted: tuple[str, ...]


class DuplicateEcuError(RefusalError):
    """Director Targets that name one ECU twice."""

    code = "duplicate-ecu"
    attack = Attack.MIXED_BUNDLES
    clause = "Uptane 2.1.0 5.4.4.6"
    template = "Director Targets order {first} and {second} for the same ECU {ecu}"
    ecu: str
    first: str
    second: str


class UnknownEcuError(RefusalError):
    """Director Targets, or a manifest, that name an ECU which this vehicle does not have."""

    code = "unknown-ecu"
    attack = Attack.MIXED_BUNDLES
    clause = "Uptane 2.1.0 5.4.4.6"
    template = "the vehicle {vehicle} has no ECU {ecu}"
    vehicle: str
    ecu: str


class VehicleMismatchError(RefusalError):
    """A Director's file for another vehicle, or for none where it must name one."""

    code = "other-vehicle"
    attack = Attack.REPLAY
    clause = "Uptane 2.1.0 5.2.3.1"
    template = "the Director's file is for vehicle {offered}; this is {expected}"
    hint = "if this ECU is new, compare the Director's URL in map.json and the vehicle in its configuration: one may be another vehicle's"
    offered: str
    expected: str


class DirectorDelegationError(RefusalError):
    """Director Targets that delegate."""

    code = "director-delegates"
    attack = Attack.ARBITRARY_SOFTWARE
    clause = "Uptane 2.1.0 5.4.4.6"
    template = "Director Targets delegate to {roles}; a Director must not delegate"
    roles: tuple[str, ...]


class DigestError(RefusalError):
    """Image bytes with another digest than the one listed."""

    code = "wrong-digest"
    attack = Attack.ARBITRARY_SOFTWARE
    clause = "Uptane 2.1.0 5.4.3.4"
    template = "{target}: the download has {algorithm} {computed}, but Targets list {listed}"
    target: str
    algorithm: str
    listed: str
    computed: str


class UnknownHashError(RefusalError):
    """An image with a listed digest that this engine cannot check, or with none that it can."""

    code = "unknown-hash"
    clause = "Uptane 2.1.0 5.4.2.4"
    template = "{target}: every listed digest must be verified, and {algorithm} is not supported"
    hint = "list only sha256, sha384 or sha512"
    target: str
    algorithm: str


class LengthError(RefusalError):
    """Fewer image bytes than listed."""

    code = "wrong-length"
    attack = Attack.ARBITRARY_SOFTWARE
    clause = "Uptane 2.1.0 5.4.3.4"
    template = "{target}: received {received} bytes, but Targets list {listed}"
    target: str
    listed: int
    received: int


class EndlessDataError(RefusalError):
    """More bytes than the bound for the requested file; reading stopped there."""

    code = "endless-data"
    attack = Attack.ENDLESS_DATA
    clause = "Uptane 2.1.0 5.4.3.3"
    template = "{what}: received more than the limit of {limit_bytes} bytes"
    what: str
    limit_bytes: int


class UnmappedImageError(RefusalError):
    """An image whose name no mapping covers, so that it is unknown which repositories would have to agree."""

    code = "unmapped"
    attack = Attack.ARBITRARY_SOFTWARE
    clause = "Uptane 2.1.0 5.2.6"
    template = "no mapping in map.json covers {target}"
    target: str
