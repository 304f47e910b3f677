"""The decoders under fuzzing. Each takes arbitrary bytes; raising anything but a TwinlockError is a finding.

Accepting is not enough either: what a decoder accepted is read to the last field, so that lazy parts are exercised too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twinlock.cli.shared.json_form import json_value
from twinlock.director.devices.events import read_events
from twinlock.director.devices.registration import read_registration
from twinlock.director.devices.telemetry import KINDS, check_telemetry
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.keys.signatures import Envelope
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.root import Root
from twinlock.trust.names import VehicleId, identifier, role_file, target_path
from twinlock.trust.state.repository_map import decode_map
from twinlock.trust.wire.aktualizr import reports as aktualizr
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.tuf.attestation import check_attestation
from twinlock.trust.wire.tuf.metadata import TUF
from twinlock.trust.wire.tuf.reports import decode_manifest, decode_report


def _root(data: bytes) -> None:
    _read(TUF.decode_root(data, "root", DEFAULT_LIMITS))


def _timestamp(data: bytes) -> None:
    _read(TUF.decode_timestamp(data, "timestamp", DEFAULT_LIMITS))


def _snapshot(data: bytes) -> None:
    _read(TUF.decode_snapshot(data, "snapshot", DEFAULT_LIMITS))


def _targets(data: bytes) -> None:
    envelope = TUF.decode_targets(data, "targets", DEFAULT_LIMITS)
    _read(envelope)
    images = envelope.signed.images
    for path in images:
        try:
            TUF.image_file_names(images[path])
        except TwinlockError:  # one bad entry does not spoil the file; it spoils whoever asks for it
            continue


def _read(envelope: Envelope[Any]) -> None:
    assert envelope.payload in envelope.data
    assert envelope.canonical is not None
    envelope.canonical()


def _foreign_root(data: bytes) -> None:
    _read_foreign(AKTUALIZR.decode_root(data, "root", DEFAULT_LIMITS))


def _foreign_timestamp(data: bytes) -> None:
    _read_foreign(AKTUALIZR.decode_timestamp(data, "timestamp", DEFAULT_LIMITS))


def _foreign_snapshot(data: bytes) -> None:
    envelope = AKTUALIZR.decode_snapshot(data, "snapshot", DEFAULT_LIMITS)
    _read_foreign(envelope)
    for role in envelope.signed.targets:
        try:
            name = AKTUALIZR.file_name(role, 1)
        except TwinlockError:  # nobody asks for a role of such a name
            continue
        assert not name.startswith("/")
        assert not {"", ".", ".."} & set(name.split("/"))


def _foreign_targets(data: bytes) -> None:
    envelope = AKTUALIZR.decode_targets(data, "targets", DEFAULT_LIMITS)
    _read_foreign(envelope)
    images = envelope.signed.images
    for path in images:
        try:
            assert AKTUALIZR.image_file_names(images[path]) == (path,)
        except TwinlockError:
            continue


def _read_foreign(envelope: Envelope[Any]) -> None:
    """As ``_read``; and the two spellings of one file are one: the canonical form of the canonical form is itself."""
    assert envelope.canonical is not None
    canonical = envelope.canonical()
    # Letters beyond ASCII count by the canonical form alone, which writes them otherwise.
    assert envelope.payload in envelope.data or (envelope.payload == canonical and not envelope.data.isascii())
    again = AKTUALIZR.reencoded(envelope.data)
    assert again is None or AKTUALIZR.reencoded(again) == again


def _report(data: bytes) -> None:
    decode_report(data)


def _manifest(data: bytes) -> None:
    decode_manifest(data)


def _aktualizr_manifest(data: bytes) -> None:
    manifest = aktualizr.decode_manifest(data)
    assert len({signed.report.ecu for signed in manifest.reports}) == len(manifest.reports)


def _map(data: bytes) -> None:
    decode_map(data)


def _attestation(data: bytes) -> None:
    check_attestation(data, _NO_TIME_SOURCE, nonce="00")


def _device_events(data: bytes) -> None:
    for event in read_events(data):
        json_value(event)


def _registration(data: bytes) -> None:
    for record in read_registration(data, VehicleId("VIN")).ecus.values():
        record.as_json()


def _telemetry(data: bytes) -> None:
    accepted = 0
    for kind in KINDS:
        try:
            check_telemetry(kind, data)
        except TwinlockError:
            continue
        accepted += 1
    if not accepted:
        check_telemetry(next(iter(KINDS)), data)


def _names(data: bytes) -> None:
    try:
        text = data.decode("utf-8", "surrogatepass")  # JSON can hold half a character, so a name can
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    for admit in (target_path, identifier, role_file):
        try:
            admitted = admit(text)
        except TwinlockError:
            continue
        # What was admitted is a relative path that stays below where it is joined, on every system.
        assert not admitted.startswith("/")
        assert "\\" not in admitted
        assert not {"", ".", ".."} & set(admitted.split("/"))


_NO_TIME_SOURCE: Root = TUF.decode_root(
    b'{"signatures":[],"signed":{"_type":"root","version":1,"expires":"2030-01-01T00:00:00Z","keys":{},"roles":{'
    b'"root":{"keyids":[],"threshold":1},"timestamp":{"keyids":[],"threshold":1},'
    b'"snapshot":{"keyids":[],"threshold":1},"targets":{"keyids":[],"threshold":1}}}}',
    "root",
    DEFAULT_LIMITS,
).signed

DECODERS: dict[str, Callable[[bytes], None]] = {
    "aktualizr-root": _foreign_root,
    "aktualizr-snapshot": _foreign_snapshot,
    "aktualizr-targets": _foreign_targets,
    "aktualizr-timestamp": _foreign_timestamp,
    "aktualizr-manifest": _aktualizr_manifest,
    "attestation": _attestation,
    "device-events": _device_events,
    "manifest": _manifest,
    "map": _map,
    "names": _names,
    "registration": _registration,
    "report": _report,
    "root": _root,
    "snapshot": _snapshot,
    "targets": _targets,
    "telemetry": _telemetry,
    "timestamp": _timestamp,
}


def exercise(name: str, data: bytes) -> None:
    """Feed ``data`` to one decoder; refusals are fine, anything else propagates and is a finding."""
    try:
        DECODERS[name](data)
    except TwinlockError as error:
        str(error), error.as_json()  # an error about hostile bytes has to be printable itself
