"""The form in which a publisher writes and takes files, narrower than what a vehicle reads.

A vehicle ignores odd signatures, keys that a file does not hold and digests that it cannot compute, so that another publisher's
mistake spoils no file. Other clients read some of these differently, so a publisher writes none of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from tuf.api.metadata import Metadata, Root, Targets
from tuf.api.serialization import DeserializationError

from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.wire.json.cursor import DIGEST_DIGITS
from twinlock.trust.wire.tuf.members import read_signature

_Found = Iterator[tuple[str, str]]  # where, and what is odd there


class Spelling(NamedTuple):
    """How a profile spells a signature: what is not ``usual`` is odd."""

    is_odd: Callable[[Any], bool]
    usual: str


def _is_odd(item: Any) -> bool:
    return read_signature(item, DEFAULT_LIMITS) is None or item["sig"] != item["sig"].lower()


_TUF_SPELLING = Spelling(_is_odd, "lower-case hexadecimal digits")


def check_written(what: str, data: bytes, *, spelling: Spelling = _TUF_SPELLING) -> None:
    """Refuse a file, which the engine has read already, for what a vehicle would ignore in it.

    Odd are: a signature in another than the usual ``spelling``, a key id of a role that the file holds no key for, a
    digest of an unknown algorithm.
    Raises: MalformedError with the place. Source: TUF 1.0.34 4.2.1 and 4.3.
    """
    body = json.loads(data)
    signed = body["signed"]
    for place, reason in (*_signatures(body["signatures"], spelling), *_key_ids(signed), *_digests(signed)):
        raise MalformedError(what=what, json_path=place, reason=reason)


def check_named_keys(what: str, data: bytes) -> None:
    """Refuse a file, which the engine has read already, with a key id of a role that it holds no key for. Raises: MalformedError."""
    for place, reason in _key_ids(json.loads(data)["signed"]):
        raise MalformedError(what=what, json_path=place, reason=reason)


def parse_targets(what: str, data: bytes) -> Targets:
    """The Targets file of another party for the writing side, once the engine has read it. Raises: as ``parse_root``."""
    metadata: Metadata[Targets] = _parsed(what, data)
    return metadata.signed


def parse_root(what: str, data: bytes) -> Metadata[Root]:
    """The Root file of another party for the writing side, once the engine has read it.

    Raises: MalformedError for what vehicles ignore and the library that writes cannot hold, such as a key of an unknown kind.
    """
    return _parsed(what, data)


def _parsed(what: str, data: bytes) -> Metadata[Any]:
    try:
        return Metadata.from_bytes(data)
    except DeserializationError as error:
        reason = f"vehicles would ignore it, and a publisher cannot take it over: {error.__cause__ or error}"
        raise MalformedError(what=what, json_path="$.signed", reason=reason) from None


def _signatures(items: Iterable[Any], spelling: Spelling) -> _Found:
    for index, item in enumerate(items):
        if spelling.is_odd(item):
            place = f"$.signatures[{index}]"
            yield place, f"it is not a key id and {spelling.usual}; take it out, or have its owner sign again"


def _key_ids(signed: dict[str, Any]) -> _Found:
    for place, role, keys in _signers(signed):
        for keyid in role["keyids"]:
            if keyid not in keys:
                yield f"{place}.keyids", f"the file holds no key {keyid!r}; add the key, or take the id out"


def _signers(signed: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Every place that names keys, what it holds, and the keys that it may name."""
    roles = signed.get("roles", {})
    for name in roles:
        yield f"$.signed.roles.{name}", roles[name], signed["keys"]
    source = signed.get("custom", {}).get("timeSource") if "keys" in signed else None
    if source is not None:
        yield "$.signed.custom.timeSource", source, signed["keys"]
    delegations = signed.get("delegations") or {}
    place = "$.signed.delegations"
    for index, role in enumerate(delegations.get("roles", [])):
        yield f"{place}.roles[{index}]", role, delegations["keys"]
    for index, several in enumerate(delegations.get("prioritized_delegations", [])):
        for inner, role in enumerate(several["roles"]):
            yield f"{place}.prioritized_delegations[{index}].roles[{inner}]", role, delegations["keys"]
    if "succinct_roles" in delegations:
        yield f"{place}.succinct_roles", delegations["succinct_roles"], delegations["keys"]


def _digests(signed: dict[str, Any]) -> _Found:
    for member in ("targets", "meta"):
        for name, entry in signed.get(member, {}).items():
            unknown = sorted(set(entry.get("hashes", {})) - set(DIGEST_DIGITS))
            if unknown:
                reason = (
                    f"no vehicle can check a digest by {unknown[0]!r}; the algorithms are {', '.join(DIGEST_DIGITS)}"
                )
                yield f"$.signed.{member}[{name!r}].hashes", reason
