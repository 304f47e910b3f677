"""Root held offline by several people: the same ceremony at both repositories, on machines with a file and a key only."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.plain_keys import plain_keys
from twinlock.cli.main import main
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import Keyring
from twinlock.repository.publishing.root_signing import root_to_sign
from twinlock.repository.workspace import validity
from twinlock.repository.workspace.validity import utc_now
from twinlock.trust.checks.context import Context
from twinlock.trust.checks.root import check_next_root
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, IMAGE
from twinlock.trust.policy import STRICT
from twinlock.trust.wire.tuf.metadata import TUF


def run(*words: str, status: int = 0) -> Any:
    answer = CliRunner().invoke(main, plain_keys([*words, "--json"]))
    assert answer.exit_code == status, answer.output
    return json.loads(answer.stdout)


@pytest.fixture(params=["image", "director"])
def party(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A repository whose Root needs two of three keys, two of which are on media of their own."""
    monkeypatch.delenv("TWINLOCK_PASSPHRASE", raising=False)
    monkeypatch.chdir(tmp_path)
    name: str = request.param
    if name == "director":
        Path("root.json").write_bytes(ImageRepository.create("site").root_bytes(1))
        run("director", "init", "here", "--image-root", "root.json", "--image", "site", "--keys", "root=2/3")
    else:
        run("image", "init", "here", "--keys", "root=2/3")
    _carry_away(name, "a", "b")
    return name


def _carry_away(party: str, *media: str) -> None:
    """Move all but the last Root key to media, record and private half."""
    roots = [key["keyid"][:16] for key in run(party, "keys", "list", "here")["keys"] if key["role"] == "root"]
    for medium, keyid in zip(media, roots, strict=False):
        Path(medium).mkdir()
        for path in Path("here/keys/offline").glob(f"root.{keyid}.*"):
            path.rename(Path(medium) / path.name)


def _files() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path("here/keys").rglob("*") if path.is_file()}


def test_prepared_here_signed_there_and_published(party: str) -> None:
    before = _files()
    assert run(party, "rotate", "here", "timestamp", "--yes", status=2)["error"]["code"] == "missing-keys"
    assert _files() == before, "a rotation that cannot be signed makes no key"

    prepared = run(party, "rotate", "here", "timestamp", "snapshot", "--prepare", "next.json")
    assert (prepared["version"], prepared["missing"]) == (2, 1)
    run(party, "root", "publish", "here", "next.json", status=1)  # too few signatures
    signed = run(party, "root", "sign", "--yes", "next.json", "--keys", "a")
    assert (signed["missing"], len(signed["signed"])) == (0, 2)
    run(party, "root", "publish", "here", "next.json")
    published, files = _published(party), _files()
    assert run(party, "root", "publish", "here", "next.json")["changed"] is False  # not twice
    assert (_published(party), _files()) == (published, files)

    keys = run(party, "keys", "list", "here")["keys"]
    assert sorted(key["role"] for key in keys if key["role"] in ("timestamp", "snapshot")) == ["snapshot", "timestamp"]
    assert {key["availability"] for key in keys if key["role"] != "root"} == {"here"}
    assert sorted(key["availability"] for key in keys if key["role"] == "root") == ["elsewhere", "elsewhere", "here"]
    assert not list(Path("here").rglob("retired/*.pem")), "revoked online keys are destroyed"


def _published(party: str) -> bytes:
    """The newest Root and how many there are: what a ceremony must not change."""
    return _root(party).encode()


def _others(party: str) -> list[tuple[str, ...]]:
    """Every command that would make another Root of the next number."""
    every: list[tuple[str, ...]] = [
        ("rotate", "here", "timestamp", "--yes"),
        ("rotate", "here", "snapshot", "--prepare", "x.json"),
    ]
    return [*every, ("refresh", "here", "--root")] if party == "director" else every


