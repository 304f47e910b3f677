"""The repositories that clients are measured on: generated once, kept, and made again when this code changes."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench import documents
from bench.documents import Json, common, file_info, public_keys, role, sign
from bench.layout import ECU, FRESH_TIMESTAMP, VEHICLE, WANTED, WANTED_HARDWARE, Repository

ONLINE = ("timestamp", "snapshot", "targets")
PREFIX = "bins"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to generate. With ``bins``, only the bin of the wanted image is written: no client asks for another."""

    name: str
    images: int = 1
    bins: int = 0  # a power of two
    roots: int = 1  # each but the first signed by the key of the one before it
    indented: bool = False
    director: bool = False


DIRECTOR = Recipe(name="director", director=True)
SMALLEST = Recipe(name="flat-1")


def obtain(recipe: Recipe, folder: Path) -> Repository:
    """The repository of ``recipe`` below ``folder``, generated if it is not there or not by this code."""
    sources = [Path(__file__).read_bytes(), Path(documents.__file__).read_bytes(), repr(recipe).encode()]
    place = folder / f"{recipe.name}@{hashlib.sha256(b''.join(sources)).hexdigest()[:12]}"
    if not place.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob(f"{recipe.name}@*"):
            shutil.rmtree(stale)
        unfinished = Path(tempfile.mkdtemp(dir=folder, prefix="unfinished-"))
        for name, data in generate(recipe).items():
            (unfinished / name).write_bytes(data)
        unfinished.replace(place)
    return Repository(place)


def generate(recipe: Recipe) -> dict[str, bytes]:
    """All files of a repository, by the name that a server gives them."""
    files = {f"{version}.root.json": root(version, indented=recipe.indented) for version in range(1, recipe.roots + 1)}
    snapshot: Json = {"targets.json": {}}
    if recipe.bins:
        number, bits = bin_of(WANTED, recipe.bins), recipe.bins.bit_length() - 1
        names = [path for path in map(image_path, range(recipe.images)) if bin_of(path, recipe.bins) == number]
        content = {path: image(path) for path in names}
        files[f"1.{bin_name(number, recipe.bins)}.json"] = sign(targets(content), PREFIX)
        top = targets({}) | {"delegations": succinct(bits)}
        snapshot |= {f"{bin_name(other, recipe.bins)}.json": {"version": 1} for other in range(recipe.bins)}
    elif recipe.director:
        top = targets({WANTED: ordered(WANTED)})
        top["custom"] = {"vehicleIdentifier": VEHICLE, "correlationId": "urn:test:campaign-1"}
    else:
        top = targets({path: image(path) for path in map(image_path, range(recipe.images))})
    files["1.targets.json"] = sign(top, "targets", indented=recipe.indented)
    snapshot["targets.json"] = file_info(files["1.targets.json"])
    signed = common("snapshot") | {"meta": snapshot}
    files["1.snapshot.json"] = sign(signed, "snapshot", indented=recipe.indented)
    meta = {"meta": {"snapshot.json": file_info(files["1.snapshot.json"])}}
    files["timestamp.json"] = sign(common("timestamp") | meta, "timestamp", indented=recipe.indented)
    files[FRESH_TIMESTAMP] = sign(common("timestamp", 2) | meta, "timestamp", indented=recipe.indented)
    return files


def root(version: int, *, indented: bool) -> bytes:
    """Root ``version`` of a chain in which every Root rotates the key of Root."""
    mine, before = f"root-{version}", f"root-{version - 1}"
    roles = {name: role(name) for name in ONLINE} | {"root": role(mine)}
    signed = common("root", version) | {
        "consistent_snapshot": True,
        "keys": public_keys(mine, *ONLINE),
        "roles": roles,
    }
    return sign(signed, *([before, mine] if version > 1 else [mine]), indented=indented)


def targets(images: Json) -> Json:
    """A ``signed`` part listing ``images``."""
    return common("targets") | {"targets": images}


def succinct(bits: int) -> Json:
    """A delegation to ``2 ** bits`` hash bins (TAP 15)."""
    roles = role(PREFIX) | {"bit_length": bits, "name_prefix": PREFIX}
    return {"keys": public_keys(PREFIX), "succinct_roles": roles}


def image_path(number: int) -> str:
    """The name of image ``number``; that of number 0 is the wanted one."""
    return f"images/gateway/{number:07}.bin"


def image(path: str) -> Json:
    """An entry of an Image repository, about 235 bytes with its name."""
    digest = hashlib.sha256(path.encode()).hexdigest()
    hardware = WANTED_HARDWARE if path == WANTED else f"hw-{int(digest[:2], 16) % 16}"
    agreed = {"hardwareIds": [hardware], "releaseCounter": 3}
    custom = {"mustAgree": agreed, "name": "gateway", "version": "2.0.1"}
    return {"length": 4096, "hashes": {"sha256": digest}, "custom": custom}


def ordered(path: str) -> Json:
    """The same image as the Director orders it."""
    entry = image(path)
    entry["custom"]["ecuIdentifiers"] = {ECU: {"hardwareId": WANTED_HARDWARE}}
    return entry


def bin_of(path: str, bins: int) -> int:
    """The bin that lists ``path``: the leading bits of its SHA-256."""
    head = int.from_bytes(hashlib.sha256(path.encode()).digest()[:4], "big")
    return head >> (32 - (bins.bit_length() - 1))


def bin_name(number: int, bins: int) -> str:
    """The role name of a bin, with as many digits as the last one needs."""
    return f"{PREFIX}-{number:0{len(f'{bins - 1:x}')}x}"
