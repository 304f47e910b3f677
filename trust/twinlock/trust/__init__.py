"""The engine: metadata, keys, reports, checks and verification, with no I/O, clock or randomness.

Everything here is a value or a pure function. Bytes and the time come in as arguments; what to fetch and what to
store goes out as commands, which ``drive`` or your own loop carries out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twinlock.trust.lazy import lazy_exports

if TYPE_CHECKING:
    from twinlock.trust.checks.image import ImageVerifier
    from twinlock.trust.engine.commands import (
        ABSENT,
        Absent,
        Answer,
        Command,
        Fetch,
        FetchElsewhere,
        Notice,
        Persist,
        Steps,
        drive,
    )
    from twinlock.trust.engine.delegation import find_image
    from twinlock.trust.engine.refresh import refresh_repository
    from twinlock.trust.engine.restore import bootstrap_repository, restore_repository
    from twinlock.trust.engine.verification import full_verification, partial_verification
    from twinlock.trust.keys.public_keys import PublicKey, Signer
    from twinlock.trust.limits import DEFAULT_LIMITS, Limits
    from twinlock.trust.model.ecu import Ecu, InstalledImage
    from twinlock.trust.model.targets import ImageEntry
    from twinlock.trust.names import (
        DIRECTOR,
        IMAGE,
        EcuId,
        HardwareId,
        RepositoryName,
        RoleName,
        TargetPath,
        VehicleId,
        Verification,
        target_path,
    )
    from twinlock.trust.policy import LAX, STRICT, Policy
    from twinlock.trust.state.floors import Floor
    from twinlock.trust.state.repository_map import RepositoryMap, decode_map, plain_map
    from twinlock.trust.state.stored_floor import decode_floor, encode_floor
    from twinlock.trust.state.trusted import ApprovedImage, Decision, TrustedRepository, TrustedVehicle, Vehicle
    from twinlock.trust.wire.profile import WireProfile
    from twinlock.trust.wire.profiles import PROFILES
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "checks.image": ("ImageVerifier",),
            "engine.commands": (
                "ABSENT",
                "Absent",
                "Answer",
                "Command",
                "Fetch",
                "FetchElsewhere",
                "Notice",
                "Persist",
                "Steps",
                "drive",
            ),
            "engine.delegation": ("find_image",),
            "engine.refresh": ("refresh_repository",),
            "engine.restore": ("bootstrap_repository", "restore_repository"),
            "engine.verification": ("full_verification", "partial_verification"),
            "keys.public_keys": ("PublicKey", "Signer"),
            "limits": ("DEFAULT_LIMITS", "Limits"),
            "model.ecu": ("Ecu", "InstalledImage"),
            "model.targets": ("ImageEntry",),
            "names": (
                "DIRECTOR",
                "EcuId",
                "HardwareId",
                "IMAGE",
                "RepositoryName",
                "RoleName",
                "TargetPath",
                "VehicleId",
                "Verification",
                "target_path",
            ),
            "policy": ("LAX", "Policy", "STRICT"),
            "state.floors": ("Floor",),
            "state.repository_map": ("RepositoryMap", "decode_map", "plain_map"),
            "state.stored_floor": ("decode_floor", "encode_floor"),
            "state.trusted": ("ApprovedImage", "Decision", "TrustedRepository", "TrustedVehicle", "Vehicle"),
            "wire.profile": ("WireProfile",),
            "wire.profiles": ("PROFILES",),
        },
    )

__all__ = [
    "ABSENT",
    "DEFAULT_LIMITS",
    "DIRECTOR",
    "IMAGE",
    "LAX",
    "PROFILES",
    "STRICT",
    "Absent",
    "Answer",
    "ApprovedImage",
    "Command",
    "Decision",
    "Ecu",
    "EcuId",
    "Fetch",
    "FetchElsewhere",
    "Floor",
    "HardwareId",
    "ImageEntry",
    "ImageVerifier",
    "InstalledImage",
    "Limits",
    "Notice",
    "Persist",
    "Policy",
    "PublicKey",
    "RepositoryMap",
    "RepositoryName",
    "RoleName",
    "Signer",
    "Steps",
    "TargetPath",
    "TrustedRepository",
    "TrustedVehicle",
    "Vehicle",
    "VehicleId",
    "Verification",
    "WireProfile",
    "bootstrap_repository",
    "decode_floor",
    "decode_map",
    "drive",
    "encode_floor",
    "find_image",
    "full_verification",
    "partial_verification",
    "plain_map",
    "refresh_repository",
    "restore_repository",
    "target_path",
]
