"""Every spelling of a signed file that needs no key: the signed part as one publisher wrote it, the rest as another's.

A signature is over the content of ``signed`` in one canonical form or the other. Whoever has the file can write its
signatures in another alphabet, add a ``method``, and write ``signed`` in any form that keeps its content.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from typing import Any

METHODS = ("ed25519", "ED25519", "rsassa-pss", "rsassa-pss-sha256")


def respelt(data: bytes) -> Iterator[bytes]:
    """All those spellings of ``data``, a file of either profile, ``data`` itself among them."""
    yield data
    whole = json.loads(data)
    for signatures, signed in itertools.product(_signatures(whole["signatures"]), _signed(whole["signed"], data)):
        yield b'{"signatures":' + signatures + b',"signed":' + signed + b"}"


def _signed(signed: Any, data: bytes) -> Iterator[bytes]:
    yield _received(data)
    yield json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    yield json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    yield json.dumps(signed, indent=1).encode()


def _signatures(signatures: list[dict[str, str]]) -> Iterator[bytes]:
    values = [_value(entry["sig"]) for entry in signatures]
    ids = [entry["keyid"] for entry in signatures]
    yield json.dumps([{"keyid": keyid, "sig": value.hex()} for keyid, value in zip(ids, values, strict=True)]).encode()
    for method in METHODS:
        for text in (_base64, bytes.hex):
            entries = [
                {"keyid": keyid, "method": method, "sig": text(value)} for keyid, value in zip(ids, values, strict=True)
            ]
            yield json.dumps(entries).encode()


def _value(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return base64.b64decode(text)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _received(data: bytes) -> bytes:
    """The member ``signed`` of a file, byte for byte."""
    text = data.decode()
    start = text.index(":", text.index('"signed"', _end_of_signatures(text))) + 1
    while text[start].isspace():
        start += 1
    _, end = json.JSONDecoder().raw_decode(text, start)
    return text[start:end].encode()


def _end_of_signatures(text: str) -> int:
    """Where to look for ``signed``: both forms write ``signatures`` first."""
    start = text.index("[", text.index('"signatures"'))
    return json.JSONDecoder().raw_decode(text, start)[1]
