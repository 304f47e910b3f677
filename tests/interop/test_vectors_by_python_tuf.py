"""python-tuf over the vectors: what is marked as TUF's rule binds a client that shares no code with ours, and it agrees.

It refreshes one repository of a case and asks for the images that the case names. What only Uptane demands, and what we
decided, is not asked of it; that it differs there shows that the marks are needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tuf.api.exceptions import DownloadHTTPError, RepositoryError
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

ROOT = Path(__file__).resolve().parents[2] / "metadata-fixtures"
BASE = "https://vectors.test/"


def documents() -> dict[str, dict[str, Any]]:
    """The cases of clients in the form that python-tuf reads, by directory."""
    paths = sorted(ROOT.glob("*/*/case.json"))
    found = {path.parent.relative_to(ROOT).as_posix(): json.loads(path.read_text(encoding="utf-8")) for path in paths}
    return {
        name: case
        for name, case in found.items()
        if case["verification"] in ("full", "repository") and case["wire"] == "tuf"
    }


CASES = documents()
REFUSED = [name for name, case in CASES.items() if case["rule"] == "tuf" and case["expect"]["verdict"] == "refused"]
ACCEPTED = [
    (name, repository)
    for name, case in CASES.items()
    if case["rule"] != "ours" and case["expect"]["verdict"] == "accepted"
    for repository in case["trusted"]
]


class Offer(FetcherInterface):
    """The files that a case offers."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = self.files.get(url.removeprefix(BASE))
        if path is None:
            raise DownloadHTTPError("not found", 404)
        yield (ROOT / path).read_bytes()


def look(case: Mapping[str, Any], repository: str, place: Path) -> dict[str, bool]:
    """Refresh one repository from what is trusted, and ask the Image repository for the images of the case."""
    roots = {}
    for name, path in case["trusted"][repository].items():
        version, _, bare = name.partition(".")
        if bare == "root.json":
            roots[int(version)] = (ROOT / path).read_bytes()
        else:
            (place / (bare if version.isdecimal() else name)).write_bytes((ROOT / path).read_bytes())
    updater = Updater(
        str(place),
        BASE,
        target_dir=str(place),
        target_base_url=BASE,
        fetcher=Offer(case["offered"][repository]),
        bootstrap=roots[max(roots)],
    )
    now = datetime.strptime(case["now"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    updater._trusted_set.reference_time = now
    updater.refresh()
    wanted = case["asked"] if repository == "image" else ()
    return {name: updater.get_targetinfo(name) is not None for name in wanted}


@pytest.mark.parametrize("name", REFUSED)
def test_what_tuf_refuses(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    with pytest.raises((RepositoryError, DownloadHTTPError)):
        look(case, case["expect"]["fields"]["repository"], tmp_path)


@pytest.mark.parametrize(("name", "repository"), ACCEPTED)
def test_what_tuf_accepts(name: str, repository: str, tmp_path: Path) -> None:
    case = CASES[name]
    found = look(case, repository, tmp_path)
    if repository == "image":
        assert all(found[image] for image in case["expect"]["approved"])


@pytest.mark.parametrize(
    "name",
    [
        "hostile/arbitrary-software--one-key-under-two-ids-image-targets",
        "hostile/equivocation--targets-image-targets",
        "hostile/multi-role--disagreement-hash",
    ],
)
def test_a_decision_of_ours_is_not_asked_of_others(name: str, tmp_path: Path) -> None:
    """It takes these, and is within its specification."""
    assert CASES[name]["rule"] == "ours"
    look(CASES[name], "image", tmp_path)


def test_there_is_much_to_agree_on() -> None:
    assert len(REFUSED) > 250
    assert len(ACCEPTED) > 60