def test_while_one_is_signed_elsewhere_no_other_root_of_its_number_is_made(party: str) -> None:
    _bring_back("a", "b")  # every key is here, so nothing else stops the second Root
    run(party, "rotate", "here", "timestamp", "--prepare", "next.json")
    before, keys = _published(party), _files()
    for words in _others(party):
        refused = run(party, *words, status=1)["error"]
        assert (refused["code"], refused["fields"]["version"]) == ("root-prepared", 2)
        assert "root publish" in refused["hint"]
        assert "root cancel" in refused["hint"]
    assert _published(party) == before
    assert _files() == keys
    assert not Path("x.json").exists()
    if party == "image":
        # Made for a timer: it renews everything else, and names Root among what it left.
        found = run(party, "refresh", "here", "--within", "500d")
        assert (found["overdue"], found["preparedRoot"]) == (["root"], 2)
        assert run(party, "status", "here")["preparedRoot"] == 2
        text = CliRunner().invoke(main, ["image", "refresh", "here", "--within", "500d"]).output
        assert "Root 2 is prepared; run `twinlock image root publish`" in text
    run(party, "root", "publish", "here", "next.json")
    run(party, "rotate", "here", "timestamp", "--yes")
    assert json.loads(_root(party))["signed"]["version"] == 3


def test_one_that_has_all_its_signatures_cannot_be_cancelled(party: str) -> None:
    run(party, "rotate", "here", "root", "--prepare", "next.json")
    Path("before.json").write_text(_root(party))
    assert run(party, "root", "sign", "--yes", "next.json", "--keys", "a", "--previous", "before.json")["missing"] == 0
    before = _files()
    refused = run(party, "root", "cancel", "--yes", "here", "next.json", status=1)["error"]
    assert (refused["code"], refused["fields"]["version"]) == ("root-complete", 2)
    assert _files() == before
    run(party, "root", "publish", "here", "next.json")


