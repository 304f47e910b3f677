"""Ways to be refused, with the words of the message table in wire 5.

Belongs here: the exceptions and their texts. Does not belong here: when they are raised.
"""

from __future__ import annotations


class UptaneError(Exception):
    """Metadata was refused; the text is what the client logs."""


class FetchFailure(UptaneError):
    """A file could not be fetched, or was too large."""

    def __init__(self, role: str, repository: str) -> None:
        super().__init__(f"Failed to fetch role {role} in {repository} repository.")


class InvalidMetadata(UptaneError):
    """A file does not read as its role. ``role`` is empty when not even that is known."""

    def __init__(self, reason: str, role: str = "") -> None:
        super().__init__(f"The {role} metadata failed to parse: {reason}" if role else _no_role(reason))


def _no_role(reason: str) -> str:
    return f"The metadata failed to parse: {reason}"


class WrongType(UptaneError):
    """``_type`` is another role's."""

    def __init__(self, kind: str, role: str) -> None:
        super().__init__(f"Metadata type {kind.lower()} does not match expected role {role}")


class BadKeyId(UptaneError):
    """The only signature counts for nothing."""

    def __init__(self) -> None:
        super().__init__("A key has an incorrect associated key ID")


class UnmetThreshold(UptaneError):
    """Too few signatures count."""

    def __init__(self, role: str) -> None:
        super().__init__(f"The {role} metadata had an unmet threshold.")


class NonUniqueSignatures(UptaneError):
    """One key id signs twice."""

    def __init__(self, role: str) -> None:
        super().__init__(f"The role {role} had non-unique signatures.")


class IllegalThreshold(UptaneError):
    """A role demands no signatures at all."""

    def __init__(self, role: str) -> None:
        super().__init__(f"The role {role} had an illegal signature threshold.")


class Expired(UptaneError):
    """The time is after ``expires``."""

    def __init__(self, role: str) -> None:
        super().__init__(f"The {role} metadata was expired.")


class VersionMismatch(UptaneError):
    """Another version than the listing file names."""

    def __init__(self, role: str) -> None:
        super().__init__(f"The version of role {role} does not match the entry in Snapshot metadata.")


class RootRotationError(UptaneError):
    """``N.root.json`` holds another version than N."""

    def __init__(self) -> None:
        super().__init__("Version in Root metadata does not match its expected value.")


class DelegationMissing(UptaneError):
    """A delegated role could not be fetched."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The delegated role {name} is missing.")


class DelegationHashMismatch(UptaneError):
    """A delegated role has another hash than Snapshot lists."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The calculated hash of delegated role {name} did not match the hash in the metadata.")


class BadEcuId(UptaneError):
    """The Director names an ECU that the vehicle does not have."""

    def __init__(self) -> None:
        super().__init__("The target had an ECU ID that did not match the client's configured ECU ID.")


class BadHardwareId(UptaneError):
    """The Director gives an ECU another hardware id than it has."""

    def __init__(self) -> None:
        super().__init__("The target had a hardware ID that did not match the client's configured hardware ID.")


class TargetContentMismatch(UptaneError):
    """An installed file name comes back with other content."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Director Target filename {name} matches currently installed version, but content differs.")


class TargetMismatch(UptaneError):
    """No entry of the Image repository matches the Director's."""

    def __init__(self) -> None:
        super().__init__("The target metadata in the Image and Director repos do not match.")


ROLLBACK = "Rollback attempt"
