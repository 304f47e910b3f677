"""The search through delegations, and what is checked of a delegated role (wire 4, 5)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.aktualizr.publisher import PAST, Delegation, Signed
from tests.aktualizr.trial import Trial
from tests.aktualizr.wire import SigningKey

NAME = "acme/fw.bin"


def delegate(trial: Trial, *to: Delegation) -> None:
    trial.publisher.image.delegations = list(to)


def nested(depth: int, *, terminating: int = 0) -> list[Delegation]:
    """A chain of delegations; ``terminating`` is the number of the one that is."""
    chain = [Delegation(f"d{number}", ["*"], number == terminating) for number in range(1, depth + 1)]
    for outer, inner in itertools.pairwise(chain):
        outer.delegations = [inner]
    return chain


def test_a_delegated_image_is_installed_and_the_role_is_kept(trial: Trial) -> None:
    acme = Delegation("acme", ["acme/*"])
    delegate(trial, acme)
    trial.release(NAME, to=acme)
    assert trial.once().installed == {"test-primary-0001": NAME}
    assert trial.gets[-2:] == ["/repo/delegations/acme.json", f"/repo/targets/{NAME}"]
    trial.publisher.image.add("fw-2.0.bin", b"top", ["test-hw"])
    trial.publisher.image.publish()
    trial.assign("fw-2.0.bin")
    assert trial.once().success
    assert "/repo/delegations/acme.json" not in trial.gets


def test_a_newer_delegated_role_is_fetched(trial: Trial) -> None:
    acme = Delegation("acme", ["acme/*"])
    delegate(trial, acme)
    trial.release(NAME, to=acme)
    trial.once()
    trial.release("acme/fw-2.bin", to=acme)
    assert trial.once().success
    assert "/repo/delegations/acme.json" in trial.gets


@pytest.mark.parametrize(
    ("depth", "terminating", "found"),
    [(1, 0, True), (5, 0, True), (6, 0, False), (2, 1, False), (2, 2, True), (3, 2, False)],
)
def test_how_deep_the_search_goes(trial: Trial, depth: int, terminating: int, found: bool) -> None:
    chain = nested(depth, terminating=terminating)
    delegate(trial, chain[0])
    trial.release("deep.bin", to=chain[-1])
    assert trial.once().success is found
    if not found:
        assert trial.code == "VERIFICATION_FAILED"


def test_terminating_does_not_keep_siblings_from_being_asked(trial: Trial) -> None:
    first, second = Delegation("first", ["*"], terminating=True), Delegation("second", ["*"])
    delegate(trial, first, second)
    trial.release("fw.bin", to=second)
    assert trial.once().success
    assert trial.gets[-3:-1] == ["/repo/delegations/first.json", "/repo/delegations/second.json"]


def test_an_entry_that_does_not_match_ends_nothing(trial: Trial) -> None:
    acme = Delegation("acme", ["*"])
    delegate(trial, acme)
    trial.publisher.image.add("fw.bin", b"at the top level", ["test-hw"])
    trial.release("fw.bin", b"delegated", to=acme)
    assert trial.once().success


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("acme/*", True),
        ("*.bin", True),
        ("*", True),
        ("a?me/[f]w.bin", True),
        ("[!b]cme/*", True),
        ("[^b]cme/*", True),
        (r"acme\/fw.bin", True),
        ("acme/", False),
        ("acme", False),
        ("ACME/*", False),
    ],
)
def test_patterns_are_those_of_fnmatch(trial: Trial, pattern: str, matches: bool) -> None:
    acme = Delegation("acme", [pattern])
    delegate(trial, acme)
    trial.release(NAME, to=acme)
    assert trial.once().success is matches
    assert ("/repo/delegations/acme.json" in trial.gets) is matches


def test_path_hash_prefixes_never_match(trial: Trial) -> None:
    acme = Delegation("acme", [])
    delegate(trial, acme)
    trial.release(NAME, to=acme)
    prefixes: Callable[[Signed], Any] = lambda signed: signed["delegations"]["roles"][0].update(  # noqa: E731
        path_hash_prefixes=[""]
    )
    trial.publisher.image.publish(edit={"targets": prefixes})
    assert not trial.once().success


@pytest.mark.parametrize(("name", "path"), [("Acme.X", "Acme.X"), ("a/b", "a/b"), ("a-b_c", "a-b_c")])
def test_names_go_into_the_url_as_they_are(trial: Trial, name: str, path: str) -> None:
    acme = Delegation(name, ["*"])
    delegate(trial, acme)
    trial.release(NAME, to=acme)
    assert trial.once().success
    assert f"/repo/delegations/{path}.json" in trial.gets


def test_a_space_in_a_name_breaks_the_url(trial: Trial) -> None:
    acme = Delegation("a b", ["*"])
    delegate(trial, acme)
    trial.release(NAME, to=acme)
    assert trial.once().said("The delegated role a b is missing.")
    assert not any("delegations" in path for path in trial.gets)


@pytest.mark.parametrize("name", ["targets", "Root", "SNAPSHOT"])
def test_names_of_top_level_roles_are_refused(trial: Trial, name: str) -> None:
    acme = Delegation(name, ["*"])
    delegate(trial, acme)
    trial.publisher.image.publish()
    assert trial.once().said(f"Delegated role name {name} is reserved.")


def entry(name: str, **members: Any) -> Callable[[Trial], None]:
    """Change Snapshot's entry of a role."""
    edit = {"snapshot": lambda signed: signed["meta"][f"{name}.json"].update(members)}
    return lambda trial: trial.publisher.image.publish(edit=edit)