def test_cancelling_one_that_lacks_signatures_puts_the_keys_aside_that_were_made_for_it(party: str) -> None:
    before = _files()
    run(party, "rotate", "here", "root", "timestamp", "--keys", "1/1", "--prepare", "next.json")
    made = _files().keys() - before.keys()
    cancelled = run(party, "root", "cancel", "--yes", "here", "next.json")
    assert cancelled["root"] == 2
    assert (len(cancelled["kept"]), cancelled["destroyed"]) == (len(made) // 2, [])
    left = _files()
    aside = [path for path in left.keys() - before.keys() if path.endswith(".pem")]
    assert len(aside) == len(made) // 2 == 2
    assert all("/retired/" in path for path in aside)
    assert {path: left[path] for path in before} == before
    run(party, "root", "cancel", "--yes", "here", "next.json", status=2)  # not twice
    run(party, "root", "publish", "here", "next.json", status=1)  # it lacks signatures
    _bring_back("a", "b")
    run(party, "rotate", "here", "timestamp", "--yes")
    assert json.loads(_root(party))["signed"]["version"] == 2


def test_a_cancelling_asks(party: str) -> None:
    run(party, "rotate", "here", "timestamp", "--prepare", "next.json")
    before, words = _files(), (party, "root", "cancel", "here", "next.json")
    refused = run(*words, status=2)["error"]
    assert "end the signing of the Root in next.json" in refused["message"]
    assert "--yes" in refused["hint"]
    declined = CliRunner().invoke(main, words, input="n\n")
    assert (declined.exit_code, "error[declined]" in declined.stderr) == (1, True)
    assert _files() == before
    assert CliRunner().invoke(main, words, input="y\n").exit_code == 0


def test_a_copy_that_is_signed_after_the_cancelling_is_a_root_that_vehicles_take(party: str) -> None:
    """What no publisher can prevent, and the threat model states."""
    first = _root(party).encode()
    run(party, "rotate", "here", "timestamp", "--prepare", "next.json")
    run(party, "root", "cancel", "--yes", "here", "next.json")
    _bring_back("b")
    run(party, "rotate", "here", "timestamp", "--yes")
    run(party, "root", "sign", "--yes", "next.json", "--keys", "a")
    name = DIRECTOR if party == "director" else IMAGE
    context = Context(repository=name, now=utc_now(), limits=DEFAULT_LIMITS, wire=TUF, policy=STRICT)
    copy = Path("next.json").read_bytes()
    check_next_root(copy, trusted=bootstrap_repository(name, first).root, context=context)
    assert copy != _root(party).encode()


def test_a_file_that_was_not_prepared_here_is_neither_cancelled_nor_published_in_its_place(party: str) -> None:
    _bring_back("a", "b")
    run(party, "rotate", "here", "timestamp", "--prepare", "first.json")
    run(party, "root", "publish", "here", "first.json")
    run(party, "rotate", "here", "timestamp", "--prepare", "second.json")
    run(party, "root", "cancel", "--yes", "here", "first.json", status=2)
    other = json.loads(Path("second.json").read_text())
    other["signed"]["expires"] = "2031-01-01T00:00:00Z"
    Path("other.json").write_text(json.dumps(other))
    run(party, "root", "publish", "here", "other.json", status=1)
    run(party, "root", "publish", "here", "here/prepared-root.json")  # the copy, where the file was lost


def _bring_back(*media: str) -> None:
    for medium in media:
        for path in Path(medium).iterdir():
            path.rename(Path("here/keys/offline") / path.name)


def test_a_directory_without_a_key_of_this_root_is_refused(party: str) -> None:
    """Nothing was signed, so nothing is complete; where the wrong stick is, the file stays as it was."""
    run(party, "rotate", "here", "root", "--prepare", "next.json")
    before = Path("next.json").read_bytes()
    Path("empty").mkdir()
    ImageRepository.create("stranger")
    for keys, said in (
        ("empty", "nothing was signed"),
        ("nowhere", "nowhere"),
        ("stranger/keys/offline", "nothing was signed"),
    ):
        answer = run(party, "root", "sign", "--yes", "next.json", "--keys", keys, status=2)["error"]
        assert (answer["code"], said in answer["message"]) == ("usage", True)
    assert Path("next.json").read_bytes() == before


def test_old_keys_sign_where_only_the_file_is(party: str) -> None:
    """The file carries the Root before it: whose keys sign is known, and both thresholds are counted."""
    prepared = run(party, "rotate", "here", "root", "--keys", "1/1", "--prepare", "next.json")
    assert prepared["missing"] == 1, "its own key signed, and one of two of the old ones"
    assert run(party, "root", "sign", "--yes", "next.json", "--keys", "a")["missing"] == 0
    run(party, "root", "publish", "here", "next.json")
    assert sorted(json.loads(_root(party))) == ["signatures", "signed"], "what travelled is not published"


def test_a_file_from_an_older_version_needs_the_root_before_it(party: str) -> None:
    Path("before.json").write_text(_root(party))
    run(party, "rotate", "here", "root", "--keys", "1/1", "--prepare", "next.json")
    body = json.loads(Path("next.json").read_text())
    del body["previous"]
    Path("next.json").write_text(json.dumps(body))
    assert "--previous" in run(party, "root", "sign", "--yes", "next.json", "--keys", "a", status=2)["error"]["message"]
    run(party, "root", "sign", "--yes", "next.json", "--keys", "a", "--previous", "next.json", status=2)
    assert run(party, "root", "sign", "--yes", "next.json", "--keys", "a", "--previous", "before.json")["missing"] == 0


def test_a_signer_sees_when_it_was_issued_and_who_attests_time(party: str) -> None:
    old = json.loads(_root(party))["signed"]
    roles = ("timestamp", "time") if party == "director" else ("timestamp",)
    prepared = run(party, "rotate", "here", *roles, "--prepare", "next.json")
    body = json.loads(Path("next.json").read_text())["signed"]
    assert prepared["issued"] == body["issued"]
    text = CliRunner().invoke(main, [party, "root", "sign", "--yes", "next.json", "--keys", "a"]).stdout
    assert body["issued"] in text
    if party == "director":
        source = body["custom"]["timeSource"]
        assert (prepared["keys"]["time"], prepared["thresholds"]["time"]) == (source["keyids"], source["threshold"])
        assert source["keyids"][0][:12] in text
        assert source != old["custom"]["timeSource"]


def test_nothing_is_signed_before_the_signer_agreed(party: str) -> None:
    """Roles, keys and what changes are shown first; without an answer, or with a no, the file stays as it is."""
    old = json.loads(_root(party))["signed"]["roles"]["timestamp"]["keyids"]
    run(party, "rotate", "here", "timestamp", "--keys", "1/2", "--prepare", "next.json")
    before, new = Path("next.json").read_bytes(), json.loads(Path("next.json").read_bytes())["signed"]["roles"]
    words = [party, "root", "sign", "next.json", "--keys", "a"]
    refused = run(*words[:1], *words[1:], status=2)["error"]
    assert "sign Root 2 with 1 key in a" in refused["message"]
    assert "--yes" in refused["hint"]
    unanswered = CliRunner().invoke(main, words)
    assert (unanswered.exit_code, "not confirmed" in unanswered.stderr) == (2, True)
    declined = CliRunner().invoke(main, words, input="n\n")
    assert (declined.exit_code, "error[declined]" in declined.stderr) == (1, True)
    shown = declined.stderr
    assert "changes against Root 1, which is in force" in shown
    added = ", ".join(keyid[:12] for keyid in new["timestamp"]["keyids"])
    assert f"timestamp: adds {added}; removes {old[0][:12]}" in shown
    assert new["root"]["keyids"][0][:12] in shown
    assert Path("next.json").read_bytes() == before
    agreed = CliRunner().invoke(main, words, input="y\n")
    assert agreed.exit_code == 0
    assert "complete" in agreed.stdout


def test_a_signer_sees_every_kind_of_change(party: str) -> None:
    run(party, "rotate", "here", "timestamp", "--keys", "2/2", "--prepare", "next.json")
    prepared = root_to_sign(Path("next.json"), Keyring(offline=Path("a"), passphrase=None))
    (change,) = prepared.changes
    assert (change.role, change.threshold, len(change.added), len(change.removed)) == ("timestamp", (1, 2), 2, 1)
    assert not prepared.other
    prepared.metadata.signed.unrecognized_fields.setdefault("custom", {})["odd"] = 1
    prepared.metadata.signed.keys[change.added[0]].keyval["public"] = "00" * 32
    assert list(prepared.other) == ["custom.odd"]
    root = prepared.metadata.signed.roles["root"]
    prepared.before.keys[root.keyids[0]] = prepared.metadata.signed.keys[change.added[0]]
    swapped = next(each for each in prepared.changes if each.role == "root")
    assert swapped.added == swapped.removed == (root.keyids[0],), "another key under a known id is another key"


def test_a_root_is_renewed_with_the_same_keys(party: str) -> None:
    """The yearly renewal where Root keys are in several places: the next version, a later expiry, nothing else."""
    before = json.loads(_root(party))["signed"]
    run(party, "rotate", "here", status=2)
    run(party, "rotate", "here", "--prepare", "next.json")
    run(party, "root", "sign", "--yes", "next.json", "--keys", "b")
    run(party, "root", "publish", "here", "next.json")
    after = json.loads(_root(party))["signed"]
    assert after["version"] == before["version"] + 1
    assert after["expires"] >= before["expires"]
    assert (after["keys"], after["roles"]) == (before["keys"], before["roles"])
    assert after.get("custom") == before.get("custom")


def test_preparing_never_overwrites_collected_signatures(party: str) -> None:
    Path("next.json").write_text("a Root of last week with the signatures of two people")
    before, keys = Path("next.json").read_bytes(), _files()
    refused = run(party, "rotate", "here", "timestamp", "--prepare", "next.json", status=2)["error"]
    assert "signatures in it would be lost" in refused["message"]
    assert (Path("next.json").read_bytes(), _files()) == (before, keys)


def test_an_operators_own_root_is_never_called_an_attack(party: str) -> None:
    shutil.copytree("here", "copy")
    run(party, "rotate", "copy", "timestamp", "--prepare", "other.json")  # another Root of the same number
    run(party, "rotate", "here", "timestamp", "--prepare", "next.json")
    few = run(party, "root", "publish", "here", "next.json", status=1)["error"]
    assert (few["code"], few["kind"], few["attack"], "root sign" in few["hint"]) == (
        "threshold",
        "refusal",
        "none",
        True,
    )
    run(party, "root", "sign", "--yes", "next.json", "--keys", "a")
    assert run(party, "root", "publish", "here", "next.json")["changed"] is True
    run(party, "root", "sign", "--yes", "other.json", "--keys", "a")
    twice = run(party, "root", "publish", "here", "other.json", status=1)["error"]
    assert (twice["kind"], twice["attack"], "rotate --prepare" in twice["hint"]) == ("refusal", "none", True)
    Path("odd.json").write_text("{}")
    assert run(party, "root", "publish", "here", "odd.json", status=2)["error"]["attack"] == "none"
    assert run(party, "root", "sign", "--yes", "odd.json", "--keys", "a", status=2)["error"]["attack"] == "none"


def test_a_pipe_in_the_place_of_a_root_hangs_nothing(party: str) -> None:
    os.mkfifo("pipe")
    for words in (("publish", "here", "pipe"), ("sign", "--yes", "pipe", "--keys", "a")):
        assert run(party, "root", *words, status=2)["error"]["code"] == "operator-file"
    run(party, "rotate", "here", "timestamp", "--prepare", "next.json")
    previous = ("--previous", "pipe")
    assert (
        run(party, "root", "sign", "--yes", "next.json", "--keys", "a", *previous, status=2)["error"]["code"]
        == "operator-file"
    )


def test_the_root_keys_themselves_with_another_number_and_kind(party: str) -> None:
    prepared = run(party, "rotate", "here", "root", "--keys", "2/2", "--kind", "ecdsa-p256", "--prepare", "next.json")
    assert (prepared["thresholds"]["root"], len(prepared["keys"]["root"])) == (2, 2)
    Path("before.json").write_text(_root(party))
    signed = run(party, "root", "sign", "--yes", "next.json", "--keys", "b", "--previous", "before.json")
    assert signed["missing"] == 0
    run(party, "root", "publish", "here", "next.json")
    root = json.loads(_root(party))["signed"]
    assert root["version"] == 2
    assert {root["keys"][keyid]["scheme"] for keyid in root["roles"]["root"]["keyids"]} == {"ecdsa-sha2-nistp256"}
    assert run(party, "rotate", "here", "timestamp", "--yes"), "the new keys are here and sign by themselves"


def test_a_refused_preparation_makes_no_key(party: str) -> None:
    before = _files()
    run(party, "rotate", "here", "root", "--prepare", "nowhere/next.json", status=2)
    run(party, "rotate", "here", "root", "--kind", "ecdsa-p256", "--prepare", "next.json", status=2)
    assert _files() == before
    assert not Path("next.json").exists()


def test_a_root_that_is_published_already_is_known_at_any_time(party: str) -> None:
    """Whoever repeats the command, also much later and while the next Root is signed, learns that there is nothing to do."""
    _bring_back("a", "b")
    for name in ("second.json", "third.json"):
        run(party, "rotate", "here", "timestamp", "--prepare", name)
        run(party, "root", "publish", "here", name)
    run(party, "rotate", "here", "timestamp", "--prepare", "fourth.json")
    before = _published(party)
    for name in ("second.json", "third.json"):
        answer = CliRunner().invoke(main, [party, "root", "publish", "here", name])
        assert (answer.exit_code, "already published" in answer.stdout) == (0, True)
        assert "prepare" not in answer.output
    assert _published(party) == before
    assert run(party, "root", "publish", "here", "fourth.json")["changed"] is True


def test_a_root_of_another_image_repository_is_not_published(party: str) -> None:
    other = ImageRepository.create("other")
    Path("other.json").write_bytes(other.root_bytes())
    before = _root(party)
    run(party, "root", "publish", "here", "other.json", status=1 if party == "image" else 2)
    assert _root(party) == before


def test_a_root_of_the_other_repository_is_neither_signed_nor_published(party: str) -> None:
    """One person may hold keys of both: the file is of the repository that its content is of, whatever the command is."""
    run(party, "rotate", "here", "root", "--prepare", "next.json")
    before = Path("next.json").read_bytes()
    own, other = ("Image", "Director") if party == "image" else ("Director", "Image")
    ImageRepository.create("elsewhere")
    Path("elsewhere.json").write_bytes(ImageRepository.open("elsewhere").root_bytes())
    run("director", "init", "fleet", "--image-root", "elsewhere.json", "--image", "elsewhere")
    there = "fleet" if other == "Director" else "elsewhere"
    for words in (("sign", "next.json", "--keys", "a", "--yes"), ("publish", there, "next.json")):
        refused = run(other.lower(), "root", *words, status=2)["error"]
        assert refused["code"] == "other-repository"
        assert refused["fields"] == {"path": "next.json", "found": own, "expected": other}
        assert f"twinlock {party} root" in refused["hint"]
        assert Path("next.json").read_bytes() == before
    shown = CliRunner().invoke(main, [party, "root", "sign", "next.json", "--keys", "a"], input="n\n").stderr
    assert f"Root 2 of the {own} repository in next.json" in shown
    assert run(party, "root", "sign", "next.json", "--keys", "a", "--yes")["missing"] == 0


def test_a_directors_root_whose_online_keys_are_away_is_not_published(party: str) -> None:
    if party != "director":
        return
    run(party, "rotate", "here", "targets", "--prepare", "next.json")
    run(party, "root", "sign", "--yes", "next.json", "--keys", "a")
    made = json.loads(Path("next.json").read_text())["signed"]["roles"]["targets"]["keyids"][0]
    away = Path("here/keys/online") / f"targets.{made[:16]}.pem"
    away.rename("away.pem")
    assert run(party, "root", "publish", "here", "next.json", status=2)["error"]["code"] == "missing-keys"
    Path("away.pem").rename(away)
    run(party, "root", "publish", "here", "next.json")


def _root(party: str) -> str:
    if party == "image":
        return ImageRepository.open("here").root_bytes().decode()
    text: str = run("director", "root", "here")["root"]
    assert text == run("director", "root", "show", "here")["root"]
    return text


def test_a_complete_root_that_expired_is_cancelled_and_the_next_one_is_published(
    party: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _bring_back("a", "b")
    before = _files()
    assert run(party, "rotate", "here", "root", "timestamp", "--prepare", "next.json")["missing"] == 0
    made = {path for path in _files().keys() - before.keys() if path.endswith(".pem")}
    published = _published(party)
    _turn_the_clock(monkeypatch, days=4000)
    if party == "director":  # its second source of time
        _renew(ImageRepository.open("site"))

    refused = run(party, "root", "publish", "here", "next.json", status=1)["error"]
    assert (refused["code"], refused["fields"]["role"]) == ("expired", "root")
    assert f"twinlock {party} root cancel" in refused["hint"]
    assert f"twinlock {party} rotate --prepare" in refused["hint"]
    assert _published(party) == published

    cancelled = run(party, "root", "cancel", "--yes", "here", "next.json")
    assert (cancelled["root"], cancelled["destroyed"], len(cancelled["kept"])) == (2, [], len(made))
    kept = {Path(path).name for path in _files() if "retired" in path and path.endswith(".pem")}
    assert kept == {Path(path).name for path in made}
    if party == "image":
        _renew(ImageRepository.open("here"))
    else:
        run(party, "rotate", "here", "timestamp", "--prepare", "again.json")
        run(party, "root", "publish", "here", "again.json")
    assert json.loads(_root(party))["signed"]["version"] == 2


def _renew(repository: ImageRepository) -> None:
    repository.refresh()
    assert repository.status().due == ()


def _turn_the_clock(monkeypatch: pytest.MonkeyPatch, *, days: int) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Later:
            return cls.fromtimestamp(time.time(), tz) + timedelta(days=days)

    monkeypatch.setattr(validity, "datetime", Later)


def test_a_cancelled_root_that_comes_back_whole_is_not_published_here(party: str) -> None:
    run(party, "rotate", "here", "--prepare", "next.json")  # a renewal: no key was made for it, so none was destroyed
    run(party, "root", "cancel", "--yes", "here", "next.json")
    assert run(party, "root", "sign", "--yes", "next.json", "--keys", "a")["missing"] == 0
    before = _published(party)
    refused = run(party, "root", "publish", "here", "next.json", status=1)["error"]
    assert (refused["code"], refused["fields"]["version"]) == ("root-cancelled", 2)
    assert _published(party) == before
    run(party, "rotate", "here", "--prepare", "again.json")
    run(party, "root", "sign", "--yes", "again.json", "--keys", "a")
    run(party, "root", "publish", "here", "again.json")
