"""What a lax policy accepted: the guarantees that a verdict lacks, each by a stable name.

Only what was really missing in what was read is named. A lax policy that found everything in its place has given up
nothing, and the strict one never can: it refuses instead. ``policy.py`` decides what is enough, and ``checks`` enforce it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.state.trusted import TrustedRepository

NO_DIRECTOR_INDEX = "director-without-index"
"""The Director has no Timestamp and no Snapshot: only its Targets state what is current."""
NO_VEHICLE = "vehicle-id-missing"
"""The Director's Targets name no vehicle, so another vehicle's would have passed."""
NO_SNAPSHOT_HASHES = "snapshot-hashes-missing"
"""A Timestamp lists its Snapshot by version alone."""
NO_VERSIONED_NAMES = "versioned-names-missing"
"""A repository serves its files under names without versions, so a file may be replaced while a vehicle reads its index."""
NO_HARDWARE_IDS = "hardware-ids-missing"
"""Only the Director states which hardware an image is for."""
NO_RELEASE_COUNTER = "release-counter-missing"
"""Only the Director states how new an image is, so anyone who has its keys may order an older one."""
NO_MUST_AGREE = "must-agree-missing"
"""An image has no section that both repositories sign."""
NO_IMAGE_REPOSITORY = "image-repository-not-consulted"
"""Partial verification: nothing but the Director's metadata was read."""

GUARANTEES = (
    NO_DIRECTOR_INDEX,
    NO_VEHICLE,
    NO_SNAPSHOT_HASHES,
    NO_VERSIONED_NAMES,
    NO_HARDWARE_IDS,
    NO_RELEASE_COUNTER,
    NO_MUST_AGREE,
    NO_IMAGE_REPOSITORY,
)
"""All names, in the order in which a decision lists them."""


def missing_guarantees(
    director: TrustedRepository,
    agreeing: Iterable[TrustedRepository],
    entries: Iterable[ImageEntry],
) -> tuple[str, ...]:
    """The guarantees that this verification went without, in the order of ``GUARANTEES``.

    ``agreeing`` are the other repositories that were consulted, ``entries`` their entries for the images that were judged;
    for partial verification, which consults none, the Director's.
    """
    found = {name for repository in (director, *agreeing) for name in _of_repository(repository)}
    found |= {name for entry in entries for name in _of_entry(entry)}
    if not director.root.signed.has_index:
        found.add(NO_DIRECTOR_INDEX)
    if director.targets is not None and director.targets.signed.vehicle is None:
        found.add(NO_VEHICLE)
    return tuple(name for name in GUARANTEES if name in found)


def _of_repository(repository: TrustedRepository) -> Iterator[str]:
    if repository.timestamp is not None and not repository.timestamp.signed.snapshot.hashes:
        yield NO_SNAPSHOT_HASHES
    if not repository.root.signed.consistent_snapshot:
        yield NO_VERSIONED_NAMES


def _of_entry(entry: ImageEntry) -> Iterator[str]:
    if entry.hardware_ids is None:
        yield NO_HARDWARE_IDS
    if entry.release_counter is None:
        yield NO_RELEASE_COUNTER
    if entry.must_agree is None:
        yield NO_MUST_AGREE
