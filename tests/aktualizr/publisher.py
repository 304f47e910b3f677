"""A minimal pair of repositories in memory, written from wire 9: what the client is tested against.

Every role can be deformed before it is signed (``edit``), and every file after (``files``), so that whatever a hostile
publisher could write, a test can write. Belongs here: publishing. Does not belong here: serving (``server``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.aktualizr.wire import SigningKey, canonical, envelope

FAR = "2036-01-01T00:00:00Z"
PAST = "2020-01-01T00:00:00Z"

Signed = dict[str, Any]
Edit = Mapping[str, Callable[[Signed], None]]
"""What to do to the signed part of a role before it is signed, by role name."""


def file_info(content: bytes) -> dict[str, Any]:
    """Length and SHA-256 as image entries, Snapshot and Timestamp carry them."""
    return {"length": len(content), "hashes": {"sha256": hashlib.sha256(content).hexdigest()}}


def apply(edit: Edit | None, role: str, signed: Signed) -> None:
    """Deform the signed part of ``role``, where the test asked for it."""
    if edit and role in edit:
        edit[role](signed)


class Repository:
    """What both repositories share: a chain of Roots, keys by role, and the published files by name."""

    def __init__(self, name: str, roles: Iterable[str]) -> None:
        self.name = name
        self.keys = {role: [SigningKey.named(f"TEST {name} {role} 1")] for role in roles}
        self.files: dict[str, bytes] = {}
        self.versions: dict[str, int] = {}
        self.publish_root()

    def put(self, role: str, signed: Signed, *, keys: list[SigningKey] | None = None, name: str = "") -> bytes:
        """Sign and publish ``signed`` as ``name``, with the keys of ``role`` unless told otherwise."""
        document = canonical(envelope(signed, *(self.keys[role] if keys is None else keys)))
        self.files[name or f"{role}.json"] = document
        return document

    def begin(self, role: str, **members: Any) -> Signed:
        """The signed part of the next version of ``role``."""
        self.versions[role] = self.versions.get(role, 0) + 1
        kind = role.capitalize() if role in {"root", "targets", "snapshot", "timestamp"} else "Targets"
        return {"_type": kind, "version": self.versions[role], "expires": FAR, **members}

    def publish_root(self, *, keys: list[SigningKey] | None = None, edit: Edit | None = None) -> None:
        """Publish the next Root, signed by the Root keys in ``self.keys`` or by ``keys``."""
        listed = {key.keyid: key.key for keys_of in self.keys.values() for key in keys_of}
        roles = {role: {"keyids": [k.keyid for k in ks], "threshold": len(ks)} for role, ks in self.keys.items()}
        signed = self.begin("root", keys=listed, roles=roles)
        name = f"{signed['version']}.root.json"
        apply(edit, "root", signed)
        self.put("root", signed, keys=keys, name=name)

    def rotate(self, *roles: str, edit: Edit | None = None) -> None:
        """New keys for ``roles`` and the Root that says so, signed by the old Root keys and the new ones."""
        old = list(self.keys["root"])
        version = self.versions["root"] + 1
        for role in roles:
            self.keys[role] = [SigningKey.named(f"TEST {self.name} {role} {version}")]
        self.publish_root(keys=list(dict.fromkeys([*old, *self.keys["root"]])), edit=edit)

    def edited(self, role: str, change: Callable[[Signed], None], *, keys: list[SigningKey] | None = None) -> None:
        """Change a published role in place and sign it again: same version, other content."""
        signed = json.loads(self.files[f"{role}.json"])["signed"]
        change(signed)
        self.put(role, signed, keys=keys)


class Director(Repository):
    """The Director repository of one vehicle: Root and Targets are all that anybody reads (wire 0 fact 5)."""

    def __init__(self) -> None:
        super().__init__("director", ("root", "targets"))

    def assign(self, targets: Mapping[str, Signed], *, correlation: str = "", edit: Edit | None = None) -> None:
        """Publish the next Targets with these entries (wire 4)."""
        signed = self.begin("targets", targets=dict(targets))
        if correlation:
            signed["custom"] = {"correlationId": correlation}
        apply(edit, "targets", signed)
        self.put("targets", signed)


@dataclass
class Delegation:
    """A delegated role with its images, and the roles it delegates to in turn."""

    name: str
    paths: list[str]
    terminating: bool = False
    targets: dict[str, Signed] = field(default_factory=dict)
    delegations: list[Delegation] = field(default_factory=list)

    @property
    def key(self) -> SigningKey:
        """The role's one key."""
        return SigningKey.named(f"TEST delegation {self.name}")

    @property
    def role(self) -> Signed:
        """The role as the delegating file lists it (wire 4)."""
        roles: Signed = {"name": self.name, "keyids": [self.key.keyid], "threshold": 1, "paths": self.paths}
        return {**roles, "terminating": self.terminating}


