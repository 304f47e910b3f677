"""The table of ways out: every state that the Director can get a vehicle into × the audited command that leads out.

Each cell runs for both profiles. docs/operations.md has the same table, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.architecture.source import ROOT
from tests.unit.director.stuck_vehicle import AktualizrStuck, NativeVehicle, StuckVehicle, unknown
from tests.unit.director.world import at
from twinlock.director.director import Director
from twinlock.director.errors.vehicles import EcuKeyChangedError, EcuTakenError, RetiredVehicleError
from twinlock.director.model.vehicle_description import read_ecu
from twinlock.director.ways_out.key_changes import NewKey
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.errors.reports import ReportReplayError, ReportSignatureError, ReportTimeError
from twinlock.trust.names import EcuId

Step = Callable[[Director, StuckVehicle], None]
VEHICLES: dict[str, Callable[[], StuckVehicle]] = {"tuf": NativeVehicle, "aktualizr": AktualizrStuck}
GW, BRAKE, LAMP = EcuId("gw-1"), EcuId("brake-1"), EcuId("lamp-1")


class WayOut(NamedTuple):
    """A state, the command that leads out, and what is true afterwards. ``get_in`` shows that the vehicle is stuck."""

    state: str
    command: str
    get_in: Step
    lead_out: Step
    check: Step


def reports_all(director: Director, vehicle: StuckVehicle) -> None:
    vehicle.send(director)
    assert unknown(director, vehicle) == set()


def refused(error: type[TwinlockError], hint: str, act: Callable[[], object]) -> None:
    with pytest.raises(error) as caught:
        act()
    assert f"{hint}" in caught.value.hint


def dead_secondary(director: Director, vehicle: StuckVehicle) -> None:
    vehicle.send(director, without=["lamp-1"])
    assert unknown(director, vehicle) == {LAMP}
    vehicle.hardware.pop("lamp-1")


def wiped(ecu: str) -> Step:
    def get_in(director: Director, vehicle: StuckVehicle) -> None:
        vehicle.new_key(ecu)
        if ecu == "gw-1":
            refused(ReportSignatureError, "rekey", lambda: vehicle.send(director))
        else:
            events = vehicle.send(director).events
            assert ("attack", "report-signature", ecu) in {(item.kind, item.code, item.ecu) for item in events}

    return get_in


def wiped_and_came(director: Director, vehicle: StuckVehicle) -> None:
    vehicle.new_key("lamp-1")
    refused(EcuKeyChangedError, "rekey", lambda: vehicle.come_with_keys(director))


def rekey(ecu: str) -> Step:
    def lead_out(director: Director, vehicle: StuckVehicle) -> None:
        described = read_ecu(vehicle.describe(ecu))
        assert director.ways_out.change_key(vehicle.vin, NewKey(ecu=EcuId(ecu), described=described)).applied

    return lead_out


def confirm_fingerprint(director: Director, vehicle: StuckVehicle) -> None:
    (pending,) = director.ways_out.pending_keys(vehicle.vin)
    assert pending["fingerprint"] == vehicle.fingerprint("lamp-1")
    wanted = NewKey(ecu=LAMP, fingerprint=pending["fingerprint"])
    assert director.ways_out.change_key(vehicle.vin, wanted).applied


def name_fingerprint(director: Director, vehicle: StuckVehicle) -> None:
    wanted = NewKey(ecu=LAMP, fingerprint=vehicle.fingerprint("lamp-1"))
    assert not director.ways_out.change_key(vehicle.vin, wanted).applied
    vehicle.come_with_keys(director)


def new_part(director: Director, vehicle: StuckVehicle) -> None:
    vehicle.send(director, without=["lamp-1"])
    vehicle.hardware.pop("lamp-1")
    vehicle.hardware["lamp-2"] = "hw-9"
    vehicle.new_key("lamp-2")
    codes = {(event.code, event.ecu) for event in vehicle.send(director).events}
    assert ("unregistered-ecu", "lamp-2") in codes


def replace_ecu(director: Director, vehicle: StuckVehicle) -> None:
    described = read_ecu(vehicle.describe("lamp-2"))
    change = director.ways_out.change_key(vehicle.vin, NewKey(ecu=LAMP, described=described))
    assert (change.applied, change.new_ecu) == (True, "lamp-2")


def retire_and_add(director: Director, vehicle: StuckVehicle) -> None:
    director.ways_out.retire(vehicle.vin, ["lamp-1"])
    director.ways_out.add_ecu(vehicle.vin, vehicle.describe("lamp-2"))


def out_of_order_is_not_missed(director: Director, vehicle: StuckVehicle) -> None:
    assert vehicle.send(director).events == ()
    assert director.vehicle(vehicle.vin).ecus[LAMP].out_of_order_since is not None


def restored(director: Director, vehicle: StuckVehicle) -> None:
    for _ in range(5):
        vehicle.send(director)
    vehicle.restore()
    refused(ReportReplayError, "reset-counter", lambda: vehicle.send(director))


def reset_counter(director: Director, vehicle: StuckVehicle) -> None:
    assert director.ways_out.reset_counter(vehicle.vin)


def counts_on(director: Director, vehicle: StuckVehicle) -> None:
    before = director.vehicle(vehicle.vin).ecus[GW].highest_counter
    reports_all(director, vehicle)
    after = director.vehicle(vehicle.vin).ecus[GW]
    assert before is not None
    assert after.highest_counter is not None
    assert after.highest_counter > before  # no stored counter falls
    assert after.reset is None  # it holds once
    # What a client of aktualizr sent before is what it sends again; there only the newest is known for a replay.
    for item in director.manifests(vehicle.vin, limit=50 if vehicle.nonces else 1):
        with pytest.raises((ReportReplayError, ReportTimeError)):
            director.receive_manifest(item.data, vehicle=vehicle.vin, now=at(minutes=vehicle.minutes))
    reports_all(director, vehicle)


def swapped_back(director: Director, vehicle: StuckVehicle) -> None:
    old = vehicle.fingerprint("lamp-1")
    for _ in range(3):
        vehicle.send(director)
    vehicle.new_key("lamp-1", "another lamp")
    rekey("lamp-1")(director, vehicle)
    vehicle.send(director)
    vehicle.new_key("lamp-1", f"{vehicle.vin} lamp-1")  # the name of its first key
    assert vehicle.fingerprint("lamp-1") == old
    assert "report-signature" in {event.code for event in vehicle.send(director).events}


def retired_vehicle(director: Director, vehicle: StuckVehicle) -> None:
    director.ways_out.retire(vehicle.vin)
    refused(RetiredVehicleError, "reactivate", lambda: vehicle.send(director))


def retired_ecu(director: Director, vehicle: StuckVehicle) -> None:
    director.ways_out.retire(vehicle.vin, ["lamp-1"])
    assert ("unregistered-ecu", "lamp-1") in {(event.code, event.ecu) for event in vehicle.send(director).events}


def out_of_order(director: Director, vehicle: StuckVehicle) -> None:
    director.ways_out.declare_out_of_order(vehicle.vin, ["lamp-1"])
    vehicle.send(director, without=["lamp-1"])
    assert unknown(director, vehicle) == {LAMP}


def taken_serial(director: Director, vehicle: StuckVehicle) -> None:
    """Another vehicle, of the same profile, has registered the lamp as its own."""
    director.ways_out.retire(vehicle.vin, ["lamp-1"], release=True)
    thief = type(vehicle)(vin="THIEF", hardware={"thief-gw": "gw-1", "lamp-1": "hw-9"})  # type: ignore[call-arg]
    thief.register(director)
    described = vehicle.describe("lamp-1")
    refused(EcuTakenError, "release", lambda: director.ways_out.add_ecu(vehicle.vin, described))


def release(director: Director, vehicle: StuckVehicle) -> None:
    assert director.ways_out.release("lamp-1", to=vehicle.vin) == "THIEF"
    director.ways_out.add_ecu(vehicle.vin, vehicle.describe("lamp-1"))
    thief = type(vehicle)(vin="THIEF2", hardware={"thief-gw2": "gw-1", "lamp-1": "hw-9"})  # type: ignore[call-arg]
    refused(EcuTakenError, "release", lambda: thief.register(director))


def scrapped(director: Director, vehicle: StuckVehicle) -> None:
    """Its parts are to go into another vehicle."""
    other = type(vehicle)(vin="VIN2", hardware=dict(vehicle.hardware))  # type: ignore[call-arg]
    refused(EcuTakenError, "retire --release", lambda: other.register(director))


def parts_move(director: Director, vehicle: StuckVehicle) -> None:
    other = type(vehicle)(vin="VIN2", hardware=dict(vehicle.hardware))  # type: ignore[call-arg]
    other.register(director)
    reports_all(director, other)


def used_again(director: Director, vehicle: StuckVehicle) -> None:
    vehicle.register(director)
    reports_all(director, vehicle)


def nothing(_director: Director, _vehicle: StuckVehicle) -> None:
    """The vehicle itself shows that it is out."""


TABLE = (
    WayOut(
        "a Secondary is dead",
        "out-of-order",
        dead_secondary,
        lambda director, vehicle: director.ways_out.declare_out_of_order(vehicle.vin, ["lamp-1"]),
        out_of_order_is_not_missed,
    ),
    WayOut(
        "a Secondary is dead",
        "retire",
        dead_secondary,
        lambda director, vehicle: director.ways_out.retire(vehicle.vin, ["lamp-1"]),
        reports_all,
    ),
    WayOut("a part was replaced by one with another serial", "replace-ecu", new_part, replace_ecu, reports_all),
    WayOut(
        "a part was replaced by one with another serial",
        "add-ecu",
        new_part,
        retire_and_add,
        reports_all,
    ),
    WayOut("a Secondary has another key", "rekey", wiped("lamp-1"), rekey("lamp-1"), reports_all),
    WayOut("a Secondary has another key", "rekey", wiped_and_came, confirm_fingerprint, reports_all),
    WayOut("a Secondary has another key", "rekey", wiped("lamp-1"), name_fingerprint, reports_all),
    WayOut("the Primary has another key", "rekey", wiped("gw-1"), rekey("gw-1"), reports_all),
    WayOut("an old part was refitted", "rekey", swapped_back, rekey("lamp-1"), reports_all),
    WayOut("a vehicle was restored from a backup", "reset-counter", restored, reset_counter, counts_on),
    WayOut(
        "a vehicle is retired",
        "reactivate",
        retired_vehicle,
        lambda director, vehicle: director.ways_out.reactivate(vehicle.vin),
        reports_all,
    ),
    WayOut(
        "an ECU is retired",
        "reactivate",
        retired_ecu,
        lambda director, vehicle: director.ways_out.reactivate(vehicle.vin, ["lamp-1"]),
        reports_all,
    ),
    WayOut(
        "an ECU is out of order",
        "reactivate",
        out_of_order,
        lambda director, vehicle: director.ways_out.reactivate(vehicle.vin, ["lamp-1"]),
        reports_all,
    ),
    WayOut("an ECU is out of order", "(it reports again)", out_of_order, nothing, reports_all),
    WayOut("the wrong vehicle registered a serial", "release", taken_serial, release, reports_all),
    WayOut(
        "a vehicle is scrapped and its parts are used in another",
        "retire --release",
        scrapped,
        lambda director, vehicle: director.ways_out.retire(vehicle.vin, release=True),
        parts_move,
    ),
    WayOut(
        "a scrapped vehicle's id is used again",
        "register",
        lambda director, vehicle: director.ways_out.retire(vehicle.vin, release=True),
        nothing,
        used_again,
    ),
)


@pytest.mark.parametrize("way", TABLE, ids=lambda way: f"{way.state}: {way.command}")
@pytest.mark.parametrize("profile", VEHICLES)
def test_every_state_has_an_audited_way_out(wired: Director, profile: str, way: WayOut) -> None:
    vehicle: StuckVehicle = VEHICLES[profile]()
    vehicle.register(wired)
    vehicle.send(wired)
    way.get_in(wired, vehicle)
    audited = len(wired.audit(limit=10_000))
    way.lead_out(wired, vehicle)
    if way.lead_out is not nothing:
        assert len(wired.audit(limit=10_000)) > audited
    way.check(wired, vehicle)


def test_the_page_for_operators_has_the_same_table() -> None:
    page = (ROOT / Path("docs/operations.md")).read_text()
    rows = {tuple(cell.strip() for cell in line.split("|")[1:3]) for line in page.splitlines() if line.startswith("| ")}
    written = {(state, command.replace("`", "")) for state, command in rows}
    assert {(way.state, way.command) for way in TABLE} - written == set()


@pytest.mark.parametrize("profile", VEHICLES)
def test_a_second_person_confirms_a_key_where_that_is_configured(wired: Director, profile: str) -> None:
    vehicle: StuckVehicle = VEHICLES[profile]()
    vehicle.register(wired)
    vehicle.send(wired)
    object.__setattr__(wired.ways_out, "_settings", type(wired.settings)(second_person=True))
    vehicle.new_key("lamp-1")
    wanted = NewKey(ecu=LAMP, described=read_ecu(vehicle.describe("lamp-1")))
    change = wired.ways_out.change_key(vehicle.vin, wanted, actor="anna")
    assert (change.applied, change.confirmed_by) == (False, None)
    vehicle.send(wired)
    assert unknown(wired, vehicle) == {LAMP}
    with pytest.raises(TwinlockError):
        wired.ways_out.confirm(change.number, actor="anna")
    assert wired.ways_out.confirm(change.number, actor="ben").applied
    reports_all(wired, vehicle)


def test_an_old_parts_reports_never_count_again(wired: Director) -> None:
    """Counters are kept for each key for ever: what the old part sent before is a replay after it is put back."""
    vehicle = NativeVehicle()
    vehicle.register(wired)
    vehicle.send(wired)
    swapped_back(wired, vehicle)
    assert wired.vehicle("VIN1").ecus[LAMP].highest_counter is not None
    rekey("lamp-1")(wired, vehicle)
    assert (wired.vehicle("VIN1").ecus[LAMP].highest_counter or 0) >= 4
