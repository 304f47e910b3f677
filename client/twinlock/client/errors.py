"""What other ends refused, as they said it. What *this* end refuses is in ``twinlock.trust.errors``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from twinlock.trust.errors.base import Attack, Kind, RefusalError, TwinlockError
from twinlock.trust.errors.local import TransportError
from twinlock.trust.text.printable import printable


def quoted(value: object, limit: int) -> str:
    """What another party said, fit to be shown: on one line, escaped, and at most ``limit`` characters."""
    return printable(" ".join(str(value).split())[:limit])[:limit]


class ManifestRefusedError(TwinlockError):
    """The Director did not accept the vehicle version manifest. ``problem`` is the code it gave, ``status`` HTTP's."""

    code = "manifest-refused"
    by_rule = True
    template = "the Director refused the manifest ({problem}): {detail}"
    hint = "compare the vehicle with `twinlock director vehicles`; keys or ECUs may differ from its inventory"
    status: int
    problem: str
    detail: str


class EnrolmentRefusedError(TwinlockError):
    """The Director did not take the vehicle into its inventory. ``problem`` is the code it gave, ``status`` HTTP's."""

    code = "enrolment-refused"
    by_rule = True
    template = "the Director refused to register the vehicle ({problem}): {detail}"
    hint = "get a new token with `twinlock director token`; each serves one vehicle, once"
    status: int
    problem: str
    detail: str


class NotOrderedError(RefusalError):
    """An image that the Director does not list for this vehicle, so that it must not be fetched."""

    code = "not-ordered"
    clause = "Uptane 2.1.0 5.4.3.3"
    template = "the Director lists no {target} for {vehicle}"
    target: str
    vehicle: str


class NothingVerifiedError(RefusalError):
    """A role of which this ECU holds no verified file, new or just recovered, so that nothing rests on it."""

    code = "nothing-verified"
    clause = "Uptane 2.1.0 5.4.4.2"
    template = "{repository}/{role}: this ECU holds no verified file of it"
    hint = "run an update cycle; it fetches the file"
    repository: str
    role: str


class SecondaryRefusedError(TwinlockError):
    """A Secondary refused what its Primary handed it. ``problem``, ``attack`` and ``clause`` are the Secondary's.

    So is ``stated_kind``, empty where it states none.
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
        """The kind that the Secondary stated; from one that states none, an attack where it names one."""
        stated = next((kind for kind in Kind if kind.value == self.stated_kind), None)
        return stated or (Kind.REFUSAL if self.attack == Attack.NONE.value else Kind.ATTACK)

    def as_json(self) -> dict[str, Any]:
        return super().as_json() | {"attack": self.attack, "clause": self.clause}


class SecondaryTimeoutError(TransportError):
    """A Secondary that did not do its step in time: a slow part or a broken line, and no sign of an attack."""

    code = "secondary-timeout"
    template = "{ecu} at {url} did not finish in time: {reason}"
    hint = "look at that ECU and its bus; fetch.deadlineSeconds says how long a message may take"
    ecu: str


class SecondaryBusyError(TwinlockError):
    """A Secondary works on as many requests as it may. Nothing of this one was read."""

    code = "busy"
    template = "{ecu} works on as many requests as it may"
    hint = "send it again later; if it stays so, look for who else sends on that bus"
    ecu: str


class BundleHeldError(TwinlockError):
    """ECUs that were ready did not install, because others of the same bundle were not."""

    code = "bundle-held"
    by_rule = True
    template = "nothing was installed on [{ready}]: [{waiting}] cannot take what belongs to the same update"
    hint = "set holdIncompleteBundles to false to install on each ECU by itself"
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
    """An approval that ended between the verification and the first write. The next cycle verifies again."""

    code = "approval-expired"
    clause = "Uptane 2.1.0 5.4.3.5"
    template = "the approval of {target} for {ecu} ended at {valid_until}; the time is {now}"
    ecu: str
    target: str
    valid_until: datetime
    now: datetime


class BegunUnlistedError(RefusalError):
    """A record that an installation was begun, of an image that the stored metadata do not order. The record has ended."""

    code = "begun-unlisted"
    clause = "Uptane 2.1.0 5.4.3.5"
    template = "{target} was recorded as begun on {ecu}, but the stored metadata do not approve it ({reason}); nothing was written"
    hint = "a newer order may have replaced it; if there was none, look at what else writes to the storage of this ECU"
    ecu: str
    target: str
    reason: str


class NeverServedError(TwinlockError):
    """A repository that has no metadata for this ECU, and of which this ECU never accepted any but Roots."""

    code = "never-served"
    template = "{repository} has no {name} for this ECU, and never served it any metadata"
    hint = (
        "register the vehicle with `twinlock director register` or `twinlock primary enrol`, and compare the URLs in map.json "
        "with where the repositories are"
    )
    repository: str
    name: str


class PartyError(TwinlockError):
    """Another party failed in a way that this software has no name for. ``exception`` is the class that it raised.

    ``party`` is its part in the vehicle, ``name`` which one of them, ``step`` what it was asked for.
    """

    code = "party-failed"
    template = "the {party} of {name} failed to {step}: {exception}: {reason}"
    hint = "look at the log of that part; this software went on without it where it may"
    party: str
    name: str
    step: str
    exception: str
    reason: str


class InstallerError(PartyError):
    """An installer that the product brings raised something of its own. The ECU runs what the installer left."""

    code = "installer-failed"


class LinkError(PartyError):
    """A link to a Secondary that the product brings raised something of its own, or answered with nonsense."""

    code = "link-failed"


class SoftwareFaultError(TwinlockError):
    """A programming error in Twinlock itself. Its traceback is in the log; the cycle ended and was reported."""

    code = "software-fault"
    template = "unexpected {exception} at {step}: {reason}"
    hint = "this is a fault in twinlock; the log holds its traceback"
    step: str
    exception: str
    reason: str
