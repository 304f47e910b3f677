"""What an attack of the play consists of, and what is seen of it. The acts (``acts``) are lists of these.

Belongs here: the shape of an attack. Does not belong here: playing and judging it (``play.py``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from demo.stage import Release, Stage

NETWORK = "the network"
GATEWAY_ITSELF = "the gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A refusal as it was seen: who refused, with which error code, by which clause, and its sentence."""

    by: str
    code: str
    clause: str
    detail: str


Play = Callable[["Stage"], Awaitable[Seen | None]]
Recovery = Callable[["Stage"], Awaitable["Release | None"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One attack. ``attacker`` names the keys or the position that the attacker holds, and nothing else is used.

    While it is played an honest update of the component ``pending`` waits to be installed, so there is something to
    prevent or to replace. ``code`` and ``by`` say who has to refuse it and how; both empty marks an attack that cannot
    be stopped. ``recovery`` is what honest people do afterwards, before the next honest update has to succeed; where it
    releases something newer for that, it returns it.
    ``clause`` is for refusals that state none themselves.
    """

    title: str
    story: str
    attacker: str
    play: Play
    by: str = "gateway"
    code: str = ""
    clause: str = ""
    pending: str = "brake"
    recovery: Recovery | None = None
    recovery_story: str = ""

    @property
    def stoppable(self) -> bool:
        """Whether somebody has to refuse it."""
        return bool(self.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Attacks that belong together. ``story`` is one sentence for somebody who has never heard of Uptane."""

    title: str
    story: str
    attacks: tuple[Attack, ...]


def seen_in_cycle(result: Mapping[str, Any]) -> Seen | None:
    """The refusal that ended a cycle of the gateway; None if it refused nothing."""
    found = [_seen(problem) for problem in result["problems"]]
    return next((seen for seen in found if seen.clause or seen.code == "slow-retrieval"), next(iter(found), None))


def seen_in_problem(by: str, problem: Mapping[str, Any]) -> Seen:
    """The refusal that a server answered with (RFC 9457)."""
    return Seen(
        by=by, code=str(problem["code"]), clause=str(problem.get("clause", "")), detail=str(problem.get("detail", ""))
    )


def _seen(problem: Mapping[str, Any]) -> Seen:
    error = problem["error"]
    if error["code"] == "secondary-refused":  # the gateway only passes on what the ECU said
        fields = error["fields"]
        return Seen(by=fields["ecu"], code=fields["problem"], clause=fields["clause"], detail=fields["detail"])
    return Seen(by="gateway", code=error["code"], clause=error.get("clause", ""), detail=error["message"])
