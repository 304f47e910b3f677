"""The clients that tests run: the virtual one, and the real one too where AKTUALIZR names its binary.

Tests parametrise over ``CLIENTS``, so that without the variable the real variant does not exist, rather than skip::

    @pytest.fixture(params=sorted(CLIENTS))
    def make_client(request, tmp_path):
        return partial(CLIENTS[request.param], folder=tmp_path)

Belongs here: choosing. Does not belong here: either client.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from tests.aktualizr.client import VirtualAktualizr
from tests.aktualizr.config import Config
from tests.aktualizr.real import BINARY, RealAktualizr
from tests.aktualizr.result import Run


class Client(Protocol):
    """What both can do."""

    def once(self) -> Run:
        """One whole run."""
        ...

    def configure(self, **changes: Any) -> None:
        """Change settings before the next run."""
        ...

    def reboot(self) -> None:
        """End a pending installation."""
        ...


def _virtual(config: Config, folder: Path) -> Client:
    return VirtualAktualizr(config)


def _real(config: Config, folder: Path) -> Client:
    return RealAktualizr(config, folder)


Make = Callable[[Config, Path], Client]

CLIENTS: dict[str, Make] = {"virtual": _virtual}
if BINARY:
    CLIENTS["real"] = _real
