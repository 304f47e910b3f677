"""The configuration of a supplier's place: its role, threshold, validity and wire profiles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twinlock.io.files.durable import read_file
from twinlock.repository.workspace.profiles import Wires
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import NewerStateError, StorageError

KIND = "supplier"
FORMAT = 1
MAX_CONFIG_BYTES = 65_536


def wires_json(wires: Wires) -> dict[str, Any]:
    """Members of the configuration that name the profiles; none for the ``tuf`` profile alone."""
    return {"wires": list(wires.names)} if wires.aktualizr else {}


def read_config(path: Path) -> dict[str, Any]:
    """The configuration at ``path``, its types checked. Raises: UsageError, NewerStateError, StorageError."""
    data = read_file(path, max_bytes=MAX_CONFIG_BYTES)
    if data is None:
        raise UsageError(
            reason=f"{path.parent} is not a supplier's workspace: it has no config.json (`twinlock supplier init` makes one)"
        )
    try:
        body: dict[str, Any] = json.loads(data)
        file_format, kind = int(body["format"]), body.get("kind", "of a Director, or of another program")
        if kind != KIND:
            raise UsageError(reason=f"{path.parent} is not a supplier's workspace but of the kind {kind}")
        if file_format > FORMAT:
            reason = "it was written by a newer version"
            raise NewerStateError(path=str(path), operation="open", reason=reason, found=file_format, supported=FORMAT)
        _ = str(body["role"]), int(body["threshold"]), int(body["validity"])
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(
            path=str(path), operation="read", reason=f"{path} is not a configuration ({error!r})"
        ) from None
    return body
