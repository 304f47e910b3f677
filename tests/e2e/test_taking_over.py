"""A fleet that another pair of servers ran is taken over: its vehicles are changed in nothing but the address."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.aktualizr.clients import CLIENTS
from tests.aktualizr.config import Config
from tests.aktualizr.publisher import Publisher, Repository
from tests.aktualizr.server import serving
from tests.e2e.commands import USAGE, Running, twinlock
from tests.e2e.fleet import Servers, free_port

SERIAL = "gw-0007"
OLD, NEW = "gw/old-1.0.bin", "gw/opensbi-2.0.bin"


def write_old(old: Repository, files: Path, keys: Path) -> None:
    """The files and keys of the old servers, as an operator finds them."""
    for name, data in old.files.items():
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).write_bytes(data)
    for role, (key, *_) in old.keys.items():
        (keys / role).mkdir(parents=True)
        (keys / role / "private.key").write_bytes(
            key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )


@contextmanager
def taken_over(place: Path, registration: bytes) -> Iterator[tuple[Servers, Running]]:
    """Both repositories go on from the old ones in ``place / "old"``, and know the vehicle."""
    old = place / "old"
    twinlock("image", "import", place / "image", "--from", old / "image", "--keys", old / "image-keys")
    image = Running(("image", "serve", place / "image", "--port", str(free_port())), place / "image.log")
    with image:
        made = Servers(place, image, image)
        anchor = twinlock("image", "show", place / "image")["roles"][0]["version"]
        root = made.images / "public" / "metadata" / f"{anchor}.root.json"
        twinlock("director", "init", made.directory, "--image-root", root, "--image", image.url)
        going_on = ("--go-on-from", old / "director", "--keys", old / "director-keys")
        assert twinlock("director", "wire", made.directory, "aktualizr", "--yes", *going_on)["root"] == 4
        assert (
            twinlock("director", "wire", made.directory, "aktualizr", "--yes", *going_on)["root"] == 4
        )  # once more is no fault
        twinlock("director", "enter-aktualizr", made.directory, SERIAL, "-", "--by-serial", stdin=registration)
        words = ("director", "serve-aktualizr", made.directory, "--port", str(free_port()), "--allow-serial")
        with Running(words, place / "devices.log") as devices:
            yield made, devices


@pytest.mark.parametrize("kind", sorted(CLIENTS))
def test_deployed_vehicles_go_on_with_new_servers(kind: str, tmp_path: Path, firmware: dict[str, Path]) -> None:
    publisher = Publisher()
    with serving(publisher) as served:
        config = Config(server=served.url, primary_serial=SERIAL, hardware_id="gw-1", device_id=SERIAL)
        client = CLIENTS[kind](config, tmp_path / "vehicle")
        publisher.release(OLD, firmware["seabios"].read_bytes(), {SERIAL: "gw-1"}, correlation="urn:test:old")
        assert client.once().success
        publisher.director.rotate("root")
        publisher.director.rotate("targets")
        publisher.assign(OLD, {SERIAL: "gw-1"}, correlation="urn:test:old")
        assert not client.once().success  # it has all that, and has followed
        (registration,) = served.sent("POST /director/ecus")
    write_old(publisher.director, tmp_path / "old" / "director", tmp_path / "old" / "director-keys")
    write_old(publisher.image, tmp_path / "old" / "image", tmp_path / "old" / "image-keys")
    for name, data in publisher.image.images.items():
        (tmp_path / "old" / "image" / "targets" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "old" / "image" / "targets" / name).write_bytes(data)

    with taken_over(tmp_path, json.dumps(registration.json).encode()) as (made, devices):
        client.configure(server=f"{devices.url}/serial/{SERIAL}", repo_server=f"{made.image.url}/repo")
        run = client.once()
        assert run.exit_status == 0
        assert run.installed == {SERIAL: OLD}
        made.add(firmware["opensbi"], NEW, "gw-1", 2)
        made.publish()
        twinlock("director", "assign", made.directory, SERIAL, f"{SERIAL}={NEW}")
        run = client.once()
        assert run.success
        assert run.installed == {SERIAL: NEW}
        (told,) = twinlock("director", "show", made.directory, SERIAL)["ecus"]
        assert told["installed"]["path"] == NEW


def test_a_chain_is_taken_over_with_its_keys_and_before_any_other(tmp_path: Path) -> None:
    publisher, stranger = Publisher(), Publisher()
    stranger.director.rotate("root")
    write_old(publisher.director, tmp_path / "old", tmp_path / "keys")
    write_old(stranger.director, tmp_path / "strange", tmp_path / "strange-keys")
    twinlock("image", "init", tmp_path / "image")
    root = tmp_path / "image" / "public" / "metadata" / "1.root.json"
    director = tmp_path / "director"
    twinlock("director", "init", director, "--image-root", root, "--image", tmp_path / "image")

    words = ("director", "wire", director, "aktualizr", "--yes")
    wrong = twinlock(*words, "--go-on-from", tmp_path / "old", "--keys", tmp_path / "strange-keys", status=USAGE)
    assert (wrong["code"], wrong["fields"]["held"], wrong["fields"]["required"]) == ("missing-keys", 0, 1)
    none = twinlock(*words, "--go-on-from", tmp_path / "image", "--keys", tmp_path / "keys", status=USAGE)
    assert "1.root.json" in none["message"]
    assert twinlock(*words, "--go-on-from", tmp_path / "old", "--keys", tmp_path / "keys")["root"] == 2
    late = twinlock(*words, "--go-on-from", tmp_path / "strange", "--keys", tmp_path / "strange-keys", status=USAGE)
    assert (late["code"], late["fields"]["profile"]) == ("chain-begun", "aktualizr")
