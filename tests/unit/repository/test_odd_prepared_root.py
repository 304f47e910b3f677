"""A Root file from elsewhere: what vehicles ignore in it is named, and every command ends with exit status 2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from twinlock.cli.main import main
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import KeyPlan
from twinlock.repository.publishing.root_ceremony import RootChanges

ABSENT = "ab" * 32
UNKNOWN = {"keytype": "zzz", "scheme": "y", "keyval": {"public": "q"}}
ODD: list[dict[str, Any]] = [
    {"custom": {"timeSource": {"keyids": [ABSENT], "threshold": 1}}},
    {"custom": {"timeSource": {"keyids": "x", "threshold": 1}}},
    {"custom": {"timeSource": {"keyids": [ABSENT], "threshold": "1"}}},
    {"custom": {"timeSource": 5}},
    {"keys": {ABSENT: UNKNOWN}},
    {"roles": {"snapshot": {"keyids": [ABSENT], "threshold": 1}}},
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository, and a Root that is prepared in ``next.json``."""
    directory = tmp_path_factory.mktemp("odd")
    repository = ImageRepository.create(directory / "image")
    repository.prepare_root(directory / "next.json", RootChanges(rotate={"timestamp": KeyPlan()}))
    return directory


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("words", [("sign", "FILE", "--keys", "KEYS", "--yes"), ("publish", "HERE", "FILE")])
def test_an_odd_root_is_malformed(prepared: Path, odd: dict[str, Any], words: tuple[str, ...]) -> None:
    body = json.loads((prepared / "next.json").read_bytes())
    for member, value in odd.items():
        body["signed"][member] = {**body["signed"].get(member, {}), **value}
    (prepared / "odd.json").write_text(json.dumps(body))
    places = {"FILE": "odd.json", "KEYS": "image/keys/offline", "HERE": "image"}
    given = [str(prepared / places[word]) if word in places else word for word in words]
    answer = CliRunner().invoke(main, ["image", "root", *given, "--json"])
    assert answer.exit_code == 2, answer.output
    error = json.loads(answer.stdout)["error"]
    assert error["code"] == "malformed"
    assert error["fields"]["jsonPath"].startswith("$.signed")
