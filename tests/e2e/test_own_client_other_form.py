"""A Primary and a Secondary of ours as vehicles of the aktualizr form: our own servers over mutual TLS, strictly, whole cycles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import Running, twinlock

PASSPHRASE = {"TWINLOCK_PASSPHRASE": "an example, not a secret"}
VEHICLE, PRIMARY, SECONDARY = "VIN8", "VIN8.gw", "VIN8.brake"


@dataclass
class Place:
    """Both repositories, published for aktualizr alone to read, and a vehicle of ours."""

    path: Path

    @property
    def gateway(self) -> Path:
        """The Primary's directory."""
        return self.path / "gateway"

    def run(self, *words: str | Path, status: int = 0) -> Any:
        """A command with the passphrase of both repositories."""
        return twinlock(*words, env=PASSPHRASE, status=status)

    def add(self, content: str, name: str, hardware: str, counter: int) -> None:
        """Publish one more image."""
        (self.path / "new.bin").write_text(content)
        options = ("--hardware-id", hardware, "--release-counter", str(counter))
        self.run("image", "add", self.path / "image", self.path / "new.bin", name, *options)
        self.run("image", "publish", self.path / "image")

    def order(self, **images: str) -> None:
        """Assign images to the ECUs ``gw`` and ``brake``."""
        wanted = [f"{VEHICLE}.{ecu}={image}" for ecu, image in images.items()]
        self.run("director", "assign", self.path / "director", VEHICLE, *wanted)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    image, director = tmp_path / "image", tmp_path / "director"
    made.run("image", "init", image, "--wire", "aktualizr")
    made.add("gateway 1", "gw/fw-1.bin", "gw-1", 1)
    made.add("brake 1", "brake/fw-1.bin", "brake-1", 1)
    root = image / "public" / "metadata" / "1.root.json"
    made.run("director", "init", director, "--wire", "aktualizr", "--image-root", root, "--image", image / "public")
    made.run("director", "create-device-ca", director)
    made.run("director", "issue-server", director, "127.0.0.1", "--output", tmp_path / "tls")
    made.run("director", "issue-device", director, VEHICLE, "--output", tmp_path / "import")
    made.run("director", "root", director, "--wire", "aktualizr", "--output", tmp_path / "director.json")
    tls = ("--tls-cert", tmp_path / "tls" / "server.pem", "--tls-key", tmp_path / "tls" / "server.key.pem")
    with ExitStack() as stack:
        serve: list[tuple[str | Path, ...]] = [
            ("image", "serve", image, "--port", "0"),
            ("director", "serve-aktualizr", director, "--port", "0", *tls),
        ]
        images, orders = [
            stack.enter_context(Running(words, tmp_path / f"{words[0]}.log", PASSPHRASE)) for words in serve
        ]
        secondary = _vehicle(made, orders.url, images.url)
        stack.enter_context(Running(("secondary", "run", secondary), tmp_path / "secondary.log"))
        yield made


def _vehicle(place: Place, director: str, image: str) -> Path:
    anchor = place.path / "image" / "public" / "aktualizr" / "1.root.json"
    roots = ("--director-root", place.path / "director.json", "--image-root", anchor)
    wires = ("--director-wire", "aktualizr", "--image-wire", "aktualizr")
    brake = place.path / "brake"
    address = f"unix:{place.path / 'brake.socket'}"
    own = ("--vehicle", VEHICLE, "--ecu", SECONDARY, "--hardware-id", "brake-1", "--listen", address)
    described = place.run("secondary", "init", brake, *own, *roots, *wires)
    (place.path / "brake.json").write_text(json.dumps(described))
    own = (
        "--vehicle",
        VEHICLE,
        "--ecu",
        PRIMARY,
        "--hardware-id",
        "gw-1",
        "--secondary",
        str(place.path / "brake.json"),
    )
    urls = ("--director-url", f"{director.rstrip('/')}/director", "--image-url", f"{image.rstrip('/')}/repo")
    place.run("primary", "init", place.gateway, *own, *urls, *roots, *wires, "--offline")
    config = place.gateway / "primary.json"
    files = {"ca": "ca.pem", "certificate": "client.pem", "key": "pkey.pem"}
    tls = {name: str(place.path / "import" / file) for name, file in files.items()}
    config.write_text(json.dumps(json.loads(config.read_text()) | {"tls": tls}))
    return brake


@pytest.mark.slow
def test_a_vehicle_of_ours_among_those_of_aktualizr(place: Place) -> None:
    assert twinlock("primary", "register", place.gateway) == {"registered": True, "ecus": 2}
    assert twinlock("primary", "update", place.gateway)["outcome"] == "up-to-date"
    place.order(gw="gw/fw-1.bin", brake="brake/fw-1.bin")
    updated = twinlock("primary", "update", place.gateway)
    assert (updated["outcome"], updated["weaker"], updated["problems"]) == ("updated", [], [])
    assert {done["ecu"]: done["path"] for done in updated["installed"]} == {
        PRIMARY: "gw/fw-1.bin",
        SECONDARY: "brake/fw-1.bin",
    }
    assert twinlock("primary", "update", place.gateway)["outcome"] == "up-to-date"

    # Every online key of both repositories is replaced, and the next release follows.
    place.run("image", "rotate", place.path / "image", "targets", "snapshot", "timestamp", "--yes")
    place.run("director", "rotate", place.path / "director", "targets", "snapshot", "timestamp", "--yes")
    place.add("gateway 2", "gw/fw-2.bin", "gw-1", 2)
    place.order(gw="gw/fw-2.bin", brake="brake/fw-1.bin")
    updated = twinlock("primary", "update", place.gateway)
    assert [done["path"] for done in updated["installed"]] == ["gw/fw-2.bin"]
    assert updated["weaker"] == []

    # What was refused is what the Director hears: an image that is not the one that both list.
    place.add("brake 2", "brake/fw-2.bin", "brake-1", 2)
    place.order(gw="gw/fw-2.bin", brake="brake/fw-2.bin")
    stored = [path for path in (place.path / "image" / "public" / "targets").rglob("*fw-2.bin") if "brake" in str(path)]
    originals = {path: path.read_bytes() for path in stored}
    assert originals
    for path in stored:
        path.write_bytes(b"x" * len(originals[path]))
    failed = twinlock("primary", "update", place.gateway, status=1)
    assert [problem["error"]["code"] for problem in failed["problems"]] == ["wrong-digest"]
    shown = place.run("director", "show", place.path / "director", VEHICLE)
    assert "wrong-digest" in json.dumps(shown)
    for path, data in originals.items():
        path.write_bytes(data)
    updated = twinlock("primary", "update", place.gateway)
    assert [done["path"] for done in updated["installed"]] == ["brake/fw-2.bin"]
