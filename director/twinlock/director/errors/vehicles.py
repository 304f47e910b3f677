"""What a Director refuses of vehicles: registrations, requests, manifests and assignments.

Refusals of metadata and images are in ``twinlock.trust.errors``.
"""

from __future__ import annotations

from twinlock.trust.errors.base import Attack, RefusalError, TwinlockError, UsageError
from twinlock.trust.errors.images import VehicleMismatchError


class UnknownVehicleError(UsageError):
    """A vehicle that is not in the inventory."""

    code = "unknown-vehicle"
    template = "no vehicle {vehicle} is registered"
    hint = "register it with `twinlock director register`"
    vehicle: str


class RetiredVehicleError(UnknownVehicleError):
    """A vehicle that an operator retired: it gets no metadata, and its reports are refused."""

    code = "vehicle-retired"
    template = "{vehicle} was retired at {since}"
    hint = (
        "if it is in service again, run `twinlock director reactivate`, or `twinlock director register` if its ECUs were released; "
        "commands for all vehicles skip it"
    )
    since: str


class WireDisabledError(TwinlockError):
    """A vehicle of a wire profile in which the Director publishes no Roots."""

    code = "wire-disabled"
    by_rule = True
    template = "the client of {vehicle} reads the profile {wire}, which this Director does not publish"
    hint = "add the profile with `twinlock director wire`"
    vehicle: str
    wire: str


class RegistrationError(RefusalError):
    """A description that contradicts the inventory or the Standard. ``field`` names the place."""

    code = "registration"
    clause = "Uptane 2.1.0 5.3.2.2"
    template = "{vehicle} cannot be registered: {reason}"
    hint = (
        "change a registered vehicle with `twinlock director add-ecu`, `replace-ecu`, `rekey` or `retire`; "
        "a retired one comes back with `reactivate`, unless its ECUs were released"
    )
    vehicle: str
    field: str
    reason: str


class DescriptionError(RegistrationError):
    """A description that contradicts itself or its address, whatever is registered."""

    hint = "correct the description and register again"


class VehicleIdError(RegistrationError):
    """A vehicle id that no URL can carry, so that the vehicle could never be served."""

    hint = "register it under another id, such as the VIN without spaces, and give the vehicle the same one"


class SecondPersonError(RefusalError):
    """An operator's registration of known serials with other keys, where a second person confirms every change of a key."""

    code = "second-person"
    clause = "Uptane 2.1.0 5.3.2.2"
    template = "{vehicle}: {ecus} had other keys before, and no second person confirmed these"
    hint = (
        "name the new key by its fingerprint with `twinlock director rekey` for the vehicle that had the ECU last, have it "
        "confirmed with `confirm-key`, then repeat this"
    )
    vehicle: str
    ecus: tuple[str, ...]


class EnrolmentTokenError(TwinlockError):
    """An enrolment token that is unknown, used up, expired, or another vehicle's. The error does not state which."""

    code = "enrolment-token"
    by_rule = True
    template = "the enrolment token is not valid for {vehicle}"
    hint = "ask for a new one with `twinlock director token`"
    vehicle: str


class NoImageSetError(RefusalError):
    """No choice of images fits the vehicle. ``causes`` are sentences, one for each cause."""

    code = "no-image-set"
    clause = "Uptane 2.1.0 5.3.2.1"
    template = "no set of images fits {vehicle}: {causes}"
    joined = "; "
    vehicle: str
    causes: tuple[str, ...]


class UnknownImageError(RefusalError):
    """An assignment of an image that the Image repository does not list."""

    code = "unknown-image"
    clause = "Uptane 2.1.0 5.3.2.1"
    template = "{target} cannot be assigned to {ecu}: the Image repository lists no such image"
    ecu: str
    target: str


class OrderMismatchError(TwinlockError):
    """The trust engine reads another order in metadata that were just signed than the Director meant. Nothing was issued."""

    code = "order-mismatch"
    template = (
        "nothing was issued for {vehicle}: by its new metadata it would install {approved}, but {ordered} was ordered"
    )
    hint = "this is a fault of Twinlock; report it with the output of `twinlock director explain` for this vehicle"
    vehicle: str
    approved: tuple[str, ...]
    ordered: tuple[str, ...]


class HostedImageError(RefusalError):
    """An assignment of an image that another host serves to a vehicle whose client asks the Image repository alone."""

    code = "hosted-image"
    clause = "Uptane 2.1.0 5.4.3.3"
    template = "{target} cannot be assigned to {ecu}: the image is hosted at {uri}, and this vehicle downloads from the Image repository only"
    hint = "add the file itself with `twinlock image add`; only aktualizr downloads from that URL"
    ecu: str
    target: str
    uri: str


class ManifestVehicleError(VehicleMismatchError):
    """A manifest of one vehicle that came to another's address."""

    clause = "Uptane 2.1.0 5.3.2.1"
    template = "the manifest names vehicle {offered}, but it was sent to the URL of {expected}"


class EcuTakenError(RegistrationError):
    """A registration of an ECU or key that another vehicle has, or once had."""

    code = "ecu-already-registered"
    hint = (
        "if this vehicle is the right one, free the serial with `twinlock director release SERIAL --to VEHICLE`; "
        "a part that moves for good is freed with `twinlock director retire --release`"
    )


class KeyChangeError(EcuTakenError):
    """A key or a serial for an ECU of a registered vehicle that another ECU has, or once had."""

    code = "key-change"
    template = "the key of {ecu} in {vehicle} cannot be changed: {reason}"
    hint = (
        "name the key or the description of this very part; a serial or key of another vehicle is freed with "
        "`twinlock director release SERIAL --to VEHICLE`"
    )
    ecu: str


class EcuKeyChangedError(RefusalError):
    """A registration with other keys for known ECUs: perhaps a new device, perhaps someone who poses as the old one."""

    code = "ecu-key-changed"
    attack = Attack.SPOOFED_REPORT
    clause = "Uptane 2.1.0 5.3.2.2"
    template = "{vehicle} presented other keys for {ecus}, and no operator has approved them"
    hint = (
        "if the ECU was wiped or replaced, compare its fingerprint with what `twinlock director show` lists as pending and "
        "confirm it with `twinlock director rekey` or `replace-ecu`"
    )
    vehicle: str
    ecus: tuple[str, ...]


class DeviceIdentityError(TwinlockError):
    """A request of a device that does not prove which vehicle it is, or acts for another."""

    code = "device-identity"
    by_rule = True
    template = "the request is refused: {reason}"
    reason: str


class DeviceTakenError(TwinlockError):
    """A request for a certificate in the name of a vehicle that has one, or is registered."""

    code = "device-already-registered"
    by_rule = True
    template = "{vehicle} has a certificate or is registered already"
    hint = "if the device was replaced or wiped, allow it once with `twinlock director allow-certificate`"
    vehicle: str


class DailyLimitError(TwinlockError):
    """More of something in a day than any vehicle has reason to send. The vehicle keeps what it has and may send it tomorrow."""

    code = "daily-limit"
    by_rule = True
    template = "{vehicle} has sent {limit} {what} within a day; no more are accepted now"
    vehicle: str
    what: str
    limit: int
