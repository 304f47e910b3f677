"""The floors: work on the same files that no client can leave out, each part by itself and with nothing around it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.formats import encode_canonical

from bench.layout import Repository
from bench.task import Task

Check = tuple[Ed25519PublicKey, bytes, bytes]


def tasks(mode: str, repositories: list[Repository], _folder: Path) -> dict[str, Task]:
    """Signatures, parsing and hashing of the files that a client meets in ``mode``.

    A poll that keeps its state has no signature to check; its floors are those of the ``stored`` poll, for scale.
    """
    met = [repository.met("stored" if mode == "kept" else mode) for repository in repositories]
    contents = [path.read_bytes() for paths in met for path in paths]
    checks = [check for repository, paths in zip(repositories, met, strict=True) for check in needed(repository, paths)]
    return {
        "signatures": Task(partial(verify, checks)),
        "json.loads": Task(partial(parse, contents)),
        "sha256": Task(partial(digest, contents)),
    }


def verify(checks: list[Check]) -> None:
    """Signatures alone: keys are loaded, messages are at hand."""
    for key, signature, payload in checks:
        key.verify(signature, payload)


def parse(contents: list[bytes]) -> None:
    """The standard library's parser, without any of the strictness that ours adds."""
    for data in contents:
        json.loads(data)


def digest(contents: list[bytes]) -> None:
    """One hash of each file."""
    for data in contents:
        hashlib.sha256(data).digest()


def needed(repository: Repository, paths: list[Path]) -> Iterator[Check]:
    """Every signature on ``paths`` whose key one of them, or the newest Root, lists: a chained Root has two."""
    files = [path.read_bytes() for path in paths]
    documents = [json.loads(data) for data in (*files, repository.stored()["root"].read_bytes())]
    keys: dict[str, Ed25519PublicKey] = {}
    for signed in (document["signed"] for document in documents):
        listed = signed.get("keys", {}) | signed.get("delegations", {}).get("keys", {})
        for keyid, key in listed.items():
            keys[keyid] = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key["keyval"]["public"]))
    for data, document in zip(files, documents, strict=False):
        payload = signed_bytes(data)
        for signature in document["signatures"]:
            if signature["keyid"] in keys:
                yield keys[signature["keyid"]], bytes.fromhex(signature["sig"]), payload


def signed_bytes(data: bytes) -> bytes:
    """The bytes that were signed: a part of a canonical file, else its ``signed`` member encoded again."""
    _, separator, rest = data.partition(b',"signed":')
    if separator:
        return rest[:-1]
    text = encode_canonical(json.loads(data)["signed"])
    assert text is not None
    return text.encode()
