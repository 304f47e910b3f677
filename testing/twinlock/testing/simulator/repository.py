"""A publisher of metadata whose every role is a plain dict, honest by its verbs and hostile in a test's hands.

The state has three layers, and an attack may start at any of them: ``bodies`` (what would be signed next),
``signers`` (with which keys), and ``files`` (the bytes on offer, by file name). ``publish`` goes through all three.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from twinlock.testing.simulator.keys import JSON, Key, KeyPool
from twinlock.testing.simulator.wires import TUF_WIRE, Wire
from twinlock.trust.engine.commands import ABSENT, Absent, Fetch
from twinlock.trust.errors.images import EndlessDataError

TOP_LEVEL = ("root", "timestamp", "snapshot", "targets")
LIFETIMES = {"root": timedelta(days=365), "timestamp": timedelta(days=1), "snapshot": timedelta(days=7)}
TARGETS_LIFETIME = timedelta(days=90)
FAR_AHEAD = 1_000  # versions beyond this are a fast-forward attack, which honest versions never catch up with

# What a test may put in the place of a file: a function that answers the fetch itself, or raises.
Trick = Callable[[Fetch], "bytes | Absent"]
Clock = Callable[[], datetime]


def wire_time(time: datetime) -> str:
    """A UTC time as the metadata writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def sha256(data: bytes) -> str:
    """The lower-case hex SHA-256."""
    return hashlib.sha256(data).hexdigest()


def file_name(role: str, version: int | None) -> str:
    """The name that a role's file is served under in the ``tuf`` form."""
    return TUF_WIRE.file_name(role, version)


def seal(body: JSON, signers: Iterable[Key], *, indent: int | None = None) -> bytes:
    """A file of the ``tuf`` form. A repository's own ``seal`` writes in the form that it publishes."""
    return TUF_WIRE.seal(body, signers, indent=indent)


