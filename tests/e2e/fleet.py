"""Two repositories and vehicles, set up command by command as the README says.

Belongs here: the honest world of the end-to-end tests. Does not belong here: processes (``commands.py``).
"""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.commands import OK, Running, twinlock

Json = dict[str, Any]


def ecu_id(vehicle: str, name: str) -> str:
    """The identifier of an ECU: unique in the whole fleet, as the Standard wants it."""
    return f"{vehicle}.{name}"


def free_port() -> int:
    """A port that nobody uses now. A server that is killed has to come back on the same one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Servers:
    """An Image repository and a Director in ``place``, and the processes that serve them."""

    place: Path
    image: Running
    director: Running

    @property
    def images(self) -> Path:
        return self.place / "image"

    @property
    def directory(self) -> Path:
        return self.place / "director"

    @property
    def image_root(self) -> Path:
        """The Root that a factory trusts: the first one."""
        return self.images / "public" / "metadata" / "1.root.json"

    @property
    def director_root(self) -> Path:
        return self.place / "director-root.json"

    def add(self, file: Path, name: str, hardware: str, counter: int, *options: str) -> None:
        """Stage an image."""
        words = ("--hardware-id", hardware, "--release-counter", str(counter), *options)
        twinlock("image", "add", self.images, file, name, *words)

    def publish(self) -> Json:
        """Publish what is staged."""
        published: Json = twinlock("image", "publish", self.images)
        return published

    def assign(self, vehicle: str, /, status: int = OK, **images: str) -> Json:
        """Order images, by the names that a car's ECUs have here; the plan, or the error."""
        wishes = [f"{ecu_id(vehicle, name)}={image}" for name, image in images.items()]
        plan: Json = twinlock("director", "assign", self.directory, vehicle, *wishes, status=status)
        return plan

    def shown(self, vehicle: str) -> Json:
        """What the Director shows of a vehicle."""
        found: Json = twinlock("director", "show", self.directory, vehicle)
        return found

    def known(self, vehicle: str) -> dict[str, str]:
        """The image that each ECU of a vehicle runs, as far as the Director knows."""
        return {item["ecu"].split(".")[1]: item["installed"]["path"] for item in self.shown(vehicle)["ecus"]}


@dataclass(slots=True)
class Car:
    """A vehicle in ``place``: the gateway is its Primary, and the others run as processes."""

    vehicle: str
    place: Path
    secondaries: Mapping[str, Running]

    @property
    def gateway(self) -> Path:
        return self.place / "gateway"

    def update(self, status: int = OK) -> Json:
        """Run one cycle as a command; its result, or what ended it."""
        result: Json = twinlock("primary", "update", self.gateway, status=status)
        return result

    def runs(self, ecu: str) -> tuple[str, bytes]:
        """What ``ecu`` runs, by its slots: the image's name and its bytes, which have to be what the slot claims."""
        slots = self.place / ecu / "slots"
        active = json.loads((slots / "active.json").read_bytes())["active"]
        data = (slots / f"slot-{active['slot']}").read_bytes()
        assert hashlib.sha256(data).hexdigest() == active["hashes"]["sha256"], f"{ecu} runs half an image"
        return active["path"], data

    def trusted(self) -> Json:
        """Everything that the gateway trusts."""
        found: Json = twinlock("trusted", "show", self.gateway)
        return found


@contextmanager
def servers(place: Path, *options: str) -> Iterator[Servers]:
    """Make both repositories, each with ``options``, and serve them."""
    image_port, director_port = free_port(), free_port()
    twinlock("image", "init", place / "image", *options)
    image = Running(("image", "serve", place / "image", "--port", str(image_port)), place / "image.log")
    with ExitStack() as stack:
        stack.enter_context(image)
        made = Servers(place, image, Running((), place / "director.log"))
        trusting = ("--image-root", made.image_root, "--image", image.url)
        twinlock("director", "init", made.directory, *trusting, *options)
        twinlock("director", "root", made.directory, "--output", made.director_root)
        made.director.words = ("director", "serve", made.directory, "--port", str(director_port), "--plain")
        stack.enter_context(made.director)
        yield made


@contextmanager
def car(made: Servers, place: Path, vehicle: str, **secondaries: tuple[str, str]) -> Iterator[Car]:
    """Build and register a vehicle and start its Secondaries: by name, their hardware id and how they verify."""
    place.mkdir()
    roots = ("--director-root", made.director_root, "--image-root", made.image_root)

    def build(name: str) -> Path:
        hardware, verification = secondaries[name]
        words = ["--vehicle", vehicle, "--ecu", ecu_id(vehicle, name), "--hardware-id", hardware]
        words += ["--verification", verification, "--listen", f"http://127.0.0.1:{free_port()}"]
        described = twinlock("secondary", "init", place / name, *words, *roots)
        file = place / f"{name}.json"
        file.write_text(json.dumps(described))
        return file

    with ThreadPoolExecutor(2) as pool:
        files = list(pool.map(build, secondaries))
    words: list[str | Path] = [
        "--vehicle",
        vehicle,
        "--ecu",
        ecu_id(vehicle, "gateway"),
        "--hardware-id",
        "gw-1",
        *roots,
    ]
    words += ["--director-url", f"{made.director.url}/vehicles/{vehicle}", "--image-url", made.image.url]
    words += [word for file in files for word in ("--secondary", file)]
    twinlock("primary", "init", place / "gateway", *words)
    description = twinlock("primary", "describe", place / "gateway")
    twinlock("director", "register", made.directory, "-", stdin=json.dumps(description).encode())
    running = {name: Running(("secondary", "run", place / name), place / f"{name}.log") for name in secondaries}
    with ExitStack() as stack:
        for process in running.values():
            stack.callback(process.stop)
            process.launch()
        for process in running.values():
            process.ready()
        yield Car(vehicle, place, running)
