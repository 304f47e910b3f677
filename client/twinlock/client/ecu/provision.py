"""Provisioning an ECU: its directory, key, trusted Roots, first image and configuration file.

Source: Uptane 2.1.0 5.4.1 (what an ECU must have when it is made or fitted).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twinlock.client.ecu.config import FORMAT, SecondaryConfig, check_listen, load_primary, load_secondary
from twinlock.client.ecu.identity import KEY_TYPES, create_identity, load_identity
from twinlock.client.ecu.release_counter import raise_floor
from twinlock.client.ecu.reports import check_key_type
from twinlock.client.install.ab_slots import SlotInstaller
from twinlock.client.model.errors import (
    AnchorMismatchError,
    ConfigurationError,
    SecondaryDescriptionError,
    ServerUrlError,
)
from twinlock.client.storage.anchor import load_anchor
from twinlock.client.storage.state import TrustedState
from twinlock.io.files.durable import clean_stale, flush_directory, replace_file, storage_errors
from twinlock.io.files.new_directory import new_directory
from twinlock.io.files.operator_files import read_json_object
from twinlock.trust.engine.first_contact import check_given_root, check_given_roots, check_vehicle_url, is_base_url
from twinlock.trust.errors.base import UsageError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import (
    DIRECTOR,
    IMAGE,
    EcuId,
    RepositoryName,
    VehicleId,
    Verification,
    identifier,
    target_path,
)
from twinlock.trust.state.repository_map import decode_map
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.profiles import PROFILES
from twinlock.trust.wire.tuf.metadata import TUF

PRIMARY_FILE = "primary.json"
SECONDARY_FILE = "secondary.json"
_BEGUN = "provisioning.begun"
"""The configuration of an ECU whose provisioning has not ended: its last step is to rename it."""
_CHUNK_BYTES = 65_536


@dataclass(frozen=True, kw_only=True, slots=True)
class EcuPlan:
    """The ECU to make. ``factory_image`` is (path, file) of what it runs at first; by default an empty image.

    ``time`` and ``policy`` are the fields of the same name of the configuration.
    """

    vehicle: str
    ecu: str
    hardware_id: str
    key_type: str = "ed25519"
    accepts: tuple[str, ...] = ()
    time: Mapping[str, Any] = field(default_factory=dict)
    policy: str = "strict"
    factory_image: tuple[str, str | Path] | None = None
    factory_release_counter: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownRepositories:
    """The two repositories: where they are, and the Root files that the factory trusts.

    ``director_url`` is this vehicle's own, ``<D>/vehicles/<vehicle>``. A partial Secondary needs only
    ``director_root``; no Secondary needs the URLs. ``wires`` are the profiles of those that are not in ``tuf``, by name.
    ``anchor`` is a read-only directory that holds the same Root files as ``<repository>.root.json``.
    """

    director_root: bytes
    image_root: bytes | None = None
    director_url: str = ""
    image_url: str = ""
    wires: Mapping[str, str] = field(default_factory=dict)
    anchor: str | Path | None = None


def provision_primary(
    directory: str | Path,
    plan: EcuPlan,
    repositories: KnownRepositories,
    *,
    secondaries: Sequence[Mapping[str, Any]] = (),
    fetch: Mapping[str, Any] | None = None,
) -> Path:
    """Make a Primary in ``directory``, which must not exist or be empty; returns ``directory/primary.json``.

    It resumes a provisioning of the same ECU that was killed, and keeps the key of that one.
    ``secondaries`` are descriptions as ``provision_secondary`` returns them. ``fetch`` is that part of the
    configuration. Raises: UsageError, StorageError, or the refusal of a Root file that is not sound.
    """
    if repositories.image_root is None or not repositories.director_url or not repositories.image_url:
        raise UsageError(reason="a Primary needs the URL and the Root file of both repositories")
    given_anchors(repositories)
    check_vehicle_url(repositories.director_url, VehicleId(plan.vehicle))
    described = [_checked_description(item) for item in secondaries]
    _check_key_types(plan, repositories, described)
    _check_anchor(repositories, full=True)
    directory = Path(directory)
    config = directory / PRIMARY_FILE
    settings = _settings("primary", plan, repositories) | {
        "map": "map.json",
        "fetch": dict(fetch or {}),
        "secondaries": described,
    }
    with _new_ecu(config, settings) as begun:
        load_primary(begun)
        _make(directory, plan, repositories, full=True)
    return config


def provision_secondary(
    directory: str | Path,
    plan: EcuPlan,
    repositories: KnownRepositories,
    *,
    verification: str,
    listen: str,
) -> dict[str, Any]:
    """Make a Secondary in ``directory`` (``directory/secondary.json``); returns its description for the Primary.

    It resumes a provisioning of the same ECU that was killed, and keeps the key of that one.
    ``listen`` is ``http://HOST:PORT`` or ``unix:PATH``, the path absolute or relative to ``directory``. The
    description holds ``ecu``, ``hardwareId``, ``verification``, ``address``, ``keyid`` and ``key``.
    Raises: UsageError, StorageError, or the refusal of a Root file that is not sound.
    """
    check_listen(listen)
    full = verification == Verification.FULL.value
    if full and repositories.image_root is None:
        raise UsageError(reason="full verification needs the Root file of the Image repository")
    given_anchors(repositories)
    _check_key_types(plan, repositories)
    _check_anchor(repositories, full=full)
    directory = Path(directory)
    config = directory / SECONDARY_FILE
    settings = _settings("secondary", plan, repositories) | {"verification": verification, "listen": listen}
    if full:
        settings["map"] = "map.json"
    with _new_ecu(config, settings) as begun:
        loaded = load_secondary(begun)
        _make(directory, plan, repositories, full=full)
        return describe_secondary(loaded)


def describe_secondary(config: SecondaryConfig) -> dict[str, Any]:
    """A Secondary for its Primary's configuration; see ``provision_secondary``. Raises: StorageError."""
    key = load_identity(config.key).public_key
    return {
        "ecu": config.ecu.ecu,
        "hardwareId": config.ecu.hardware_id,
        "verification": config.verification.value,
        "address": config.listen,
        "keyid": key.keyid,
        "key": key.as_json(),
    }


