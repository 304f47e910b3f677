"""Where the Director reads the Image repository's metadata from: a base URL, or a directory."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from twinlock.director.errors.operator import SettingError
from twinlock.io.http.network_faults import network_reason, place_of
from twinlock.io.http.outgoing import RateFloor, open_url
from twinlock.repository.store.object_names import served_name
from twinlock.trust.engine.commands import ABSENT, Absent
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.local import FetchError, StorageError, TransportError

_TIMEOUT_S = 10.0  # without a byte
_TOTAL_S = 120.0  # for one file, from the connection to its last byte
_CHUNK = 65_536

FetchFile = Callable[[str, int], bytes | Absent]


def open_source(location: str) -> FetchFile:
    """A function that gets a metadata file by name, of at most so many bytes, from a URL or a directory.

    Raises (the function): TransportError, EndlessDataError, StorageError. (This one): UsageError.
    """
    scheme = urlsplit(location).scheme
    if scheme in ("http", "https"):
        base = location.rstrip("/")
        return lambda name, limit: _fetch_url(f"{base}/metadata/{name}", limit)
    if scheme == "file":
        location = urllib.request.url2pathname(urlsplit(location).path)
    elif "://" in location:
        raise SettingError(setting="image_url", reason=f"is {location}, neither an http(s) URL nor a directory")
    return lambda name, limit: _read_metadata(_metadata_directory(Path(location)), name, limit)


def _metadata_directory(base: Path) -> Path:
    """The directory itself, or its ``public`` part where an Image repository's own directory is given."""
    inner = base / "public" / "metadata"
    return inner if inner.is_dir() else base / "metadata"


def _read_metadata(directory: Path, name: str, limit: int) -> bytes | Absent:
    """A file by the name that its URL decodes to, or by the encoded one that an earlier version wrote."""
    served = _read_file(directory / served_name(name), limit, top=directory)
    return _read_file(directory / name, limit, top=directory) if served is ABSENT else served


def _read_file(path: Path, limit: int, *, top: Path) -> bytes | Absent:
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except FileNotFoundError:
        if not top.is_dir():
            raise StorageError(path=str(top), operation="read", reason="there is no such directory") from None
        return ABSENT
    except OSError as error:
        raise StorageError(path=str(path), operation="read", reason=error.strerror or str(error)) from None
    if len(data) > limit:
        raise EndlessDataError(what=str(path), limit_bytes=limit)
    return data


def _fetch_url(url: str, limit: int) -> bytes | Absent:
    request = urllib.request.Request(url, headers={"User-Agent": "twinlock-director"})  # noqa: S310 - checked above
    try:
        with open_url(request, timeout_s=_TIMEOUT_S, total_s=_TOTAL_S) as response:
            return _read_response(response, url, limit)
    except urllib.error.HTTPError as error:
        with error:
            if error.code in (403, 404):
                return ABSENT
            raise FetchError(url=url, reason=error.reason or "no reason given", status=error.code) from None
    except (OSError, ValueError) as error:
        raise TransportError(url=url, reason=network_reason(error, place_of(url))) from None


def _read_response(response: Any, url: str, limit: int) -> bytes:
    floor, chunks, received = RateFloor(url), [], 0
    while chunk := response.read1(_CHUNK):
        chunks.append(chunk)
        received += len(chunk)
        if received > limit:
            raise EndlessDataError(what=url, limit_bytes=limit)
        floor.count(len(chunk))
    return b"".join(chunks)