class RepositorySimulator:
    """One repository: its bodies, its signers, its files. Starts with everything published at version 1.

    ``wire`` encodes its files; ``orders`` is true for a Director.
    """

    orders = False

    def __init__(
        self, name: str, keys: KeyPool, clock: Clock, *, with_delegations: bool = True, wire: Wire = TUF_WIRE
    ) -> None:
        self.name = name
        self.wire = wire
        self.keys = keys
        self.clock = clock
        self.bodies: dict[str, JSON] = {}
        self.signers: dict[str, list[Key]] = {}
        self.files: dict[str, bytes] = {}
        self.history: dict[str, list[bytes]] = {}
        self.tricks: dict[str, Trick] = {}
        self.requests: list[str] = []
        self.careless_driver: bool = False
        for role in TOP_LEVEL:
            self.signers[role] = [self.key(role)]
            self.bodies[role] = self._common(role)
        self.bodies["root"] |= {"keys": {}, "roles": {}, "consistent_snapshot": True}
        self.bodies["timestamp"]["meta"] = {"snapshot.json": {"version": 1}}
        self.bodies["snapshot"]["meta"] = {"targets.json": {"version": 1}}
        self.bodies["targets"]["targets"] = {}
        if with_delegations:
            self.bodies["targets"]["delegations"] = {"keys": {}, "roles": []}
        for role in TOP_LEVEL:
            self.set_keys(role, self.signers[role])
        self.put("root")
        for role in ("targets", "snapshot", "timestamp"):
            self.put(role)
            self.index(role)

    # keys

    def key(self, role: str, number: int = 1) -> Key:
        """The ``number``-th TEST key of ``role`` at this repository."""
        return self.keys(f"{self.name}-{role}-{number}")

    def set_keys(self, role: str, keys: Iterable[Key], threshold: int | None = None) -> None:
        """Name ``keys`` for a top-level role in the (unpublished) Root; they sign it from now on.

        ``threshold`` is the number of keys unless given.
        """
        keys = list(keys)
        root = self.bodies["root"]
        root["roles"][role] = {"keyids": [key.keyid for key in keys], "threshold": threshold or len(keys)}
        root["keys"] |= {key.keyid: key.public for key in keys}
        used = {keyid for entry in root["roles"].values() for keyid in entry["keyids"]}
        used |= set(root.get("custom", {}).get("timeSource", {}).get("keyids", []))
        root["keys"] = {keyid: key for keyid, key in root["keys"].items() if keyid in used}
        self.signers[role] = keys

    def rotate(self, role: str, number: int = 2) -> None:
        """Replace the keys of one top-level role by its ``number``-th key; publish Root, and the rest signed by it."""
        outgoing = self.signers["root"]
        self.set_keys(role, [self.key(role, number)])
        self.publish_root(outgoing)
        self.publish(*(["targets"] if role == "targets" else []))

    # publishing

    def publish_root(self, outgoing: Iterable[Key] | None = None) -> None:
        """Publish the next Root, signed by the keys it names and by ``outgoing`` (the keys of the one before)."""
        self.bump("root")
        signers = {key.keyid: key for key in [*(outgoing or self.signers["root"]), *self.signers["root"]]}
        self.put("root", signers=list(signers.values()))

    def publish(self, *roles: str) -> None:
        """Raise and sign ``roles`` (Targets and delegated ones), then Snapshot and Timestamp."""
        for role in roles:
            self.bump(role)
            self.put(role)
            self.index(role)
        self.bump("snapshot")
        self.put("snapshot")
        self.index("snapshot")
        self.refresh_timestamp()

    def refresh_timestamp(self) -> None:
        """Publish the next Timestamp for the Snapshot that is."""
        self.bump("timestamp")
        self.put("timestamp")

    def republish(self, *roles: str) -> None:
        """Sign ``roles`` with their present bodies and versions, and index them upwards."""
        for role in roles:
            self.put(role)
            self.index(role)
        if roles != ("snapshot",):
            self.bump("snapshot")
            self.put("snapshot")
        self.index("snapshot")
        self.refresh_timestamp()

    def bump(self, role: str) -> None:
        """Next version, issued now, with the full lifetime of the role."""
        body = self.bodies[role]
        body["version"] += 1
        body["issued"] = wire_time(self.clock())
        body["expires"] = wire_time(self.clock() + LIFETIMES.get(role, TARGETS_LIFETIME))

    def put(self, role: str, *, signers: Iterable[Key] | None = None, data: bytes | None = None) -> bytes:
        """Sign the present body of ``role`` (or use ``data``) and offer it under its name. Returns the file."""
        if data is None:
            data = self.seal(self.bodies[role], self.signers[role] if signers is None else signers)
        self.files[self.current(role)] = data
        self.history.setdefault(role, []).append(data)
        return data

    def current(self, role: str) -> str:
        """The name of the current file of ``role``."""
        return self.wire.file_name(role, self.bodies[role]["version"])

    def seal(self, body: JSON, signers: Iterable[Key], *, indent: int | None = None) -> bytes:
        """A file of this repository with that body, which is not served."""
        return self.wire.seal(body, signers, orders=self.orders, indent=indent)

    def payload(self, body: JSON) -> bytes:
        """The bytes that a signature over ``body`` covers here."""
        return self.wire.payload(self.wire.dress(body, orders=self.orders))

    def reindex(self, *roles: str) -> None:
        """Make Snapshot (and Timestamp for it) list the present bodies of ``roles``, each at its present version."""
        for role in roles:
            self.index(role)
        self.reindex_listed()

    def reindex_listed(self) -> None:
        """Sign the present body of Snapshot, and Timestamp for it, both at their present versions."""
        self.put("snapshot")
        self.index("snapshot")
        self.put("timestamp")

    def index(self, role: str) -> None:
        """List the present ``role`` in the body of the role above it (Snapshot, or Timestamp for Snapshot)."""
        if role == "snapshot":
            data = self.files[self.current("snapshot")]
            info = {"version": self.bodies[role]["version"], "length": len(data), "hashes": {"sha256": sha256(data)}}
            self.bodies["timestamp"]["meta"]["snapshot.json"] = info
        elif role not in TOP_LEVEL or role == "targets":
            self.bodies["snapshot"]["meta"][f"{role}.json"] = {"version": self.bodies[role]["version"]}

    def _common(self, role: str) -> JSON:
        now = self.clock()
        return {
            "_type": role if role in TOP_LEVEL else "targets",
            "spec_version": "1.0.34",
            "version": 1,
            "issued": wire_time(now),
            "expires": wire_time(now + LIFETIMES.get(role, TARGETS_LIFETIME)),
        }

    # images and delegations

    def add_image(self, path: str, data: bytes, *, role: str = "targets", **custom: Any) -> JSON:
        """List an image in ``role`` (unpublished) and return its entry, to be deformed at will."""
        hashes = {"sha256": sha256(data), "sha512": hashlib.sha512(data).hexdigest()}
        entry: JSON = {"length": len(data), "hashes": hashes, "custom": custom}
        self.bodies[role]["targets"][path] = entry
        return entry

    def delegate(self, parent: str, role: str, paths: list[str] | None = None, **extra: Any) -> JSON:
        """Delegate from ``parent`` to ``role`` under the role's own key, and publish nothing yet.

        ``extra`` overrides members of the delegation (``terminating``, ``hardwareIds``, ``path_hash_prefixes``).
        """
        self.add_role(role)
        delegations = self.bodies[parent].setdefault("delegations", {"keys": {}, "roles": []})
        keys = self.signers[role]
        delegations["keys"] |= {key.keyid: key.public for key in keys}
        entry: JSON = {
            "name": role,
            "keyids": [key.keyid for key in keys],
            "threshold": len(keys),
            "terminating": False,
            **({"paths": paths} if paths is not None else {}),
            **extra,
        }
        delegations["roles"].append(entry)
        return entry

    def add_role(self, role: str, keys: list[Key] | None = None) -> None:
        """Make a delegated role (at version 0, so that the first ``publish`` is 1) unless it exists."""
        if role not in self.bodies:
            self.bodies[role] = self._common(role) | {"targets": {}, "version": 0}
        if keys is not None or role not in self.signers:
            self.signers[role] = keys or [self.key(role)]

    # serving

    def serve(self, fetch: Fetch) -> bytes | Absent:
        """Answer one fetch as a driver would: at most ``max_bytes``, unless the driver is configured to be careless."""
        self.requests.append(fetch.name)
        trick = self.tricks.get(fetch.name)
        data = trick(fetch) if trick else self.files.get(fetch.name, ABSENT)
        if isinstance(data, bytes) and len(data) > fetch.max_bytes and not self.careless_driver:
            what = f"{fetch.repository}/{fetch.name}"
            raise EndlessDataError(what=what, limit_bytes=fetch.max_bytes, clause=fetch.clause)
        return data

    # the attacker's hands

    @contextmanager
    def forgery(self) -> Iterator[None]:
        """Undo on leaving whatever is done to this repository inside.

        What was signed with real keys meanwhile is out in the world, so honest people continue from higher versions
        (within reason) and keep every name in Snapshot that was ever listed there.
        """
        names = ("bodies", "files", "history")
        saved = {name: copy.deepcopy(getattr(self, name)) for name in names}
        signers, tricks, careless = dict(self.signers), dict(self.tricks), self.careless_driver
        try:
            yield
        finally:
            forged = self.bodies
            for name, value in saved.items():
                setattr(self, name, value)
            self.signers, self.tricks, self.careless_driver = signers, tricks, careless
            self._go_on_from(forged)

    def _go_on_from(self, forged: dict[str, JSON]) -> None:
        for role, body in self.bodies.items():
            if role != "root" and forged[role]["version"] < FAR_AHEAD:
                body["version"] = max(body["version"], forged[role]["version"])
        listed = self.bodies["snapshot"]["meta"]
        for name, info in forged["snapshot"].get("meta", {}).items():
            if info["version"] < FAR_AHEAD:
                listed.setdefault(name, info)

    def rewind(self, role: str, back: int = 1) -> bytes:
        """Offer an older file of ``role`` under its *current* name, byte for byte as it was once published."""
        data = self.history[role][-1 - back]
        self.files[self.current(role)] = data
        return data

    def rewind_all(self, back: int) -> None:
        """Offer everything but Root as it was ``back`` publications ago, each file under the name it had then."""
        for role in ("targets", "snapshot", "timestamp"):
            self.bodies[role]["version"] = json.loads(self.history[role][-1 - back])["signed"]["version"]
            self.rewind(role, back)

    def deform(self, role: str, change: Callable[[JSON], object]) -> bytes:
        """Change the *file* of ``role`` on offer, signatures and all, without signing again."""
        envelope = json.loads(self.files[self.current(role)])
        change(envelope)
        data = self.wire.encode(envelope)
        self.files[self.current(role)] = data
        return data

    def drop(self, role: str) -> str:
        """Stop offering the current file of ``role``; returns its name."""
        name = self.current(role)
        del self.files[name]
        return name

    def endless(self, role: str) -> str:
        """Answer the next fetch of ``role`` with one byte more than may be read; returns the file name."""
        name = self.current(role)
        self.tricks[name] = lambda fetch: b" " * (fetch.max_bytes + 1)
        return name
