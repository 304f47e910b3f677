"""The stories of manifests as files: one case for each, with its steps. Another Director can play them all."""

from __future__ import annotations

from datetime import timedelta

from cases.capture import FORMAT
from cases.rules import rule_of
from cases.tree import Tree, encode
from tests.simulator.manifests import HARDWARE, MANIFESTS, PRIMARY, Refused, Step, Story, Taken, Teller
from twinlock.testing.simulator.keys import JSON, Key
from twinlock.testing.simulator.repository import wire_time
from twinlock.testing.simulator.world import START, VIN


def manifest_files() -> Tree:
    """All files of all stories."""
    tree: Tree = {}
    for name in sorted(MANIFESTS):
        story = MANIFESTS[name]
        last = story.steps[-1].expect
        folder = f"{'valid' if isinstance(last, Taken) else 'hostile'}/manifest--{name}"
        for number, step in enumerate(story.steps, 1):
            tree[f"{folder}/{number}.manifest.json"] = step.manifest
        tree[f"{folder}/case.json"] = encode(_document(story, folder), _ORDER)
    return tree


def manifest_keys() -> tuple[Key, ...]:
    """The keys of their ECUs, and that of the attacker."""
    tell = Teller()
    return tuple(tell.key(name) for name in (*HARDWARE, "ecu-ghost", "mallory"))


_ORDER = ("format", "comment", "rule", "verification", "vehicle", "steps")


def _document(story: Story, folder: str) -> JSON:
    last = story.steps[-1].expect
    code = last.error.code if isinstance(last, Refused) else None
    return {
        "format": FORMAT,
        "comment": story.comment,
        "rule": rule_of(f"manifest--{story.name}", code=code, verification="manifest"),
        "verification": "manifest",
        "vehicle": {"vehicle": VIN, "primary": PRIMARY, "ecus": {ecu: _ecu(ecu) for ecu in HARDWARE}},
        "steps": [
            {
                "now": wire_time(START + timedelta(hours=step.hour)),
                "arms": dict(step.arms),
                "manifest": f"{folder}/{number}.manifest.json",
                "expect": _expectation(step),
            }
            for number, step in enumerate(story.steps, 1)
        ],
    }


def _ecu(ecu: str) -> JSON:
    key = Teller().key(ecu)
    return {"hardwareId": HARDWARE[ecu], "keyid": key.keyid, "key": key.public}


def _expectation(step: Step) -> JSON:
    expect = step.expect
    if isinstance(expect, Taken):
        return {
            "verdict": "accepted",
            "missing": list(expect.missing),
            "noted": dict(expect.noted),
            "acknowledged": dict(expect.acknowledged),
            "armed": dict(expect.armed),
        }
    fields = {name: list(value) if isinstance(value, tuple) else value for name, value in expect.fields.items()}
    error = expect.error
    # The clause of a manifest is that of the Director's checks, whatever else the same error may be about.
    return {"verdict": "refused", "code": error.code, "attack": error.attack.value, "fields": fields}
