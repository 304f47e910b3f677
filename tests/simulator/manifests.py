"""Manifests of one vehicle as a Director receives them, told step by step with what must come of each.

As in ``scenario.py`` an expectation is stated before anything is run. Belongs here: reports and manifests by TEST keys, in code
of its own (``docs/POUF.md`` 4.10 and 4.11), and the catalogue of stories. Does not belong here: a Director.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from twinlock.testing.simulator.keys import JSON, Key, KeyPool, canonical
from twinlock.testing.simulator.repository import wire_time
from twinlock.testing.simulator.world import BRAKE, GATEWAY, OTHER_VIN, START, VIN
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import UnknownEcuError, VehicleMismatchError
from twinlock.trust.errors.reports import (
    DuplicateReportError,
    MissingEcuError,
    ReportReplayError,
    ReportSignatureError,
    ReportTimeError,
)

HARDWARE = {GATEWAY.ecu: GATEWAY.hardware_id, BRAKE.ecu: BRAKE.hardware_id}
PRIMARY, SECONDARY = GATEWAY.ecu, BRAKE.ecu
NONCE, OTHER_NONCE = "a1" * 16, "b2" * 16


@dataclass(frozen=True, kw_only=True)
class Taken:
    """The manifest counts. ``missing`` are ECUs of which no report counts; ``noted`` why a report did not, by ECU.

    ``acknowledged`` and ``armed`` are what the vehicle's next Targets say: the counter of the newest report with evidence, by
    ECU, and the nonces of resets that nobody has used.
    """

    missing: tuple[str, ...] = ()
    noted: Mapping[str, str] = field(default_factory=dict)
    acknowledged: Mapping[str, int] = field(default_factory=dict)
    armed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """The manifest is refused whole, and nothing in it counts."""

    error: type[RefusalError]
    fields: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One manifest, ``hour`` hours after the start. ``arms`` are resets that an operator has armed just before, by ECU."""

    manifest: bytes
    expect: Taken | Refused
    hour: int
    arms: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Story:
    """What a vehicle, or an attacker, sends one after another."""

    name: str
    comment: str
    steps: tuple[Step, ...]


class Teller:
    """A vehicle that reports: its keys, and the hour."""

    def __init__(self) -> None:
        self.keys = KeyPool()
        self.hour = 3

    def key(self, ecu: str) -> Key:
        return self.keys(f"identity {ecu}")

    def report(self, ecu: str, counter: int, *, by: str | None = None, hour: int | None = None, **more: Any) -> JSON:
        """One report. ``by`` names another key than the ECU's; ``more`` are further members."""
        time = START + timedelta(hours=self.hour if hour is None else hour)
        signed = {
            "_type": "ecu-version-report",
            "ecuIdentifier": ecu,
            "installedImage": {"filename": "factory.bin", "length": 7, "hashes": {"sha256": "ab" * 32}},
            "time": wire_time(time),
            "counter": counter,
            "attack": "",
            "detail": "",
            **more,
        }
        return _signed(signed, self.key(by or ecu))

    def manifest(self, *reports: JSON, by: str = PRIMARY, vehicle: str = VIN, primary: str = PRIMARY) -> bytes:
        signed = {
            "_type": "vehicle-version-manifest",
            "vehicleIdentifier": vehicle,
            "primaryIdentifier": primary,
            "reports": list(reports),
        }
        document = _signed(signed, self.key(by))
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()

    def both(self, counter: int, **more: Any) -> bytes:
        """Both ECUs report under that counter; ``more`` are further members of the Secondary's."""
        return self.manifest(self.report(PRIMARY, counter), self.report(SECONDARY, counter, **more))

    def step(self, manifest: bytes, expect: Taken | Refused, *, arms: Mapping[str, str] | None = None) -> Step:
        """What is sent now; the next step is an hour later."""
        self.hour += 1
        return Step(manifest=manifest, expect=expect, hour=self.hour - 1, arms=arms or {})


def _signed(signed: JSON, key: Key) -> JSON:
    digest = hashlib.sha256(canonical(signed)).digest()
    entry = {
        "keyid": key.keyid,
        "method": key.public["scheme"],
        "hashFunction": "sha256",
        "payloadHash": digest.hex(),
        "sig": key.sign(digest).hex(),
    }
    return {"signatures": [entry], "signed": signed}


