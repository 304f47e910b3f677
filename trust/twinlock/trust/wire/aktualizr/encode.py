"""Writing the ``aktualizr`` profile, as a translation of the ``tuf`` profile: plain JSON in, plain JSON out.

A repository is authored once. Each of its files is translated, with the same version, expiry, keys and key ids, and signed
once more by the same keys over its form here. Members that only we read (``issued``, ``mustAgree``, the vehicle's id) are
kept, since this client ignores what it does not know; so nothing that our own checks need is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NoReturn

from twinlock.trust.errors.local import ProfileError
from twinlock.trust.model.target_format import FILE, OSTREE, stated_format
from twinlock.trust.wire.aktualizr import form

Json = dict[str, Any]

_FORMATS = {FILE: "BINARY", OSTREE: "OSTREE"}  # always stated, so that no reader has to guess
_HASHES = ("sha256", "sha512")


def translate_root(
    signed: Mapping[str, Any], *, version: int | None = None, own_root: Mapping[str, Any] | None = None
) -> Json:
    """A Root. ``version`` is its number in this profile where the chain began later than that of the other one.

    ``own_root`` are the ``keyids``, the ``threshold`` and the ``keys`` (by id) of the Root role of this chain, where it
    does not share them with the other one. Then no Root of one chain verifies in the other; with shared keys only equal
    numbers keep them apart. Keys that no role uses (a time source may have any) are left out if this client cannot read
    them.
    Raises: ProfileError for a key that it cannot read, or a threshold beyond what it allows.
    """
    if own_root is not None:
        root = {name: own_root[name] for name in ("keyids", "threshold")}
        signed = {
            **signed,
            "keys": {**signed["keys"], **own_root["keys"]},
            "roles": {**signed["roles"], "root": root},
        }
    roles = {
        role: {"keyids": list(entry["keyids"]), "threshold": entry["threshold"]}
        for role, entry in signed["roles"].items()
    }
    for role, entry in roles.items():
        if entry["threshold"] > form.MAX_THRESHOLD:
            _refuse(role, f"a threshold above {form.MAX_THRESHOLD} is not allowed")
    used = {keyid for entry in roles.values() for keyid in entry["keyids"]}
    custom = _readable_time_source(signed)
    keys = {keyid: translate_key(keyid, signed["keys"][keyid]) for keyid in sorted(used)}
    if custom is not None:
        keys |= {keyid: translate_key(keyid, signed["keys"][keyid]) for keyid in custom["timeSource"]["keyids"]}
    found = _common("root", signed) | {"keys": keys, "roles": roles}
    if version is not None:
        found["version"] = version
    return found if custom is None else found | {"custom": custom}


def translate_key(keyid: str, key: Mapping[str, Any]) -> Json:
    """A public key as TUF 1.0.34 4.2 writes it. Raises: ProfileError for one that this client cannot read."""
    public = str(key["keyval"]["public"])
    if (key["keytype"], key["scheme"]) == ("ed25519", "ed25519"):
        return {"keytype": "ED25519", "keyval": {"public": public}}
    if key["keytype"] == "rsa":
        if key["scheme"] not in form.METHODS:
            _refuse(keyid, f"an RSA key has to sign by rsassa-pss-sha256, and this one signs by {key['scheme']}")
        bits = _rsa_bits(public)
        if bits not in form.RSA_BITS:
            _refuse(keyid, f"an RSA key of {bits} bits; 2048, 3072 and 4096 can be read")
        return {"keytype": "RSA", "keyval": {"public": public}}
    reason = f"a key of type {key['keytype']}; ed25519 and rsa can be read, and one other makes a file unreadable"
    raise ProfileError(profile=form.NAME, what=keyid, reason=reason)


def translate_targets(role: str, signed: Mapping[str, Any]) -> Json:
    """Top-level or delegated Targets of an Image repository.

    Raises: ProfileError for hash bins, roles that have to agree, and names or keys that this client cannot use.
    """
    found = _common("targets", signed)
    found["targets"] = {path: _image_entry(path, entry) for path, entry in signed["targets"].items()}
    if signed.get("delegations"):
        found["delegations"] = _delegations(role, signed["delegations"])
    return found


def translate_director_targets(signed: Mapping[str, Any]) -> Json:
    """A Director's Targets for one vehicle. Raises: ProfileError."""
    found = _common("targets", signed)
    found["targets"] = {path: _order(path, entry) for path, entry in signed["targets"].items()}
    return found | {"custom": dict(signed["custom"])}


