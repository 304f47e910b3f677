"""The ``tuf`` profile: what our own clients read, and what the Director's Roots are authored in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from twinlock.director.model.clients import OUR_CLIENT, Client
from twinlock.director.model.profiles import FileName, S
from twinlock.director.model.records import TUF_PROFILE, VehicleRecord
from twinlock.director.signing.acknowledgement import signed_members
from twinlock.director.signing.published_roots import read_root
from twinlock.repository.keys.keyring import Keyring
from twinlock.repository.signing.sign import SigningAuthority, sign_file
from twinlock.trust.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RoleName
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.tuf.metadata import TUF
from twinlock.trust.wire.tuf.reports import UnverifiedManifest, decode_manifest

_VERSIONED = re.compile(r"([1-9][0-9]{0,17})\.(root|snapshot|targets)\.json")
_BARE = {f"{role}.json": role for role in (ROOT, SNAPSHOT, TARGETS, TIMESTAMP)}
_TYPES = {"targets", "snapshot", "timestamp"}


class TufDirectorProfile:
    """See ``DirectorProfile``. Every file but Timestamp has a name with its version, and one without."""

    name: str = TUF_PROFILE
    reader: WireProfile = TUF
    client: Client = OUR_CLIENT
    translation: None = None

    def decode_manifest(self, data: bytes) -> UnverifiedManifest:
        """See ``DirectorProfile``."""
        return decode_manifest(data)

    def signed_members(self, record: VehicleRecord, now: datetime) -> dict[str, Any]:
        """See ``DirectorProfile``: acknowledgements of evidence, and counters that may start again."""
        return signed_members(record, now)

    def sign(
        self,
        role: RoleName,
        signed: S,
        signers: SigningAuthority,
        keyring: Keyring,
        files: Mapping[RoleName, bytes],
    ) -> bytes:
        """See ``DirectorProfile``."""
        return sign_file(role, signed, [signers], keyring)

    def is_written_in(self, data: bytes) -> bool:
        """See ``DirectorProfile``."""
        return json.loads(data)["signed"]["_type"] in _TYPES

    def parse_name(self, name: str) -> FileName | None:
        """See ``DirectorProfile``."""
        match = _VERSIONED.fullmatch(name)
        if match is not None:
            return FileName(RoleName(match[2]), int(match[1]))
        return FileName(_BARE[name], None) if name in _BARE else None

    def read_root(self, connection: Connection, version: int | None = None) -> bytes | None:
        """See ``DirectorProfile``."""
        return read_root(connection, version)

    def read_served_root(self, connection: Connection, version: int | None) -> bytes | None:
        """See ``DirectorProfile``."""
        return read_root(connection, version)
