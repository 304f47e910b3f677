"""Targets and the entry of one image: Uptane 2.1.0 5.2.3."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from twinlock.trust.model.base import NOTHING
from twinlock.trust.model.delegations import Delegations
from twinlock.trust.names import EcuId, HardwareId, TargetPath, VehicleId


class ImageEntry(NamedTuple):
    """One repository's entry for one image.

    ``length`` is in bytes; ``hashes`` maps algorithm to lower-case hex, at least one. ``must_agree`` is the section
    that has to be equal in all repositories, as plain JSON, or None. ``ecus`` is the Director's: ECU to hardware id.
    """

    path: TargetPath
    length: int
    hashes: Mapping[str, str]
    release_counter: int | None = None
    hardware_ids: frozenset[HardwareId] | None = None
    must_agree: Mapping[str, Any] | None = None
    ecus: Mapping[EcuId, HardwareId | None] = NOTHING
    download_url: str | None = None
    custom: Mapping[str, Any] = NOTHING


class Targets(NamedTuple):
    """Images by name, delegations in order of priority, and, from a Director, whose vehicle this is for.

    ``images`` may decode entries when they are looked up; a malformed entry raises MalformedError then.
    ``acknowledged`` names, by ECU, the counter of the newest report whose evidence the Director has taken, and
    ``acknowledged_reports`` the SHA-256 of what that report's signature is over, in hexadecimal; ``resets`` the nonce that the
    next report of an ECU has to carry so that its counter starts over. All are the Director's.
    """

    version: int
    expires: datetime
    issued: datetime | None
    images: Mapping[TargetPath, ImageEntry]
    delegations: Delegations | None = None
    vehicle: VehicleId | None = None
    correlation_id: str | None = None
    acknowledged: Mapping[EcuId, int] = NOTHING
    acknowledged_reports: Mapping[EcuId, str] = NOTHING
    resets: Mapping[EcuId, str] = NOTHING
