"""The files that an Image repository keeps beside its configuration: their bytes, and that a fault in one names its member."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.unit.repository.conftest import HandClock
from twinlock.io.files.records import MemberError, RecordError, record_bytes
from twinlock.repository.errors import StoreTamperedError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import Keyring
from twinlock.repository.keys.records import encode_record, read_key_record
from twinlock.repository.signing.clock import ClockMarks
from twinlock.repository.signing.clock_record import keep_marks, read_marks
from twinlock.repository.store.treehub import TreehubRecord, read_treehub
from twinlock.repository.workspace.draft import Draft, editing_draft, read_draft
from twinlock.repository.workspace.prepared_root import PreparedRoot
from twinlock.trust.errors.local import StorageError


def indented(body: Any) -> bytes:
    return json.dumps(body, indent=2).encode() + b"\n"


def test_a_key_record(tmp_path: Path) -> None:
    ring = Keyring(offline=tmp_path / "offline", online=tmp_path / "online", online_roles=frozenset(), passphrase=None)
    record = ring.generate("root")[0]
    key = {"keytype": record.keytype, "scheme": record.scheme, "keyval": {"public": record.public}}
    body: dict[str, Any] = {"format": 1, "role": "root", "signer": record.signer}
    body |= {"keyid": record.keyid, "key": key}
    path = record.files[0]
    assert path.read_bytes() == indented(body)
    assert read_key_record(path) == record
    lost = {**body, "availability": "lost"}
    path.write_text(json.dumps(lost))
    written = encode_record(read_key_record(path))
    assert list(json.loads(written)) == ["format", "role", "signer", "availability", "keyid", "key"]
    assert json.loads(written) == lost
    for wrong, member in (
        ({**body, "availability": "here"}, "availability"),
        ({**body, "key": {**key, "scheme": 3}}, "key.scheme"),
        ({**body, "key": {**key, "keyval": {"public": "x", "private": "y"}}}, "key.keyval.private"),
        ({**body, "rol": "x"}, "rol"),
    ):
        path.write_text(json.dumps(wrong))
        with pytest.raises(MemberError) as caught:
            read_key_record(path)
        assert (caught.value.path, caught.value.member) == (str(path), member)


def test_a_draft(tmp_path: Path) -> None:
    path = tmp_path / "draft.json"
    images: dict[str, Any] = {"a/ü.bin": {"length": 1, "hashes": {"sha256": "aa"}}, "b.bin": None}
    body: dict[str, Any] = {"format": 1, "roles": {"targets": {"images": images, "delegations": {"acme": None}}}}
    body["accepted"] = {"acme": "{}"}
    with editing_draft(path) as draft:
        draft.of("targets").images = images
        draft.of("targets").delegations = {"acme": None}
        draft.accepted = {"acme": "{}"}
    assert path.read_bytes() == json.dumps(body, indent=1, ensure_ascii=False).encode()
    with editing_draft(path) as draft:
        draft.others = {"acme": "{}"}
    assert path.read_bytes() == json.dumps({**body, "others": {"acme": "{}"}}, indent=1, ensure_ascii=False).encode()
    assert read_draft(path) == draft
    assert read_draft(tmp_path / "none") == Draft()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"format": 1, "roles": {}}, "accepted is missing"),
        ({"format": 1, "roles": {"targets": {"images": {}}}, "accepted": {}}, "roles[...].delegations is missing"),
        ({"format": 1, "roles": {}, "accepted": {}, "other": {}}, "other is unknown"),
        ({"format": 1, "roles": {}, "accepted": {"acme": 1}}, "accepted[...] has to be a text"),
        ({"format": 1, "roles": {"t": {"images": {"a": 1}, "delegations": {}}}, "accepted": {}}, "an object or null"),
    ],
)
def test_a_damaged_draft_names_the_member_and_the_way_out(tmp_path: Path, body: Any, told: str) -> None:
    path = tmp_path / "draft.json"
    path.write_text(json.dumps(body))
    with pytest.raises(StorageError, match="remove it") as caught:
        read_draft(path)
    assert told in caught.value.reason


def test_the_record_of_a_publication(filled: ImageRepository) -> None:
    name = max((filled.path / "public/publications").iterdir(), key=lambda path: int(path.stem))
    data = name.read_bytes()
    body = json.loads(data)
    assert list(body) == ["format", "version", "replaces", "files"]
    assert data == json.dumps(body, ensure_ascii=False).encode()
    for wrong in ({**body, "version": "2"}, {**body, "more": 1}, {**body, "replaces": 3}, {**body, "files": []}):
        name.write_text(json.dumps(wrong))
        with pytest.raises(StoreTamperedError, match="not readable"):
            ImageRepository.open(filled.path)


def test_where_the_ostree_repository_is(tmp_path: Path) -> None:
    path = tmp_path / "treehub.json"
    path.write_bytes(indented({"format": 1, "repository": "/srv/ostree"}))
    assert read_treehub(tmp_path) == Path("/srv/ostree")
    assert record_bytes(TreehubRecord(repository="/srv/ostree")) == path.read_bytes()
    path.write_text('{"format": 1, "repositry": "/srv/ostree"}')
    with pytest.raises(StorageError, match="the nearest is repository"):
        read_treehub(tmp_path)


@pytest.mark.parametrize("text", ["{}", "[1]", '["a", null]', "x"])
def test_lists_beside_a_prepared_root(tmp_path: Path, text: str) -> None:
    (tmp_path / "prepared-root-keys.json").write_text(text)
    with pytest.raises(RecordError, match="prepared-root-keys"):
        PreparedRoot(tmp_path).keyids()


def test_the_marks_of_the_signing_clock(filled: ImageRepository, clock: HandClock) -> None:
    workspace = filled.workspace
    path = filled.path / "trusted/clock.json"
    kept = json.loads(path.read_bytes())
    assert path.read_bytes() == indented(kept)
    now = datetime(2031, 1, 1, tzinfo=UTC)
    keep_marks(workspace, ClockMarks(last=None, highest=now))
    assert path.read_bytes() == indented({"last": None, "highest": "2031-01-01T00:00:00Z"})
    assert read_marks(workspace, None) == ClockMarks(last=None, highest=now)
    for text in (
        "",
        "[]",
        '{"last": ""}',
        '{"last": "2031-01-01"}',
        '{"last": 3}',
        '{"lst": null}',
        '{"recoveries": [{}]}',
    ):
        path.write_text(text)
        with pytest.raises(RecordError, match=r"clock\.json"):
            read_marks(workspace, None)
