"""Mistakes of a caller or an operator that a program may want to distinguish. All have the code ``usage``."""

from __future__ import annotations

from typing import Any

from twinlock.trust.errors.base import UsageError, party_of


class LimitSettingError(UsageError):
    """A setting of ``Limits`` that names no limit, or a value that cannot be one."""

    template = "limit {name}: {reason}"
    name: str


class NotRefreshedError(UsageError):
    """A search in a repository that was not refreshed first."""

    template = "the repository {repository} cannot be searched: {reason}"
    repository: str


class GivenRootError(UsageError):
    """A Root file that was given for one repository and belongs to another."""

    template = "the Root given for {repository} cannot be used: {reason}"
    repository: str

    def _worded(self) -> dict[str, Any]:
        return super()._worded() | {"repository": party_of(self.repository)}


class FirstContactError(UsageError):
    """What answers at an address is not the repository of the Root that an operator gave for it."""

    template = "{repository} at {location} does not match the Root given: {reason}"
    repository: str
    location: str

    def _worded(self) -> dict[str, Any]:
        return super()._worded() | {"repository": party_of(self.repository)}


class NotPublishedError(FirstContactError):
    """The address does not serve the Root given, or serves nothing else yet."""


class ForeignMetadataError(FirstContactError):
    """What the address serves is not signed under the Root given."""


class VehicleUrlError(UsageError):
    """The URL given for a vehicle's Director is that of another vehicle."""

    template = "{location} is the Director's URL of vehicle {offered}, but this vehicle is {expected}"
    hint = "give the URL of this vehicle, or correct the identifier"
    location: str
    offered: str
    expected: str


class InvalidJsonFileError(UsageError):
    """A file of an operator that does not hold one JSON object."""

    template = "{path} {reason}"
    path: str


class TlsFileError(UsageError):
    """A certificate, key or authority that a TLS server cannot use."""

    template = "cannot use {path}: {reason}"
    path: str
