"""``docs/POUF-aktualizr.md`` says what the program does: its examples, its tables of members, names, sizes and codes."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from tests.unit.docs.aktualizr_scene import ECU, files, shown
from tests.unit.docs.pouf import PAGE
from twinlock.client.model.results import Problem, Step
from twinlock.client.primary.installation_report import installation_report
from twinlock.testing.simulator.keys import JSON, KeyPool
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.local import TransportError
from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.targets import Targets
from twinlock.trust.names import IMAGE, EcuId, RoleName
from twinlock.trust.wire.aktualizr import form, reports
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.aktualizr.members import decode_public_key
from twinlock.trust.wire.json.cursor import Node

TEXT = PAGE.with_name("POUF-aktualizr.md").read_text(encoding="utf-8")
FILES = files()
_CODE = re.compile(r"`([^`]+)`")


def rows(after: str) -> list[list[str]]:
    """The cells of the first table below ``after``."""
    table = re.search(r"(?:^\|.*\n)+", TEXT[TEXT.index(after) :], re.M)
    assert table is not None
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table[0].splitlines()[2:]]


@pytest.mark.parametrize("name", FILES)
def test_an_example_is_what_is_written(name: str) -> None:
    found = re.search(rf"<!-- example: {name} -->\n\n```json\n(.*?)\n```", TEXT, re.S)
    assert found is not None
    assert found[1] == shown(FILES[name])
    assert form.encode_canonical(json.loads(found[1])) == FILES[name]


def test_the_examples_are_read() -> None:
    root = bootstrap_repository(IMAGE, FILES["Root"], wire=AKTUALIZR)
    assert root.root.signed.has_index
    for name, decode in (
        ("Targets", AKTUALIZR.decode_targets),
        ("Director Targets", AKTUALIZR.decode_targets),
        ("Snapshot", AKTUALIZR.decode_snapshot),
        ("Timestamp", AKTUALIZR.decode_timestamp),
    ):
        assert decode(FILES[name], name, DEFAULT_LIMITS).signed.version >= 1
    assert reports.decode_manifest(FILES["Manifest"]).primary == ECU


def test_the_canonical_forms() -> None:
    found = rows("| value | canonical form |")
    assert len(found) == 5
    for value, expected in found:
        assert form.encode_canonical(json.loads(value.strip("`"))).decode() == expected.strip("`")


def test_key_types() -> None:
    for keytype, _, read_as in rows("| `keytype`, in any case |"):
        (name,), (scheme,) = _CODE.findall(keytype), _CODE.findall(read_as)
        public = KeyPool()("any", name.lower()).public["keyval"]["public"]
        assert decode_public_key("k", Node(name.swapcase(), "x", "$"), Node(public, "x", "$")).scheme == scheme
    methods = {method for names in form.METHODS.values() for method in names}
    sentence = TEXT[TEXT.index("`method` is one of") : TEXT.index("in any case; a\nsignature")]
    assert set(_CODE.findall(sentence)) - {"method"} == methods
    assert f"Thresholds are at most {form.MAX_THRESHOLD}." in TEXT


def test_file_names() -> None:
    for role, version, name in rows("| role | version | name |"):
        assert AKTUALIZR.file_name(RoleName(role.strip("`")), int(version)) == name.strip("`")


def test_types() -> None:
    found = {row[0].split(",")[0].lower(): _CODE.findall(row[1])[0] for row in rows("| file | `_type` |")}
    assert found == form.TYPES


def test_sizes() -> None:
    found = {name: int(size.replace(",", "")) for name, size in rows("| file | bytes |")}
    assert found == {
        "Root": form.MAX_BYTES["root"],
        "Timestamp": form.MAX_BYTES["timestamp"],
        "Snapshot": form.MAX_BYTES["snapshot"],
        "Targets of an Image repository": form.MAX_BYTES["targets"],
        "Targets of a Director": form.MAX_DIRECTOR_TARGETS_BYTES,
    }


def _bodies() -> dict[str, JSON]:
    """A body of each file in which every member of the tables stands."""
    found = {name: json.loads(FILES[name])["signed"] for name in ("Root", "Targets", "Snapshot", "Timestamp")}
    found["Root"]["custom"] = {"timeSource": copy.deepcopy(found["Root"]["roles"]["root"])}
    found["Targets"]["custom"] = {"correlationId": "urn:1", "vehicleIdentifier": "V"}
    (listed,) = found["Targets"]["targets"].values()
    listed["custom"] |= {"uri": "https://x", "ecuIdentifiers": {"e": {"hardwareId": "h"}}}
    found["Snapshot"]["meta"] = {
        "targets.json": {"version": 1, "length": 1, "hashes": {"sha256": "0" * 64}},
        "acme.json": {"version": 1},
    }
    return found


def _members() -> list[tuple[str, str, bool]]:
    return [
        (name, member, row[1] == "yes")
        for name in ("Root", "Targets", "Snapshot", "Timestamp")
        for row in rows(f"<!-- members: {name} -->")
        for member in _CODE.findall(row[0])
    ]


def _without(body: JSON, member: str) -> JSON:
    place: Any = body
    steps = re.findall(r"[a-z]+\.json|\w+|\*", member)
    for step in steps[:-1]:
        place = (next(iter(place.values())) if isinstance(place, dict) else place[0]) if step == "*" else place[step]
    del place[steps[-1]]
    return body


@pytest.mark.parametrize(("name", "member", "required"), _members(), ids=str)
def test_a_member_is_required_or_not(name: str, member: str, required: bool) -> None:
    decode: Any = getattr(AKTUALIZR, f"decode_{name.lower()}")

    def read(body: JSON) -> None:
        data = json.dumps({"signatures": [], "signed": body}).encode()
        signed = decode(data, name, DEFAULT_LIMITS).signed
        if isinstance(signed, Targets):
            for path in signed.images:
                assert signed.images[path]

    read(_bodies()[name])
    body = _without(_bodies()[name], member)
    if not required:
        read(body)
        return
    with pytest.raises(MalformedError):
        read(body)


def test_every_member_that_we_write_stands_in_a_table() -> None:
    stated = {step for _, member, _ in _members() for step in re.findall(r"[a-z]+\.json|\w+", member)}
    stated |= {"_type", "version", "expires", "issued", "keyid", "method", "sig", "signatures", "signed"}
    prose = re.sub(r"```.*?```", "", TEXT, flags=re.S)
    stated |= set(re.findall(r"\w+", " ".join(_CODE.findall(prose))))
    for name in ("Root", "Targets", "Director Targets", "Snapshot", "Timestamp"):
        for member in _names(json.loads(FILES[name])):
            assert member in stated, f"{name}: {member}"


# Names that are content, not members: ids, image names, algorithms, ECUs, roles.
_CONTENT = re.compile(
    r"[0-9a-f]{64}|sha\d+|gateway/.*|gw-0001|root|targets|snapshot|timestamp|acme\.json|releaseCounter"
)


def _names(value: object) -> set[str]:
    if isinstance(value, list):
        return {name for item in value for name in _names(item)}
    if not isinstance(value, dict):
        return set()
    own = {name for name in value if not _CONTENT.fullmatch(name)}
    return own | {name for item in value.values() for name in _names(item)}


def test_the_codes_of_an_installation() -> None:
    stated = [_CODE.findall(row[0])[0] for row in rows("| `code` | when |")]
    error = TransportError(url="x", reason="y")
    said = {installation_report("c", [EcuId("e")], [EcuId("e")], []).result.code}
    for step in Step:
        problem = Problem(step=step, error=error, ecu=EcuId("e"))
        outcome = installation_report("c", [EcuId("e")], [], [problem])
        assert outcome.result.description.startswith("transport: ")
        assert outcome.ecus[EcuId("e")] == outcome.result
        said.add(outcome.result.code)
    assert set(stated) == said
    assert installation_report("c", [EcuId("e")], [], []).result.success is False
