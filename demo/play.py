"""The play: every act in order, and the referee who judges each attack by what the ECUs really run.

Belongs here: playing, judging, and what is printed meanwhile. Does not belong here: the attacks themselves (``acts``).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from demo.script import Act, Attack, Seen
from demo.stage import Release, Stage
from demo.table import FAILED, KNOWN_LIMIT, STOPPED, UNEXPECTED, Paint, Row
from demo.vehicle import Evidence

Tell = Callable[[str], None]


@dataclass(slots=True)
class Referee:
    """Plays attacks on ``stage`` and judges them. ``tell`` prints one line; ``last`` is what the ECUs were last seen
    to run, which nothing but a cycle changes."""

    stage: Stage
    tell: Tell
    paint: Paint
    last: Evidence | None = None

    async def play(self, acts: Iterable[Act], *, only: str = "") -> list[Row]:
        """Play every attack of every act whose title contains ``only``; one row for each."""
        rows = []
        for number, act in enumerate(acts, 2):
            attacks = [attack for attack in act.attacks if only in attack.title]
            if not attacks:
                continue
            self.tell("")
            self.tell(self.paint(f"Act {number}. {act.title}", "1"))
            self.tell(act.story)
            for attack in attacks:
                rows.append(await self.judge(attack))
                self._tell_row(attack, rows[-1])
        return rows

    async def judge(self, attack: Attack) -> Row:
        """Play one attack while an honest update waits, then see what changed and whether honest updates go on."""
        stage = self.stage
        before = self.last or await stage.vehicle.evidence()
        waiting = await stage.release(attack.pending)
        seen = await attack.play(stage)
        after = await stage.vehicle.evidence()
        stage.proxy.honest()
        if attack.recovery is not None:
            waiting = await attack.recovery(stage) or waiting
        stuck = await self._honest_update(waiting)
        return _row(attack, seen, before=before, after=after, stuck=stuck)

    async def _honest_update(self, waiting: Release) -> str:
        """Let the vehicle install what was waiting; why it did not, empty if it did."""
        result = await self.stage.cycle()
        self.last = await self.stage.vehicle.evidence()
        running = self.last[waiting.component]
        if result["problems"]:
            return f"the next honest update failed: {result['problems'][0]['error']['message']}"
        if running.path != waiting.path:
            return f"{waiting.component} still runs {running.path}"
        if running.on_disk != await asyncio.to_thread(_sha256, waiting):
            return f"{waiting.component} does not run the bytes of {waiting.path}"
        return ""

    def _tell_row(self, attack: Attack, row: Row) -> None:
        refusal = f"refused by the {row.refused_by}: {row.code} ({row.clause})" if row.code else "refused by nobody"
        ecus = "no ECU changed" if row.unchanged else "AN ECU CHANGED"
        after = "honest updates go on" if row.recovered else row.detail
        self.tell(f"  {attack.story}")
        if attack.recovery_story:
            after = f"{attack.recovery_story}, then {after}"
        self.tell(f"    {self.paint.verdict(row.verdict)}  {refusal}; {ecus}; {after}")
        if not row.good:
            self.tell(f"    {self.paint(row.detail, '31')}")


def _row(attack: Attack, seen: Seen | None, *, before: Evidence, after: Evidence, stuck: str) -> Row:
    unchanged = before == after and all(running.on_disk == running.reported for running in after.values())
    verdict, why = _verdict(attack, seen, unchanged=unchanged)
    return Row(
        attack=attack.title,
        attacker=attack.attacker,
        refused_by=seen.by if seen else "-",
        code=seen.code if seen else "",
        clause=(seen.clause or attack.clause) if seen else "",
        unchanged=unchanged,
        recovered=not stuck,
        verdict=verdict,
        detail=why or stuck or (seen.detail if seen else ""),
    )


def _verdict(attack: Attack, seen: Seen | None, *, unchanged: bool) -> tuple[str, str]:
    """The verdict on one attack, and what is wrong with how it went."""
    if not attack.stoppable:
        if unchanged or seen is not None:
            return UNEXPECTED, "this attack was to succeed, and did not; the demonstration is broken"
        return KNOWN_LIMIT, ""
    if not unchanged:
        return FAILED, "an ECU runs something else now, or reports what it does not run"
    if seen is None:
        return FAILED, f"{attack.by} was to refuse with {attack.code}, and nobody refused"
    if (seen.by, seen.code) != (attack.by, attack.code):
        expected = f"{attack.by} was to refuse with {attack.code}"
        return UNEXPECTED, f"{expected}, but {seen.by} refused with {seen.code}: {seen.detail}"
    return STOPPED, ""


def _sha256(release: Release) -> str:
    return hashlib.sha256(release.file.read_bytes()).hexdigest()
