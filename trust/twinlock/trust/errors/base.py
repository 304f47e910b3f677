"""The roots of the error tree, and how an error is shown.

An error is its fields, all given by keyword; ``template`` only words them. Tests and programs look at fields and
``code``; people read ``str()``. A subclass declares its fields as annotations, with a value where there is a default, and nothing else:

    class RollbackError(RefusalError):
        code = "rollback"
        template = "{role}: {offered} is older than {trusted}"
        role: str
        offered: int
        trusted: int

``TwinlockError`` gives it what ``dataclass`` would, but generates no code at import: there are many errors, and a
gateway's engine imports all of them at each start and raises none on most days.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any, ClassVar, dataclass_transform

from twinlock.trust.text.printable import printable
from twinlock.trust.text.times import format_time


class Attack(enum.Enum):
    """The attacks of Uptane 2.1.0 4.3, as a report names them. ``NONE`` marks a fault that is not an attack by itself."""

    NONE = "none"
    ARBITRARY_SOFTWARE = "arbitrary-software"
    DENIAL_OF_SERVICE = "denial-of-service"
    DROP_REQUEST = "drop-request"
    ENDLESS_DATA = "endless-data"
    EQUIVOCATION = "equivocation"
    FREEZE = "freeze"
    MIX_AND_MATCH = "mix-and-match"
    MIXED_BUNDLES = "mixed-bundles"
    REPLAY = "replay"
    ROLLBACK = "rollback"
    SLOW_RETRIEVAL = "slow-retrieval"
    SPOOFED_REPORT = "spoofed-report"
    TRAVERSAL = "path-traversal"
    WRONG_HARDWARE = "wrong-hardware"


class Kind(enum.Enum):
    """What kind of event an error is. Reports, problems and tables carry it and never mix the three.

    ``ATTACK``: evidence that a party acted without the right to. ``REFUSAL``: a rule was not met, though all parties may be
    honest. ``FAILURE``: something broke, here or on the network.
    """

    ATTACK = "attack"
    REFUSAL = "refusal"
    FAILURE = "failure"


def party_of(repository: str) -> str:
    """How a sentence calls the repository of that name: ``the Director``, for one."""
    return {"director": "the Director", "image": "the Image repository"}.get(repository, f"the repository {repository}")


@dataclass_transform(kw_only_default=True, eq_default=False)
class TwinlockError(Exception):
    """Anything this project raises on purpose. ``code`` is stable; programs may depend on it.

    ``by_rule`` is true for a class that a rule raises; a fault raises the others. ``kind`` follows from it and from ``attack``.
    """

    code: ClassVar[str] = "error"
    by_rule: ClassVar[bool] = False
    template: ClassVar[str] = "an error"
    hint: ClassVar[str] = ""
    joined: ClassVar[str] = ", "  # between the items of a field
    field_names: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        if "field_names" in vars(cls):
            return
        own = cls.__annotations__
        cls.field_names += tuple(name for name, kind in own.items() if not str(kind).startswith("ClassVar"))

    def __init__(self, **values: Any) -> None:
        given = {name: getattr(type(self), name) for name in self.field_names if hasattr(type(self), name)} | values
        if given.keys() != set(self.field_names):
            raise TypeError(f"{type(self).__name__} takes {', '.join(self.field_names)}, not {', '.join(values)}")
        self.__dict__.update(given)
        super().__init__(str(self))

    def __str__(self) -> str:
        # Fields hold text from other parties: it must not write control sequences to a terminal or lines to a log.
        return printable(
            self.template.format(**{name: _show(value, self.joined) for name, value in self._worded().items()})
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.fields().items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.fields())

    @classmethod
    def usual_kind(cls) -> Kind:
        """The kind of this class: an attack if it names one, else a refusal if a rule raises it, else a failure."""
        if getattr(cls, "attack", Attack.NONE) is not Attack.NONE:
            return Kind.ATTACK
        return Kind.REFUSAL if cls.by_rule else Kind.FAILURE

    @property
    def kind(self) -> Kind:
        """Attack, refusal or failure. A class that relays another party's verdict takes the kind from it."""
        return self.usual_kind()

    def fields(self) -> dict[str, Any]:
        """The fields of this error by name, as given."""
        return {name: getattr(self, name) for name in self.field_names}

    def _worded(self) -> dict[str, Any]:
        """The fields as the sentence words them."""
        return self.fields()

    def as_json(self) -> dict[str, Any]:
        """This error for machines: its code, kind, sentence and fields (all plain JSON values)."""
        return {
            "code": self.code,
            "kind": self.kind.value,
            "message": str(self),
            "fields": {name: _plain(value) for name, value in self.fields().items()},
            **({"hint": self.hint} if self.hint else {}),
        }


class UsageError(TwinlockError):
    """The caller's own mistake: a wrong argument, calls in the wrong order, a missing file.

    A class below it whose sentence is made of its own fields has no ``reason``.
    """

    code = "usage"
    by_rule = True
    template = "{reason}"
    field_names: ClassVar[tuple[str, ...]] = ("reason",)
    reason: str = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "{reason}" not in cls.template:
            cls.field_names = tuple(name for name in cls.field_names if name != "reason")

    def __init__(self, **values: Any) -> None:
        if "reason" in self.field_names and not values.get("reason"):
            raise TypeError(f"{type(self).__name__} takes a reason")
        super().__init__(**values)


class RefusalError(TwinlockError):
    """Metadata, an image or a report was refused; trusted state is what it was before.

    ``clause`` is the clause whose step refused. It is not a field: a class has one for all places that raise it, and a place
    that carries out another step passes its own by keyword.
    """

    code = "refused"
    by_rule = True
    attack: ClassVar[Attack] = Attack.NONE
    field_names: ClassVar[tuple[str, ...]] = ()
    clause: str = ""

    def __init__(self, *, clause: str = "", **values: Any) -> None:
        if clause:
            self.clause = clause
        super().__init__(**values)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.fields() | {"clause": self.clause})

    def as_json(self) -> dict[str, Any]:
        return super().as_json() | {"attack": self.attack.value, "clause": self.clause}


def _rebuild(cls: type[TwinlockError], values: dict[str, Any]) -> TwinlockError:
    return cls(**values)


def _show(value: Any, joined: str = ", ") -> Any:
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (tuple, list, frozenset, set)):
        items = sorted(value) if isinstance(value, (set, frozenset)) else value
        return joined.join(str(_show(item)) for item in items) or "none"
    return value


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(_plain(item) for item in value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return str(_show(value))