def unlisted(trial: Trial) -> None:
    trial.publisher.image.publish(edit={"snapshot": lambda signed: signed["meta"].pop("acme.json")})


def missing(trial: Trial) -> None:
    del trial.publisher.image.files["delegations/acme.json"]


def expired(trial: Trial) -> None:
    trial.publisher.image.publish(edit={"acme": lambda signed: signed.update(expires=PAST)})


def by_a_stranger(trial: Trial) -> None:
    image = trial.publisher.image
    image.versions_only = True
    image.publish()
    signed = json.loads(image.files["delegations/acme.json"])["signed"]
    image.put("acme", signed, keys=[SigningKey.named("TEST stranger")], name="delegations/acme.json")


def lower_case(trial: Trial) -> None:
    trial.publisher.image.publish(edit={"acme": lambda signed: signed.update(_type="targets")})


HASH = "The calculated hash of delegated role acme did not match the hash in the metadata."
VERSION = "The version of role acme does not match the entry in Snapshot metadata."
SPOILED: dict[str, tuple[Callable[[Trial], None], str]] = {
    "missing": (missing, "The delegated role acme is missing."),
    "not in Snapshot": (unlisted, VERSION),
    "version": (entry("acme", version=77), VERSION),
    "hash": (entry("acme", hashes={"sha256": "0" * 64}), HASH),
    "hash, in the log": (
        entry("acme", hashes={"sha256": "0" * 64}),
        "Role hashes error: Snapshot hash mismatch for acme metadata",
    ),
    "expired, without a word": (expired, "The target metadata in the Image and Director repos do not match."),
    "a stranger's": (by_a_stranger, "A key has an incorrect associated key ID"),
    "lower case": (lower_case, "The metadata failed to parse: invalid targets.json"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_spoiled_role_is_refused_and_reported(trial: Trial, case: str) -> None:
    spoil, message = SPOILED[case]
    acme = Delegation("acme", ["*"])
    delegate(trial, acme)
    trial.release(NAME, to=acme)
    spoil(trial)
    run = trial.once()
    assert run.said(message)
    assert not run.said("was expired")
    assert trial.code == "VERIFICATION_FAILED"


def test_rollback_of_a_delegated_role(trial: Trial) -> None:
    acme = Delegation("acme", ["*"])
    delegate(trial, acme)
    trial.publisher.image.publish()
    trial.release(NAME, to=acme)
    trial.once()
    trial.publisher.image.versions["acme"] = 0
    trial.release("acme/fw-2.bin", to=acme)
    assert trial.once().said("Rollback attempt on delegated targets")


def test_the_same_version_with_other_content_is_noticed_by_its_hash(trial: Trial) -> None:
    acme = Delegation("acme", ["*"])
    delegate(trial, acme)
    trial.release(NAME, to=acme)
    trial.once()
    trial.publisher.image.versions["acme"] -= 1
    trial.release("acme/fw-2.bin", to=acme)
    assert trial.once().said(HASH)
    assert "/repo/delegations/acme.json" not in trial.gets


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda block: block["keys"].update(TEST={"keytype": "ecdsa", "keyval": {"public": ""}}),
            "Failed to update Image repo metadata: Unsupported key type: ecdsa",
        ),
        (
            lambda block: block["roles"][0].update(threshold=0),
            "Failed to update Image repo metadata: The role acme had an illegal signature threshold.",
        ),
    ],
)
def test_a_delegation_that_does_not_read_spoils_the_whole_file(
    trial: Trial, change: Callable[[Signed], Any], message: str
) -> None:
    acme = Delegation("acme", ["*"])
    delegate(trial, acme)
    trial.release(NAME, to=acme)
    trial.publisher.image.publish(edit={"targets": lambda signed: change(signed["delegations"])})
    assert trial.once().said(message)
