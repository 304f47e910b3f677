"""Every bound of the engine, each with its reason. Reaching one raises; it never looks like an absence."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """Bounds on what a repository may make a vehicle do. Sizes are in bytes."""

    root_bytes: int = 512_000  # eight keys of ML-DSA-87 with their signatures are about 100 kB
    timestamp_bytes: int = 16_384 * 4  # three ML-DSA-87 signatures are 28 kB of hex
    snapshot_bytes: int = 8_000_000  # 16,384 bins take 492 kB; ten times that with hashes
    targets_bytes: int = 64_000_000  # 185 bytes an image: room for 340,000 images in one file
    report_bytes: int = 1_000_000  # a manifest of 256 ECUs, each with an ML-DSA-44 signature
    attestation_bytes: int = 65_536  # one time, a few nonces, a few signatures
    map_bytes: int = 65_536
    root_rotations: int = 1_024  # one a week for twenty years; a longer chain is an endless one
    delegation_visits: int = 4_096  # roles opened while one image is searched for
    delegation_depth: int = 32  # a supply chain is a handful of tiers
    delegations_per_role: int = 20_000  # 16,384 bins written out one by one still fit
    signatures: int = 128  # per file; each costs a verification
    signature_bytes: int = 4_627  # of one signature: ML-DSA-87, the largest permitted scheme; a longer one is ignored
    failed_verifications: int = (
        16  # per file; signatures by keys of the role that do not hold, before the rest is not tried
    )
    keys: int = 1_024  # per Root or delegation
    hashes: int = 8  # per file; each costs a pass over the image
    ecus: int = 256  # in one vehicle
    name_patterns: int = 4_096  # per delegation


DEFAULT_LIMITS = Limits()
