"""``docs/POUF.md`` as data: its examples, and its tables by the mark above each.

    <!-- example: NAME -->      above a block that is filled from the play
    <!-- fields: TYPE ... -->   above a table of the members of an object
    <!-- KIND ... -->           above any other table that the tests compare with the program

Run it to fill the examples anew: ``python -m tests.unit.docs.pouf``. Belongs here: reading and filling the page. Does
not belong here: any expectation (``test_pouf.py``), and what was sent (``scene.py``).
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from pathlib import Path
from typing import Any

from tuf.api.metadata import Delegations, Key, SuccinctRoles, Targets

from tests.architecture.source import ROOT
from tests.unit.docs.scene import NOW, VIN, Play, play, public_half
from twinlock.client.ecu.provision import KnownRepositories, _map
from twinlock.repository.authoring.delegations import AuthoredDelegation, Member, write_delegations
from twinlock.repository.keys.public_keys import checked_key
from twinlock.testing.simulator.keys import make_key
from twinlock.trust.errors.reports import ReportReplayError
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.evidence import Evidence
from twinlock.trust.names import EcuId, TargetPath
from twinlock.trust.wire.tuf.reports import EcuReport, sign_report

PAGE = ROOT / "docs" / "POUF.md"
WIDTH = 112
_EXAMPLE = re.compile(r"<!-- example: (?P<name>[\w-]+) -->\n```json\n(?P<body>.*?)```\n", re.S)
_TABLE = re.compile(r"<!-- (?P<mark>[a-z][^>]*?) -->\n\n(?P<head>\|.*\n\|[-| ]+\|\n)(?P<rows>(?:\|.*\n)*)")
_CELL = re.compile(r"(?<!\\)\|")
_MANIFEST = f"PUT director /vehicles/{VIN}/manifest"


def sent(made: Play) -> dict[str, bytes]:
    """The bytes behind each example."""
    manifest = made.find(_MANIFEST, -2).request
    return {
        "director-root": made.files["director/1.root.json"],
        "image-snapshot": made.files["image/2.snapshot.json"],
        "director-timestamp": made.files["director/timestamp.json"],
        "image-targets": made.files["image/2.targets.json"],
        "director-targets": made.files["director/2.targets.json"],
        "delegations-several": _compact(several_roles()),
        "delegations-bins": _compact(hash_bins()),
        "manifest": manifest,
        "time-request": made.find("POST director /time").request,
        "attestation": made.find("POST director /time").answer,
        "map": _compact(plain_map_file()),
        "description": made.find(f"POST director /vehicles/{VIN}/enrolment").request,
        "enrolled": made.find(f"POST director /vehicles/{VIN}/enrolment").answer,
        "bundle": made.files["bundle/partial"],
        "identity": made.find("GET secondary /v1/identity").answer,
        "time-taken": made.find("POST secondary /v1/time").answer,
        "wants": made.find("PUT secondary /v1/metadata", -2).answer,
        "installed": made.find("PUT secondary /v1/image/acme/lidar-1.0.bin").answer,
        "problem": made.find(_MANIFEST).answer,
    }


def several_roles() -> dict[str, Any]:
    """Delegations of which one names two roles that have to agree, as the Image repository writes them."""
    keys = [dict([_test_key(number)]) for number in (1, 2, 3)]
    targets = Targets()
    both = (Member(name="lab", keys=keys[0]), Member(name="plant", keys=keys[1]))
    write_delegations(
        targets,
        [
            AuthoredDelegation(
                members=both, paths=("radar/*",), hardware_ids=("radar-1",), terminating=True, agreement=2
            ),
            AuthoredDelegation(members=(Member(name="rest", keys=keys[2]),), path_hash_prefixes=("0", "1f")),
        ],
    )
    assert targets.delegations is not None
    return targets.delegations.to_dict()


def hash_bins() -> dict[str, Any]:
    """Delegations to 16 bins, as python-tuf writes them."""
    keyid, key = _test_key(1)
    bins = SuccinctRoles([keyid], 1, 4, "bin")
    return Delegations({keyid: Key.from_dict(keyid, dict(key))}, None, bins).to_dict()


def report_of_evidence() -> bytes:
    """A report that carries an event, as an ECU sends it."""
    error = ReportReplayError(
        ecu="ecu-gw", field="counter", reason="its counter is 3, and the last one was 3", offered="3", last="3"
    )
    event = Evidence(
        id="1",
        kind=error.kind,
        code=error.code,
        attack=error.attack.value,
        clause=error.clause,
        detail=str(error),
        step="reports",
        first=NOW,
        last=NOW,
    )
    installed = InstalledImage(TargetPath("gateway/gateway-2.0.bin"), 1, {"sha256": "00" * 32})
    return sign_report(EcuReport(EcuId("ecu-gw"), installed, NOW, 3, evidence=(event,)), make_key("POUF"))


def plain_map_file() -> dict[str, Any]:
    """The map that a Primary is provisioned with."""
    director, image = f"https://director.example/vehicles/{VIN}", "https://images.example"
    return _map(KnownRepositories(director_root=b"", director_url=director, image_url=image))


def examples(text: str) -> dict[str, str]:
    """The blocks of the page by name."""
    return {match["name"]: match["body"] for match in _EXAMPLE.finditer(text)}


def tables(text: str) -> dict[str, list[list[str]]]:
    """The rows of each marked table, cell by cell, by its mark."""
    return {
        match["mark"]: [[cell.strip() for cell in _CELL.split(row)[1:-1]] for row in match["rows"].splitlines()]
        for match in _TABLE.finditer(text)
    }


def layout(name: str, data: bytes) -> str:
    """An example as the page shows it."""
    value = json.loads(data)
    if name == "bundle":
        value = {
            repository: {file: f"{text[:40]}..." for file, text in files.items()} for repository, files in value.items()
        }
    return f"{pretty(value)}\n"


def pretty(value: Any, indent: int = 0, room: int = WIDTH) -> str:
    """JSON with what fits in a line on one line."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) <= room - indent or not isinstance(value, (dict, list)) or not value:
        return line
    inner = " " * (indent + 2)
    if isinstance(value, list):
        parts = [pretty(item, indent + 2, room) for item in value]
    else:
        parts = [f"{json.dumps(name)}: {pretty(item, indent + 2, room)}" for name, item in value.items()]
    ends = "[]" if isinstance(value, list) else "{}"
    return ends[0] + "\n" + ",\n".join(inner + part for part in parts) + "\n" + " " * indent + ends[1]


def filled(text: str, made: Play) -> str:
    """The page with its examples and its tables of keys and bytes as they have to be."""
    data = sent(made)

    def block(match: re.Match[str]) -> str:
        body = layout(match["name"], data[match["name"]])
        return f"<!-- example: {match['name']} -->\n```json\n{body}```\n"

    rows = {
        "keys": [f"| {n} | `{keyid}` | {owner} |" for n, (keyid, owner) in enumerate(made.keys, 1)],
        "bytes": [f"| {name} | {len(sent):,} | `{hashlib.sha256(sent).hexdigest()}` |" for name, sent in data.items()],
    }

    def table(match: re.Match[str]) -> str:
        if match["mark"] not in rows:
            return match.group()
        return f"<!-- {match['mark']} -->\n\n{match['head']}" + "".join(f"{row}\n" for row in rows[match["mark"]])

    return _TABLE.sub(table, _EXAMPLE.sub(block, text))


def _test_key(number: int) -> tuple[str, dict[str, Any]]:
    return checked_key({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public_half(number)}})


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        PAGE.write_text(filled(PAGE.read_text(), play(Path(place))))
