"""What a client is told: the settings of a ``sota.toml`` that matter to servers (wire 1.1), and the tests' own knobs.

Belongs here: settings. Does not belong here: reading them from a file; the real client's file is written by ``real``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path


def system_time() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class TlsFiles:
    """PEM files: the CA that server certificates are checked against, and the client's certificate and key (wire 1.3)."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True)
class SharedCredentials:
    """A provisioning archive: a zip with ``autoprov.url`` and ``autoprov_credentials.p12`` (wire 1.4).

    The client deletes the second from the archive once it has credentials of its own.
    """

    archive: Path
    password: str = ""


@dataclass(frozen=True, kw_only=True)
class Secondary:
    """A Secondary with full verification, reached by the Primary in a way that servers never see (wire 6).

    ``kind`` decides only what it reports: before the first installation ``ip`` says ``unknown`` and ``virtual`` says
    ``noimage``, and only ``virtual`` tells what it refused. The real client's ``virtual`` ones always have RSA keys.
    """

    serial: str
    hardware_id: str
    kind: str = "virtual"
    key_type: str = "ED25519"
    install_result: str = "OK"


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings. Base URLs are plain string prefixes; an empty one is derived from ``server`` (wire 1.1)."""

    server: str = ""
    director_server: str = ""
    repo_server: str = ""
    primary_serial: str = "test-primary-0001"
    hardware_id: str = "test-hw"
    secondaries: tuple[Secondary, ...] = ()
    key_type: str = "ED25519"
    device_id: str = ""
    tls: TlsFiles | None = None
    shared: SharedCredentials | None = None
    initial_roots: Mapping[str, bytes] = field(default_factory=dict)
    """Pinned roots by repository, ``director`` and ``repo`` (wire 1.2). One that is missing is trusted on first use."""
    report_network: bool = True
    report_config: bool = True
    fake_need_reboot: bool = False
    install_result: str = "OK"
    """Result code of the Primary's installations; only the simulated client can fail one on purpose."""
    now: Callable[[], datetime] = system_time
    sysroot: Path | None = None
    """``[pacman] type = ostree`` with this repository (simulated client only); None is the fake package manager."""
    ostree_server: str = ""
    pause_s: float = 0.0
    """Pause before a request or a download is tried again. The real client's is one second, and not adjustable."""

    @property
    def director(self) -> str:
        """``uptane.director_server``."""
        return self.director_server or f"{self.server}/director"

    @property
    def treehub(self) -> str:
        """``pacman.ostree_server``."""
        return self.ostree_server or f"{self.server}/treehub"

    @property
    def repo(self) -> str:
        """``uptane.repo_server``."""
        return self.repo_server or f"{self.server}/repo"
