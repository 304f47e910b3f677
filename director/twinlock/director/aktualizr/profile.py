"""The ``aktualizr`` profile of the Director, as one object."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from twinlock.director.aktualizr.client import AktualizrClient
from twinlock.director.aktualizr.roots import AktualizrRoots
from twinlock.director.model.clients import Client
from twinlock.director.model.profiles import FileName, S
from twinlock.director.model.records import AKTUALIZR_PROFILE, VehicleRecord
from twinlock.repository.aktualizr.signing import sign_aktualizr
from twinlock.repository.keys.keyring import Keyring
from twinlock.repository.signing.sign import SigningAuthority
from twinlock.trust.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RoleName
from twinlock.trust.wire.aktualizr import encode, form
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.aktualizr.reports import decode_manifest
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.tuf.reports import UnverifiedManifest

_ROOT = re.compile(r"([1-9][0-9]{0,17})\.root\.json")
_BARE = {f"{role}.json": role for role in (SNAPSHOT, TARGETS, TIMESTAMP)}


class AktualizrDirectorProfile:
    """See ``DirectorProfile``. Root alone has a version in its name, and nothing else has: its client asks so."""

    name: str = AKTUALIZR_PROFILE
    reader: WireProfile = AKTUALIZR

    def __init__(self) -> None:
        self.client: Client = AktualizrClient()
        self.translation: AktualizrRoots = AktualizrRoots()

    def decode_manifest(self, data: bytes) -> UnverifiedManifest:
        """See ``DirectorProfile``."""
        return decode_manifest(data)

    def signed_members(self, record: VehicleRecord, now: datetime) -> dict[str, Any]:
        """See ``DirectorProfile``: this profile has none."""
        return {}

    def sign(
        self,
        role: RoleName,
        signed: S,
        signers: SigningAuthority,
        keyring: Keyring,
        files: Mapping[RoleName, bytes],
    ) -> bytes:
        """See ``DirectorProfile``: the content of the ``tuf`` file, translated."""
        plain, limit = signed.to_dict(), form.MAX_BYTES[role]
        if role == TARGETS:
            translated, limit = encode.translate_director_targets(plain), form.MAX_DIRECTOR_TARGETS_BYTES
        elif role == SNAPSHOT:
            translated = encode.translate_snapshot(plain)
        else:
            translated = encode.translate_timestamp(plain, files[SNAPSHOT])
        return sign_aktualizr(role, translated, [signers], keyring, max_bytes=limit)

    def is_written_in(self, data: bytes) -> bool:
        """See ``DirectorProfile``: it writes the type of a file with a capital."""
        return json.loads(data)["signed"]["_type"] in form.TYPES.values()

    def parse_name(self, name: str) -> FileName | None:
        """See ``DirectorProfile``."""
        match = _ROOT.fullmatch(name)
        if match is not None:
            return FileName(ROOT, int(match[1]))
        return FileName(_BARE[name], None) if name in _BARE else None

    def read_root(self, connection: Connection, version: int | None = None) -> bytes | None:
        """See ``DirectorProfile``."""
        return self.translation.read(connection, version)

    def read_served_root(self, connection: Connection, version: int | None) -> bytes | None:
        """See ``DirectorProfile``."""
        return self.translation.read_served(connection, version)
