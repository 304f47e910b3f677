"""What other ends refused, as they said it. What *this* end refuses is in ``twinlock.trust.errors``."""

from __future__ import annotations

from typing import Any

from twinlock.trust.errors.base import Attack, Kind, RefusalError, TwinlockError


def quoted(value: object, limit: int) -> str:
    """What another end said, fit to be shown: on one line, printable, and at most ``limit`` characters."""
    text = " ".join(str(value).split())[:limit]
    return "".join(char if char.isprintable() else "?" for char in text)


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
    """An image that the Director does not list for this vehicle, so that nobody may fetch it."""

    code = "not-ordered"
    clause = "Uptane 2.1.0 5.4.3.3"
    template = "the Director lists no {target} for {vehicle}"
    target: str
    vehicle: str


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
