"""Mistakes in what an operator asks of a Director: something is missing, taken, expired, or not as required."""

from __future__ import annotations

from datetime import datetime

from twinlock.trust.errors.base import UsageError


class NoDirectorError(UsageError):
    """A directory that an operator named and that holds no Director."""

    code = "no-director"
    template = "{path} does not hold a Director"
    hint = "make one with `twinlock director init`, or name another directory"
    path: str


class OccupiedError(UsageError):
    """A place for something new that holds something already, which would be lost. ``what`` is what it holds."""

    code = "occupied"
    template = "{path} holds {what} already; nothing is overwritten"
    hint = "choose another path, or move its content away"
    path: str
    what: str


class SettingError(UsageError):
    """A value that a setting of a Director cannot have, in its configuration or as it is given to a command."""

    code = "director-setting"
    template = "the Director's setting {setting} {reason}"
    setting: str
    reason: str


class UnknownDirectorRoleError(UsageError):
    """A role that the Root of a Director does not have."""

    code = "unknown-director-role"
    template = "a Director has no role {role}; its roles are {known}"
    role: str
    known: tuple[str, ...]


class UnknownProfileError(UsageError):
    """A wire profile that a Director does not have, or that cannot be added to one."""

    code = "unknown-profile"
    template = "unknown profile {profile}; this Director knows {known}"
    profile: str
    known: tuple[str, ...]


class ProfileNotPublishedError(UsageError):
    """A change of a Root chain in a profile that the Director publishes nothing in."""

    code = "profile-not-published"
    template = "this Director publishes no Roots in the profile {profile}"
    hint = "add the profile with `twinlock director wire`"
    profile: str


class ChainBegunError(UsageError):
    """Another Director's Root chain for a profile in which vehicles follow a chain of this one."""

    code = "chain-begun"
    template = (
        "this Director publishes Roots in the profile {profile} already, and vehicles follow those: no other chain can come "
        "before them"
    )
    profile: str


class NewChainError(UsageError):
    """A new Root chain in a profile in which vehicles are registered that may trust another Director's. ``vehicle`` is one of ``count``."""

    code = "new-chain"
    template = (
        "the Director has vehicles of the profile {profile} ({count}, such as {vehicle}), and one that trusts a Root of another "
        "Director could never follow a new Root chain"
    )
    hint = (
        "continue that Director's chain with `twinlock director wire --go-on-from`; only if none of them trusts a Root of another "
        "Director, begin a new one with `--new-chain`"
    )
    profile: str
    count: int
    vehicle: str


class UnknownRootError(UsageError):
    """A version of a Root that the Director never published in that profile."""

    code = "unknown-root"
    template = "the Director has no Root of version {version} in the profile {profile}"
    version: int
    profile: str


class NoRootError(UsageError):
    """A profile in which the Director has published no Root at all."""

    code = "no-root"
    template = "the Director has published no Root in the profile {profile}"
    hint = "`twinlock director init` makes the first Root, and `twinlock director wire` that of a further profile"
    profile: str


class UnfitRootError(UsageError):
    """A prepared Root that is signed and cannot be published as it is."""

    code = "unfit-root"
    template = "Root {version} cannot be published: {reason}"
    version: int
    reason: str


class UnknownActionError(UsageError):
    """An action that the audit never records. ``near`` are those with the most similar names."""

    code = "unknown-action"
    template = "unknown action {action}; known ones include {near}"
    action: str
    near: tuple[str, ...]


class ValidityError(UsageError):
    """A permission or token whose validity is zero, or longer than allowed."""

    code = "validity"
    template = "{what} can be valid for 1 to {longest_s} seconds, not {offered_s}"
    what: str
    longest_s: int
    offered_s: int


class PastEndError(UsageError):
    """Something that would end before it begins."""

    code = "past-end"
    template = "{what} would end at {ends}, which has passed"
    what: str
    ends: datetime


class NothingAssignedError(UsageError):
    """The withdrawal of assignments that do not exist."""

    code = "nothing-assigned"
    template = "nothing is assigned to {ecus} of {vehicle}"
    vehicle: str
    ecus: tuple[str, ...]


