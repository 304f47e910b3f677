"""Arbitrary and damaged bytes: a decoder answers with a value or with one of our errors, never with anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.simulator.scenario import seasoned
from twinlock.testing.simulator.vehicle import changed
from twinlock.testing.simulator.world import World
from twinlock.trust.errors.base import RefusalError, TwinlockError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.targets import Targets
from twinlock.trust.names import EcuId, TargetPath, VehicleId
from twinlock.trust.state.repository_map import decode_map
from twinlock.trust.wire.aktualizr import reports as aktualizr
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.tuf.attestation import check_attestation, sign_attestation
from twinlock.trust.wire.tuf.metadata import TUF
from twinlock.trust.wire.tuf.reports import EcuReport, decode_manifest, decode_report, sign_manifest, sign_report

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

WORLD = World()
seasoned(WORLD)
ECU = WORLD.keys("ecu")
SAID = EcuReport(
    ecu=EcuId("ecu-1"),
    installed=InstalledImage(path=TargetPath("a/b"), length=1, hashes={"sha256": "0" * 64}, release_counter=1),
    time=WORLD.now,
    counter=1,
    nonce="ab",
)
REPORT = sign_report(SAID, ECU)
MAP = (
    b'{"repositories":{"director":["d"],"image":["i"]},"mapping":[{"paths":["*"],"repositories":["director","image"]}]}'
)
DIRECTOR_ROOT = WORLD.vehicle.stores["director"].restore("director").root.signed


FOREIGN = World(director="aktualizr", image="aktualizr")
seasoned(FOREIGN)


def _targets(data: bytes, wire: WireProfile = TUF) -> None:
    signed: Targets = wire.decode_targets(data, "x", DEFAULT_LIMITS).signed
    for path in signed.images:
        signed.images[path]


def _foreign(decode: Any) -> Any:
    """That decoder, and the canonical form that signatures of this profile are over."""

    def read(data: bytes) -> None:
        envelope = decode(data, "x", DEFAULT_LIMITS)
        assert envelope.canonical is not None
        envelope.canonical()
        AKTUALIZR.reencoded(data)

    return read


DECODERS: dict[str, tuple[Any, bytes]] = {
    "root": (lambda data: TUF.decode_root(data, "x", DEFAULT_LIMITS), WORLD.director.files["1.root.json"]),
    "timestamp": (lambda data: TUF.decode_timestamp(data, "x", DEFAULT_LIMITS), WORLD.image.files["timestamp.json"]),
    "snapshot": (lambda data: TUF.decode_snapshot(data, "x", DEFAULT_LIMITS), WORLD.image.files["4.snapshot.json"]),
    "targets": (_targets, WORLD.image.files["4.targets.json"]),
    "orders": (_targets, WORLD.director.files["4.targets.json"]),
    "aktualizr root": (_foreign(AKTUALIZR.decode_root), FOREIGN.director.files["1.root.json"]),
    "aktualizr timestamp": (_foreign(AKTUALIZR.decode_timestamp), FOREIGN.image.files["timestamp.json"]),
    "aktualizr snapshot": (_foreign(AKTUALIZR.decode_snapshot), FOREIGN.image.files["snapshot.json"]),
    "aktualizr targets": (_foreign(AKTUALIZR.decode_targets), FOREIGN.image.files["targets.json"]),
    "aktualizr entries": (lambda data: _targets(data, AKTUALIZR), FOREIGN.image.files["delegations/acme.json"]),
    "aktualizr orders": (lambda data: _targets(data, AKTUALIZR), FOREIGN.director.files["targets.json"]),
    "report": (decode_report, REPORT),
    "manifest": (decode_manifest, sign_manifest(VehicleId("V"), EcuId("ecu-1"), [REPORT], ECU)),
    "aktualizr-manifest": (
        aktualizr.decode_manifest,
        aktualizr.sign_manifest(EcuId("ecu-1"), [aktualizr.sign_report(SAID, ECU)], ECU),
    ),
    "map": (decode_map, MAP),
    "attestation": (
        lambda data: check_attestation(data, DIRECTOR_ROOT, nonce=None),
        sign_attestation(WORLD.now, ("ab",), WORLD.director.time_key()),
    ),
}
NAMES = sorted(DECODERS)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=10)
    | st.sampled_from(["targets", "1.0", "\ud800", "0" * 64]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def _decodes_or_refuses(name: str, data: bytes) -> None:
    try:
        DECODERS[name][0](data)
    except TwinlockError as error:
        assert str(error).isprintable()
        assert str(error).encode()
        assert json.dumps(error.as_json())


@pytest.mark.parametrize("name", NAMES)
def test_the_genuine_bytes_are_decoded(name: str) -> None:
    decode, data = DECODERS[name]
    decode(data)


@QUICK
@given(st.sampled_from(NAMES), st.binary(max_size=200))
@example("root", b"{" * 10_000)
@example("targets", b'{"signatures":[],"signed":{"_type":"targets","targets":{"a":' + b"[" * 50_000)
def test_arbitrary_bytes(name: str, data: bytes) -> None:
    _decodes_or_refuses(name, data)


@QUICK
@given(st.sampled_from(NAMES), st.data())
def test_one_damaged_place(name: str, data: st.DataObject) -> None:
    genuine = DECODERS[name][1]
    at = data.draw(st.integers(0, len(genuine)))
    cut = data.draw(st.integers(0, 12))
    put = data.draw(
        st.binary(max_size=6) | st.sampled_from([b'"', b"\\ud800", b"{", b"[[", b"null", b"1e9", b",", b"\\u0000"])
    )
    _decodes_or_refuses(name, genuine[:at] + put + genuine[at + cut :])


@QUICK
@given(st.sampled_from(NAMES), st.data())
def test_one_member_exchanged(name: str, data: st.DataObject) -> None:
    document = json.loads(DECODERS[name][1])
    place = document
    while True:
        steps = list(place) if isinstance(place, dict) else list(range(len(place)))
        step = data.draw(st.sampled_from(steps))
        inner = place[step]
        if not isinstance(inner, (dict, list)) or not inner or data.draw(st.booleans()):
            break
        place = inner
    place[step] = data.draw(JSON_VALUES)
    _decodes_or_refuses(name, json.dumps(document).encode())


FILES = [
    (name, file) for name in ("director", "image") for file in ("timestamp.json", "4.snapshot.json", "4.targets.json")
]


@QUICK
@given(st.sampled_from([*FILES, ("image", "3.acme.json")]), st.data())
def test_a_damaged_file_refuses_the_cycle_and_leaves_the_store(place: tuple[str, str], data: st.DataObject) -> None:
    name, file = place
    repository = WORLD.repositories[name]
    genuine = repository.files[file]
    at = data.draw(st.integers(0, len(genuine) - 1))
    put = data.draw(st.binary(max_size=4))
    damaged = genuine[:at] + put + genuine[at + 1 :]
    saved = {name: (dict(store.roots), dict(store.files)) for name, store in WORLD.vehicle.stores.items()}
    before = WORLD.vehicle.snapshot_state()
    try:
        with WORLD.attack():
            repository.files[file] = damaged
            try:
                decision = WORLD.vehicle.update()
            except RefusalError:
                stored = changed(before, WORLD.vehicle.snapshot_state())
                role = file.removesuffix(".json").split(".")[-1]
                assert f"{name}/{role}" not in stored
                for key in stored:
                    assert WORLD.vehicle.snapshot_state()[key] in WORLD.repositories[key.split("/")[0]].files.values()
            else:
                # Nothing that means anything was damaged (a byte of the file outside of what is signed or listed).
                assert {image.entry.path for image in decision.approved} == {
                    f"{part}/{part}-3.bin" for part in ("adas", "brake", "gateway")
                }
                assert json.loads(damaged)["signed"] == json.loads(genuine)["signed"]
    finally:
        for stored_name, (roots, files) in saved.items():
            WORLD.vehicle.stores[stored_name].roots, WORLD.vehicle.stores[stored_name].files = roots, files
