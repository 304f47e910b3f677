"""Errors of the client: verdicts that other parties report, and failures of its parts.

What this ECU itself refuses about metadata and images is in ``twinlock.trust.errors``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from twinlock.trust.errors.base import Attack, Kind, RefusalError, TwinlockError, UsageError
from twinlock.trust.errors.local import TransportError


class ConfigurationError(UsageError):
    """A configuration file of an ECU with a wrong value. ``field`` is the path of the member, such as ``fetch.attempts``."""

    code = "configuration"
    template = "{path}: {field} {reason}"
    path: str
    field: str


class AnchorMismatchError(UsageError):
    """A read-only trust anchor that does not have the Root that the ECU is made with."""

    code = "anchor-mismatch"
    template = "{path} is not the Root given for the repository {repository}"
    hint = "copy that Root to that path, or give the Root of the anchor"
    path: str
    repository: str


class ServerUrlError(UsageError):
    """A text that is not the base URL of a server."""

    code = "server-url"
    template = "{url!r} is not a server URL"
    hint = "write http://HOST/PATH or https://HOST/PATH, without a query"
    url: str


class SecondaryDescriptionError(UsageError):
    """A description of a Secondary without members that its Primary needs."""

    code = "secondary-description"
    template = "the description of a Secondary lacks [{missing}]"
    hint = "use what `twinlock secondary describe` prints"
    missing: tuple[str, ...]


class UnknownSecondaryError(UsageError):
    """An ECU that is not a Secondary of this vehicle."""

    code = "unknown-secondary"
    template = "this vehicle has no Secondary {ecu}"
    hint = "see `twinlock primary show`; --replaces names the Secondary that a part replaces, --new adds one"
    ecu: str


class KnownSecondaryError(UsageError):
    """A new Secondary with the identifier of one that this vehicle has."""

    code = "known-secondary"
    template = "this vehicle already has a Secondary {ecu}"
    hint = "omit --new to replace it"
    ecu: str


class RegistrationMethodError(UsageError):
    """A registration in a way that the profile of the Director does not have. ``command`` is the one that works."""

    code = "registration-method"
    template = "a Director of the {profile} profile has its own registration command: use `{command}`"
    profile: str
    command: str


class OutOfTurnError(UsageError):
    """A request that a Secondary cannot serve in its present state. Nothing changed. ``wanted`` is the image it wants, or empty."""

    code = "out-of-turn"
    template = "{ecu} {reason}"
    ecu: str
    wanted: str = ""


class NotDamagedError(UsageError):
    """A recovery of a state file that can be used: it could only lose data, so nothing was changed."""

    code = "not-damaged"
    template = "{path} is not damaged; nothing was changed"
    hint = "if a recovery was given wrong Roots, repeat it with `--again` and the right ones"
    path: str


class RootInUseError(UsageError):
    """A repeated recovery with another Root, where the one in force was not given to a recovery, or metadata verified under it."""

    code = "root-in-use"
    template = "the Root of {repository} in {path} cannot be replaced: {reason}"
    path: str
    repository: str
    reason: str


class UnrecoverableError(UsageError):
    """A recovery that cannot read something from the state file, or from anywhere else. ``option`` supplies it."""

    code = "unrecoverable"
    template = "no {missing} could be recovered for {path}; supply it with {option}"
    path: str
    missing: str
    option: str


class ListenError(UsageError):
    """An address that a Secondary cannot listen on."""

    code = "listen"
    template = "cannot listen on {address}: {reason}"
    address: str


class DirectorRefusedError(TwinlockError):
    """The Director refused what this vehicle sent. ``problem`` is its code, ``status`` HTTP's."""

    by_rule = True
    status: int
    problem: str
    detail: str


class ManifestRefusedError(DirectorRefusedError):
    """The Director did not accept the vehicle version manifest. ``problem`` is its code, ``status`` HTTP's."""

    code = "manifest-refused"
    template = "the Director refused the manifest ({problem}): {detail}"
    hint = "compare the vehicle with `twinlock director vehicles`: the URL in map.json may be another vehicle's, or keys or ECUs differ"


class ManifestReplayedError(ManifestRefusedError):
    """The Director has a report with this counter or nonce already."""

    hint = (
        "if this ECU or the Director was restored from a backup, run `twinlock director reset-counter`; otherwise find out who "
        "else sends as this vehicle"
    )


class RetiredManifestError(ManifestRefusedError):
    """The Director has retired this vehicle."""

    hint = "if the vehicle is in service again, run `twinlock director reactivate`"


class EnrolmentRefusedError(DirectorRefusedError):
    """The Director did not register the vehicle. ``problem`` is its code, ``status`` HTTP's."""

    code = "enrolment-refused"
    template = "the Director refused to register the vehicle ({problem}): {detail}"
    hint = "get a new token with `twinlock director token`; each registers one vehicle, once"


class NotOrderedError(RefusalError):
    """An image that the Director does not list for this vehicle, so it must not be fetched."""

    code = "not-ordered"
    clause = "Uptane 2.1.0 5.4.3.3"
    template = "the Director does not list {target} for {vehicle}"
    target: str
    vehicle: str


