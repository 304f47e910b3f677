"""What a manifest is judged by, and what comes of it: the values that its checks hand to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from twinlock.director.model.clients import OUR_CLIENT, Client
from twinlock.director.model.records import Event
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import EcuId
from twinlock.trust.wire.tuf.reports import EcuReport, InstallationReport

_FUTURE = timedelta(minutes=5)  # clocks of vehicles and servers differ by seconds, not minutes
_PAST = timedelta(days=30)  # a Secondary that slept keeps its last verified time until its Primary sends it a new one


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestPolicy:
    """What times in reports are plausible: up to ``future`` ahead of the Director's clock and ``past`` behind it.

    ``daily_bytes`` is each vehicle's share (``manifests/daily_share.py``).

    An ECU fresh from the factory may not know the time before its first exchange, so its first report may be of any
    age (which is then recorded as an event); from its second on, both bounds hold.
    """

    future: timedelta = _FUTURE
    past: timedelta = _PAST
    daily_bytes: int = 64 << 20  # ten times what a large vehicle sends that reports every ten minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What the Director knows in addition to the vehicle's own rows.

    ``nonces`` are those in this manifest that were seen before, by ECU; ``images`` is what the Director knows of the
    image that each ECU reports (absent: nothing). ``complete`` False: the Image repository could not be asked, so what
    is not known may well be listed. ``spent`` are the ECUs whose report counted before a reset of its counter;
    ``delivered`` is the software that an operator or the factory declared. ``client`` is what the vehicle's client can and
    cannot do.
    """

    nonces: frozenset[tuple[EcuId, str]] = frozenset()
    spent: frozenset[EcuId] = frozenset()
    delivered: Mapping[EcuId, InstalledImage] = field(default_factory=dict)
    images: Mapping[EcuId, ImageEntry] = field(default_factory=dict)
    complete: bool = True
    client: Client = OUR_CLIENT


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReports:
    """What a manifest proves by itself: the fresh reports that their ECUs signed, and what became of the others.

    Counters in ``reports`` are as they are stored: with the ECU's ``counter_base``. ``missing`` are the ECUs that were
    expected to report and of which no report counts. ``resets`` are the permissions that were used, ``counters`` the
    counters as they were sent, ``signed`` the digests of the reports, ``digests`` those that must never count again.
    """

    reports: Mapping[EcuId, EcuReport]
    missing: tuple[EcuId, ...]
    events: tuple[Event, ...]
    resets: Mapping[EcuId, int] = field(default_factory=dict)
    counters: Mapping[EcuId, int] = field(default_factory=dict)
    signed: Mapping[EcuId, str] = field(default_factory=dict)
    digests: Mapping[EcuId, str] = field(default_factory=dict)
    installation: InstallationReport | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What an acceptable manifest shows: the reports that count, the ECUs that are missing, and what people should see.

    ``failed`` is the correlation id of an order whose installation failed, as the Primary states. ``verified`` is
    what they follow from.
    """

    reports: Mapping[EcuId, EcuReport]
    installed: Mapping[EcuId, InstalledImage]
    events: tuple[Event, ...]
    verified: VerifiedReports
    missing: tuple[EcuId, ...] = ()
    failed: str | None = None


NOTHING_KNOWN = Knowledge()
USUAL_POLICY = ManifestPolicy()
