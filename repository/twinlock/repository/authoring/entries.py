"""What the author of an image states about it, checked before it is signed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tuf.api.metadata import TargetFile

from twinlock.repository.model.versions import read_range, read_version
from twinlock.repository.model.views import ImageView
from twinlock.trust.errors.base import UsageError
from twinlock.trust.model.target_format import OSTREE, stated_format
from twinlock.trust.names import HardwareId, RoleName, TargetPath, identifier, target_path

HOSTED_AT = "uri"  # the member of ``custom``, under the name that aktualizr reads
MAX_RELEASE_COUNTER = 2**63 - 1  # what every language an ECU is programmed in can hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """What an image is, as software: a name and version, and what it needs or clashes with, by component name.

    See ``versions`` for what versions and ranges are. Raises: UsageError, UnsafePathError.
    """

    name: str
    version: str
    dependencies: Mapping[str, str] = field(default_factory=dict)
    conflicts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        identifier(self.name)
        read_version(self.version)
        for relation in (self.dependencies, self.conflicts):
            for other, specifier in relation.items():
                self._check_relation(other, specifier)

    def _check_relation(self, other: str, specifier: str) -> None:
        identifier(other)
        if other == self.name:
            raise UsageError(reason=f"{self.name} cannot depend on, or conflict with, itself")
        read_range(specifier)

    def as_json(self) -> dict[str, Any]:
        """The members of ``custom`` that state this."""
        return {
            "name": self.name,
            "version": self.version,
            "dependencies": dict(self.dependencies),
            "conflicts": dict(self.conflicts),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """Everything an author states about one image, apart from its bytes. Raises: UsageError, UnsafePathError.

    ``ostree``: it is a commit to be pulled. ``uri`` is where another host serves its bytes, which are not here then.
    """

    path: TargetPath
    hardware_ids: tuple[HardwareId, ...]
    release_counter: int
    component: Component | None = None
    ostree: bool = False
    uri: str | None = None

    def __post_init__(self) -> None:
        target_path(self.path)
        if not self.hardware_ids:
            raise UsageError(reason=f"{self.path} needs at least one hardware id")
        for hardware_id in self.hardware_ids:
            identifier(hardware_id)
        if not 0 <= self.release_counter <= MAX_RELEASE_COUNTER:
            raise UsageError(reason=f"the release counter of {self.path} must lie between 0 and {MAX_RELEASE_COUNTER}")

    def custom(self) -> dict[str, Any]:
        """The ``custom`` member of the entry. What both repositories have to state alike is in ``mustAgree``."""
        must_agree = {"hardwareIds": sorted(set(self.hardware_ids)), "releaseCounter": self.release_counter}
        return {
            "mustAgree": must_agree,
            **(self.component.as_json() if self.component else {}),
            **({"targetFormat": OSTREE} if self.ostree else {}),
            **({HOSTED_AT: self.uri} if self.uri is not None else {}),
        }


def describe(
    path: str,
    hardware_ids: Iterable[str],
    release_counter: int,
    component: Component | None = None,
    *,
    ostree: bool = False,
    uri: str | None = None,
) -> Description:
    """A ``Description`` from plain values. Raises: UsageError, UnsafePathError."""
    return Description(
        path=target_path(path),
        hardware_ids=tuple(HardwareId(hardware_id) for hardware_id in hardware_ids),
        release_counter=release_counter,
        component=component,
        ostree=ostree,
        uri=uri,
    )


def target_entry(description: Description, length: int, hashes: Mapping[str, str]) -> TargetFile:
    """The Targets entry of an image of ``length`` bytes with those digests (lower-case hex)."""
    return TargetFile(length, dict(hashes), description.path, {"custom": description.custom()})


def entry_view(role: str, entry: TargetFile) -> ImageView:
    """An entry for people. Members that are not as we write them are omitted, since a supplier may write others."""
    custom = entry.custom if isinstance(entry.custom, dict) else {}
    agreed = custom.get("mustAgree")
    stated = {**custom, **agreed} if isinstance(agreed, dict) else custom
    counter = stated.get("releaseCounter")
    hardware = stated.get("hardwareIds")
    return ImageView(
        path=TargetPath(entry.path),
        role=RoleName(role),
        length=entry.length,
        hashes=dict(entry.hashes),
        release_counter=counter if isinstance(counter, int) else None,
        hardware_ids=tuple(map(HardwareId, hardware)) if isinstance(hardware, list) else (),
        component=_text(custom.get("name")),
        version=_text(custom.get("version")),
        dependencies=_relation(custom.get("dependencies")),
        conflicts=_relation(custom.get("conflicts")),
        target_format=stated_format(entry.length, custom),
        uri=hosted_at(custom),
    )


def hosted_at(custom: Mapping[str, Any]) -> str | None:
    """Where another host serves the bytes of an image, which the Image repository then does not hold; None if it does."""
    return _text(custom.get(HOSTED_AT))


def check_succession(path: str, offered: TargetFile, previous: TargetFile | None, *, replace: bool) -> None:
    """Refuse an entry that may not follow ``previous`` under the same path.

    Raises: UsageError for a duplicate without ``replace``, or a lower release counter: vehicles that have the previous
    image would refuse it forever (Uptane 2.1.0 5.4.4.2 step 10.4).
    """
    if previous is None:
        if replace:
            raise UsageError(reason=f"{path} is not listed, so there is nothing to replace")
        return
    if not replace and previous != offered:
        raise UsageError(reason=f"{path} is already listed; use replace to list different content under that name")
    before, after = entry_view("", previous).release_counter, entry_view("", offered).release_counter
    if before is not None and (after is None or after < before):
        raise UsageError(reason=f"the release counter of {path} would fall from {before} to {after}; it may only rise")


def check_entry_of_others(path: str, entry: TargetFile) -> None:
    """Refuse an entry of a supplier that we would not have written. Raises: UsageError, UnsafePathError."""
    target_path(path)
    view = entry_view("", entry)
    if view.release_counter is None:
        raise UsageError(reason=f"{path} states no release counter")
    component = None
    if view.component is not None:
        component = Component(
            name=view.component,
            version=view.version or "",
            dependencies=view.dependencies,
            conflicts=view.conflicts,
        )
    describe(path, view.hardware_ids, view.release_counter, component)
    if view.target_format == OSTREE or view.uri is not None:
        raise UsageError(
            reason=f"{path} has no bytes here: OSTree commits and hosted images are listed in our own Targets"
        )
    if not {"sha256", "sha512"} & set(entry.hashes):
        raise UsageError(reason=f"{path} lists neither a SHA-256 nor a SHA-512 digest")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _relation(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {
        name: specifier for name, specifier in value.items() if isinstance(name, str) and isinstance(specifier, str)
    }