def given_anchors(repositories: KnownRepositories) -> dict[RepositoryName, TrustedRepository]:
    """The trust established by the given Root files, by repository; asks no server.

    Raises: UsageError for swapped or equal files or an unknown profile, ServerUrlError for a URL of another form; the refusal of a
    file that is not a Root.
    """
    for url in (repositories.director_url, repositories.image_url):
        if url and not is_base_url(url):
            raise ServerUrlError(url=url)
    wires = _profiles(repositories.wires)
    anchors = {DIRECTOR: check_given_root(DIRECTOR, repositories.director_root, wire=wires.get(DIRECTOR, TUF))}
    if repositories.image_root is not None:
        anchors[IMAGE] = check_given_root(IMAGE, repositories.image_root, wire=wires.get(IMAGE, TUF))
    check_given_roots(anchors[DIRECTOR], anchors.get(IMAGE))
    return anchors


@contextmanager
def _new_ecu(config: Path, settings: Mapping[str, Any]) -> Iterator[Path]:
    """Make the ECU of ``settings`` next to ``config`` inside the block, which has ``settings`` under the yielded name.

    If the block ends, ``config`` is there; if it fails, what it wrote is removed, unless a killed one had begun before.
    Raises: UsageError for a directory in use, StorageError.
    """
    directory = config.parent
    with new_directory(directory):
        clean_stale(directory)
        begun = directory / _BEGUN
        _check_free(directory, begun)
        if begun.is_file():
            _check_resumed(begun, settings)
            _remove_unfinished(directory)
        _write_json(begun, settings)
        try:
            yield begun
        except ConfigurationError as error:
            raise ConfigurationError(path=str(config), field=error.field, reason=error.reason) from error
        with storage_errors("write", config):
            begun.rename(config)
            flush_directory(directory)


def _check_free(directory: Path, begun: Path) -> None:
    """Raises: UsageError for a directory that holds an ECU, or anything that no interrupted provisioning left."""
    if any((directory / name).exists() for name in (PRIMARY_FILE, SECONDARY_FILE)):
        raise UsageError(reason=f"{directory} holds an ECU already; name a new directory")
    if not begun.is_file() and any(directory.iterdir()):
        raise UsageError(reason=f"{directory} is not empty; name a new directory")


def _check_resumed(begun: Path, settings: Mapping[str, Any]) -> None:
    """Raises: UsageError if an ECU other than that of ``settings`` was begun: its key may be registered already."""
    before = read_json_object(begun, "what an interrupted init began")
    for name in ("role", "vehicle", "ecu"):
        if before.get(name) != settings[name]:
            raise UsageError(
                reason=f"in {begun.parent} an interrupted init made an ECU with {name} {before.get(name)}, not "
                f"{settings[name]}; repeat that command, or name a new directory"
            )


def _remove_unfinished(directory: Path) -> None:
    """Remove what an interrupted provisioning made, except the key of the ECU."""
    with storage_errors("clean", directory):
        for path in (directory / "map.json", *directory.glob("state.db*"), *directory.glob(".state.db.new*")):
            path.unlink(missing_ok=True)
        if (directory / "slots").exists():
            shutil.rmtree(directory / "slots")