def evidence(number: int = 1) -> list[JSON]:
    """An event that an ECU met."""
    time = wire_time(START)
    words = {"code": "rollback", "attack": "rollback", "clause": "Uptane 2.1.0 5.4.4.4", "step": "metadata"}
    event = {"id": f"event-{number}", "kind": "attack", "detail": "an older Timestamp", "count": 1, **words}
    return [{**event, "first": time, "last": time}]


MANIFESTS: dict[str, Story] = {}


def _story(function: Callable[[Teller], list[Step]]) -> Callable[[Teller], list[Step]]:
    name = function.__name__.replace("_", "-")
    comment = " ".join((function.__doc__ or "").split())
    MANIFESTS[name] = Story(name=name, comment=comment, steps=tuple(function(Teller())))
    return function


def _replayed(ecu: str, offered: int, last: int) -> Refused:
    fields = {"ecu": ecu, "field": "counter", "offered": str(offered), "last": str(last)}
    return Refused(ReportReplayError, fields)


@_story
def evidence_is_acknowledged_by_the_counter_of_its_report(tell: Teller) -> list[Step]:
    """A Secondary reports the same event until Targets acknowledge a report that carried it; one without adds nothing."""
    return [
        tell.step(tell.both(1), Taken()),
        tell.step(tell.both(2, evidence=evidence()), Taken(acknowledged={SECONDARY: 2})),
        tell.step(tell.both(3, evidence=evidence()), Taken(acknowledged={SECONDARY: 3})),
        tell.step(tell.both(4), Taken(acknowledged={SECONDARY: 3})),
    ]


@_story
def evidence_of_a_false_report_is_not_acknowledged(tell: Teller) -> list[Step]:
    """Somebody reports in a Secondary's name. Its own evidence, later, is what counts."""
    forged = tell.report(SECONDARY, 9, by="mallory", evidence=evidence())
    expect = Taken(missing=(SECONDARY,), noted={SECONDARY: ReportSignatureError.code})
    return [
        tell.step(tell.manifest(tell.report(PRIMARY, 1), forged), expect),
        tell.step(tell.both(2, evidence=evidence(2)), Taken(acknowledged={SECONDARY: 2})),
    ]


@_story
def a_secondary_without_a_report(tell: Teller) -> list[Step]:
    """One ECU is dead. The others count; its own part alone is dropped (Uptane 5.3.2.1 step 3 would drop the request)."""
    return [
        tell.step(tell.manifest(tell.report(PRIMARY, 1)), Taken(missing=(SECONDARY,))),
        tell.step(tell.both(2), Taken()),
    ]


@_story
def a_counter_starts_again_with_the_nonce(tell: Teller) -> list[Step]:
    """A restored Secondary counts from the start. The next report that carries the signed nonce counts, and counting goes on."""
    armed = {SECONDARY: NONCE}
    first = tell.manifest(tell.report(PRIMARY, 6), tell.report(SECONDARY, 1, nonce=NONCE))
    second = tell.manifest(tell.report(PRIMARY, 7), tell.report(SECONDARY, 2))
    return [
        tell.step(tell.both(5), Taken()),
        tell.step(first, Taken(), arms=armed),
        tell.step(second, Taken()),
    ]


@_story
def a_counter_that_starts_again_without_the_nonce(tell: Teller) -> list[Step]:
    """A reset is armed, and a low counter comes without its nonce, or with another: no report of that ECU counts."""
    noted = {SECONDARY: ReportReplayError.code}
    without = tell.manifest(tell.report(PRIMARY, 6), tell.report(SECONDARY, 1))
    another = tell.manifest(tell.report(PRIMARY, 7), tell.report(SECONDARY, 2, nonce=OTHER_NONCE))
    armed = {SECONDARY: NONCE}
    expect = Taken(missing=(SECONDARY,), noted=noted, armed=armed)
    return [
        tell.step(tell.both(5), Taken()),
        tell.step(without, expect, arms=armed),
        tell.step(another, expect),
    ]


