"""What a wire profile offers to the engine. One value of this type is all that a check run knows of an encoding."""

from __future__ import annotations

from typing import Protocol

from twinlock.trust.keys.signatures import Envelope
from twinlock.trust.limits import Limits
from twinlock.trust.model.root import Root
from twinlock.trust.model.snapshot import Snapshot
from twinlock.trust.model.targets import ImageEntry, Targets
from twinlock.trust.model.timestamp import Timestamp
from twinlock.trust.names import RoleName


class WireProfile(Protocol):
    """Decoders by role, and the naming rules. Every decoder raises MalformedError or LimitError only."""

    name: str
    folder: str
    """Where metadata files are below the base URL of a repository: empty, or ending in a slash."""
    addresses_images: bool
    """Whether an entry of an Image repository may give the address of its image, and not only the Director's."""

    @property
    def bare(self) -> WireProfile:
        """The same encoding for repositories that leave the version out of all file names but Root's."""

    def decode_root(self, data: bytes, what: str, limits: Limits) -> Envelope[Root]:
        """Decode a Root file."""

    def decode_timestamp(self, data: bytes, what: str, limits: Limits) -> Envelope[Timestamp]:
        """Decode a Timestamp file."""

    def decode_snapshot(self, data: bytes, what: str, limits: Limits) -> Envelope[Snapshot]:
        """Decode a Snapshot file."""

    def decode_targets(self, data: bytes, what: str, limits: Limits) -> Envelope[Targets]:
        """Decode a top-level or delegated Targets file."""

    def file_name(self, role: RoleName, version: int | None) -> str:
        """The name that a metadata file is stored and asked for under; ``version`` None gives the bare name."""

    def image_file_names(self, entry: ImageEntry) -> tuple[str, ...]:
        """The names that an image is stored under, one for each listed digest (Uptane 2.1.0 5.2.7)."""

    def max_bytes(self, role: RoleName, *, director: bool) -> int | None:
        """The most bytes that other readers of this encoding take of a file; None where it sets no bound."""

    def reencoded(self, data: bytes) -> bytes | None:
        """The form of a file that an index may have hashed in place of its served bytes; None if there is no other."""
