"""The URL of a repository, and of a vehicle at its Director, as an operator gives it."""

from __future__ import annotations

import pytest

from twinlock.trust.engine.first_contact import check_vehicle_url, is_base_url
from twinlock.trust.errors.usage import VehicleUrlError
from twinlock.trust.names import VehicleId


@pytest.mark.parametrize(
    ("location", "usable"),
    [
        ("http://h", True),
        ("https://h:8080/a/b/", True),
        ("http://[::1]/", True),
        ("ftp://h", False),
        ("http://", False),
        ("http://h:0", False),
        ("http://h?a", False),
        ("http://h#a", False),
        ("http://h/a b", False),
        ("http://h/\n", False),
        ("http://h/\u00e9", False),
        # What the parser itself refuses.
        ("http://[", False),
        ("http://h:port", False),
        ("http://h:65536", False),
    ],
)
def test_the_base_url_of_a_repository(location: str, usable: bool) -> None:
    assert is_base_url(location) is usable


@pytest.mark.parametrize(
    ("location", "other"),
    [
        ("https://h/vehicles/VIN-1", None),
        ("https://h/vehicles/VIN-1/", None),
        ("https://h/vehicles/VIN%2D1", None),
        ("https://h/a/vehicles/VIN-2/", "VIN-2"),
        ("https://h/vehicles/VIN%2D2", "VIN-2"),
        ("https://h/vehicles/", None),
        ("https://h/vehicles", None),
        ("https://h/VIN-2", None),
        ("https://h", None),
        ("https://h/vehicles/VIN-2/more", None),
    ],
)
def test_the_url_of_another_vehicle(location: str, other: str | None) -> None:
    if other is None:
        check_vehicle_url(location, VehicleId("VIN-1"))
        return
    with pytest.raises(VehicleUrlError) as caught:
        check_vehicle_url(location, VehicleId("VIN-1"))
    assert caught.value.fields() == {"location": location, "offered": other, "expected": "VIN-1"}


@pytest.mark.parametrize(
    "location",
    [
        "https://d/vehicles/VIN1",
        "https://d/vehicles/VIN1/",
        "https://d/a/vehicles/VIN%31",
        "https://d/VIN2",
        "https://d",
    ],
)
def test_a_url_that_names_this_vehicle_or_none(location: str) -> None:
    check_vehicle_url(location, VehicleId("VIN1"))


@pytest.mark.parametrize("location", ["https://d/vehicles/VIN%32", "https://d/director/vehicles/VIN2/"])
def test_a_url_that_names_another_vehicle(location: str) -> None:
    with pytest.raises(VehicleUrlError) as caught:
        check_vehicle_url(location, VehicleId("VIN1"))
    assert caught.value.fields() == {"location": location, "offered": "VIN2", "expected": "VIN1"}
