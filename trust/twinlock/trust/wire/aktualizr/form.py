"""The outer form of the ``aktualizr`` profile: canonical bytes, key ids, signatures, file names, and what fits.

The canonical form is not OLPC's: it is JSON in ASCII, compact, with sorted names, every other character escaped. Files
are served in exactly this form, so that the two definitions of their digest (of the served bytes, and of the canonical
form of the whole file, which this client uses) agree.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

from twinlock.trust.errors.metadata import UnsafePathError
from twinlock.trust.names import ROOT, TOP_LEVEL, RoleName, role_file, target_path
from twinlock.trust.wire.json.olpc import refuse_floats

NAME = "aktualizr"
SUFFIX = ".json"
DELEGATIONS = "delegations/"

# What the client reads at most, in bytes; a larger file fails every check-in. The images of one vehicle are few.
MAX_BYTES = {"root": 65_536, "timestamp": 65_536, "snapshot": 8_388_608, "targets": 8_388_608}
MAX_DIRECTOR_TARGETS_BYTES = 65_536
MAX_THRESHOLD = 1_000

# The ``method`` of a signature, by our name of the scheme; the first is what we write.
METHODS = {"ed25519": ("ed25519",), "rsassa-pss-sha256": ("rsassa-pss-sha256", "rsassa-pss")}
RSA_BITS = (2048, 3072, 4096)
TYPES = {"root": "Root", "timestamp": "Timestamp", "snapshot": "Snapshot", "targets": "Targets"}

# Where C's ``fnmatch`` reads a pattern in another way than ours: escapes, and sets by ``^`` or by a class such as [:alpha:].
_AMBIGUOUS = re.compile(r"\\|\[\^|\[[:.=]")

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
_PLAIN = json.JSONEncoder(ensure_ascii=False)


def encode_canonical(value: Any) -> bytes:
    """The canonical form of plain JSON.

    Raises: ValueError for a float, for half a character, and for U+007F, of which this client has another form; TypeError
    for what is not plain JSON.
    """
    refuse_floats(value)
    text = _ENCODER.encode(value)
    if "\\u" in text:
        plain = _PLAIN.encode(value)
        plain.encode()  # half a character raises here
        if "\x7f" in plain:
            raise ValueError("the character U+007F has two canonical forms")
    return text.encode("ascii")


def key_id(public: str) -> str:
    """The id that the client gives a key: the digest of its public value as canonical JSON, final newlines aside."""
    return hashlib.sha256(encode_canonical(public.rstrip("\n"))).hexdigest()


def encode_signature(keyid: str, scheme: str, value: bytes) -> dict[str, str]:
    """One signature as a file carries it. ``scheme`` is one of ``METHODS``."""
    return {"keyid": keyid, "method": METHODS[scheme][0], "sig": base64.b64encode(value).decode("ascii")}


def encode_envelope(signed: Any, signatures: Iterable[dict[str, str]]) -> bytes:
    """A whole file, exactly as it has to be served: not a byte more, no newline at its end."""
    return encode_canonical({"signatures": list(signatures), "signed": signed})


def decode_base64(text: str) -> bytes:
    """Strict base64. Raises: ValueError."""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError(str(error)) from None


def file_name(role: RoleName, version: int | None) -> str:
    """The name that the client asks for. Only Root has a version in it. Raises: UnsafePathError."""
    if role == ROOT and version is not None:
        return f"{version}.{ROOT}{SUFFIX}"
    if role in TOP_LEVEL:
        return f"{role}{SUFFIX}"
    return f"{DELEGATIONS}{_delegated_file(role)}{SUFFIX}"


def _delegated_file(role: RoleName) -> str:
    """The client puts the name of a delegated role into the URL as it is, slashes included."""
    if "/" not in role:
        return role_file(role)
    target_path(role)
    return "/".join(role_file(segment) for segment in role.split("/"))


def is_plain_pattern(pattern: str) -> bool:
    """Whether the client and this engine mean the same by a pattern of names, in which ``*`` and ``?`` fit a slash."""
    return _AMBIGUOUS.search(pattern) is None


def is_fetchable(role: str) -> bool:
    """Whether the client can ask for a delegated role of that name: what it puts into the URL has to be one."""
    try:
        return _delegated_file(RoleName(role)) == role and role.lower() not in TOP_LEVEL
    except UnsafePathError:
        return False
