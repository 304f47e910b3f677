"""What an operator says of the Image repository, checked before a Director is made that trusts it.

The form of the address, and that the Root is not a Director's, are always checked. Whether the repository is there and
was signed under that Root is asked of it, unless the operator says that it cannot be reached now.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from twinlock.director.source import FetchFile, open_source
from twinlock.trust.commands import Answer, Command, Fetch, drive
from twinlock.trust.errors.base import RefusalError, UsageError
from twinlock.trust.errors.metadata import ExpiredError, MissingMetadataError
from twinlock.trust.names import IMAGE
from twinlock.trust.refresh import refresh_repository
from twinlock.trust.restore import bootstrap_repository
from twinlock.trust.state import TrustedRepository


def check_location(location: str) -> str:
    """The base URL or the absolute directory that ``location`` means. Raises: UsageError."""
    if "://" not in location:
        directory = Path(location).resolve()
        if not directory.is_dir():
            raise UsageError(reason=f"{location} is not a directory, and not an http(s) URL such as http://host:8080")
        return str(directory)
    try:
        parts = urlsplit(location)
        whole = bool(parts.hostname) and parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:
        raise UsageError(reason=f"{location!a} is not a URL") from None
    if parts.scheme == "file":
        return location
    if not whole or parts.scheme not in ("http", "https") or not _is_plain(location):
        raise UsageError(reason=f"{location} is not a base URL such as https://images.example:8443")
    return location


def _is_plain(location: str) -> bool:
    return location.isascii() and location.isprintable() and not set(location) & set(' "<>\\^`{|}')


def check_image_root(root: bytes) -> TrustedRepository:
    """The trust that an Image Root gives. Raises: RefusalError if it is not a Root, UsageError if it is a Director's."""
    anchor = bootstrap_repository(IMAGE, root)
    if anchor.root.signed.time_source is not None:
        raise UsageError(reason="the Image Root given is a Director's: it names a source of time; swap the two files")
    return anchor


def ask_image_repository(location: str, anchor: TrustedRepository, now: datetime) -> tuple[str, ...]:
    """Read the repository at ``location`` under ``anchor`` as a vehicle would; returns warnings.

    Raises: TransportError, StorageError; UsageError if that is not an Image repository, or one under another Root.
    """
    fetch = open_source(location)
    try:
        drive(refresh_repository(anchor, now), lambda command: _answer(fetch, command))
    except ExpiredError as error:
        return (f"{location}: {error}; renew it before vehicles are told anything",)
    except MissingMetadataError as error:
        reason = f"{location} is not an Image repository, or has published nothing yet ({error})"
        raise UsageError(reason=reason) from error
    except RefusalError as error:
        reason = f"what {location} publishes is not signed under the Image Root given; check both ({error})"
        raise UsageError(reason=reason) from error
    return ()


def _answer(fetch: FetchFile, command: Command) -> Answer:
    return fetch(command.name, command.max_bytes) if isinstance(command, Fetch) else None
