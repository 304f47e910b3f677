"""The codes of events and the kind of each: attack, refusal, failure or notice."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from twinlock.director.model.records import ATTACK, FAILURE, NOTICE, REFUSAL
from twinlock.trust.errors.base import Attack, TwinlockError

# What the Director itself notes. Codes of refusals are those of docs/codes.md.
EVENT_CODES: Mapping[str, tuple[str, str]] = {
    "attacks-detected": (ATTACK, "an ECU with aktualizr reports an attack in words of its own"),
    "detail": (NOTICE, "an ECU adds a sentence to its report"),
    "earlier-time": (NOTICE, "an ECU states an earlier time than in its last report, under a counter that rose"),
    "ecu-returned": (NOTICE, "an ECU that was missing or out of order reports again"),
    "install-failed": (FAILURE, "a Primary reports that an installation failed"),
    "missing-ecu": (FAILURE, "a manifest has no valid report of this ECU; orders that involve it are held"),
    "old-time": (NOTICE, "an ECU knows no later time than one long past"),
    "unlisted-image": (NOTICE, "an ECU runs software that the Image repository never listed and no operator declared"),
    "unregistered-ecu": (REFUSAL, "a manifest has a report of an ECU that is not part of the vehicle; it was dropped"),
    "wrong-hardware": (NOTICE, "an ECU runs software that is listed for other hardware"),
}


# Codes that only clients raise, as older ones write them where newer ones report evidence with its kind.
_CLIENT_CODES: Mapping[str, str] = {
    "bundle-held": REFUSAL,
    "enrolment-refused": REFUSAL,
    "fetch": FAILURE,
    "internal": FAILURE,
    "manifest-refused": REFUSAL,
    "precondition": REFUSAL,
    "secondary-refused": REFUSAL,
    "slow-retrieval": ATTACK,
    "system": FAILURE,
}


def kind_of(code: str) -> str:
    """The kind of event for the code that an ECU reports; an unknown code counts as an attack."""
    if code in EVENT_CODES:
        return EVENT_CODES[code][0]
    return _CLIENT_CODES.get(code) or _kinds_of_errors().get(code, ATTACK)


@cache
def _kinds_of_errors() -> Mapping[str, str]:
    import twinlock.trust.errors.images
    import twinlock.trust.errors.local
    import twinlock.trust.errors.metadata
    import twinlock.trust.errors.reports  # noqa: F401 - their classes are read below

    kinds: dict[str, str] = {}
    waiting: list[type[TwinlockError]] = [TwinlockError]
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        kind = error.usual_kind().value
        if kinds.get(error.code) != ATTACK:
            kinds[error.code] = kind
    return {**kinds, **{attack.value: ATTACK for attack in Attack if attack is not Attack.NONE}}
