"""The tree of vectors as a mapping from relative path to bytes: what ``generate.py`` writes or compares.

A metadata file that several cases need stands once, below ``shared/``; everything else stands beside its case.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from cases.capture import Case, Files
from twinlock.testing.simulator.keys import SEED_PREFIX, Key

Tree = dict[str, bytes]
_LINE = 120
_ORDER = (
    *("format", "comment", "rule", "wire", "verification", "now", "vehicle", "installed", "map"),
    *("asked", "trusted", "offered", "expect", "then"),
)
_LATER = ("now", "asked", "offered", "expect")
_SHARED_FROM = 3  # a file that this many cases need is shared


def lay_out(cases: list[Case], more_keys: Iterable[Key] = ()) -> Tree:
    """All files of all cases, and the list of their keys and of ``more_keys``."""
    uses = Counter(place for case in cases for part in _parts(case).values() for place in _places(part))
    tree: Tree = {"KEYS.md": _keys([key for case in cases for key in case.keys] + list(more_keys))}
    for case in cases:
        placed: dict[str, dict[str, dict[str, str]]] = {}
        for part, files in _parts(case).items():
            placed[part] = {}
            for repository, named in files.items():
                placed[part][repository] = {}
                for name, data in named.items():
                    shared = uses[repository, name, data] >= _SHARED_FROM
                    path = _shared(repository, name, data) if shared else f"{case.folder}/{part}/{repository}/{name}"
                    tree[path] = data
                    placed[part][repository][name] = path
        then = [
            {name: {**later.document, "offered": placed[f"then-{number}"]}[name] for name in _LATER}
            for number, later in enumerate(case.then, 1)
        ]
        document = {**case.document, "trusted": placed["trusted"], "offered": placed["offered"], "then": then}
        tree[f"{case.folder}/case.json"] = encode(document, _ORDER)
    return tree


def _parts(case: Case) -> dict[str, Files]:
    """The files of a case by the folder that they would have beside it."""
    later = {f"then-{number}": cycle.offered for number, cycle in enumerate(case.then, 1)}
    return {"trusted": case.trusted, "offered": case.offered, **later}


def _places(files: Files) -> Iterator[tuple[str, str, bytes]]:
    for repository, named in files.items():
        for name, data in named.items():
            yield repository, name, data


def _shared(repository: str, name: str, data: bytes) -> str:
    return f"shared/{repository}/{hashlib.sha256(data).hexdigest()[:12]}.{name}"


def encode(document: Mapping[str, object], order: Iterable[str]) -> bytes:
    """A ``case.json`` with its members in ``order``."""
    return (_pretty({name: document[name] for name in order}) + "\n").encode()


def _pretty(value: object, indent: str = "") -> str:
    """JSON with one line for each thing that fits into one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= _LINE or not isinstance(value, (dict, list)):
        return line
    inner = indent + " "
    if isinstance(value, list):
        return "[\n" + ",\n".join(inner + _pretty(item, inner) for item in value) + f"\n{indent}]"
    members = [f"{inner}{json.dumps(name)}: {_pretty(member, inner)}" for name, member in value.items()]
    return "{\n" + ",\n".join(members) + f"\n{indent}}}"


def _keys(keys: Iterable[Key]) -> bytes:
    found = {f"{key.name} {key.public['keytype']}": key for key in keys}
    lines = [
        "# TEST keys",
        "",
        "Every key of these vectors, made from its name and known to everybody. **Never use one for anything.**",
        "",
        f"The seed of a key is `SHA-512({SEED_PREFIX!r} + name)` over UTF-8. An ed25519 private key is the first 32 bytes of",
        "it; an ECDSA private key is the integer in its first 31 (P-256) or 47 (P-384) bytes, big endian. ECDSA signatures",
        "are deterministic (RFC 6979). RSA keys and the salts of their PSS signatures are made as",
        "`testing/twinlock/testing/simulator/rsa.py` says.",
        "",
        "| name | type | key id |",
        "|---|---|---|",
        *(f"| {key.name} | {key.public['scheme']} | `{key.keyid}` |" for _, key in sorted(found.items())),
    ]
    return ("\n".join(lines) + "\n").encode()
