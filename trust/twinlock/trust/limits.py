"""Every bound of the engine, each with its reason. Reaching one raises; it never looks like an absence.

Counts are provisioned for each vehicle. The sizes of files that no index bounds follow from them, times the largest permitted
signature, so that an attacker without a key can make a vehicle read little.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from twinlock.trust.errors.usage import LimitSettingError

_KEY_BYTES = 4_096  # an ML-DSA-87 key in PEM is 3.6 kB
_AROUND_SIGNATURE = 256  # its key id and the names of its members
_FIXED_MEMBERS = 8_192  # versions, times, roles and thresholds
_FIXED_VALUES = 1_024  # JSON values of a manifest in addition to those of its reports


def _sizes(
    *, signatures: int, signature_bytes: int, root_keys: int, ecus: int, order_bytes: int, ecu_report_bytes: int
) -> tuple[int, int, int, int, int]:
    """All signatures, a Root, a Timestamp, a Director's other files, and a manifest, in bytes."""
    signature = 2 * signature_bytes + _AROUND_SIGNATURE
    signed = signatures * signature
    return (
        signed,
        _FIXED_MEMBERS + root_keys * _KEY_BYTES + signed,
        _FIXED_MEMBERS + signed,
        _FIXED_MEMBERS + ecus * order_bytes + signed,
        _FIXED_MEMBERS + ecus * (ecu_report_bytes + signature) + signature,
    )


def _report_values(ecus: int, ecu_report_values: int) -> int:
    return _FIXED_VALUES + ecus * ecu_report_values


_COUNTS = {
    "signatures": 32,
    "signature_bytes": 4_627,
    "root_keys": 64,
    "ecus": 256,
    "order_bytes": 4_096,
    "ecu_report_bytes": 4_096,
}
_SIZES = _sizes(**_COUNTS)
_ECU_REPORT_VALUES = 256  # sixteen events of evidence take 130, all else 30
_DERIVED = ("signatures_bytes", "root_bytes", "timestamp_bytes", "director_bytes", "report_bytes")


class Limits(NamedTuple):
    """Bounds on what a repository may make a vehicle do. Sizes are in bytes. ``provision`` makes others."""

    signatures: int = _COUNTS["signatures"]  # per file: sixteen keys, and their successors during a rotation
    signature_bytes: int = _COUNTS[
        "signature_bytes"
    ]  # ML-DSA-87, the largest permitted scheme; a longer one is ignored
    failed_verifications: int = 16  # signatures of one file by keys of its role, before the rest is not tried
    root_keys: int = _COUNTS["root_keys"]  # what a Root has room for; four roles and a time source of a dozen each
    ecus: int = _COUNTS["ecus"]  # in one vehicle
    order_bytes: int = _COUNTS["order_bytes"]  # what one entry of Director Targets has room for, on average
    ecu_report_bytes: int = _COUNTS["ecu_report_bytes"]  # the report of one ECU in a manifest, on average
    signatures_bytes: int = _SIZES[0]  # of one file, read before anything else in it is
    root_bytes: int = _SIZES[1]
    timestamp_bytes: int = _SIZES[2]
    director_bytes: int = _SIZES[3]  # a Director's Targets, and its Snapshot: one vehicle's orders
    snapshot_bytes: int = 8_000_000  # 16,384 bins take 492 kB; ten times that with hashes
    targets_bytes: int = 64_000_000  # 185 bytes an image: room for 340,000 images in one file
    full_bundle_bytes: int = 128_000_000  # a Targets file of the largest size, which JSON at most doubles
    partial_bundle_bytes: int = 2 * (_SIZES[3] + _SIZES[1])  # likewise Director Targets, and room for Roots
    unlisted_bytes: int = 8_000_000  # where no index states a length, an attacker on the line chooses it
    report_bytes: int = _SIZES[4]  # a manifest of `ecus` reports, each with a signature of the largest scheme
    ecu_report_values: int = _ECU_REPORT_VALUES  # JSON values in the report of one ECU, on average
    report_values: int = _report_values(_COUNTS["ecus"], _ECU_REPORT_VALUES)  # JSON values of a manifest
    metadata_values: int = 1_000_000  # JSON values of a metadata file; 16,384 bins with their hashes take 200,000
    value_bytes: int = 8  # average length of the JSON values of a longer metadata file; those of an image have 12 each
    attestation_bytes: int = 65_536  # one time, a few nonces, a few signatures
    map_bytes: int = 65_536
    root_rotations: int = 1_024  # one a week for twenty years; a longer chain is an endless one
    delegation_visits: int = 4_096  # roles opened while one image is searched for
    delegation_depth: int = 32  # a supply chain is a handful of tiers
    delegations_per_role: int = 20_000  # 16,384 bins written out one by one still fit
    keys: int = 1_024  # per Root or delegation
    hashes: int = 8  # per file; each costs one hash over the whole image
    name_patterns: int = 4_096  # per delegation

    def values_in(self, size: int) -> int:
        """How many JSON values a metadata file of ``size`` bytes may hold, counted before any of them is built."""
        return max(self.metadata_values, size // self.value_bytes)


DEFAULT_LIMITS = Limits()


def provision(values: Mapping[str, int]) -> Limits:
    """The default limits with ``values`` in place of some; sizes follow from counts unless they are given themselves.

    Raises: LimitSettingError for an unknown name, and for a value that is not an integer from 1.
    """
    for name, value in values.items():
        if name not in Limits._fields:
            raise LimitSettingError(name=name, reason=f"no such limit; the limits are {', '.join(Limits._fields)}")
        if type(value) is not int or value < 1:
            raise LimitSettingError(name=name, reason=f"an integer from 1 is required, not {value!r}")
    limits = DEFAULT_LIMITS._replace(**values)
    sizes = _sizes(**{name: getattr(limits, name) for name in _COUNTS})
    derived = dict(zip(_DERIVED, sizes, strict=True))
    derived["report_values"] = _report_values(limits.ecus, limits.ecu_report_values)
    return limits._replace(**{name: size for name, size in derived.items() if name not in values})
