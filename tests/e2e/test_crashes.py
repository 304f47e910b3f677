"""Every process is killed in the middle of its work; the next cycle goes on as if nothing had been."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.commands import TRANSPORT, Running
from tests.e2e.fleet import Car, Servers, car, servers

NAMES = ("gateway", "brake", "door")
HARDWARE = {"gateway": "gw-1", "brake": "brake-7", "door": "door-2"}
VEHICLE = "VIN-CRASHES"
_orders = itertools.count(1)


@pytest.fixture(scope="module")
def own_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers that may be killed without harm to other tests."""
    with servers(tmp_path_factory.mktemp("servers")) as made:
        yield made


@pytest.fixture(scope="module")
def built(own_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Car]:
    """A vehicle that has reported once."""
    place = tmp_path_factory.mktemp("crashes") / "car"
    with car(own_servers, place, VEHICLE, brake=("brake-7", "full"), door=("door-2", "partial")) as made:
        made.update()
        yield made


@dataclass(frozen=True, slots=True)
class Order:
    """New images for every ECU of ``car``, by ECU, that it has not fetched yet; and what each ran before."""

    car: Car
    images: dict[str, str]
    before: dict[str, str]

    def is_whole(self) -> bool:
        """Whether every ECU runs a complete image: the old one or the new one."""
        return all(self.car.runs(name)[0] in (self.before[name], self.images[name]) for name in NAMES)

    def completes(self) -> bool:
        """Whether the next cycle brings every ECU to its new image."""
        self.car.update()
        return all(self.car.runs(name)[0] == self.images[name] for name in NAMES)


@pytest.fixture
def order(own_servers: Servers, built: Car, firmware: dict[str, Path]) -> Order:
    """The next order for the vehicle, with real firmware of some size."""
    number = next(_orders)
    images = {name: f"{name}/{number}.bin" for name in NAMES}
    for name, file in zip(NAMES, firmware.values(), strict=True):
        own_servers.add(file, images[name], HARDWARE[name], number)
    own_servers.publish()
    own_servers.assign(VEHICLE, gateway=images["gateway"], brake=images["brake"], door=images["door"])
    return Order(built, images, {name: built.runs(name)[0] for name in NAMES})


def cycle(built: Car) -> Running:
    """A cycle of the gateway that is to be cut off."""
    return Running(("primary", "update", built.gateway), built.place / "cut-off.log")


@pytest.mark.slow
@pytest.mark.parametrize("waiting_for", ["director", "image", "brake"])
def test_a_gateway_killed_while_it_waits_for_an_answer_goes_on(
    own_servers: Servers, order: Order, waiting_for: str
) -> None:
    silent = {"director": own_servers.director, "image": own_servers.image, **order.car.secondaries}[waiting_for]
    silent.pause()
    try:
        cut_off = cycle(order.car)
        cut_off.launch()
        time.sleep(2.5)  # it has come to the one who does not answer
        assert cut_off.alive
        cut_off.kill()
    finally:
        silent.resume()
    assert order.is_whole()
    assert order.completes()


@pytest.mark.slow
def test_a_gateway_killed_at_any_moment_goes_on(own_servers: Servers, order: Order) -> None:
    for delay_s in (0.5, 0.65, 0.8, 0.95, 1.1):
        cut_off = cycle(order.car)
        cut_off.launch()
        time.sleep(delay_s)
        cut_off.kill()
        assert order.is_whole()
    assert order.completes()
    assert own_servers.known(VEHICLE) == order.images


@pytest.mark.slow
def test_servers_and_secondaries_killed_and_started_again_go_on(own_servers: Servers, order: Order) -> None:
    everybody = (own_servers.image, own_servers.director, *order.car.secondaries.values())
    for process in everybody:
        process.kill()
    order.car.update(status=TRANSPORT)
    assert order.is_whole()
    for process in everybody:
        process.launch()
    for process in everybody:
        process.ready()
    assert order.completes()