def delegations(to: list[Delegation]) -> Signed:
    """The ``delegations`` member of a Targets file, or nothing."""
    block = {"keys": {each.key.keyid: each.key.key for each in to}, "roles": [each.role for each in to]}
    return {"delegations": block} if to else {}


class ImageRepository(Repository):
    """The Image repository: images, top-level Targets, delegations, Snapshot, Timestamp."""

    def __init__(self) -> None:
        super().__init__("image", ("root", "targets", "snapshot", "timestamp"))
        self.images: dict[str, bytes] = {}
        self.targets: dict[str, Signed] = {}
        self.delegations: list[Delegation] = []
        self.versions_only = False
        """Whether Snapshot leaves hashes and lengths away (wire 4)."""

    def add(self, name: str, content: bytes, hardware_ids: Iterable[str], *, to: Delegation | None = None) -> None:
        """Take in an image, listed by the top-level Targets or by a delegation. ``publish`` makes it visible."""
        self.images[name] = content
        custom = {"hardwareIds": list(hardware_ids), "targetFormat": "BINARY"}
        (self.targets if to is None else to.targets)[name] = {**file_info(content), "custom": custom}

    def publish(self, *, edit: Edit | None = None) -> None:
        """Publish the next version of every role, the innermost first."""
        meta: dict[str, Signed] = {}
        for delegation in self.delegations:
            self._publish_delegation(delegation, edit, meta)
        top = self.begin("targets", targets=self.targets, **delegations(self.delegations))
        self._publish(top, "targets", edit, meta)
        meta["root.json"] = {"version": self.versions["root"]}
        self._publish(self.begin("snapshot", meta=dict(meta)), "snapshot", edit, meta)
        listed = {"version": meta["snapshot.json"]["version"], **file_info(self.files["snapshot.json"])}
        self._publish(self.begin("timestamp", meta={"snapshot.json": listed}), "timestamp", edit, meta)

    def _publish_delegation(self, delegation: Delegation, edit: Edit | None, meta: dict[str, Signed]) -> None:
        for inner in delegation.delegations:
            self._publish_delegation(inner, edit, meta)
        signed = self.begin(delegation.name, targets=delegation.targets, **delegations(delegation.delegations))
        file_name = f"delegations/{delegation.name}.json"
        self._publish(signed, delegation.name, edit, meta, keys=[delegation.key], name=file_name)

    def _publish(self, signed: Signed, role: str, edit: Edit | None, meta: dict[str, Signed], **how: Any) -> None:
        apply(edit, role, signed)
        document = self.put(role, signed, **how)
        info = {} if self.versions_only else file_info(document)
        meta[f"{role}.json"] = {"version": signed.get("version", 0), **info}


class Publisher:
    """Both repositories, and what most tests do with them."""

    def __init__(self) -> None:
        self.image = ImageRepository()
        self.director = Director()
        self.director.assign({})

    def entry(self, name: str, ecus: Mapping[str, str], **more: Any) -> Signed:
        """The Director's entry for an image, for ECUs given as serial to hardware id (wire 4)."""
        identifiers = {serial: {"hardwareId": hardware} for serial, hardware in ecus.items()}
        custom = {"ecuIdentifiers": identifiers, "targetFormat": "BINARY", **more}
        return {**file_info(self.image.images[name]), "custom": custom}

    def release(
        self,
        name: str,
        content: bytes,
        ecus: Mapping[str, str],
        *,
        to: Delegation | None = None,
        correlation: str = "",
    ) -> None:
        """A new image for these ECUs: published by the Image repository and assigned by the Director."""
        self.image.add(name, content, sorted(set(ecus.values())), to=to)
        self.image.publish()
        self.assign(name, ecus, correlation=correlation)

    def assign(self, name: str, ecus: Mapping[str, str], *, correlation: str = "", **more: Any) -> None:
        """Assign one published image to these ECUs, and nothing else."""
        self.director.assign({name: self.entry(name, ecus, **more)}, correlation=correlation)
