"""A fleet of both kinds of vehicle on one pair of repositories: our own cars, and vehicles that run aktualizr.

Belongs here: the servers in both profiles, and aktualizr vehicles over mutual TLS. Does not belong here: the client
(``tests.aktualizr``), and our own cars (``fleet.py``).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.aktualizr.clients import CLIENTS, Client
from tests.aktualizr.config import Config, TlsFiles
from tests.aktualizr.result import Run
from tests.e2e.commands import Running, twinlock
from tests.e2e.fleet import Servers, ecu_id, free_port, servers

WIRE = "aktualizr"
_folders = itertools.count(1)


@dataclass(slots=True)
class MixedServers(Servers):
    """Both repositories in both profiles.

    ``devices`` serves what aktualizr asks a Director for, ``images`` is the Image repository's directory, and
    ``images_tls`` serves it a second time, over TLS.
    """

    devices: Running
    images_tls: Running

    def credential(self, vehicle: str) -> TlsFiles:
        """A certificate of its own for a vehicle, as an operator hands it over."""
        folder = self.place / f"import-{vehicle}-{next(_folders)}"
        twinlock("director", "issue-device", self.directory, vehicle, "--output", folder)
        return TlsFiles(folder / "ca.pem", folder / "client.pem", folder / "pkey.pem")

    def unassign(self, vehicle: str) -> Any:
        """Withdraw what is ordered."""
        return twinlock("director", "unassign", self.directory, vehicle, "--yes")

    def events(self, vehicle: str) -> list[Mapping[str, Any]]:
        """What people are shown of a vehicle's manifests, newest first."""
        found: list[Mapping[str, Any]] = self.shown(vehicle)["events"]
        return found


@dataclass(slots=True)
class Device:
    """A vehicle that runs aktualizr: virtual, or the real one."""

    vehicle: str
    client: Client

    def once(self) -> Run:
        """One run of the client."""
        return self.client.once()

    def runs(self, run: Run, ecu: str) -> str | None:
        """The image that an ECU has after ``run``, by the name that it has here."""
        return run.installed.get(ecu_id(self.vehicle, ecu))


@contextmanager
def mixed_servers(place: Path) -> Iterator[MixedServers]:
    """Make both repositories in both profiles, and serve them to both kinds of vehicle."""
    with servers(place, "--wire", WIRE) as made, ExitStack() as stack:
        twinlock("director", "create-device-ca", made.directory)
        twinlock("director", "issue-server", made.directory, "127.0.0.1", "--output", place / "tls")
        words = ("director", "serve-aktualizr", made.directory, "--port", str(free_port()))
        tls = ("--tls-cert", place / "tls" / "server.pem", "--tls-key", place / "tls" / "server.key.pem")
        devices = stack.enter_context(Running((*words, *tls), place / "devices.log"))
        serving = ("image", "serve", made.images, "--port", str(free_port()), "--no-refresh")
        images = stack.enter_context(Running((*serving, *tls), place / "images-tls.log"))
        yield MixedServers(made.place, made.image, made.director, devices, images)


def device(made: MixedServers, place: Path, vehicle: str, kind: str, **settings: Any) -> Device:
    """A vehicle that runs aktualizr, whose serials are those that our own cars would have here."""
    given = {
        "server": made.devices.url,
        "repo_server": f"{made.images_tls.url}/repo",
        "primary_serial": ecu_id(vehicle, "gateway"),
        "hardware_id": "gw-1",
        "tls": None if "shared" in settings else made.credential(vehicle),
        **settings,
    }
    return Device(vehicle, CLIENTS[kind](Config(**given), place / f"device-{vehicle}"))
