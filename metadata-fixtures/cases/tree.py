"""The tree of vectors as a mapping from relative path to bytes: what ``generate.py`` writes or compares.

A metadata file that several cases need stands once, below ``shared/``; everything else stands beside its case.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator

from cases.capture import Case
from tests.simulator.keys import SEED_PREFIX, Key

Tree = dict[str, bytes]
_LINE = 120
_SHARED_FROM = 3  # a file that this many cases need is shared


def lay_out(cases: list[Case]) -> Tree:
    """All files of all cases, and the list of their keys."""
    uses = Counter(_places(cases))
    tree: Tree = {"KEYS.md": _keys(cases)}
    for case in cases:
        document = dict(case.document)
        for part, files in (("trusted", case.trusted), ("offered", case.offered)):
            document[part] = {}
            for repository, named in files.items():
                document[part][repository] = {}
                for name, data in named.items():
                    shared = uses[repository, name, data] >= _SHARED_FROM
                    path = _shared(repository, name, data) if shared else f"{case.folder}/{part}/{repository}/{name}"
                    tree[path] = data
                    document[part][repository][name] = path
        tree[f"{case.folder}/case.json"] = _encode(document)
    return tree


def _places(cases: list[Case]) -> Iterator[tuple[str, str, bytes]]:
    for case in cases:
        for files in (case.trusted, case.offered):
            for repository, named in files.items():
                for name, data in named.items():
                    yield repository, name, data


def _shared(repository: str, name: str, data: bytes) -> str:
    return f"shared/{repository}/{hashlib.sha256(data).hexdigest()[:12]}.{name}"


def _encode(document: dict[str, object]) -> bytes:
    order = ("format", "comment", "verification", "now", "vehicle", "installed", "map", "trusted", "offered", "expect")
    return (_pretty({name: document[name] for name in order}) + "\n").encode()


def _pretty(value: object, indent: str = "") -> str:
    """JSON with one line for each thing that fits into one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= _LINE or not isinstance(value, dict):
        return line
    inner = indent + " "
    members = [f"{inner}{json.dumps(name)}: {_pretty(member, inner)}" for name, member in value.items()]
    return "{\n" + ",\n".join(members) + f"\n{indent}}}"


def _keys(cases: list[Case]) -> bytes:
    found: dict[str, Key] = {f"{key.name} {key.public['keytype']}": key for case in cases for key in case.keys}
    lines = [
        "# TEST keys",
        "",
        "Every key of these vectors, made from its name and known to everybody. **Never use one for anything.**",
        "",
        f"The seed of a key is `SHA-512({SEED_PREFIX!r} + name)` over UTF-8. An ed25519 private key is the first 32 bytes of",
        "it; an ECDSA private key is the integer in its first 31 (P-256) or 47 (P-384) bytes, big endian. ECDSA signatures",
        "are deterministic (RFC 6979).",
        "",
        "| name | type | key id |",
        "|---|---|---|",
        *(f"| {key.name} | {key.public['scheme']} | `{key.keyid}` |" for _, key in sorted(found.items())),
    ]
    return ("\n".join(lines) + "\n").encode()
