"""A Director whose inventory is an old copy: a rotation would make a second Root of a version that vehicles have."""

from __future__ import annotations

from click.testing import CliRunner

from twinlock.cli.main import main
from twinlock.director.director import Director


def rotate(director: Director) -> str:
    words = ["director", "rotate", str(director.path), "timestamp"]
    return CliRunner().invoke(main, words, input="n\n").output


def test_a_rotation_warns_where_a_newer_root_has_revoked_a_key_that_is_in_force(director: Director) -> None:
    inventory = director.path / "inventory.sqlite"
    director.close()
    kept = inventory.read_bytes()
    assert "warning" not in rotate(director)
    with Director.open(director.path, clock=director._clock) as opened:
        assert opened.rotate("timestamp") == 2
    assert "warning" not in rotate(director), "what it rotated itself is in its inventory"
    for leftover in director.path.glob("inventory.sqlite*"):
        leftover.unlink()
    inventory.write_bytes(kept)
    answer = rotate(director)
    assert "warning: a newer Root than the one in this inventory revoked the key" in answer
    assert "rotate until the version is above every one that was published" in answer
