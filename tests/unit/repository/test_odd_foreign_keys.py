"""Files among private keys of another tool that hold what no key has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from twinlock.repository.importing.keys import read_foreign_keys
from twinlock.trust.errors.local import OperatorFileError


@pytest.mark.parametrize("private", ["\ud800", "-----BEGIN PRIVATE KEY-----\ud800", "é", "\0"])
def test_a_private_key_that_is_not_text_of_a_key(tmp_path: Path, private: str) -> None:
    (tmp_path / "root.sec").write_text(json.dumps({"keytype": "ED25519", "keyval": {"private": private}}))
    with pytest.raises(OperatorFileError) as caught:
        read_foreign_keys(tmp_path)
    assert caught.value.path == str(tmp_path / "root.sec")
