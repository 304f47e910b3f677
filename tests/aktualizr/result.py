"""What one run of a client did, in a form that the simulated client and the real one share.

Belongs here: plain results. Does not belong here: deciding whether they are right; tests do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """One request as it went over the wire. ``status`` is 0 when no answer came."""

    method: str
    path: str
    status: int

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.status}"


@dataclass
class Run:
    """One ``once``: what was asked, said, installed and reported."""

    requests: list[Request] = field(default_factory=list)
    """Every request in order, repeated ones too. ``path`` is the whole path of the URL, with its prefix."""

    messages: list[str] = field(default_factory=list)
    """Log lines in order; the texts of wire 5 are among them, word for word."""

    installs: dict[str, str] = field(default_factory=dict)
    """Result code of each ECU that this run tried to install on."""

    installed: dict[str, str] = field(default_factory=dict)
    """File name of the image each ECU has now; ECUs that have none are left out."""

    manifests: list[dict[str, Any]] = field(default_factory=list)
    """The ``signed`` parts of the vehicle manifests sent, accepted or not. Empty for the real client: ask the server."""

    success: bool = False
    """Whether something was installed, everywhere and completely."""

    exit_status: int = 0
    """1 when provisioning failed, otherwise 0, also after a failed update (wire 1.1)."""

    @property
    def paths(self) -> list[str]:
        """The requests as readable lines, such as ``GET /director/targets.json 200``."""
        return [str(request) for request in self.requests]

    @property
    def report(self) -> dict[str, Any] | None:
        """The last ``installation_report`` sent, without its envelope, or None when there was nothing to report."""
        reports = [sent["installation_report"]["report"] for sent in self.manifests if "installation_report" in sent]
        return reports[-1] if reports else None

    def said(self, text: str) -> bool:
        """Whether some log line contains ``text``."""
        return any(text in line for line in self.messages)