def _make(directory: Path, plan: EcuPlan, repositories: KnownRepositories, *, full: bool) -> None:
    """Everything but the configuration, which gets its name last: what has none was not finished."""
    roots: dict[RepositoryName, bytes] = {DIRECTOR: repositories.director_root}
    if full:
        assert repositories.image_root is not None
        roots[IMAGE] = repositories.image_root
        _write_json(directory / "map.json", _map(repositories))
        decode_map((directory / "map.json").read_bytes(), DEFAULT_LIMITS)
    identifier(plan.ecu)
    wires = _profiles(repositories.wires)
    with TrustedState.create(directory / "state.db", roots, wires=wires, limits=DEFAULT_LIMITS) as state:
        raise_floor(state, plan.factory_release_counter)
        state.store_provisioned_as({"vehicle": plan.vehicle, "ecu": plan.ecu, "hardwareId": plan.hardware_id})
    path, file = plan.factory_image or ("factory", None)
    source = None if file is None else Path(file)
    SlotInstaller.provision(directory / "slots", EcuId(plan.ecu), _factory_entry(path, source, plan), source)
    _make_key(directory / "identity.pem", plan)


def _make_key(path: Path, plan: EcuPlan) -> None:
    """Make the key of the ECU, or keep that of an interrupted provisioning. Raises: UsageError, StorageError."""
    if not path.exists():
        create_identity(path, plan.key_type)
        return
    held = load_identity(path).public_key.keytype
    if held != plan.key_type:
        raise UsageError(
            reason=f"{path} is the key of an interrupted init and has the type {held}, not {plan.key_type}; give that "
            "type, or name a new directory"
        )


def _settings(role: str, plan: EcuPlan, repositories: KnownRepositories) -> dict[str, Any]:
    wires = {"wires": dict(repositories.wires)} if repositories.wires else {}
    anchor = {"anchor": str(Path(repositories.anchor).absolute())} if repositories.anchor is not None else {}
    return (
        wires
        | anchor
        | {
            "format": FORMAT,
            "role": role,
            "vehicle": plan.vehicle,
            "ecu": plan.ecu,
            "hardwareId": plan.hardware_id,
            "accepts": list(plan.accepts),
            "policy": plan.policy,
            "time": dict(plan.time),
            "key": "identity.pem",
            "state": "state.db",
            "staging": "staging",
            "slots": "slots",
        }
    )


def _check_key_types(
    plan: EcuPlan, repositories: KnownRepositories, described: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Before anything is made: no ECU of this vehicle may have a key whose reports its Director cannot read."""
    wires = _profiles(repositories.wires)
    if plan.key_type in KEY_TYPES:  # another one is refused where the key is made
        check_key_type(wires, plan.ecu, plan.key_type)
    for item in described:
        keytype = item["key"].get("keytype") if isinstance(item["key"], Mapping) else None
        if keytype in KEY_TYPES:
            check_key_type(wires, item["ecu"], str(keytype))


def _check_anchor(repositories: KnownRepositories, *, full: bool) -> None:
    """Before anything is made: the anchor has the Roots that this ECU starts from. Raises: AnchorMismatchError, StorageError."""
    if repositories.anchor is None:
        return
    held = load_anchor(Path(repositories.anchor), DEFAULT_LIMITS)
    wanted = {DIRECTOR: repositories.director_root} | ({IMAGE: repositories.image_root} if full else {})
    for name, root in wanted.items():
        if held.get(name) != root:
            raise AnchorMismatchError(path=str(Path(repositories.anchor) / f"{name}.root.json"), repository=name)


def _profiles(wires: Mapping[str, str]) -> dict[RepositoryName, WireProfile]:
    unknown = set(wires.values()) - set(PROFILES)
    if unknown:
        raise UsageError(reason=f"unknown wire profile {', '.join(sorted(unknown))}; use {' or '.join(PROFILES)}")
    return {RepositoryName(name): PROFILES[wire] for name, wire in wires.items()}


def _map(repositories: KnownRepositories) -> dict[str, Any]:
    # A Secondary fetches nothing and may not know the URLs, but the format requires one.
    return {
        "repositories": {
            DIRECTOR: [repositories.director_url or "primary:"],
            IMAGE: [repositories.image_url or "primary:"],
        },
        "mapping": [{"paths": ["*"], "repositories": [DIRECTOR, IMAGE], "threshold": 2, "terminating": True}],
    }


def _factory_entry(path: str, source: Path | None, plan: EcuPlan) -> ImageEntry:
    sha256, sha512, length = hashlib.sha256(), hashlib.sha512(), 0
    if source is not None:
        with storage_errors("read", source), source.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                sha256.update(chunk)
                sha512.update(chunk)
                length += len(chunk)
    hashes = {"sha256": sha256.hexdigest(), "sha512": sha512.hexdigest()}
    return ImageEntry(target_path(path), length, hashes, release_counter=plan.factory_release_counter)


_DESCRIPTION = ("ecu", "hardwareId", "verification", "address", "keyid", "key")


def _checked_description(item: Mapping[str, Any]) -> dict[str, Any]:
    missing = [name for name in _DESCRIPTION if name not in item]
    if missing:
        raise SecondaryDescriptionError(missing=tuple(missing))
    return {name: item[name] for name in _DESCRIPTION}


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    replace_file(path, json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n")
