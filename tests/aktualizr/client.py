"""The virtual aktualizr: one run from provisioning to the last manifest, request by request as in wire 2.1.

Belongs here: the public interface, and the order of a run. Does not belong here: what is checked (``verification``)
or how a request is made (``http``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.aktualizr.config import Config
from tests.aktualizr.result import Run


class VirtualAktualizr:
    """A vehicle with its storage. Every ``once`` is a new start of the program on the same storage.

    Configuration may change between runs, as an edited ``sota.toml`` would: ``client.configure(secondaries=())``.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    def configure(self, **changes: Any) -> None:
        """Change settings of :class:`Config` before the next run."""
        self.config = replace(self.config, **changes)

    def once(self) -> Run:
        """``aktualizr once``: provision if needed, send device data, report, check, download, install, report."""
        raise NotImplementedError

    def reboot(self) -> None:
        """What ends a pending installation of ``fake_need_reboot``; the next run completes and reports it."""
        raise NotImplementedError
