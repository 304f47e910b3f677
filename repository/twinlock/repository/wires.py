"""In which wire profiles a repository publishes, and where its numbers begin: a part of its ``config.json``.

Belongs here: those settings. Does not belong here: what a profile is (``twinlock.trust.wire``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from twinlock.repository.keyring import KeyPlan
from twinlock.repository.private_keys import KeyKind
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.wire.aktualizr.form import NAME as AKTUALIZR
from twinlock.trust.wire.tuf import TUF

WIRES = (TUF.name, AKTUALIZR)
READABLE_KINDS = frozenset({KeyKind.ED25519, KeyKind.RSA_PSS})  # by clients of the aktualizr profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Wires:
    """``root_offset`` is by how much the Root chain of the aktualizr profile is behind ours, which began earlier.

    ``first_root`` and ``first_timestamp`` are above 1 where a repository goes on with the numbers of another one, which
    ``taken_over`` tells from any other.
    """

    names: tuple[str, ...] = (TUF.name,)
    root_offset: int = 0
    first_root: int = 1
    first_timestamp: int = 1
    taken_over: str = ""

    def __post_init__(self) -> None:
        unknown = set(self.names) - set(WIRES)
        if unknown or TUF.name not in self.names:
            reason = f"the wire profiles of a repository are tuf and, beside it, aktualizr; not {', '.join(self.names)}"
            raise UsageError(reason=reason)

    @property
    def aktualizr(self) -> bool:
        """Whether the aktualizr profile is published too."""
        return AKTUALIZR in self.names

    def with_aktualizr(self, *, root_offset: int) -> Wires:
        """The same with that profile, whose Root 1 says what Root ``root_offset + 1`` of ours says."""
        return replace(self, names=WIRES, root_offset=root_offset)

    def as_json(self) -> dict[str, Any]:
        """Members of the configuration; none for a repository that is nothing but a plain one."""
        if self == Wires():
            return {}
        return {
            "wires": list(self.names),
            "aktualizr": {"rootOffset": self.root_offset},
            "first": {"root": self.first_root, "timestamp": self.first_timestamp, "takenOver": self.taken_over},
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Wires:
        """The inverse of ``as_json``; what is missing has its default. Raises: UsageError."""
        first = body.get("first", {})
        return cls(
            names=tuple(map(str, body.get("wires", (TUF.name,)))),
            root_offset=int(body.get("aktualizr", {}).get("rootOffset", 0)),
            first_root=int(first.get("root", 1)),
            first_timestamp=int(first.get("timestamp", 1)),
            taken_over=str(first.get("takenOver", "")),
        )

    def check_plans(self, plans: Mapping[str, KeyPlan]) -> None:
        """Refuse kinds of keys that clients could not read, before such keys are made. Raises: ProfileError."""
        for role, plan in plans.items():
            if self.aktualizr and plan.kind not in READABLE_KINDS:
                readable = " and ".join(sorted(kind.value for kind in READABLE_KINDS))
                reason = (
                    f"a key of kind {plan.kind.value} makes the whole file unreadable to them; {readable} can be read"
                )
                raise ProfileError(profile=AKTUALIZR, what=role, reason=reason)