@_story
def a_nonce_counts_once(tell: Teller) -> list[Step]:
    """The Primary's reset was used; the same nonce under a low counter is a replay."""
    return [
        tell.step(tell.both(5), Taken()),
        tell.step(
            tell.manifest(tell.report(PRIMARY, 1, nonce=NONCE), tell.report(SECONDARY, 6)),
            Taken(),
            arms={PRIMARY: NONCE},
        ),
        tell.step(
            tell.manifest(tell.report(PRIMARY, 1, nonce=NONCE), tell.report(SECONDARY, 7)),
            Refused(ReportReplayError, {"ecu": PRIMARY}),
        ),
    ]


@_story
def a_report_from_before_a_reset(tell: Teller) -> list[Step]:
    """Counting went on after a reset, so an old report's counter would be high enough again: it is known, and counts once."""
    old, restored = tell.both(3), tell.hour  # the Primary has met no newer time since
    return [
        tell.step(old, Taken()),
        tell.step(
            tell.manifest(tell.report(PRIMARY, 1, nonce=NONCE, hour=restored), tell.report(SECONDARY, 4)),
            Taken(),
            arms={PRIMARY: NONCE},
        ),
        tell.step(old, Refused(ReportReplayError, {"ecu": PRIMARY, "field": "report"})),
    ]


@_story
def the_same_manifest_again(tell: Teller) -> list[Step]:
    """A manifest that counted is sent once more."""
    sent = tell.both(1)
    return [tell.step(sent, Taken()), tell.step(sent, _replayed(PRIMARY, 1, 1))]


@_story
def a_lower_counter(tell: Teller) -> list[Step]:
    """The Primary counts from the start, and no operator said that it may."""
    return [tell.step(tell.both(5), Taken()), tell.step(tell.both(4), _replayed(PRIMARY, 4, 5))]


@_story
def signed_by_a_stranger(tell: Teller) -> list[Step]:
    """Somebody put genuine reports into a manifest of their own."""
    reports = (tell.report(PRIMARY, 1), tell.report(SECONDARY, 1))
    expect = Refused(ReportSignatureError, {"what": "manifest", "ecu": PRIMARY})
    return [tell.step(tell.manifest(*reports, by="mallory"), expect)]


@_story
def signed_by_a_secondary(tell: Teller) -> list[Step]:
    """A Secondary poses as the Primary, with its own genuine key."""
    reports = (tell.report(PRIMARY, 1), tell.report(SECONDARY, 1))
    expect = Refused(ReportSignatureError, {"what": "manifest", "ecu": SECONDARY})
    return [tell.step(tell.manifest(*reports, by=SECONDARY, primary=SECONDARY), expect)]


@_story
def from_an_ecu_that_nobody_registered(tell: Teller) -> list[Step]:
    """The Primary that it names is not in the inventory."""
    sent = tell.manifest(tell.report(PRIMARY, 1), by="ecu-ghost", primary="ecu-ghost")
    return [tell.step(sent, Refused(UnknownEcuError, {"vehicle": VIN, "ecu": "ecu-ghost"}))]


@_story
def of_another_vehicle(tell: Teller) -> list[Step]:
    """The right Primary signed a manifest that names another vehicle."""
    sent = tell.manifest(tell.report(PRIMARY, 1), tell.report(SECONDARY, 1), vehicle=OTHER_VIN)
    return [tell.step(sent, Refused(VehicleMismatchError, {"offered": OTHER_VIN, "expected": VIN}))]


@_story
def without_the_primarys_own_report(tell: Teller) -> list[Step]:
    """The Primary signed the whole and left its own report out."""
    expect = Refused(MissingEcuError, {"vehicle": VIN, "missing": (PRIMARY,)})
    return [tell.step(tell.manifest(tell.report(SECONDARY, 1)), expect)]


@_story
def two_reports_of_the_primary(tell: Teller) -> list[Step]:
    """Two reports of one ECU, both signed by it: which of them counts?"""
    sent = tell.manifest(tell.report(PRIMARY, 1), tell.report(PRIMARY, 2), tell.report(SECONDARY, 1))
    return [tell.step(sent, Refused(DuplicateReportError, {"vehicle": VIN, "ecu": PRIMARY}))]


@_story
def a_report_of_the_future(tell: Teller) -> list[Step]:
    """The Primary's report says a time that no clock shows yet."""
    sent = tell.manifest(tell.report(PRIMARY, 1, hour=30), tell.report(SECONDARY, 1))
    return [tell.step(sent, Refused(ReportTimeError, {"ecu": PRIMARY, "reported": "2030-01-02T06:00:00Z"}))]
