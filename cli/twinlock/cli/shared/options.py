"""Options that several commands of ``twinlock image`` and ``twinlock supplier`` share, and what they turn into."""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from twinlock.cli.shared.passphrase import passphrase_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from _typeshed import DataclassInstance

    from twinlock.repository.authoring.entries import Component
    from twinlock.repository.image_repository import ImageRepository
    from twinlock.repository.keys.keyring import KeyPlan
    from twinlock.repository.workspace.validity import Periods

_R = TypeVar("_R")

KEY_KINDS = ("ed25519", "ecdsa-p256", "ecdsa-p384", "rsa-pss-3072", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87")
_ROLES = ("root", "targets", "snapshot", "timestamp")
_LONGEST = timedelta(days=36_500)
DIRECTORY = click.Path(path_type=Path, file_okay=False)
EXISTING_DIRECTORY = click.Path(path_type=Path, file_okay=False, exists=True)
FILE = click.Path(path_type=Path, dir_okay=False)
DEMAND_OF_ROLES = click.option(
    "--demand-post-quantum",
    "demanding",
    multiple=True,
    type=click.Choice(("root", "targets", "snapshot", "timestamp")),
    help="One signature of this role must be by an ml-dsa key, as in --keys root=2/3:ed25519+ml-dsa-65 (repeat).",
)
REPLACED_KEYS = click.option(
    "--replace",
    "replaced",
    multiple=True,
    metavar="KEYID",
    help="Only this key of the role, for one of its kind (repeat).",
)
DEMAND_OF_ROTATION = click.option(
    "--demand-post-quantum/--no-demand-post-quantum",
    "demand",
    default=None,
    help="Whether one of the signatures must be by an ml-dsa key (default: unchanged).",
)


@dataclass(frozen=True, kw_only=True)
class DescriptionArguments:
    """The options that describe one image apart from its bytes, as text; ``read_component`` turns it into values."""

    name: str
    hardware: tuple[str, ...]
    release_counter: int
    component: str | None
    version: str | None
    needs: tuple[str, ...]
    conflicts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class EntryArguments(DescriptionArguments):
    """The options of an image that is the file ``source``."""

    source: Path


@dataclass(frozen=True, kw_only=True)
class DelegationArguments:
    """The options of one delegation."""

    role: str
    keys: tuple[Path, ...]
    threshold: int
    paths: tuple[str, ...]
    hardware: tuple[str, ...]
    terminating: bool
    post_quantum: bool

    def stated(self) -> dict[str, Any]:
        """Everything but the role, as the parameters of ``delegate`` of either party."""
        return {
            "keys": self.keys,
            "threshold": self.threshold,
            "paths": self.paths,
            "hardware_ids": self.hardware or None,
            "terminating": self.terminating,
            "post_quantum": self.post_quantum,
        }


def description_options(*, required: bool) -> tuple[Callable[[Callable[..., _R]], Callable[..., _R]], ...]:
    """The options of one image, wherever its bytes are. ``required``: the command takes one image and no manifest."""
    return (
        click.option(
            "--hardware-id",
            "hardware",
            multiple=True,
            required=required,
            help="A hardware id that the image is for (repeat).",
        ),
        click.option("--release-counter", type=int, required=required, help="Its place in the order of releases."),
        click.option("--component", help="The name of the software component that it carries."),
        click.option("--version", help="The component's version, such as 2.1 or 7.4.2-bosch+3."),
        click.option("--needs", multiple=True, metavar="COMPONENT[SPEC]", help='Such as "gateway>=1.4" (repeat).'),
        click.option("--conflicts", multiple=True, metavar="COMPONENT[SPEC]", help='Such as "adas<3" (repeat).'),
    )


def delegation_options(function: Callable[..., _R]) -> Callable[..., _R]:
    """The parameters of one delegation (ROLE and options), passed as ``delegation``."""
    return packed(
        function,
        "delegation",
        DelegationArguments,
        click.argument("role"),
        click.option("--key", "keys", type=FILE, multiple=True, required=True, help="A file of public keys (repeat)."),
        click.option("--threshold", type=click.IntRange(1), default=1, help="How many keys must sign (default: 1)."),
        click.option(
            "--path",
            "paths",
            multiple=True,
            required=True,
            help='Names, such as "acme/*", or "acme/**" for all below (repeat).',
        ),
        click.option(
            "--hardware-id", "hardware", multiple=True, help="Hardware it may sign for (repeat; default: any)."
        ),
        click.option("--terminating", is_flag=True, help="Do not search later delegations for these names."),
        click.option(
            "--demand-post-quantum",
            "post_quantum",
            is_flag=True,
            help="One of the signatures must be by an ml-dsa key; needs a threshold of 2 or more.",
        ),
    )


def packed(
    function: Callable[..., _R], name: str, kind: type[DataclassInstance], *parameters: Any
) -> Callable[..., _R]:
    """Give a command ``parameters`` and pass their values as one argument of type ``kind``."""

    @functools.wraps(function)
    def run(*args: Any, **options: Any) -> _R:
        values = {field.name: options.pop(field.name) for field in fields(kind)}
        return function(*args, **{name: kind(**values)}, **options)

    for parameter in reversed(parameters):
        run = parameter(run)
    return run


def read_component(entry: DescriptionArguments) -> Component | None:
    """The component that the options describe, or None if they name none. Raises: UsageError, UnsafePathError."""
    from twinlock.repository.authoring.entries import Component
    from twinlock.repository.authoring.image_requests import relation
    from twinlock.trust.errors.base import UsageError

    if entry.component is None:
        if entry.version or entry.needs or entry.conflicts:
            raise UsageError(reason="--version, --needs and --conflicts require a --component")
        return None
    if entry.version is None:
        raise UsageError(reason=f"the component {entry.component} requires a --version")
    return Component(
        name=entry.component,
        version=entry.version,
        dependencies=dict(map(relation, entry.needs)),
        conflicts=dict(map(relation, entry.conflicts)),
    )


def read_plans(values: Iterable[str], kind: str, demanding: Iterable[str] = ()) -> dict[str, KeyPlan]:
    """``targets=2/3`` or ``root=2/3:ed25519+ml-dsa-65`` as key plans by role; ``kind`` is for all that name none.

    Several kinds are those of the last keys; the first of them is also that of all keys before. ``demanding`` are the
    roles of which a post-quantum signature is demanded.
    Raises: UsageError.
    """
    from twinlock.repository.keys.keyring import KeyKind, KeyPlan

    plans = {role: KeyPlan(kind=KeyKind(kind)) for role in _ROLES}
    for value in values:
        role, _, rest = value.partition("=")
        plans[role] = _read_plan(value, rest, kind)
    for role in dict.fromkeys(demanding):
        plans[role] = plans[role].for_role(role, demanded=True)
    return plans


def read_replacement(
    roles: Iterable[str],
    given: Iterable[str],
    *,
    plan: KeyPlan | None,
    now: Callable[[str], KeyPlan],
    known: Mapping[str, Sequence[str]],
) -> KeyPlan:
    """The plan by which the keys ``given``, whose ids may be shortened, are replaced.

    ``plan`` is what else was asked for, ``now`` gives the plan that a role has, ``known`` are the key ids of each.
    Raises: AmbiguousIdError; UsageError.
    """
    from twinlock.cli.shared.errors import AmbiguousIdError
    from twinlock.trust.errors.base import UsageError

    role, *others = roles
    if others:
        raise UsageError(reason="--replace works on one role at a time")
    if plan is not None:
        raise UsageError(reason="--replace keeps the number and the kinds of keys; omit --keys")
    replaced = []
    for keyid in given:
        matching = [each for each in known.get(role, ()) if each.startswith(keyid)]
        if len(matching) != 1:
            raise AmbiguousIdError(given=keyid, matches=len(matching), among=f"keys of {role}")
        replaced += matching
    return replace(now(role), replacing=tuple(dict.fromkeys(replaced)))


def read_rotation(roles: Iterable[str], *, keys: str | None, kind: str | None, demand: bool | None) -> KeyPlan | None:
    """The plan that ``rotate`` is given for ``roles``; None: as now. Raises: UsageError."""
    from twinlock.trust.errors.base import UsageError

    if keys is None:
        for name, given in (("--kind", kind), ("--demand-post-quantum", demand)):
            if given is not None:
                raise UsageError(reason=f"{name} requires --keys, the number of keys")
        return None
    plan = _read_plan(keys, keys, kind or "ed25519")
    return plan if demand is None else plan.for_role(" and ".join(roles), demanded=demand)


def _read_plan(value: str, text: str, kind: str) -> KeyPlan:
    from twinlock.io.files.near_names import suggestion
    from twinlock.repository.keys.keyring import KeyKind, KeyPlan
    from twinlock.trust.errors.base import UsageError

    numbers, _, kinds = text.partition(":")
    threshold, _, count = numbers.partition("/")
    known = [each.value for each in KeyKind]
    try:
        first, *also = map(KeyKind, (kinds or kind).split("+"))
        return KeyPlan(count=int(count or threshold), threshold=int(threshold), kind=first, also=tuple(also))
    except ValueError:
        reason = f"{value!r} is not ROLE=THRESHOLD/COUNT[:KIND[+KIND]], such as root=2/3:ecdsa-p256"
        unknown = next((name for name in kinds.split("+") if name and name not in known), None)
        if unknown is not None:
            reason += f"; the kinds are {', '.join(known)}{suggestion(unknown, known)}"
        raise UsageError(reason=reason) from None


def read_duration(value: str) -> timedelta:
    """``36h``, ``7d``, ``90m``, ``2w`` or ``30s`` as a duration. Raises: UsageError."""
    from twinlock.trust.errors.base import UsageError

    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
    number, unit = value[:-1], value[-1:]
    if not (number.isascii() and number.isdigit() and len(number) < 8) or unit not in units:
        raise UsageError(reason=f"{value!r} is not a duration; write a number and one of s, m, h, d, w, such as 36h")
    duration = timedelta(seconds=int(number) * units[unit])
    if duration > _LONGEST:
        raise UsageError(reason=f"{value} is longer than {_LONGEST.days} days")
    return duration


def read_validity(value: str) -> timedelta:
    """A duration for which something signed is valid. Raises: UsageError, also for none at all."""
    from twinlock.trust.errors.base import UsageError

    validity = read_duration(value)
    if not validity:
        raise UsageError(reason="a validity must be longer than 0")
    return validity


def read_periods(values: Iterable[str]) -> Periods:
    """``timestamp=12h`` and its like as the validity of each role's files. Raises: UsageError."""
    from twinlock.io.files.near_names import suggestion
    from twinlock.repository.workspace.validity import Periods
    from twinlock.trust.errors.base import UsageError

    parts = [value.partition("=") for value in values]
    for role, separator, text in parts:
        if role not in _ROLES:
            wrong = f"{role + separator + text!r} is not ROLE=DURATION, such as timestamp=1d"
            raise UsageError(reason=f"{wrong}; the roles are {', '.join(_ROLES)}{suggestion(role, _ROLES)}")
    return Periods(**{role: read_validity(text) for role, _, text in parts})


def open_image_repository(directory: Path, passphrase_file: Path | None) -> ImageRepository:
    """Open the repository of a command. Raises: UsageError, StorageError, StoreTamperedError."""
    from twinlock.repository.image_repository import ImageRepository

    return ImageRepository.open(directory, passphrase=passphrase_for(passphrase_file))
