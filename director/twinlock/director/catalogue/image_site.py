"""What an operator states of the Image repository, checked before a Director that trusts it is created.

The form of the address, and that the Root is not a Director's, are always checked. Whether the repository is there and
was signed under that Root is asked of it, unless the operator states that it cannot be reached now.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from twinlock.director.catalogue.source import FetchFile, open_source
from twinlock.director.errors.operator import SettingError
from twinlock.trust.engine.commands import Answer, Command, Fetch, drive
from twinlock.trust.engine.first_contact import is_base_url, meet_image_repository
from twinlock.trust.state.trusted import TrustedRepository


def check_location(location: str) -> str:
    """The base URL or the absolute directory that ``location`` means. Raises: UsageError."""
    if "://" not in location:
        directory = Path(location).resolve()
        if not directory.is_dir():
            raise SettingError(
                setting="image_url",
                reason=f"is {location}, neither a directory nor an http(s) URL such as http://host:8080",
            )
        return str(directory)
    if not location.startswith("file://") and not is_base_url(location):
        raise SettingError(
            setting="image_url", reason=f"is {location!a}, not a base URL such as https://images.example:8443"
        )
    return location


def ask_image_repository(location: str, anchor: TrustedRepository, now: datetime) -> tuple[str, ...]:
    """Read the repository at ``location`` under ``anchor`` as a vehicle would; returns warnings.

    Raises: TransportError, StorageError; UsageError if that is not an Image repository, or one under another Root.
    """
    fetch = open_source(location)
    return drive(meet_image_repository(anchor, now, location=location), lambda command: _answer(fetch, command))


def _answer(fetch: FetchFile, command: Command) -> Answer:
    return fetch(command.name, command.max_bytes) if isinstance(command, Fetch) else None
