"""Every process is killed in the middle of its work; the next cycle goes on as if nothing had been."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.commands import TRANSPORT
from tests.e2e.fleet import Car, Servers, car, servers


@pytest.fixture(scope="module")
def own_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers that may be killed without harm to other tests."""
    with servers(tmp_path_factory.mktemp("servers")) as made:
        yield made


NAMES = ("gateway", "brake", "door")
HARDWARE = {"gateway": "gw-1", "brake": "brake-7", "door": "door-2"}
VEHICLE = "VIN-CRASHES"
_orders = itertools.count(1)


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
        time.sleep(1.5)  # it has long come to the one who does not answer
        assert cut_off.alive
        cut_off.kill()
    finally:
        silent.resume()
    assert order.is_whole()
    assert order.completes()


@pytest.mark.slow
def test_a_gateway_killed_at_any_moment_goes_on(own_servers: Servers, order: Order) -> None:
    for delay_s in (0.4, 0.6, 0.7, 0.8, 0.9, 1.1):
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
