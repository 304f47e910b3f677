"""How a repository of the simulator encodes what it publishes: in the ``tuf`` form, or in the one that aktualizr reads.

Bodies are always written as TUF has them, so that one scenario runs in both encodings; ``Wire.dress`` turns a
body into what is signed.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from twinlock.testing.simulator.keys import JSON, Key, canonical
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.tuf.metadata import TUF


class Wire:
    """The ``tuf`` form, and what the other one shares with it. ``profile`` is the engine's reader of it."""

    profile: WireProfile = TUF

    def file_name(self, role: str, version: int | None) -> str:
        """The name that a role's file is served under; the Timestamp's is bare."""
        stem = quote(role, safe="")
        return f"{stem}.json" if version is None or role == "timestamp" else f"{version}.{stem}.json"

    def dress(self, body: JSON, *, orders: bool = False) -> JSON:
        """What is signed for ``body``; ``orders`` is true for a Director."""
        del orders
        return body

    def payload(self, signed: JSON) -> bytes:
        """The canonical form of what ``dress`` gave."""
        return canonical(signed)

    def signature(self, key: Key, payload: bytes) -> JSON:
        """An entry of ``signatures``, over these very bytes."""
        return {"keyid": key.keyid, "sig": key.sign(payload).hex()}

    def encode(self, envelope: JSON, *, indent: int | None = None) -> bytes:
        """JSON as it is served. Compact, it equals the canonical form unless a string holds control characters."""
        separators = (",", ":") if indent is None else None
        return json.dumps(envelope, indent=indent, ensure_ascii=False, sort_keys=True, separators=separators).encode()

    def enclose(self, payload: bytes, signers: Iterable[Key]) -> bytes:
        """A file whose signed part is ``payload``, byte for byte, whatever it is."""
        signatures = json.dumps([self.signature(key, payload) for key in signers], separators=(",", ":"))
        return b'{"signatures":' + signatures.encode() + b',"signed":' + payload + b"}"

    def seal(self, body: JSON, signers: Iterable[Key], *, orders: bool = False, indent: int | None = None) -> bytes:
        """Sign ``body`` by each of ``signers`` and encode the whole; the signature is over the canonical form."""
        signed = self.dress(body, orders=orders)
        payload = self.payload(signed)
        signatures = [self.signature(key, payload) for key in signers]
        return self.encode({"signatures": signatures, "signed": signed}, indent=indent)


class AktualizrWire(Wire):
    """Written section by section from ``docs/POUF-aktualizr.md``, with nothing taken from the engine."""

    profile = AKTUALIZR

    def file_name(self, role: str, version: int | None) -> str:
        """Root alone has a version in its name; delegated roles have a folder."""
        if role == "root":
            return "root.json" if version is None else f"{version}.root.json"
        return f"{role}.json" if role in ("timestamp", "snapshot", "targets") else f"delegations/{role}.json"

    def dress(self, body: JSON, *, orders: bool = False) -> JSON:
        signed = copy.deepcopy(body)
        kind = signed.get("_type")
        signed["_type"] = str(kind).capitalize()
        for holder in (signed, signed.get("delegations", {})):
            if "keys" in holder:
                holder["keys"] = {keyid: _key(key) for keyid, key in holder["keys"].items()}
        for entry in signed.get("targets", {}).values():
            if isinstance(entry, dict) and isinstance(entry.get("custom"), dict):
                _dress_entry(entry["custom"], orders=orders)
        return signed

    def payload(self, signed: JSON) -> bytes:
        return json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")

    def signature(self, key: Key, payload: bytes) -> JSON:
        method = "rsassa-pss-sha256" if key.public["keytype"] == "rsa" else "ed25519"
        return {"keyid": key.keyid, "method": method, "sig": base64.b64encode(key.sign(payload)).decode()}

    def encode(self, envelope: JSON, *, indent: int | None = None) -> bytes:
        separators = (",", ":") if indent is None else None
        return json.dumps(envelope, indent=indent, ensure_ascii=True, sort_keys=True, separators=separators).encode()


def _key(key: Any) -> Any:
    if not isinstance(key, dict) or "keytype" not in key:
        return key
    return {"keytype": str(key["keytype"]).upper(), "keyval": key.get("keyval")}


def _dress_entry(custom: JSON, *, orders: bool) -> None:
    """An Image repository's entry has its hardware ids where the client reads them; a Director's must not."""
    agreed = custom.get("mustAgree")
    if not orders and isinstance(agreed, dict) and "hardwareIds" in agreed:
        custom.setdefault("hardwareIds", agreed["hardwareIds"])
    if "downloadUrl" in custom:
        custom["uri"] = custom.pop("downloadUrl")


TUF_WIRE = Wire()
AKTUALIZR_WIRE = AktualizrWire()
WIRES = {"tuf": TUF_WIRE, "aktualizr": AKTUALIZR_WIRE}
