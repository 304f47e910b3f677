"""Old Roots of the tuf chain, offered to a client of aktualizr's kind on a real socket: the virtual one, and the real one
where the environment variable AKTUALIZR names it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest

from tests.simulator.respelling import respelt
from tests.unit.director.legacy_chain import begin_with_shared_keys
from tests.unit.director.test_aktualizr_client import (  # noqa: F401 - a fixture
    ONE,
    SERIAL,
    THREE,
    TWO,
    World,
    quiet,
    served,
    world,
)
from twinlock.director.director import Director
from twinlock.director.model.records import Served


@contextmanager
def offering(director: Director, files: dict[str, bytes], patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever holds the line: ``files`` in place of what the Director answers under those names."""
    honest = director.serve

    def serve(vehicle: str, name: str, *, now: datetime | None = None) -> Served | None:
        return Served(data=files[name]) if name in files else honest(vehicle, name, now=now)

    with patch.context() as line:
        line.setattr(director, "serve", serve)
        yield


def forged(director: Director, number: int) -> list[bytes]:
    """Root ``number`` of the tuf chain in every spelling that this client would parse."""
    spelt = dict.fromkeys(respelt(director.root_bytes(number)))
    return [data for data in spelt if b'"method"' in data and b"==" in data][:6]


def test_no_old_root_of_the_other_chain_is_followed(
    world: World,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Director.create(
        world.director.path.parent / "older", image_root=world.site.root, image_url=str(world.site.path)
    ) as older:
        for _number in range(3):
            older.rotate("targets", "snapshot", "timestamp", "time")
        older.add_wire("aktualizr")
        with served(older) as url:
            world.client.configure(server=f"{url}/serial/{SERIAL}")
            assert quiet(world.client.once())
            older.assign(SERIAL, {SERIAL: ONE})
            assert world.client.once().installed == {SERIAL: ONE}
            attacks = forged(older, 2)
            assert attacks
            for data in attacks:
                with offering(older, {"2.root.json": data}, monkeypatch):
                    run = world.client.once()
                    assert not run.success
                    assert run.said("Signature verification for Root metadata failed")
            older.assign(SERIAL, {SERIAL: TWO})
            assert world.client.once().installed == {SERIAL: TWO}
            older.rotate("root", "targets")
            older.assign(SERIAL, {SERIAL: THREE})
            assert world.client.once().installed == {SERIAL: THREE}


def test_a_vehicle_stranded_before_the_hand_over_is_freed_by_the_next_root(
    world: World,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What no publisher can prevent in this client, and what leads it back."""
    with Director.create(
        world.director.path.parent / "older", image_root=world.site.root, image_url=str(world.site.path)
    ) as older:
        for _number in range(3):
            older.rotate("targets", "snapshot", "timestamp", "time")
        begin_with_shared_keys(older, monkeypatch)
        with served(older) as url:
            world.client.configure(server=f"{url}/serial/{SERIAL}")
            assert quiet(world.client.once())
            older.assign(SERIAL, {SERIAL: ONE})
            assert world.client.once().installed == {SERIAL: ONE}
            with offering(older, {"2.root.json": forged(older, 2)[0]}, monkeypatch):
                assert not world.client.once().success  # it took the Root, and no honest Targets verify under it
            stranded = json.loads(older.root_bytes(2))["signed"]
            assert stranded["_type"] == "root"
            assert older.hand_over() == 5
            older.assign(SERIAL, {SERIAL: TWO})
            assert world.client.once().installed == {SERIAL: TWO}
            for data in [data for number in (2, 3, 4) for data in forged(older, number)]:
                with offering(older, {"6.root.json": data}, monkeypatch):
                    assert not world.client.once().success
            older.rotate("root")
            older.assign(SERIAL, {SERIAL: THREE})
            assert world.client.once().installed == {SERIAL: THREE}