def translate_snapshot(signed: Mapping[str, Any]) -> Json:
    """A Snapshot, with versions alone: where it listed digests, this client would accept Targets that were rolled back.

    Raises: ProfileError for a role whose file this client could not ask for.
    """
    meta = {}
    for name, info in signed["meta"].items():
        role = name.removesuffix(form.SUFFIX)
        if role != "targets" and not form.is_fetchable(role):
            _refuse(role, "this client could not ask for a role of that name")
        meta[name] = {"version": info["version"]}
    return _common("snapshot", signed) | {"meta": meta}


def translate_timestamp(signed: Mapping[str, Any], snapshot: bytes) -> Json:
    """A Timestamp that lists ``snapshot``, the Snapshot file of this profile that belongs to the one listed so far."""
    listed = {
        "version": signed["meta"]["snapshot.json"]["version"],
        "length": len(snapshot),
        "hashes": {"sha256": sha256(snapshot).hexdigest()},
    }
    return _common("timestamp", signed) | {"meta": {"snapshot.json": listed}}


def checked_size(what: str, data: bytes, limit: int) -> bytes:
    """``data``, if this client reads that much. Raises: ProfileError."""
    if len(data) > limit:
        _refuse(what, f"it would take {len(data)} bytes, and this client reads at most {limit}")
    return data


def _common(role: str, signed: Mapping[str, Any]) -> Json:
    found = {"_type": form.TYPES[role], "version": signed["version"], "expires": signed["expires"]}
    for name in ("issued", "custom"):
        if role != "root" and name in signed:
            found[name] = signed[name]
    return found | ({"issued": signed["issued"]} if "issued" in signed else {})


def _readable_time_source(signed: Mapping[str, Any]) -> Json | None:
    source = signed.get("custom", {}).get("timeSource")
    if source is None:
        return None
    try:
        for keyid in source["keyids"]:
            translate_key(keyid, signed["keys"][keyid])
    except ProfileError:
        return None
    return {"timeSource": dict(source)}


def _image_entry(path: str, entry: Mapping[str, Any]) -> Json:
    custom = dict(entry.get("custom", {}))
    hardware = custom.get("mustAgree", {}).get("hardwareIds", custom.get("hardwareIds"))
    if not hardware:
        _refuse(path, "it states no hardware ids, and this client installs no image without")
    if custom.pop("ecuIdentifiers", None):
        _refuse(path, "it names ECUs, which only a Director may")
    return _entry(path, entry, custom | {"hardwareIds": sorted(hardware)})


def _order(path: str, entry: Mapping[str, Any]) -> Json:
    custom = entry["custom"]
    kept = {name: custom[name] for name in ("ecuIdentifiers", "mustAgree", "targetFormat") if name in custom}
    return _entry(path, entry, kept, url=custom.get("downloadUrl"))


def _entry(path: str, entry: Mapping[str, Any], custom: Json, *, url: str | None = None) -> Json:
    url = custom.pop("downloadUrl", url)
    hashes = {name: entry["hashes"][name] for name in _HASHES if name in entry["hashes"]}
    if "sha256" not in hashes:
        _refuse(path, "it lists no SHA-256 digest, and this client reports what it runs by nothing else")
    custom["targetFormat"] = _FORMATS[stated_format(entry["length"], custom)]
    if url is not None:
        custom["uri"] = url
    return {"length": entry["length"], "hashes": hashes, "custom": custom}


def _delegations(delegator: str, delegations: Mapping[str, Any]) -> Json:
    for form_of_it, name in (
        ("succinct_roles", "hash bins"),
        ("prioritized_delegations", "delegations to several roles that have to agree"),
    ):
        if delegations.get(form_of_it):
            _refuse(delegator, f"it has {name}, which this client does not know")
    keys = {keyid: translate_key(keyid, key) for keyid, key in delegations["keys"].items()}
    return {"keys": keys, "roles": [_delegation(entry) for entry in delegations.get("roles", ())]}


def _delegation(entry: Mapping[str, Any]) -> Json:
    name = entry["name"]
    if not form.is_fetchable(name):
        _refuse(name, "this client could not ask for a role of that name")
    if not entry.get("paths"):
        _refuse(name, "it is delegated to by digests of names, which this client does not know")
    for pattern in entry["paths"]:
        if not form.is_plain_pattern(pattern):
            _refuse(name, f"the pattern {pattern!r} means something else to this client")
    if entry["threshold"] > form.MAX_THRESHOLD:
        _refuse(name, f"a threshold above {form.MAX_THRESHOLD} is not allowed")
    kept = ("name", "keyids", "threshold", "paths", "terminating", "hardwareIds")
    return {member: entry[member] for member in kept if member in entry}


def _rsa_bits(public: str) -> int:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = load_pem_public_key(public.encode())
    assert isinstance(key, RSAPublicKey)
    return key.key_size


def _refuse(what: str, reason: str) -> NoReturn:
    raise ProfileError(profile=form.NAME, what=what, reason=reason)
