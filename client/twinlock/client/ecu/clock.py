"""The time of an ECU, as far as the ECU can prove it: the machine's clock, or signed answers to its own questions.

``docs/lifetimes.md`` has the rules: how long a question is open, from when time counts and what outlives a boot.
Source: Uptane 2.1.0 5.4.2.2 and 5.4.3.1. An ECU that does not know the time installs nothing.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from twinlock.client.ecu.config import TimeSettings
from twinlock.client.storage.state import TrustedState
from twinlock.trust.checks.context import Context
from twinlock.trust.engine.commands import Steps
from twinlock.trust.engine.refresh import walk_roots
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.metadata import TimeError
from twinlock.trust.errors.reports import UnsolicitedTimeError
from twinlock.trust.limits import Limits
from twinlock.trust.model.root import Root
from twinlock.trust.policy import STRICT
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.tuf.attestation import check_attestation, check_attested_floor, stated_nonces

BUILT = datetime(2025, 1, 1, tzinfo=UTC)
"""Earlier than any release of this software: a clock that shows less has lost its battery."""

Wall = Callable[[], datetime]
_BOOT_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def follow_roots(director: TrustedRepository, limits: Limits) -> Steps[TrustedRepository]:
    """Follow the Director's Root chain without a time: how a changed key of the time source reaches an ECU.

    The expiry of the last Root is not judged here; verification does that before anything else counts.
    """
    context = Context(repository=director.name, now=BUILT, limits=limits, wire=director.wire, policy=STRICT)
    return walk_roots(director, context)


def boot_clock() -> float:
    """Seconds since this machine started, including time in suspend if the system counts it."""
    return time.clock_gettime(_BOOT_CLOCK) if _BOOT_CLOCK is not None else time.monotonic()


def system_clock() -> datetime:
    """The clock of this machine, UTC, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


OPEN_QUESTIONS = 8
"""How many questions may be open at once: a request for one closes no other."""


class Question(NamedTuple):
    """A nonce for the time source, when it was made, in seconds of ``boot_clock``, and whether a refused answer to it arrived."""

    nonce: str
    asked_at: float
    disputed: bool = False


class Attested(NamedTuple):
    """A time that an attestation proved in this boot. It was the time at the latest when the question was asked."""

    time: datetime
    asked_at: float


class Clock:
    """The time of one ECU. ``wall`` and ``monotonic`` are replaced in tests.

    The questions and the time that an answer proved live in memory only: all end with this process, so none outlives a boot.
    """

    def __init__(
        self,
        settings: TimeSettings,
        state: TrustedState,
        *,
        limits: Limits,
        wall: Wall = system_clock,
        monotonic: Callable[[], float] = boot_clock,
    ) -> None:
        self._settings = settings
        self._state = state
        self._limits = limits
        self._wall = wall
        self._monotonic = monotonic
        self._attested: Attested | None = None
        self._questions: list[Question] = []

    def now(self) -> datetime:
        """The time to judge expiry by. Raises: TimeError when there is none that can be relied on."""
        if self._settings.attested:
            return self._since_attested()
        now = self._wall()
        if now < BUILT:
            raise TimeError(reason=f"the system clock shows {now:%Y-%m-%dT%H:%M:%SZ}, before this software was built")
        return now

    def ask(self) -> str:
        """A new nonce for one question of this ECU to the time source. Closes every older question."""
        self._questions = []
        return self._new_question()

    def question(self) -> str:
        """The nonce of a recent open question, for another ECU to pass to the time source; a new one if there is none.

        At most ``OPEN_QUESTIONS`` are made in the time that each is open for, so no number of requests closes one.
        """
        newest = next(reversed(self._open_questions()), None)
        age = self._settings.answer_within_s / OPEN_QUESTIONS
        if newest is not None and self._monotonic() - newest.asked_at < age:
            return newest.nonce
        return self._new_question()

    def _new_question(self) -> str:
        question = Question(secrets.token_hex(16), self._monotonic())
        self._questions = [*self._open_questions(), question]
        return question.nonce

    def accept(
        self, attestation: bytes, root: Root, *, dispute: Callable[[RefusalError], None] | None = None
    ) -> datetime:
        """Take the time from an attestation that the time source named in the Director's ``root`` signed.

        It counts if it answers an open question and arrives within ``answer_within_s`` of it; the question is closed then.
        A refused attestation does not close it: anyone who can send one could otherwise stop every honest answer. A time before
        the last attested one is refused, unless a key that attested that one has been removed from the role since.
        ``dispute`` is called with the first refusal of an answer to each question, and never for an unsolicited one.
        Raises: UnsolicitedTimeError, AttestationError, AttestationKeyError, MalformedError, LimitError; the time is what it was then.
        """
        question = self._answered(attestation)
        try:
            proof = check_attestation(attestation, root, nonce=question.nonce, limits=self._limits)
            check_attested_floor(proof, self._state.attested, root)
        except RefusalError as error:
            self._questions = [item._replace(disputed=True) if item == question else item for item in self._questions]
            if dispute is not None and not question.disputed:
                dispute(error)
            raise
        self._state.store_attested(proof.time, proof.signers)
        self._attested = Attested(proof.time, question.asked_at)
        self._questions.remove(question)
        return proof.time

    def _answered(self, attestation: bytes) -> Question:
        nonces = stated_nonces(attestation, self._limits)
        self._questions = self._open_questions()
        for question in self._questions:
            if question.nonce in nonces:
                return question
        raise UnsolicitedTimeError(
            reason="the attestation does not answer an open question of this ECU; "
            f"each is answered once, within {self._settings.answer_within_s:g} s"
        )

    def _open_questions(self) -> list[Question]:
        now = self._monotonic()
        return [item for item in self._questions if now - item.asked_at <= self._settings.answer_within_s]

    def ceiling(self, now: datetime) -> datetime | None:
        """The latest time that a file may prove at ``now``. None with a system clock, which may be behind: files then override it."""
        return now + timedelta(seconds=self._settings.tolerance_s) if self._settings.attested else None

    def check_lag(self, proved: datetime) -> None:
        """Refuse a clock that is far behind the time that verified metadata proves.

        The engine judged expiry by the later of the two, but nothing shows that no more time has passed than that: a
        clock that was set back would keep old metadata fresh forever. Raises: TimeError.
        """
        now = self.now()
        if proved - now > timedelta(seconds=self._settings.tolerance_s):
            raise TimeError(
                reason=f"the clock shows {now:%Y-%m-%dT%H:%M:%SZ}, but verified metadata was signed "
                f"{proved:%Y-%m-%dT%H:%M:%SZ}"
            )

    def best_known(self) -> datetime:
        """The time for evidence: now if there is a time, else the last one that was relied on."""
        try:
            return self.now()
        except TimeError:
            return self._state.verified_time or BUILT

    def reported(self) -> datetime:
        """The time for the next report: never earlier than in the last report, which its Director would refuse as a replay.

        An ECU with attested time knows less after each reset than before it. A last report that this clock is further behind
        than its tolerance stated a false time, and is ignored.
        """
        last = self._state.stated_time
        try:
            now = self.now()
        except TimeError:
            known = self.best_known()
            return known if last is None else max(last, known)
        if last is None or last - now > timedelta(seconds=self._settings.tolerance_s):
            return now
        return max(last, now)

    def _since_attested(self) -> datetime:
        if self._attested is None:
            raise TimeError(reason="no attested time has arrived since this ECU started")
        # Time counts from the question, not from the answer, so that delaying the answer cannot slow this clock.
        attested, asked_at = self._attested
        return attested + timedelta(seconds=int(self._monotonic() - asked_at))