class NothingVerifiedError(RefusalError):
    """This ECU, new or just recovered, has no verified metadata for a role that the answer depends on."""

    code = "nothing-verified"
    clause = "Uptane 2.1.0 5.4.4.2"
    template = "{repository}/{role}: this ECU has no verified metadata for this role"
    hint = "run an update cycle, which fetches the file"
    repository: str
    role: str


class SecondaryRefusedError(TwinlockError):
    """A Secondary refused what its Primary sent. ``problem``, ``attack`` and ``clause`` are the Secondary's.

    ``stated_kind`` is too; it is empty if the Secondary states none.
    """

    code = "secondary-refused"
    by_rule = True
    template = "{ecu} refused ({problem}): {detail}"
    ecu: str
    problem: str
    attack: str
    clause: str
    detail: str
    stated_kind: str = ""

    @property
    def kind(self) -> Kind:
        """The kind that the Secondary stated; without one, an attack if it names an attack, else a refusal."""
        stated = next((kind for kind in Kind if kind.value == self.stated_kind), None)
        return stated or (Kind.REFUSAL if self.attack == Attack.NONE.value else Kind.ATTACK)

    def as_json(self) -> dict[str, Any]:
        return super().as_json() | {"attack": self.attack, "clause": self.clause}


class SecondaryTimeoutError(TransportError):
    """A Secondary that did not finish its step in time: a slow ECU or a broken line, and no sign of an attack."""

    code = "secondary-timeout"
    template = "{ecu} at {url} did not finish in time: {reason}"
    hint = "check that ECU and its bus; fetch.deadlineSeconds sets how long a message may take"
    ecu: str


class SecondaryBusyError(TwinlockError):
    """A Secondary is handling as many requests as it accepts at once. It did not process this one."""

    code = "busy"
    template = "{ecu} is handling as many requests as it accepts at once"
    hint = "try again later; if this persists, find out what else sends requests on that bus"
    ecu: str


class BundleHeldError(TwinlockError):
    """ECUs that were ready did not install, because others of the same bundle were not."""

    code = "bundle-held"
    by_rule = True
    template = "nothing was installed on {ready}: {waiting} cannot install their part of the same update"
    hint = "set holdIncompleteBundles to false to install on each ECU independently"
    ready: tuple[str, ...]
    waiting: tuple[str, ...]


class PreconditionError(TwinlockError):
    """The ECU is not in a state to install now, for example not parked. Nothing was written."""

    code = "precondition"
    by_rule = True
    template = "{ecu} cannot install now: {reason}"
    ecu: str
    reason: str


class ApprovalExpiredError(RefusalError):
    """An approval expired between the verification and the first write. The next cycle verifies again."""

    code = "approval-expired"
    clause = "Uptane 2.1.0 5.4.3.5"
    template = "the approval of {target} for {ecu} expired at {valid_until}; the time is {now}"
    ecu: str
    target: str
    valid_until: datetime
    now: datetime


class BegunUnlistedError(RefusalError):
    """An installation is recorded as begun, but the stored metadata do not order its image. The record was deleted."""

    code = "begun-unlisted"
    clause = "Uptane 2.1.0 5.4.3.5"
    template = "an interrupted installation of {target} on {ecu} is on record, but the stored metadata do not approve it ({reason}); nothing was written"
    hint = "a newer order may have replaced it; if not, find out what else writes to the storage of this ECU"
    ecu: str
    target: str
    reason: str


class NeverServedError(TwinlockError):
    """A repository has no metadata for this ECU, and this ECU has never accepted any but Roots from it."""

    code = "never-served"
    template = "{repository} has no {name} for this ECU, and has never served it any metadata"
    hint = (
        "register the vehicle with `twinlock director register` or `twinlock primary enrol`, and compare the URLs in map.json "
        "with where the repositories are"
    )
    repository: str
    name: str


class PartyError(TwinlockError):
    """A part that a product supplies failed with an exception of its own; ``exception`` is the class.

    ``party`` is the sort of part, ``name`` the ECU that it serves, ``step`` what it was asked to do.
    """

    code = "party-failed"
    template = "the {party} of {name} failed to {step}: {exception}: {reason}"
    hint = "see the log of that part; the cycle continued without it where the rules allow"
    party: str
    name: str
    step: str
    exception: str
    reason: str


class InstallerError(PartyError):
    """A product's installer raised an exception of its own, or returned another image. The ECU runs whatever it left."""

    code = "installer-failed"


class LinkError(PartyError):
    """A product's link to a Secondary raised an exception of its own, or returned nonsense."""

    code = "link-failed"


class SoftwareFaultError(TwinlockError):
    """A programming error in Twinlock itself. Its traceback is in the log; the cycle ended and was reported."""

    code = "software-fault"
    template = "unexpected {exception} in step {step}: {reason}"
    hint = "this is a bug in twinlock; the log has its traceback"
    step: str
    exception: str
    reason: str
