"""The evidence of one ECU: what it refused and what failed, stored until its Director acknowledges it.

Each kind has room for the first event, the latest ones and a count. Events relayed by a Secondary have room of their own, and so
have those that need no key to cause, so that noise of one sort displaces nothing of another. ``docs/lifetimes.md`` has the rules.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TypeAlias

from twinlock.client.model.errors import NeverServedError
from twinlock.client.model.events import StoredEvent
from twinlock.client.model.results import is_relayed, is_unproven
from twinlock.client.storage.state import TrustedState
from twinlock.trust.errors.base import Attack, Kind, TwinlockError
from twinlock.trust.errors.metadata import MissingMetadataError
from twinlock.trust.model.evidence import Evidence
from twinlock.trust.names import ROOT, RepositoryName

ATTACKS, OTHERS, UNPROVEN = 4, 2, 2
"""Events kept: attacks on this ECU; refusals, failures and each kind of relayed event; events that need no key to cause.

Together they are the sixteen that a report may carry.
"""
REPORTS = 16
"""How many reports with evidence an ECU remembers: each later one carries all that an earlier one did."""
UNCONFIRMED = timedelta(days=30)
"""How long an ECU keeps an event whose arrival it cannot confirm: a Secondary in the aktualizr profile."""

Sort: TypeAlias = tuple[object, ...]
_RANK = {kind: number for number, kind in enumerate(Kind)}


class EvidenceBook:
    """The events of one ECU, on its disk. Every method that changes them is one transaction."""

    def __init__(self, state: TrustedState) -> None:
        self._state = state

    def note(self, error: TwinlockError, *, step: str, now: datetime) -> None:
        """Keep ``error``, met at ``step`` when the best known time was ``now``. The same again is counted. Raises: StorageError."""
        self.add(describe_event(error, step=step, now=now))

    def add(self, event: StoredEvent) -> None:
        """Keep ``event``, counted with one of the same sort if there is one. Raises: StorageError."""
        self._state.store_events(_with(self._state.events(), event))

    def events(self) -> tuple[Evidence, ...]:
        """All events, the most severe first: attacks, then refusals, then failures; its own before those relayed."""
        ranked = sorted(self._state.events(), key=lambda event: (_RANK[event.evidence.kind], event.relayed))
        return tuple(event.evidence for event in ranked)

    @property
    def has_news(self) -> bool:
        """Whether some event, as it is now, has not been in a report."""
        return any(event.carried is None for event in self._state.events())

    def carry(self, counter: int, events: Iterable[Evidence]) -> None:
        """The report number ``counter`` carries ``events``, and so will later ones until they are acknowledged.

        Any other event waits: no report carries it now, whichever did before.
        """
        carried = {event.id for event in events}
        known = self._state.events()
        after = [
            event._replace(carried=event.carried or counter)
            if event.evidence.id in carried
            else event._replace(carried=None, accepted=None)
            for event in known
        ]
        if after != known:
            self._state.store_events(after)

    def note_report(self, counter: int, digest: str) -> None:
        """Remember that the report number ``counter`` has this ``digest``, while events wait to be acknowledged."""
        if self._state.events():
            self._state.store_reported([*self._state.reported, (counter, digest)][-REPORTS:])

    def acknowledge(self, counter: int, digest: str | None) -> None:
        """The Director has accepted report ``counter``: forget what it carried, unless something was added since.

        It must be a report that this ECU remembers having signed: one that was restored from a backup counts again, and
        what the Director took under that number before is something else. ``digest`` is None from a Director that names none.
        """
        if digest is not None and (counter, digest) not in self._state.reported:
            return
        self._keep(lambda event: event.carried is None or event.carried > counter)

    def mark_accepted(self, counter: int, version: int) -> None:
        """A Director without acknowledgements accepted report ``counter`` when its Timestamp had this ``version``."""
        self._state.store_events(
            event._replace(accepted=version)
            if event.accepted is None and event.carried is not None and event.carried <= counter
            else event
            for event in self._state.events()
        )

    def confirm(self, version: int) -> None:
        """A newer Timestamp, ``version``, names this vehicle: forget what was accepted before it."""
        self._keep(lambda event: event.accepted is None or event.accepted >= version)

    def expire(self, now: datetime) -> None:
        """Forget what was reported and met last ``UNCONFIRMED`` ago, since nothing can confirm its arrival."""
        self._keep(lambda event: event.carried is None or now - event.evidence.last < UNCONFIRMED)

    def _keep(self, wanted: Callable[[StoredEvent], bool]) -> None:
        events = self._state.events()
        kept = [event for event in events if wanted(event)]
        if len(kept) < len(events):
            self._state.store_events(kept)


def describe_event(error: TwinlockError, *, step: str, now: datetime) -> StoredEvent:
    """``error`` as an event, met once at ``step`` when the best known time was ``now``."""
    described = error.as_json()
    event = Evidence(
        id=secrets.token_hex(8),
        kind=error.kind,
        code=error.code,
        attack=str(described.get("attack", Attack.NONE.value)),
        clause=str(described.get("clause", "")),
        detail=str(error),
        step=step,
        first=now,
        last=now,
    )
    return StoredEvent(event, is_relayed(error), unproven=is_unproven(error))


def as_first_contact(error: TwinlockError, state: TrustedState) -> TwinlockError:
    """``error`` as this ECU met it: NeverServedError for a missing file where nothing but Roots was ever accepted.

    Then no known file is being withheld, so it is a failure and not an attack: the vehicle is not registered yet, or the URL is
    wrong. Raises: StorageError.
    """
    if not isinstance(error, MissingMetadataError):
        return error
    if state.floors(RepositoryName(error.repository)).keys() - {ROOT}:
        return error
    return NeverServedError(repository=error.repository, name=error.name)


def _with(events: Iterable[StoredEvent], new: StoredEvent) -> list[StoredEvent]:
    """``events`` and ``new``: counted with the same event, or added, the newest but the first making room for it."""
    kept = list(events)
    for number, event in enumerate(kept):
        if sort_of(event) == sort_of(new):
            known, again = event.evidence, new.evidence
            count, latest = known.occurrences + again.occurrences, "" if again.detail == known.detail else again.detail
            last = max(known.first, again.last)  # the best known time may have gone back
            merged = known._replace(last=last, latest=latest, occurrences=count)
            kept[number] = StoredEvent(merged, event.relayed, unproven=event.unproven)
            return kept
    alike = [event for event in kept if _shelf(event) == _shelf(new)]
    if len(alike) >= _room(new):
        out = _least(alike[1:], new)  # the first one stays: it is how something began
        kept.remove(out)
        count = out.evidence.occurrences + new.evidence.occurrences
        first, last = out.evidence.first, max(out.evidence.first, new.evidence.last)
        new = new._replace(evidence=new.evidence._replace(first=first, last=last, occurrences=count))
    return [*kept, new]


def _least(alike: list[StoredEvent], new: StoredEvent) -> StoredEvent:
    """Which of ``alike`` makes room for ``new``: one of a code of which another stays, otherwise the oldest."""
    seen = Counter(event.evidence.code for event in (*alike, new))
    return next((event for event in alike if seen[event.evidence.code] > 1), alike[0])


def _room(event: StoredEvent) -> int:
    if event.unproven:
        return UNPROVEN
    return ATTACKS if event.evidence.kind is Kind.ATTACK and not event.relayed else OTHERS


def _shelf(event: StoredEvent) -> tuple[Kind, bool] | None:
    return None if event.unproven else (event.evidence.kind, event.relayed)


def sort_of(event: StoredEvent) -> Sort:
    """What makes two events the same, however often they were met."""
    evidence = event.evidence
    return (evidence.kind, event.relayed, evidence.code, evidence.attack, evidence.clause, evidence.step)