class PrimaryNeededError(UsageError):
    """The removal of a Primary by itself."""

    code = "primary-needed"
    template = "{ecu} is the Primary of {vehicle}, which cannot report without it"
    hint = (
        "replace it with `twinlock director replace-ecu`, or retire the whole vehicle with `twinlock director retire`, which "
        "frees its serials with `--release`"
    )
    vehicle: str
    ecu: str


class NotRetiredError(UsageError):
    """The return of a vehicle that is not retired."""

    code = "not-retired"
    template = "{vehicle} is not retired"
    hint = "name the ECUs that should be active again"
    vehicle: str


class EcusReleasedError(UsageError):
    """The return of a vehicle whose ECUs were released, so that other vehicles may have them."""

    code = "ecus-released"
    template = "the ECUs of {vehicle} were released when it was retired"
    hint = (
        "register it with the ECUs that it has now, with `twinlock director register`; "
        "if it is scrapped there is nothing to do: commands for all vehicles skip it"
    )
    vehicle: str


class NoSuchEcuError(UsageError):
    """ECUs that an operator named and that the vehicle does not have; ``vehicle`` is empty where all vehicles were searched."""

    code = "no-such-ecu"
    template = "no such ECU: [{ecus}]"
    hint = "see `twinlock director vehicles` and `twinlock director show`; a retired ECU comes back with `twinlock director reactivate`"
    ecus: tuple[str, ...]
    vehicle: str = ""


class UnknownSerialError(UsageError):
    """The release of a serial that no vehicle registered."""

    code = "unknown-serial"
    template = "no vehicle registered the ECU {ecu}"
    ecu: str


class DeliveredElsewhereError(UsageError):
    """A delivery record that names an ECU for ``vehicle`` which the inventory has in another one, ``owner``."""

    code = "delivered-elsewhere"
    template = (
        "the record names the ECU {ecu} as delivered in {vehicle}, but it is registered in {owner}; nothing was noted"
    )
    hint = "correct the record, or free the serial with `twinlock director release SERIAL --to VEHICLE`"
    ecu: str
    vehicle: str
    owner: str


class CounterResetError(UsageError):
    """Counters that cannot start again. ``ecus`` are those whose counters cannot."""

    code = "counter-reset"
    template = "the report counter of {ecus} in {vehicle} cannot be reset: {reason}"
    vehicle: str
    ecus: tuple[str, ...]
    reason: str


class UnknownKeyChangeError(UsageError):
    """The confirmation of a key change that was never asked for, was made, or has lapsed."""

    code = "unknown-key-change"
    template = "key change {number} is not pending; it may have expired"
    hint = "`twinlock director show` lists the pending changes"
    number: int


class SamePersonError(UsageError):
    """The confirmation of a key change by the person who asked for it."""

    code = "same-person"
    template = "{actor} asked for key change {number}, so a second person has to confirm it"
    actor: str
    number: int


class NamedTwiceError(UsageError):
    """A vehicle that a batch names twice: which of the two counts is unknown."""

    code = "named-twice"
    template = "{vehicle} is named twice, at {first} and at {second}; name it once"
    vehicle: str
    first: str
    second: str


class NoDeviceCaError(UsageError):
    """A certificate that is asked of a Director without a device CA."""

    code = "no-device-ca"
    template = "this Director has no device CA"
    hint = "make one with `twinlock director create-device-ca`"


class NoCertificateError(UsageError):
    """The revocation of certificates that are unknown, or revoked already. ``name`` is a vehicle or a fingerprint."""

    code = "no-certificate"
    template = "{name} has no certificate left to revoke"
    name: str


class UnknownCertificateError(NoCertificateError):
    """The revocation of a certificate by a name that none was issued to and that is not a fingerprint."""

    code = "unknown-certificate"
    template = "no certificate was ever issued to {name}, and it is not the fingerprint of one"
    hint = "`twinlock director certificates` lists the names and fingerprints"


class NeedsNoCertificateError(UsageError):
    """A certificate for a vehicle whose client has none."""

    code = "needs-no-certificate"
    template = "{vehicle} does not run aktualizr, so it needs no certificate"
    vehicle: str
