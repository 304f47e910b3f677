"""The start of a process with a read-only trust anchor: the chain over stored Roots, against the bare signature checks.

Each Root names five ed25519 keys for Root (three have to sign, and all did) and one for each other role; every link rotates
one of those. The floors are the verification of the very same signatures, and reading the same files as JSON.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

from bench import options, report
from bench.report import OURS, TOGETHER, Case, at_most

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from bench.options import Options

NAME = "anchor"
SIGNATURES, JSON = "signatures", "json"
LINKS = 30
_SIGNERS, _THRESHOLD = 5, 3
_ROLES = ("timestamp", "snapshot", "targets")


def main() -> None:
    """Measure, print and write."""
    run(options.parse(__doc__))


def run(chosen: Options) -> None:
    """Measure, print and write."""
    roots, verify = chain(LINKS)
    samples: dict[str, list[float]] = {OURS: [], SIGNATURES: [], JSON: []}
    for _ in range(3 if chosen.quick else 15):
        samples[OURS].append(cpu_ms(lambda: follow(roots)))
        samples[SIGNATURES].append(cpu_ms(verify))
        samples[JSON].append(cpu_ms(lambda: [json.loads(data) for data in roots]))
    case = Case(name=f"chain of {LINKS} Roots from the anchor", samples_ms=samples, floors=(SIGNATURES, JSON))
    report.show_heading("start with a read-only anchor, CPU", (), (SIGNATURES, JSON))
    report.show(case)
    goals = [at_most("times signatures and JSON together", case.name, 1.4, case.times_floor[TOGETHER])]
    report.show_goals(goals)
    report.write(NAME, [case], goals, quick=chosen.quick, folder=chosen.folder)


def cpu_ms(work: Callable[[], object]) -> float:
    """CPU milliseconds of ``work``."""
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1_000


def follow(roots: list[bytes]) -> None:
    """What a process does at its start."""
    from twinlock.trust.engine.anchor import follow_stored_roots
    from twinlock.trust.limits import DEFAULT_LIMITS
    from twinlock.trust.names import IMAGE

    newest, refusal = follow_stored_roots(IMAGE, roots[0], dict(enumerate(roots, start=1)), limits=DEFAULT_LIMITS)
    assert (newest.signed.version, refusal) == (len(roots), None)


def chain(links: int) -> tuple[list[bytes], Callable[[], None]]:
    """The files of that many Roots, and the verification of all signatures on them."""
    from twinlock.trust.wire.json.olpc import encode_canonical

    private = [_private(f"root {number}") for number in range(_SIGNERS)]
    public = [key.public_key() for key in private]
    named = dict(_named(key.public_bytes_raw().hex()) for key in public)
    files, signed = [], []
    for version in range(1, links + 1):
        payload = encode_canonical(_body(version, named))
        signatures = [key.sign(payload) for key in private]
        listed = [{"keyid": keyid, "sig": value.hex()} for keyid, value in zip(named, signatures, strict=True)]
        files.append(b'{"signatures":' + json.dumps(listed).encode() + b',"signed":' + payload + b"}")
        signed.append((payload, signatures))

    def verify() -> None:
        for payload, signatures in signed:
            for key, signature in zip(public, signatures, strict=True):
                key.verify(signature, payload)

    return files, verify


def _body(version: int, named: dict[str, Any]) -> dict[str, Any]:
    keys, roles = dict(named), {"root": {"keyids": [*named], "threshold": _THRESHOLD}}
    for place, role in enumerate(_ROLES):
        public = _private(f"{role} {(version + place) // len(_ROLES)}").public_key().public_bytes_raw().hex()
        keyid, key = _named(public)
        keys[keyid] = key
        roles[role] = {"keyids": [keyid], "threshold": 1}
    return {
        "_type": "root",
        "spec_version": "1.0.34",
        "version": version,
        "expires": "2040-01-01T00:00:00Z",
        "consistent_snapshot": True,
        "keys": keys,
        "roles": roles,
    }


def _private(name: str) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"TEST {name}".encode()).digest())


def _named(public: str) -> tuple[str, dict[str, Any]]:
    key = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}}
    return hashlib.sha256(public.encode()).hexdigest(), key


if __name__ == "__main__":
    main()
