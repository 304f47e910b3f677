"""``docs/POUF.md`` says what the program does: its examples, its tables of members, limits, schemes, statuses, choices."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from conformance.requirements import MUST, load_requirements
from tests.architecture.codes import errors
from tests.architecture.source import ROOT
from tests.unit.docs.members import TYPES, Found, everything
from tests.unit.docs.pouf import PAGE, examples, filled, hash_bins, layout, pretty, sent, several_roles, tables
from tests.unit.docs.scene import NOW, VIN, Play, play
from twinlock.client.ecu.config import FetchSettings, TimeSettings
from twinlock.client.secondary.server import _status, secondary_application
from twinlock.client.storage.bundle import max_bundle_bytes
from twinlock.director.api.device_api import director_application
from twinlock.director.model.settings import Settings
from twinlock.repository.serving.app import image_application
from twinlock.repository.serving.http import problem_of
from twinlock.repository.workspace.validity import Periods
from twinlock.trust.engine.guarantees import GUARANTEES
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.base import RefusalError, TwinlockError, UsageError
from twinlock.trust.keys.public_keys import SUPPORTED_SCHEMES
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.names import DIRECTOR, Verification
from twinlock.trust.state.repository_map import decode_map
from twinlock.trust.wire.json.olpc import encode_canonical
from twinlock.trust.wire.tuf.attestation import check_attestation
from twinlock.trust.wire.tuf.metadata import TUF
from twinlock.trust.wire.tuf.reports import decode_manifest

BUNDLE_BYTES = max_bundle_bytes(Verification.FULL, DEFAULT_LIMITS)
PARTIAL_BUNDLE_BYTES = max_bundle_bytes(Verification.PARTIAL, DEFAULT_LIMITS)

TEXT = PAGE.read_text()
TABLES = tables(TEXT)
_CODE = re.compile(r"`([^`]+)`")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Play:
    return play(tmp_path_factory.mktemp("pouf"))


# Examples


def test_every_example_is_what_was_sent(made: Play) -> None:
    data = sent(made)
    assert examples(TEXT) == {name: layout(name, found) for name, found in data.items()}


def test_the_tables_of_keys_and_bytes_are_current(made: Play) -> None:
    assert filled(TEXT, made) == TEXT, "run `make fix`"


def test_the_play_is_the_same_every_time(made: Play, tmp_path: Path) -> None:
    again = play(tmp_path)
    assert [(each.route, each.status, each.answer) for each in made.exchanges] == [
        (each.route, each.status, each.answer) for each in again.exchanges
    ]
    assert made.keys == again.keys


@pytest.mark.parametrize("name", ["director-root", "image-snapshot", "image-targets", "director-targets", "manifest"])
def test_the_bytes_of_a_signed_example_can_be_made_from_it(made: Play, name: str) -> None:
    """What the page says of our own form: members sorted, no white space, ASCII here."""
    assert encode_canonical(json.loads(examples(TEXT)[name])) == sent(made)[name]


def test_a_reader_accepts_the_examples() -> None:
    shown = {name: body.encode() for name, body in examples(TEXT).items()}
    root = bootstrap_repository(DIRECTOR, shown["director-root"]).root.signed
    nonce = json.loads(shown["time-request"])["nonce"]
    assert check_attestation(shown["attestation"], root, nonce=nonce).time == NOW
    assert decode_map(shown["map"]).repositories[DIRECTOR][0].endswith(VIN)
    assert [signed.report.ecu for signed in decode_manifest(shown["manifest"]).reports] == ["ecu-gw", "ecu-lidar"]


@pytest.mark.parametrize("delegations", [several_roles(), hash_bins()])
def test_a_reader_accepts_the_delegations(delegations: dict[str, Any]) -> None:
    signed = {
        "_type": "targets",
        "version": 1,
        "expires": "2031-01-01T00:00:00Z",
        "targets": {},
        "delegations": delegations,
    }
    data = json.dumps({"signatures": [], "signed": signed}).encode()
    assert TUF.decode_targets(data, "targets", DEFAULT_LIMITS).signed.delegations is not None


# Messages

_BASES = {"/vehicles/{vehicle}": "<V>", "/time": "<D>/time", "/metadata": "<I>/metadata", "/targets": "<I>/targets"}
_NAMES = {"<V>/metadata/{name}": "<V>/metadata/<file>", "<I>/metadata/{name}": "<I>/metadata/<file>"}
_NAMES |= {"<I>/targets/{name}": "<I>/targets/<image file>", "/v1/image/{path}": "/v1/image/<image name>"}


def test_every_route_has_a_row() -> None:
    """Of the three servers, and the other way round."""
    applications = [director_application(cast("Any", None)), image_application(cast("Any", None))]
    served = {_route(route) for application in applications for route in application.router.routes()}
    assert served - {None} == _routes("messages: servers")
    link = {_route(route) for route in secondary_application(cast("Any", None)).router.routes()}
    assert link - {None} == _routes("messages: link")


def test_the_bounds_of_messages_are_those_of_the_code() -> None:
    bound = f"; {DEFAULT_LIMITS.report_bytes:,}"
    rows = {row[0]: row for mark in ("messages: servers", "messages: link") for row in TABLES[mark]}
    assert rows["1"][3].endswith(bound)
    assert rows["6"][3].endswith(bound)
    assert rows["12"][3].endswith(bound)


def test_the_proxy_of_the_page_for_operators_lets_every_body_through() -> None:
    found = re.search(r"client_max_body_size ([0-9]+)m;", (ROOT / "docs" / "operations.md").read_text())
    assert found is not None
    assert int(found[1]) * 1_000_000 >= DEFAULT_LIMITS.report_bytes


def _route(route: web.AbstractRoute) -> str | None:
    assert route.resource is not None
    path = route.resource.canonical
    base = next((base for base in _BASES if path.startswith(base)), "")
    path = _BASES.get(base, "") + path.removeprefix(base)
    return None if route.method == "HEAD" else f"{route.method} {_NAMES.get(path, path)}"


def _routes(mark: str) -> set[str]:
    text = " ".join(cell for row in TABLES[mark] for cell in row)
    return set(re.findall(r"`((?:GET|PUT|POST) [^`]+)`", text))


# Members


def _described(kind: str) -> list[list[str]]:
    return next(rows for mark, rows in TABLES.items() if kind in mark.removeprefix("fields: ").split())


def _members(kind: str) -> dict[str, str]:
    """The members that the page gives a type, and when they stand."""
    rows = list(_described(kind))
    if kind in ("root", "timestamp", "snapshot", "targets"):
        rows += _described("signed")
    return {_CODE.findall(row[0])[0]: row[2] for row in rows}


def complaints(found: Iterator[Found]) -> list[str]:
    """Members that were sent and are not described, and members that always stand and did not."""
    wrong = []
    for kind, place, members in found:
        described = _members(kind)
        wrong += [f"{place}: {kind} has {name}, which no table describes" for name in members - described.keys()]
        always = {name for name, stands in described.items() if stands == "always"}
        wrong += [f"{place}: {kind} lacks {name}" for name in always - members]
    return wrong


def test_every_member_that_is_sent_is_described(made: Play) -> None:
    assert not complaints(everything(made))


def test_a_member_without_a_row_is_seen() -> None:
    found = Found("time-taken", "here", frozenset({"time", "zone"}))
    assert complaints(iter([found])) == ["here: time-taken has zone, which no table describes"]
    assert complaints(iter([Found("time-taken", "here", frozenset())])) == ["here: time-taken lacks time"]


def test_every_described_type_and_member_was_seen(made: Play) -> None:
    seen: dict[str, set[str]] = {}
    for kind, _, members in everything(made):
        seen.setdefault(kind, set()).update(members)
    assert seen.keys() == TYPES.keys()
    unseen = {(kind, name) for kind in TYPES for name, stands in _members(kind).items() if name not in seen[kind]}
    # What the page says that a reader takes and our own programs never write, or write where nothing fails; and members of
    # images that are not in the play, OSTree commits and hosted ones (tests/unit/repository/test_ostree_commits.py).
    assert unseen == {
        ("entry-custom", "downloadUrl"),
        ("entry-custom", "targetFormat"),
        ("entry-custom", "uri"),
        ("evidence", "latest"),
        ("report", "nonce"),
        ("root-custom", "postQuantum"),
        ("targets-custom", "acknowledged"),
        ("targets-custom", "acknowledgedReports"),
        ("targets-custom", "resets"),
        ("targets-custom", "postQuantum"),
        ("delegated-role", "hardwareIds"),
        ("several-roles", "hardwareIds"),
        ("time-request", "nonces"),
        ("delegated-role", "path_hash_prefixes"),
    }


# Limits, schemes, statuses, choices


def test_every_limit_is_the_programs() -> None:
    stated = {_CODE.findall(row[0])[0]: int(row[1].replace(",", "")) for row in TABLES["limits"]}
    assert stated == {name: _limit(name) for name in stated}
    assert {name.removeprefix("limits.") for name in stated if name.startswith("limits.")} == set(Limits._fields)


def _limit(name: str) -> int:
    module, _, member = name.rpartition(".")
    found = (
        getattr(DEFAULT_LIMITS, member)
        if module == "limits"
        else getattr(importlib.import_module(f"twinlock.trust.{module}"), member)
    )
    assert isinstance(found, int)
    return found


def test_the_numbers_in_the_text_are_the_programs() -> None:
    fetch, director = FetchSettings(), Settings()
    words = " ".join(TEXT.split())
    for number, sentence in (
        (BUNDLE_BYTES, "files as the repositories signed them; {:,} by default"),
        (PARTIAL_BUNDLE_BYTES, "by default, {:,} for partial verification"),
        (fetch.floor_bytes_per_s, "fewer than {:,} bytes per second"),
        (int(fetch.window_s), "a window of {} s of waiting"),
        (int(fetch.deadline_s), "takes more than {} s"),
        (fetch.attempts, "{} attempts in all by default"),
        (int(TimeSettings().tolerance_s), "A clock more than {} s (by default) behind the floor"),
        (director.report_future_s // 60, "at most {} minutes ahead"),
        (director.report_past_s // 86_400, "at most {} days behind"),
    ):
        assert sentence.format(number) in words
    assert director.renew_before_s == 6 * 3_600
    assert "less than six hours" in words


def test_the_validities_are_the_programs() -> None:
    periods, director = Periods(), Settings().periods
    for row, period in (
        ("Image repository: Root", periods.root),
        ("Image repository: Targets", periods.targets),
        ("Image repository: Snapshot", periods.snapshot),
        ("Image repository: Timestamp", periods.timestamp),
        ("Director: Root", director.root),
        ("Director: Targets, Snapshot, Timestamp", director.timestamp),
    ):
        plural = "" if period.days == 1 else "s"
        assert re.search(rf"^\| {row} \|[^|]*\|[^|]*\| {period.days} day{plural}\b", TEXT, re.M), row


def test_every_scheme_is_there() -> None:
    rows = [(_CODE.findall(row[0])[0], _CODE.findall(row[1])[0]) for row in TABLES["schemes"]]
    assert sorted(rows) == sorted(SUPPORTED_SCHEMES)


@pytest.mark.parametrize(
    ("mark", "status_of"),
    [("statuses: servers", lambda error: problem_of(error).status), ("statuses: secondary", _status)],
)
def test_every_status_is_the_programs(mark: str, status_of: Callable[[TwinlockError], int]) -> None:
    stated: dict[str, int] = {}
    others: dict[str, int] = {}
    for status, codes in TABLES[mark]:
        others |= {codes: int(status)} if codes.startswith("every other") else {}
        stated |= dict.fromkeys(_CODE.findall(codes), int(status))
    for error in errors():
        kind = "refusal" if issubclass(error, RefusalError) else "error"
        kind = "usage error" if issubclass(error, UsageError) else kind
        made = error(**dict.fromkeys(error.field_names, "x"))
        if error.code == "vehicle-retired":
            continue  # the Director's alone: 410; tests/unit/director/test_retired.py shows it
        if error.code in ("unknown-vehicle", "enrolment-token", "daily-limit") and mark == "statuses: servers":
            continue  # the Director's own middleware gives these; tests/unit/director/test_serve.py shows it
        # What an operator asked of a command comes over no wire; if it did, it would be answered as any wrong request is.
        other = stated["usage"] if issubclass(error, UsageError) else others[f"every other {kind}"]
        assert (error.code, status_of(made)) == (error.code, stated.get(error.code, other))


def test_the_gaps_of_the_lax_policy_are_listed() -> None:
    start = TEXT.index("| `weaker` |")
    assert re.findall(r"^\| `([a-z-]+)` \|", TEXT[start : TEXT.index("\n\n", start)], re.M)[1:] == list(GUARANTEES)


def test_every_code_in_the_operations_exists() -> None:
    operations = TEXT[TEXT.index("## 2. ") : TEXT.index("## 3. ")]
    codes = set(re.findall(r"\(`([a-z]+(?:-[a-z]+)*)`\)", operations))
    assert len(codes) > 20
    assert codes <= {error.code for error in errors()}


def test_every_refusal_of_the_engine_is_named() -> None:
    engine = [error.code for error in errors() if error.__module__.startswith("twinlock.trust.errors")]
    missing = {code for code in engine if f"`{code}`" not in TEXT}
    # Those that say nothing to a peer: base classes, and what another profile cannot say.
    assert missing == {"error", "refused", "wire-profile"}


def test_every_choice_that_the_standard_leaves_is_made() -> None:
    known = {item.id: item for item in load_requirements().requirements}
    made = [rule for row in TABLES["choices"] for rule in _rules(row[1])]
    assert not [rule for rule in made if rule not in known]
    assert not {rule for rule in made if made.count(rule) > 1}
    left = {rule for rule, item in known.items() if item.level != MUST} - set(made)
    assert not left


def _rules(cell: str) -> Iterator[str]:
    for item in cell.split(", "):
        first, _, last = item.partition("…")
        stem, _, number = first.rpartition("-")
        yield from (f"{stem}-{found}" for found in range(int(number), int(last or number) + 1))


# The reading of the page itself


def test_layout_is_json_again() -> None:
    value = {"a": [1, {"b": "x" * 200}], "c": {}, "d": [], "e": "é"}
    assert json.loads(pretty(value)) == value
    assert pretty({"a": 1}) == '{"a": 1}'


def test_every_marked_table_has_rows() -> None:
    assert len(TABLES) == TEXT.count("<!-- ") - len(examples(TEXT))
    assert all(TABLES.values())


def test_verifications_are_named() -> None:
    assert all(f"`{kind.value}`" in TEXT for kind in Verification)
